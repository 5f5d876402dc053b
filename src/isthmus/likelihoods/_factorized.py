"""The distribution of a row's cells, for likelihoods that torch has no distribution of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.distributions import Distribution

if TYPE_CHECKING:
    from isthmus.likelihoods._base import Likelihood

__all__ = ["FactorizedDistribution"]


class FactorizedDistribution(Distribution):
    """p(x|z) as its likelihood computes it, of batch shape (..., D).

    Parameters
    ----------
    likelihood : Likelihood
        Built, with ``log_prob``, ``mean`` and ``sample`` of its own.
    h : Tensor of shape (..., n_outputs)
        Decoder outputs.
    """

    arg_constraints = {}

    def __init__(self, likelihood: Likelihood, h: Tensor) -> None:
        super().__init__(torch.Size((*h.shape[:-1], likelihood.n_features)), validate_args=False)
        self.likelihood, self.h = likelihood, h

    @property
    def mean(self) -> Tensor:
        """E[x|z], (..., D)."""
        return self.likelihood.mean(self.h)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log p(x_d|z) of cells (..., D)."""
        return self.likelihood.log_prob(self.h, value)

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Draw cells, ``(*sample_shape, ..., D)``."""
        return self.likelihood.sample(self.h.expand(*sample_shape, *self.h.shape))
