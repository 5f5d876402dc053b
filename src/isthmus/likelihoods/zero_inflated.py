"""Likelihoods of zero-inflated counts: 0 with some probability, otherwise a count of another likelihood."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus._tensor_shapes import TensorShape, within
from isthmus.likelihoods._base import FactorizedDistribution, Likelihood
from isthmus.likelihoods._counts import Counts
from isthmus.likelihoods._logistic import log1p_exp
from isthmus.likelihoods._sampling import sample_bernoulli
from isthmus.likelihoods.negative_binomial import NegativeBinomial
from isthmus.likelihoods.poisson import Poisson

__all__ = ["ZeroInflatedNegativeBinomial", "ZeroInflatedPoisson"]

_INITIAL_PI = 0.1
_INITIAL_LOGIT = math.log(_INITIAL_PI / (1 - _INITIAL_PI))


class ZeroInflated(Counts):
    """Base of the zero-inflated likelihoods: 0 with probability pi_d(z), otherwise a count of another likelihood."""

    @abstractmethod
    def _describe_counts(self) -> Likelihood:
        """Return the unbuilt likelihood of the counts."""

    def build(self, n_features: int) -> None:
        """Build the likelihood of the counts."""
        super().build(n_features)
        self.counts: Likelihood = self._describe_counts()
        self.counts.build(n_features)

    def tensor_shapes(self, n_features: int) -> Iterator[TensorShape]:
        """Yield the tensors that are saved."""
        yield from super().tensor_shapes(n_features)
        yield from within("counts", self._counts().tensor_shapes(n_features))

    def count_outputs(self, n_features: int) -> int:
        """Return the number of decoder outputs: those of the counts, and D logits of pi."""
        return self._counts().count_outputs(n_features) + n_features

    def _counts(self) -> Likelihood:
        """Return the likelihood of the counts, built or not."""
        return self.counts if "counts" in self._modules else self._describe_counts()

    def initial_output(self, mean: Tensor) -> Tensor:
        """Return outputs for the means, with pi(z) = 0.1."""
        return torch.cat([self.counts.initial_output(mean / (1 - _INITIAL_PI)), torch.full_like(mean, _INITIAL_LOGIT)])

    def _split(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return the outputs of the counts, and the logits of pi (..., D)."""
        return h[..., : -self.n_features], h[..., -self.n_features :]

    def forward(self, h: Tensor) -> FactorizedDistribution:
        """Return the mixture of 0 and the counts."""
        return FactorizedDistribution(self, h)

    def log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return log p(x_d|z), (..., D)."""
        h, logit = self._split(h)
        count = self.counts.log_prob(h, x)
        return torch.where(x == 0, torch.logaddexp(logit, count), count) - log1p_exp(logit)

    def mean(self, h: Tensor) -> Tensor:
        """Return (1 - pi(z)) times the counts' mean, (..., D)."""
        h, logit = self._split(h)
        return torch.sigmoid(-logit) * self.counts.mean(h)

    def sample(self, h: Tensor) -> Tensor:
        """Draw counts, (..., D)."""
        h, logit = self._split(h)
        return sample_bernoulli(torch.sigmoid(-logit)) * self.counts.sample(h)


@dataclass(eq=False, repr=False)
class ZeroInflatedPoisson(ZeroInflated):
    r"""The zero-inflated Poisson likelihood of counts: 0 with probability pi_d(z), otherwise Poisson(lambda_d(z)).

    .. math::

        \log p(x|z) = \sum_d \begin{cases} \log\big(\pi_d(z) + (1 - \pi_d(z))\, e^{-\lambda_d(z)}\big) & x_d = 0 \\
        \log(1 - \pi_d(z)) + x_d\log\lambda_d(z) - \lambda_d(z) - \log x_d! & x_d > 0 \end{cases}

    The decoder outputs log lambda and the logit of pi. Zeros for other reasons than a low rate (a shop that was closed,
    a gene that was not captured) do not pull the rate down.

    References
    ----------
    Lambert (1992), Zero-Inflated Poisson Regression, with an Application to Defects in Manufacturing, equation 1.

    Examples
    --------
    >>> import torch
    >>> p = ZeroInflatedPoisson(); p.build(1)
    >>> p.log_prob(torch.zeros(2), torch.zeros(1)).exp()  # 1/2 + 1/2 exp(-1)
    tensor([0.6839])
    """

    def _describe_counts(self) -> Likelihood:
        return Poisson()


@dataclass(eq=False, repr=False)
class ZeroInflatedNegativeBinomial(ZeroInflated):
    r"""The zero-inflated negative binomial likelihood of counts: 0 with probability pi_d(z), else NB(mu_d(z), alpha).

    .. math::

        \log p(x|z) = \sum_d \log\Big(\pi_d(z)\, 1_{x_d = 0} + (1 - \pi_d(z))\, \mathrm{NB}(x_d; \mu_d(z), \alpha)\Big)

    The decoder outputs log mu and the logit of pi; NB is that of NegativeBinomial.

    Parameters
    ----------
    dispersion : float or {"shared", "feature", "decoder"}, default="feature"
        alpha: counts that are not inflated have variance mu + alpha mu^2. A number fixes it; "shared" learns one for
        all features, "feature" one per feature; with "decoder" it is a function of z, alpha_d(z).
    min_dispersion : float, default=1e-6
        Lower bound of learned alpha.

    References
    ----------
    Greene (1994), Accounting for Excess Zeros and Sample Selection in Poisson and Negative Binomial Regression Models;
    Lopez et al. (2018), Deep Generative Modeling for Single-Cell Transcriptomics, equation 1.

    Examples
    --------
    >>> import torch
    >>> p = ZeroInflatedNegativeBinomial(dispersion=1.0); p.build(1)
    >>> p.log_prob(torch.zeros(2), torch.zeros(1)).exp()  # 1/2 + 1/2 * 1/2
    tensor([0.7500])
    """

    dispersion: float | str = "feature"
    min_dispersion: float = 1e-6

    def _describe_counts(self) -> Likelihood:
        return NegativeBinomial(self.dispersion, self.min_dispersion)
