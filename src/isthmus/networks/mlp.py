"""Fully connected networks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from isthmus._activations import activation, choose_activation
from isthmus._layer_sizes import layer_sizes
from isthmus._tensor_shapes import TensorShape, dense_shapes
from isthmus.networks._base import Layer, Network, Sizes, concatenate, join_inputs

__all__ = ["MLP", "dense"]

_HIDDEN = (256, 128)  # sizes of hidden layers where nothing says others
# Codes of many units that start as the transpose overshoot: several units describe the same part of a sample.
_TRANSPOSED = 0.3
# Weights that are normalised turn by about the learning rate over their norm in a step: fast at first, when directions
# are random, and slower as they grow.
_RAW_NORM = 0.1


def dense(widths: list[int]) -> nn.ModuleList:
    """Return linear layers between consecutive widths."""
    return nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))


def _affine(layers: nn.ModuleList) -> list[tuple[Tensor, Tensor]]:
    # Attribute access of nn.Module searches three dictionaries, which takes measurable time in small networks.
    return [(layer._parameters["weight"], layer._parameters["bias"]) for layer in layers._modules.values() if layer]  # type: ignore[misc]


@dataclass(eq=False, repr=False)
class MLP(Network):
    r"""Dense layers, h_l = a(W_l h_{l-1} + b_l), the last one linear, mirrored by the decoder.

    Parameters
    ----------
    hidden_layer_sizes : int or tuple of int, optional
        Sizes of the encoder's hidden layers; the decoder has them in reverse. () is a linear model. By default those of
        the estimator; without one, (256, 128).
    activation : str, default="auto"
        Activation of the hidden layers: "identity", "relu", "elu", "silu", "gelu", "tanh", "sigmoid" or "softplus".
        "auto" is "elu" where training starts from factor analysis, and otherwise "relu".
    tied : bool, default=False
        Whether the decoder's weights are the transposed weights of the encoder (the biases are not tied).
    unit_norm : bool, optional
        Whether the decoder's first layer has weights of norm 1 for each unit of the code, so that the code alone says
        how much of a feature there is. The encoder's last layer then starts as the transpose of this layer, times 0.3.
        By default it is so in a :class:`isthmus.SparseAutoencoder` that keeps its largest units, and not elsewhere.
    skip : bool, default=True
        Whether encoder and decoder add a linear map of their inputs to their outputs (a skip connection). Training then
        starts from factor analysis, where likelihood and posterior allow it. Networks with tied or unit-norm weights
        have none, and those without hidden layers need none.

    Notes
    -----
    A condition is appended to the input of the encoder and to the code. With a skip connection S the outputs are

    .. math:: W_L h_{L-1} + b_L + S x.

    References
    ----------
    Hinton & Salakhutdinov (2006), Reducing the Dimensionality of Data with Neural Networks; Vincent et al.
    (2010), JMLR 11, for tied weights.

    Examples
    --------
    >>> from isthmus import VAE
    >>> VAE(hidden_layer_sizes=(64,), network=MLP(activation="relu")).network
    MLP(activation='relu')
    >>> import torch
    >>> net = MLP((8,)); net.build(Sizes(n_features=4, n_components=2, n_encoder_outputs=2, n_decoder_outputs=4))
    >>> net(torch.zeros(3, 4)).shape
    torch.Size([3, 4])
    """

    hidden_layer_sizes: int | tuple[int, ...] | None = None
    activation: str = "auto"
    tied: bool = False
    unit_norm: bool | None = None
    skip: bool = True

    def build(self, sizes: Sizes) -> None:
        """Make the layers.

        Raises
        ------
        ValueError
            If a size is no positive whole number; if `tied` and the decoder's outputs are not the features; or if both
            `tied` and `unit_norm`.
        """
        self.sizes = sizes
        encoder_widths, widths = self._widths(sizes)
        if self.activation == "auto":
            self.activation = choose_activation(linear=self.starts_linear)
        activation(self.activation)  # raises for an unknown name here rather than in the first step
        n_inputs = encoder_widths[0]
        self.encoder = dense(encoder_widths)
        if self.tied and self.unit_norm:
            raise ValueError("tied weights cannot have unit_norm=True; use tied=False.")
        if not self.tied:
            self.decoder = dense(widths)
            if self.starts_transposed:
                self._start_transposed()
            if self.has_skip:
                self.encoder_skip_weight = nn.Parameter(torch.zeros(sizes.n_encoder_outputs, n_inputs))
                self.decoder_skip_weight = nn.Parameter(torch.zeros(sizes.n_decoder_outputs, widths[0]))
            return
        if sizes.n_decoder_outputs != sizes.sample_width or sizes.n_conditions:
            raise ValueError("tied weights need one decoder output for each column and no condition; use tied=False.")
        self.decoder_biases = nn.ParameterList(nn.Parameter(torch.zeros(width)) for width in widths[1:])

    def _widths(self, sizes: Sizes) -> tuple[list[int], list[int]]:
        """Return the widths of the encoder's and of the decoder's layers, from inputs to outputs."""
        hidden = layer_sizes(self, default=_HIDDEN)
        n_inputs = sizes.sample_width + (sizes.n_features if sizes.masked else 0) + sizes.n_conditions
        codes = sizes.n_components + sizes.n_conditions
        return [n_inputs, *hidden, sizes.n_encoder_outputs], [codes, *reversed(hidden), sizes.n_decoder_outputs]

    def tensor_shapes(self, sizes: Sizes) -> Iterator[TensorShape]:
        """Yield the tensors that are saved."""
        encoder, decoder = self._widths(sizes)
        yield from dense_shapes("encoder", encoder)
        if self.tied:
            yield from ((f"decoder_biases.{i}", (width,)) for i, width in enumerate(decoder[1:]))
            return
        yield from dense_shapes("decoder", decoder)
        if self.has_skip:
            yield "encoder_skip_weight", (encoder[-1], encoder[0])
            yield "decoder_skip_weight", (decoder[-1], decoder[0])

    @torch.no_grad()
    def _start_transposed(self) -> None:
        """Set the encoder's last layer to the transpose of the decoder's first one."""
        k, ((first, _), *_), (last, bias) = self.sizes.n_components, self._decoder(), _affine(self.encoder)[-1]
        width = min(first.shape[0], last.shape[1])  # an encoder without hidden layers may see more than features
        last[:k, :width] = _TRANSPOSED * first[:width, :k].T
        bias[:k] = 0
        _affine(self.decoder)[0][0][:, :k] = _RAW_NORM * first[:, :k]

    def _decoder(self) -> list[tuple[Tensor, Tensor]]:
        if self.unit_norm:
            (first, bias), *later = _affine(self.decoder)
            units, conditions = first.split([self.sizes.n_components, self.sizes.n_conditions], dim=1)
            return [(torch.cat([F.normalize(units, dim=0), conditions], 1), bias), *later]
        if not self.tied:
            return _affine(self.decoder)
        weights = [weight.T for weight, _ in reversed(_affine(self.encoder))]
        weights[0] = weights[0][:, : self.sizes.n_components]
        weights[-1] = weights[-1][: self.sizes.sample_width]  # without the columns of a mask
        return list(zip(weights, self.decoder_biases, strict=True))

    def _run(self, layers: list[tuple[Tensor, Tensor]], inputs: Tensor, skip: Tensor | None) -> Tensor:
        hidden, h = activation(self.activation), inputs
        for weight, bias in layers[:-1]:
            h = hidden(F.linear(h, weight, bias))
        outputs = F.linear(h, *layers[-1])
        return outputs if skip is None else outputs + F.linear(inputs, skip)

    def encode(self, x: Tensor, c: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Map samples to posterior parameters."""
        skip = self._parameters.get("encoder_skip_weight")
        return self._run(_affine(self.encoder), join_inputs(self.sizes, x, c, mask), skip)

    def decode(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Map codes to likelihood parameters."""
        return self._run(self._decoder(), concatenate(z, c), self._parameters.get("decoder_skip_weight"))

    @property
    def starts_linear(self) -> bool:  # type: ignore[override]
        """Whether there is a linear map from inputs to outputs: skip connections, or no hidden layers."""
        return self.skip and not self.tied and not self.unit_norm

    @property
    def starts_transposed(self) -> bool:  # type: ignore[override]
        """Whether the decoder's weights have norm 1."""
        return bool(self.unit_norm)

    @property
    def has_skip(self) -> bool:
        """Whether there are skip connections in addition to hidden layers."""
        return self.starts_linear and bool(layer_sizes(self, default=_HIDDEN))

    @torch.no_grad()
    def set_linear(
        self,
        encoder: tuple[Tensor, Tensor],
        decoder: tuple[Tensor, Tensor],
        condition: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        """Set skip connections and biases to linear maps, and the weights of the last layers to 0."""
        (weight, bias), (decoder_weight, decoder_bias) = encoder, decoder
        inputs = torch.zeros_like(_affine(self.encoder)[0][0][:1]).repeat(len(weight), 1)
        inputs[:, : weight.shape[1]] = weight
        codes = decoder_weight
        if condition is not None:
            inputs[:, -condition[0].shape[1] :] = condition[0]
            codes = torch.cat([decoder_weight, condition[1]], dim=1)
        for layers, linear, constant, skip in (
            (self.encoder, inputs, bias, self._parameters.get("encoder_skip_weight")),
            (self.decoder, codes, decoder_bias, self._parameters.get("decoder_skip_weight")),
        ):
            last: nn.Linear = layers[-1]  # type: ignore[assignment]
            last.bias.copy_(constant)
            if skip is None:
                last.weight.copy_(linear)
            else:
                last.weight.zero_()
                skip.copy_(linear)

    def encoder_skip(self) -> Tensor | None:
        """Return the encoder's skip connection for the first K outputs."""
        skip = self._parameters.get("encoder_skip_weight")
        return None if skip is None else skip[: self.sizes.n_components]

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights."""
        return self.encoder[0].weight.dtype  # type: ignore[return-value]

    @property
    def output_bias(self) -> Tensor:
        """The bias of the decoder's last layer."""
        return self._decoder()[-1][1]

    def encoder_parameters(self) -> list[nn.Parameter]:
        """Return the encoder's parameters; none if they are tied to the decoder's."""
        return [] if self.tied else [*self.encoder.parameters(), *self.skip_parameters()[:1]]

    def skip_parameters(self) -> list[nn.Parameter]:
        """Return the weights of the encoder's and the decoder's skip connection, if there are any."""
        skips = (self._parameters.get(f"{name}_skip_weight") for name in ("encoder", "decoder"))
        return [skip for skip in skips if skip is not None]

    def decoder_skip(self) -> Tensor | None:
        """Return the columns of the decoder's skip connection that read the code."""
        skip = self._parameters.get("decoder_skip_weight")
        return None if skip is None else skip[:, : self.sizes.n_components]

    def encoder_layers(self) -> list[Layer]:
        """Return the encoder's layers, the last one cut to the first K outputs."""
        *hidden, (weight, bias) = _affine(self.encoder)
        k = self.sizes.n_components
        if len(weight) > k:
            weight, bias = weight[:k], bias[:k]
        return [*(Layer(w, b, self.activation) for w, b in hidden), Layer(weight, bias, "identity")]

    def decoder_layers(self) -> list[Layer]:
        """Return the decoder's layers, whose first one reads the code and the condition."""
        *hidden, (weight, bias) = self._decoder()
        return [*(Layer(w, b, self.activation) for w, b in hidden), Layer(weight, bias, "identity")]

    def decoder_weights(self) -> list[Tensor]:
        """Return the decoder's weights, the first one without the condition's columns."""
        first, *later = (weight for weight, _ in self._decoder())
        return [first[:, : self.sizes.n_components], *later]
