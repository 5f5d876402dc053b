"""The base class of the networks: an encoder and a decoder from one description."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from isthmus._part import Part
from isthmus._tensor_shapes import TensorShape

__all__ = ["Layer", "Network", "Sizes", "concatenate", "join_inputs"]


class Sizes(NamedTuple):
    """Widths of a network's inputs and outputs.

    Attributes
    ----------
    n_features : int
        D, the width of a sample.
    n_components : int
        K, the width of a code.
    n_encoder_outputs : int
        Number of parameters of the posterior, of which the first K are means.
    n_decoder_outputs : int
        Number of parameters of the likelihood.
    n_conditions : int
        C, the width of the condition; 0 without one.
    masked : bool
        Whether the encoder gets a mask of observed cells in addition to the sample.
    n_inputs : int
        Number of the encoder's inputs that stand for the sample; 0 if it is D.
    """

    n_features: int
    n_components: int
    n_encoder_outputs: int
    n_decoder_outputs: int
    n_conditions: int = 0
    masked: bool = False
    n_inputs: int = 0

    @property
    def sample_width(self) -> int:
        """Number of the encoder's inputs that stand for the sample."""
        return self.n_inputs or self.n_features


class Layer(NamedTuple):
    """A dense layer, h = activation(weight @ inputs + bias).

    Attributes
    ----------
    weight : Tensor of shape (outputs, inputs)
        Weights.
    bias : Tensor of shape (outputs,)
        Biases.
    activation : str
        Name of the activation.
    """

    weight: Tensor
    bias: Tensor
    activation: str


class Network(Part):
    """Base of the networks: ``encode`` maps samples to posterior parameters, ``decode`` codes to likelihood parameters.

    A network must define ``build``, ``encode`` and ``decode``. The other methods are optional: by default they return
    None or an empty list, and their docstrings say what is gained by overriding them.
    """

    sizes: Sizes
    starts_linear: bool = False  # whether `set_linear` works
    starts_transposed: bool = False  # whether the encoder starts as the transpose of the decoder

    @abstractmethod
    def build(self, sizes: Sizes) -> None:
        """Make the encoder and the decoder, with weights drawn from torch's default generator."""

    def tensor_shapes(self, sizes: Sizes) -> Iterator[TensorShape]:
        """Yield the tensors that ``build`` makes and that are saved, for the parts of isthmus."""
        raise NotImplementedError

    @abstractmethod
    def encode(self, x: Tensor, c: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Map samples (..., D or n_inputs), conditions (..., C) and masks (..., D) to (..., n_encoder_outputs).

        With ``sizes.masked``, a mask of None stands for all ones; without it, the mask is ignored.
        """

    @abstractmethod
    def decode(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Map codes (..., K) and conditions (..., C) to (..., n_decoder_outputs)."""

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights, which inputs must have."""
        return next(self.parameters()).dtype

    @property
    def output_bias(self) -> Tensor | None:
        """The bias (n_decoder_outputs,) of the decoder's last layer, from which training starts at the data's mean."""
        return None

    def encoder_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of ``encode`` that ``decode`` does not share, for ``encoder_learning_rate``."""
        return []

    def set_linear(
        self,
        encoder: tuple[Tensor, Tensor],
        decoder: tuple[Tensor, Tensor],
        condition: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        """Set the weights so that encoder and decoder are linear maps, from which training starts.

        Parameters
        ----------
        encoder : tuple of Tensor
            Weight (n_encoder_outputs, n_inputs) and bias (n_encoder_outputs,).
        decoder : tuple of Tensor
            Weight (n_decoder_outputs, K) and bias (n_decoder_outputs,).
        condition : tuple of Tensor, optional
            What the condition adds to the outputs: (n_encoder_outputs, C) and (n_decoder_outputs, C).
        """
        raise NotImplementedError

    def encoder_skip(self) -> Tensor | None:
        """Return the weight (K, inputs) of a linear map added to the last of :meth:`encoder_layers`, if any."""
        return None

    def skip_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of skip connections."""
        return []

    def encoder_layers(self) -> list[Layer] | None:
        """Return the layers that map :func:`join_inputs` to the first K outputs, or None unless all are dense.

        With them, the contractive penalty has a closed form.
        """
        return None

    def decoder_skip(self) -> Tensor | None:
        """Return the weight (outputs, K) of a linear map added to the last of :meth:`decoder_weights`, if any."""
        return None

    def decoder_weights(self) -> list[Tensor]:
        """Return the weight (outputs, inputs) of each decoder layer, or [] if the first one does not read the code.

        The first one is (outputs, K), without the columns of a condition. The L1 penalty weights each unit of the code
        by its column.
        """
        return []

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Return the decoder's outputs at the code: the first K outputs of the encoder."""
        return self.decode(self.encode(x, c)[..., : self.sizes.n_components], c)


def join_inputs(sizes: Sizes, x: Tensor, c: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
    """Return samples, masks (where ``sizes.masked``; all ones by default) and conditions side by side."""
    if sizes.masked:
        return concatenate(x, x.new_ones(sizes.n_features) if mask is None else mask, c)
    return concatenate(x, c)


def concatenate(x: Tensor, *others: Tensor | None) -> Tensor:
    """Return `x` (..., W) and the others, which are expanded to its leading dimensions, joined along the last one."""
    more = [other.expand(*x.shape[:-1], other.shape[-1]) for other in others if other is not None]
    return torch.cat([x, *more], dim=-1) if more else x
