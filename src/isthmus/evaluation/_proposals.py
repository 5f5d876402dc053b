"""Distributions to draw codes from in importance sampling."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Distribution

from isthmus._distributions import LatentDistribution
from isthmus._mixture import Mixture

__all__ = ["DefensiveMixture", "from_prior"]


class DefensiveMixture(LatentDistribution):
    """A mixture of a distribution and a prior with several modes, for importance weights that are bounded.

    A quarter of the draws come from the prior: the last ones of all S draws, also if they are made in several calls.
    The density is that of the mixture, so that the weights are unbiased also where the distribution misses a mode.

    Parameters
    ----------
    q : LatentDistribution
        The distribution, of batch shape (N,).
    prior : Mixture
        p(z).
    n_draws : int
        S, the number of all draws.
    first_draw : int, default=0
        Index of the first draw that ``from_noise`` makes.

    References
    ----------
    Hesterberg (1995), Weighted Average Importance Sampling and Defensive Mixture Distributions.
    """

    def __init__(self, q: LatentDistribution, prior: Mixture, n_draws: int, first_draw: int = 0) -> None:
        super().__init__(q.mean)
        self.q, self.prior, self.n_prior = q, prior, n_draws // 4
        self.first = first_draw - (n_draws - self.n_prior)  # index among the draws from the prior, if not negative
        self.share = self.n_prior / n_draws

    def from_noise(self, noise: Tensor) -> Tensor:
        """Return draws of `q`, then draws of the prior: (S, N, K)."""
        n_own = min(len(noise), max(0, -self.first))
        rest = from_prior(self.prior, noise[n_own:], max(0, self.first), self.n_prior)
        return torch.cat([self.q.from_noise(noise[:n_own]), rest])

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log density in nats, (S, N)."""
        own = self.q.log_prob(value)
        if not self.n_prior:
            return own
        # The components that were drawn from, each as often as it was.
        count = torch.bincount(
            _component(self.prior, 0, self.n_prior, self.n_prior), minlength=len(self.prior.log_weight)
        )
        drawn = Mixture((count / self.n_prior).log().to(value), self.prior.components)
        return torch.logaddexp(own + math.log(1 - self.share), drawn.log_prob(value) + math.log(self.share))


def from_prior(prior: Distribution, noise: Tensor, first_draw: int = 0, n_draws: int = 0) -> Tensor:
    """Return draws (S, N, K) from p(z), functions of standard normal noise (S, N, K).

    Of a mixture, each component gets its share of all `n_draws`, of which the first one here has the index
    `first_draw`. A distribution that is no function of noise is replaced by N(0, I).
    """
    if isinstance(prior, LatentDistribution):
        return prior.from_noise(noise)
    if not isinstance(prior, Mixture):
        return noise
    index = _component(prior, first_draw, len(noise), n_draws or len(noise))
    every = prior.components.from_noise(noise.unsqueeze(-2).expand(*noise.shape[:-1], len(prior.log_weight), -1))
    return every.take_along_dim(index.reshape(-1, 1, 1, 1), dim=-2).squeeze(-2)


def _component(prior: Mixture, first: int, n: int, n_draws: int) -> Tensor:
    """Return the component of each of `n` draws, (n,), by systematic sampling."""
    level = (torch.arange(first, first + n, device=prior.log_weight.device) + 0.5) / n_draws
    cumulative = prior.log_weight.exp().cumsum(0)
    return torch.searchsorted(cumulative, level.to(cumulative)).clamp(max=len(cumulative) - 1)
