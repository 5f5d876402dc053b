"""Fully connected networks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from isthmus._activations import activation
from isthmus.networks._base import Layer, Network, Sizes

__all__ = ["MLP", "dense"]


def dense(widths: list[int]) -> nn.ModuleList:
    """Return linear layers between consecutive widths."""
    return nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))


def _affine(layers: nn.ModuleList) -> list[tuple[Tensor, Tensor]]:
    # nn.Module looks every attribute up by name in three tables: for small networks that shows.
    return [(layer._parameters["weight"], layer._parameters["bias"]) for layer in layers._modules.values() if layer]  # type: ignore[misc]


def _join(x: Tensor, *more: Tensor | None) -> Tensor:
    parts = [part.expand(*x.shape[:-1], part.shape[-1]) for part in more if part is not None]
    return torch.cat([x, *parts], dim=-1) if parts else x


@dataclass(eq=False, repr=False)
class MLP(Network):
    r"""D - hidden - K and back: h_l = a(W_l h_{l-1} + b_l), the last layer linear, the decoder mirrored.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default=(256, 128)
        Widths of the encoder's hidden layers; the decoder has them in reverse. () is the linear model.
    activation : str, default="elu"
        Activation of the hidden layers.
    tied : bool, default=False
        Decoder weights are the transposed encoder weights (biases stay free).

    Notes
    -----
    A condition is joined to the input of the encoder and to the code.

    References
    ----------
    Hinton & Salakhutdinov (2006), Reducing the Dimensionality of Data with Neural Networks; Vincent et al.
    (2010), JMLR 11, for tied weights.

    Examples
    --------
    >>> import torch
    >>> net = MLP((8,)); net.build(Sizes(n_features=4, n_components=2, n_encoder_outputs=2, n_decoder_outputs=4))
    >>> net(torch.zeros(3, 4)).shape
    torch.Size([3, 4])
    """

    hidden_layer_sizes: tuple[int, ...] = (256, 128)
    activation: str = "elu"
    tied: bool = False

    def build(self, sizes: Sizes) -> None:
        """Make the layers.

        Raises
        ------
        ValueError
            If a width is not positive, or weights are tied and the decoder has other outputs than the row.
        """
        self.sizes = sizes
        hidden = list(self.hidden_layer_sizes)
        if any(width < 1 for width in hidden):
            raise ValueError(f"hidden_layer_sizes={self.hidden_layer_sizes}: widths must be positive.")
        activation(self.activation)  # an unknown name is an error here, not in the first step
        n_inputs = sizes.n_features * (2 if sizes.masked else 1) + sizes.n_conditions
        self.encoder = dense([n_inputs, *hidden, sizes.n_encoder_outputs])
        widths = [sizes.n_components + sizes.n_conditions, *reversed(hidden), sizes.n_decoder_outputs]
        if not self.tied:
            self.decoder = dense(widths)
            return
        if sizes.n_decoder_outputs != sizes.n_features or sizes.n_conditions:
            raise ValueError("tied weights need one decoder output for each column and no condition; use tied=False.")
        self.decoder_biases = nn.ParameterList(nn.Parameter(torch.zeros(width)) for width in widths[1:])

    def _decoder(self) -> list[tuple[Tensor, Tensor]]:
        if not self.tied:
            return _affine(self.decoder)
        weights = [weight.T for weight, _ in reversed(_affine(self.encoder))]
        weights[0] = weights[0][:, : self.sizes.n_components]
        weights[-1] = weights[-1][: self.sizes.n_features]  # the encoder may see a mask beside the row
        return list(zip(weights, self.decoder_biases, strict=True))

    def _inputs(self, x: Tensor, c: Tensor | None, mask: Tensor | None) -> Tensor:
        if not self.sizes.masked:
            return _join(x, c)
        return _join(x, torch.ones_like(x) if mask is None else mask, c)

    def _run(self, layers: list[tuple[Tensor, Tensor]], h: Tensor) -> Tensor:
        hidden = activation(self.activation)
        for weight, bias in layers[:-1]:
            h = hidden(F.linear(h, weight, bias))
        return F.linear(h, *layers[-1])

    def encode(self, x: Tensor, c: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Map rows to the posterior's numbers."""
        return self._run(_affine(self.encoder), self._inputs(x, c, mask))

    def decode(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Map codes to the likelihood's numbers."""
        return self._run(self._decoder(), _join(z, c))

    @property
    def dtype(self) -> torch.dtype:
        """The number format that it computes in."""
        return self.encoder[0].weight.dtype  # type: ignore[return-value]

    @property
    def output_bias(self) -> Tensor:
        """The decoder's last bias."""
        return self._decoder()[-1][1]

    def output_weight(self) -> Tensor:
        """Return the decoder's first weight, without the condition's columns."""
        return self._decoder()[0][0][:, : self.sizes.n_components]

    def later_weights(self) -> list[Tensor]:
        """Return the decoder's other weights."""
        return [weight for weight, _ in self._decoder()[1:]]

    def encoder_parameters(self) -> list[nn.Parameter]:
        """Return the encoder's parameters; none where they are tied to the decoder's."""
        return [] if self.tied else list(self.encoder.parameters())

    def only_weight(self) -> Tensor | None:
        """Return the encoder's weight where there are no hidden layers."""
        if self.hidden_layer_sizes:
            return None
        weight = _affine(self.encoder)[0][0]
        code, row = self.sizes.n_components, self.sizes.n_features
        return weight if weight.shape == (code, row) else weight[:code, :row]  # a view's gradient is filled up with 0

    def chain(self, x: Tensor, c: Tensor | None = None, mask: Tensor | None = None) -> list[Layer]:
        """Return the encoder layer by layer, up to the first K outputs."""
        *hidden, (weight, bias) = _affine(self.encoder)
        layers: list[Layer] = []
        h = self._inputs(x, c, mask)
        for w, b in hidden:
            a = F.linear(h, w, b)
            layers.append(Layer(w, a, self.activation))
            h = activation(self.activation)(a)
        code = slice(self.sizes.n_components)
        layers.append(Layer(weight[code], F.linear(h, weight[code], bias[code]), "identity"))
        return [layers[0]._replace(weight=layers[0].weight[:, : self.sizes.n_features]), *layers[1:]]
