"""The base of the networks: an encoder and a decoder from one description."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from isthmus._part import Part

__all__ = ["Layer", "Network", "Sizes"]


class Sizes(NamedTuple):
    """What a network is built for.

    Attributes
    ----------
    n_features : int
        D, width of a row.
    n_components : int
        K, width of a code.
    n_encoder_outputs : int
        What the posterior takes (K means first).
    n_decoder_outputs : int
        What the likelihood takes.
    n_conditions : int
        C, width of the condition; 0 without one.
    masked : bool
        Whether the encoder sees, beside each cell, whether it was observed.
    """

    n_features: int
    n_components: int
    n_encoder_outputs: int
    n_decoder_outputs: int
    n_conditions: int = 0
    masked: bool = False


class Layer(NamedTuple):
    """One step of a chain h = activation(a), a = weight @ input + bias, for the Jacobian in closed form.

    Attributes
    ----------
    weight : Tensor of shape (outputs, inputs)
        Its columns that belong to a condition are left out.
    a : Tensor of shape (N, outputs)
        Pre-activations of the rows.
    activation : str
        Its name.
    """

    weight: Tensor
    a: Tensor
    activation: str


class Network(Part):
    """Base of the networks: ``encode`` maps rows to the posterior's numbers, ``decode`` codes to the likelihood's.

    ``forward`` is the two in turn, through the first K encoder outputs.
    """

    sizes: Sizes

    @abstractmethod
    def build(self, sizes: Sizes) -> None:
        """Make encoder and decoder, with weights drawn from torch's default generator."""

    @abstractmethod
    def encode(self, x: Tensor, c: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Map rows (..., D), conditions (..., C) and observed cells (..., D) to (..., n_encoder_outputs).

        A network built with ``sizes.masked`` takes a mask of None as all ones; another one ignores the mask.
        """

    @abstractmethod
    def decode(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Map codes (..., K) and conditions (..., C) to (..., n_decoder_outputs)."""

    @property
    def dtype(self) -> torch.dtype:
        """The number format that it computes in: what it is given has to have it."""
        return next(self.parameters()).dtype

    @property
    @abstractmethod
    def output_bias(self) -> Tensor | None:
        """The decoder's last bias, (n_decoder_outputs,), or None: where training starts from the data's mean."""

    @abstractmethod
    def output_weight(self) -> Tensor | None:
        """Return the weight that reads the code, (outputs, K), or None where there is none."""

    def later_weights(self) -> list[Tensor]:
        """Return the weights of the decoder's layers after the one that reads the code, each (outputs, inputs)."""
        return []

    def encoder_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of ``encode`` that ``decode`` does not share: they may have a learning rate of theirs.

        None by default.
        """
        return []

    def code_norms(self) -> Tensor | None:
        r"""Return how far the decoder's output moves for a step of each unit, (K,), or None: what L1 weighs by.

        The norm of the column that reads the unit, :math:`\|W_k\|`, times the gain of every later layer, the root mean
        square of its singular values. Without the gains a deep decoder grows there what the codes have shrunk.
        """
        weight = self.output_weight()
        if weight is None:
            return None
        norms = weight.norm(dim=0)
        for later in self.later_weights():
            norms = norms * (later.norm() / math.sqrt(min(later.shape)))
        return norms

    def only_weight(self) -> Tensor | None:
        """Return the weight (K, D) by which rows become codes where the encoder is one affine map, else None."""
        return None

    def chain(
        self,
        x: Tensor,  # noqa: ARG002 - a default
        c: Tensor | None = None,  # noqa: ARG002
        mask: Tensor | None = None,  # noqa: ARG002
    ) -> list[Layer] | None:
        """Return the encoder as a chain of layers for rows `x` (N, D), or None where it is no such chain."""
        return None

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Encode to the first K outputs and decode them."""
        return self.decode(self.encode(x, c)[..., : self.sizes.n_components], c)
