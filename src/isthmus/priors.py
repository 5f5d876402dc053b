"""Priors p(z) over codes."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch

from isthmus._distributions import DiagonalGaussian
from isthmus._part import Part

__all__ = ["Prior", "StandardNormal"]


class Prior(Part):
    """Base of the priors: ``forward`` returns p(z) as a distribution on R^K."""

    n_latent: int

    def build(self, n_latent: int) -> None:
        """Make the tensors for K = `n_latent` latent units."""
        self.n_latent = n_latent

    @abstractmethod
    def forward(self) -> torch.distributions.Distribution:
        """Return p(z)."""


@dataclass(eq=False, repr=False)
class StandardNormal(Prior):
    r"""p(z) = N(0, I).

    Examples
    --------
    >>> import torch
    >>> p = StandardNormal(); p.build(2)
    >>> p().log_prob(torch.zeros(2))
    tensor(-1.8379)
    """

    def build(self, n_latent: int) -> None:
        """Make the zeros that are both mean and log scale."""
        super().build(n_latent)
        self.register_buffer("zeros", torch.zeros(n_latent), persistent=False)

    def forward(self) -> DiagonalGaussian:
        """Return N(0, I)."""
        zeros = self.get_buffer("zeros")
        return DiagonalGaussian(zeros, zeros)
