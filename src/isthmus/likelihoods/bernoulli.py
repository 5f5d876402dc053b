"""Bernoulli and continuous Bernoulli likelihoods, for cells that are 0 or 1 and cells in [0, 1]."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Bernoulli as TorchBernoulli
from torch.distributions import ContinuousBernoulli as TorchContinuousBernoulli

from isthmus._fused_ops import LogisticLogProb
from isthmus.likelihoods._base import Likelihood
from isthmus.likelihoods._logistic import log1p_exp
from isthmus.likelihoods._sampling import bernoulli, sample_bernoulli

__all__ = ["Bernoulli", "ContinuousBernoulli"]

_MAX_INITIAL_LOGIT = 100.0  # of a continuous Bernoulli, whose mean is then 0.99


@dataclass(eq=False, repr=False)
class Bernoulli(Likelihood):
    r"""The Bernoulli likelihood of cells that are 0 or 1: p(x|z) = prod_d pi_d(z)^x_d (1 - pi_d(z))^(1 - x_d).

    .. math:: \log p(x|z) = \sum_d x_d \log\pi_d(z) + (1 - x_d)\log(1 - \pi_d(z))

    Parameters
    ----------
    binarize : bool, default=False
        Whether to binarise grey values anew at every training step, x_d ~ Bernoulli(grey value) (dynamic
        binarisation). Scoring does not binarise: pass binary samples to it.

    Notes
    -----
    A value between 0 and 1 is taken as the probability of a 1; log p(x) is then the expected log-probability of the
    binarised sample. This is **not** a density of the grey values (for that, use ContinuousBernoulli or Gaussian), so
    that no log-determinant is added if the data are scaled to [0, 1] first. The encoder's inputs are centred.

    References
    ----------
    Kingma & Welling (2014), Auto-Encoding Variational Bayes, appendix C.1; Salakhutdinov & Murray (2008), On the
    Quantitative Analysis of Deep Belief Networks, for binarised grey values.

    Examples
    --------
    >>> import torch
    >>> p = Bernoulli(); p.build(2)
    >>> p.log_prob(torch.zeros(2), torch.ones(2))
    tensor([-0.6931, -0.6931])
    """

    binarize: bool = False

    default_scaling = "min_max"
    density = False
    binary = True
    interval_support = True
    centred = True
    support_text = "in [0, 1]"

    def sample_targets(self, x: Tensor) -> Tensor:
        """Return zeros and ones drawn with probability `x` if ``binarize``, otherwise `x`."""
        return bernoulli(x) if self.binarize else x

    def initial_output(self, mean: Tensor) -> Tensor:
        """Return the logits of the means."""
        # A feature that is always 0 would start at minus infinity, where the gradient vanishes.
        return torch.logit(mean.clamp(0.01, 0.99))

    def linear_outputs(self, loadings: Tensor, mean: Tensor, noise_variance: Tensor) -> tuple[Tensor, Tensor]:
        """Return weight and bias of the logits of 1 against 0, if cells have the linear model's normal noise."""
        return loadings / noise_variance[:, None], (mean - 0.5) / noise_variance

    def supports(self, x: Tensor) -> Tensor:
        """Return where 0 <= x <= 1."""
        return (x >= 0) & (x <= 1)

    def forward(self, h: Tensor) -> TorchBernoulli:
        """Return Bernoulli(sigmoid(h))."""
        return TorchBernoulli(logits=h, validate_args=False)

    def log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return log p(x_d|z), (..., D)."""
        return x * h - log1p_exp(h)

    def sample(self, h: Tensor) -> Tensor:
        """Draw x ~ p(x|z), (..., D)."""
        return sample_bernoulli(torch.sigmoid(h))

    def sample_into(self, out: Tensor, h: Tensor) -> Tensor:
        """Draw x ~ p(x|z) into `out` (..., D)."""
        return sample_bernoulli(torch.sigmoid(h), out)

    def row_log_prob(self, h: Tensor, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return log p(x|z), (...)."""
        if mask is not None:
            return super().row_log_prob(h, x, mask)
        return LogisticLogProb.apply(h, x)  # type: ignore[no-untyped-call]


@dataclass(eq=False, repr=False)
class ContinuousBernoulli(Likelihood):
    r"""The continuous Bernoulli density of values in [0, 1]: p(x|z) = prod_d C(pi_d) pi_d^x_d (1 - pi_d)^(1 - x_d).

    With eta = logit pi, :math:`\log C = \log\big(\eta / \tanh(\eta/2)\big)`, which is log 2 at eta = 0.

    References
    ----------
    Loaiza-Ganem & Cunningham (2019), The Continuous Bernoulli: Fixing a Pervasive Error in Variational
    Autoencoders.

    Examples
    --------
    >>> import torch
    >>> p = ContinuousBernoulli(); p.build(2)
    >>> p.log_prob(torch.zeros(2), torch.tensor([0.2, 0.9]))  # logit 0 is the uniform density
    tensor([0., 0.])
    """

    default_scaling = "min_max"
    interval_support = True
    centred = True
    support_text = "in [0, 1]"

    def initial_output(self, mean: Tensor) -> Tensor:
        """Return the logits at which :meth:`mean` is `mean`, from about 0.01 to 0.99, by bisection."""
        target = mean.double()
        low, high = torch.full_like(target, -_MAX_INITIAL_LOGIT), torch.full_like(target, _MAX_INITIAL_LOGIT)
        for _ in range(50):
            middle = (low + high) / 2
            is_low = self.mean(middle) < target
            low, high = torch.where(is_low, middle, low), torch.where(is_low, high, middle)
        return low.to(mean)

    def supports(self, x: Tensor) -> Tensor:
        """Return where 0 <= x <= 1."""
        return (x >= 0) & (x <= 1)

    def forward(self, h: Tensor) -> TorchContinuousBernoulli:
        """Return ContinuousBernoulli(sigmoid(h))."""
        return TorchContinuousBernoulli(logits=h, validate_args=False)

    def log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return log p(x_d|z), (..., D)."""
        return x * h - log1p_exp(h) + _log_normaliser(h)

    def mean(self, h: Tensor) -> Tensor:
        """Return E[x|z] = 1 / (1 - exp(-eta)) - 1 / eta, by its series near 0."""
        small = h.abs() < 0.1
        safe = torch.where(small, 1.0, h)
        exact = -1 / torch.expm1(-safe) - 1 / safe
        return torch.where(small, 0.5 + h / 12 - h**3 / 720, exact)


def _log_normaliser(eta: Tensor) -> Tensor:
    """Return log C(eta) = log(eta / tanh(eta / 2)), by its series near 0 (both branches keep finite gradients)."""
    small = eta.abs() < 0.1
    half = torch.where(small, 1.0, 0.5 * eta.abs())
    series = eta.square() / 12 - 7 * eta**4 / 1440
    return math.log(2) + torch.where(small, series, half.log() - torch.tanh(half).log())
