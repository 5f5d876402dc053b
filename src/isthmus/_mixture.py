"""Mixtures of distributions of codes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from isthmus._distributions import LatentDistribution
from isthmus._random import generator

__all__ = ["Mixture"]


class Mixture(Distribution):
    """A mixture of M distributions of codes.

    Parameters
    ----------
    log_weight : Tensor of shape (M,)
        Logarithms of the weights, which sum to 1.
    components : LatentDistribution
        The components, of batch shape (M,).
    """

    support = constraints.real_vector
    arg_constraints: dict[str, Any] = {}

    def __init__(self, log_weight: Tensor, components: LatentDistribution) -> None:
        super().__init__(torch.Size(), components.event_shape, validate_args=False)
        self.log_weight, self.components = log_weight, components

    @property
    def mean(self) -> Tensor:
        """The mean, (K,)."""
        return self.log_weight.exp() @ self.components.mean

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log density in nats, (...), of values (..., K)."""
        return torch.logsumexp(self.log_weight + self.components.log_prob(value.unsqueeze(-2)), -1)

    def from_noise(self, noise: Tensor) -> Tensor:
        """Return draws (S, N, K) from standard normal `noise` (S, N, K + 1), whose last unit selects the component."""
        cumulative = self.log_weight.exp().cumsum(0)[:-1]
        index = torch.searchsorted(cumulative, torch.special.ndtr(noise[..., -1:].contiguous()))
        shape = (*noise.shape[:-1], *self.components.mean.shape)
        drawn = self.components.from_noise(noise[..., None, :-1].expand(shape))
        return drawn.take_along_dim(index.unsqueeze(-1), -2).squeeze(-2)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw (..., K)."""
        shape = torch.Size(sample_shape)
        with torch.no_grad():
            p, n = self.log_weight.exp(), max(1, shape.numel())
            index = torch.multinomial(p, n, replacement=True, generator=generator(p.device))
            draws = self.components.rsample((len(index),))  # (n, M, K)
            chosen = draws[torch.arange(len(index), device=index.device), index]
        return chosen.reshape(*shape, -1)
