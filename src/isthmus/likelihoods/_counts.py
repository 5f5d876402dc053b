r"""The base class of the likelihoods of counts, and their log-probabilities without cancellation.

For a count of a million, x log(rate) - rate - log x! is a difference of numbers of tens of millions, which float32
resolves to one nat. Written as a deviance, it has no such difference (Loader 2000, Fast and Accurate Computation of
Binomial Probabilities):

    log Poisson(x; r) = -x D(log(r / x)) - d(x) - 1/2 log(2 pi x),     D(u) = e^u - 1 - u,

with d(x) = log x! - (x + 1/2) log x + x - 1/2 log(2 pi), the error of Stirling's formula.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor

from isthmus._tensor_shapes import TensorShape
from isthmus.likelihoods._base import Likelihood
from isthmus.likelihoods._logistic import log1p_exp

__all__ = ["Counts", "draw_counts", "log_mean", "negative_binomial", "output_for_mean", "poisson"]

_LOG_2PI = math.log(2 * math.pi)
# Above exp(30) = 1e13 the mean grows linearly with the decoder output, so that it stays finite and has a gradient.
_BEND = 30.0
# A feature that is always 0 would start at a mean of 0, where the gradient vanishes.
_LEAST_MEAN = 1e-3
# torch.poisson draws 64-bit integers, and overflows silently.
_MOST_DRAWN = 1e18


class Counts(Likelihood):
    """Base of the likelihoods of counts 0, 1, 2, ..., whose decoder outputs logarithms of means.

    The encoder gets log(1 + x) minus its mean, divided by the root of the features' mean variance: one number for all
    features, because logarithms have one unit and features with few counts must not be amplified. Without centring,
    the first codes would lie far from 0, and their exponentials would give huge gradients, which Adam's averages keep
    for many steps.
    """

    default_scaling = "none"
    density = False
    transforms_input = True
    support_text = "that are whole numbers of at least 0"
    positive_tensors = ("log_spread",)

    def supports(self, x: Tensor) -> Tensor:
        """Return where `x` is a whole number of at least 0."""
        return (x >= 0) & (x == x.round()) & torch.isfinite(x)

    def set_from_data(self, x: Tensor, weight: Tensor | None = None) -> None:
        """Compute the mean and the spread of log(1 + x) over the observed cells."""
        share = (~x.isnan()).to(x) if weight is None else (~x.isnan()) * weight.to(x).unsqueeze(-1)
        total = share.sum(0)
        share = share / torch.where(total > 0, total, 1.0)  # a rare feature may have no observed cell in a sample
        logs = _signed_log1p(x.nan_to_num(0.0))
        centre = (share * logs).sum(0)
        spread = (share * (logs - centre).square()).sum(0).mean().sqrt()
        self._measured = centre, torch.where(spread > 0, spread, 1.0)

    def build(self, n_features: int) -> None:
        """Store the mean and the spread; without ``set_from_data`` they are 0 and 1."""
        super().build(n_features)
        centre, spread = getattr(self, "_measured", (torch.zeros(n_features), torch.ones(())))
        self.register_buffer("log_centre", centre.clone())
        self.register_buffer("log_spread", spread.clone())

    def tensor_shapes(self, n_features: int) -> Iterator[TensorShape]:
        """Yield the tensors that are saved."""
        yield from (("log_centre", (n_features,)), ("log_spread", ()))

    def encoder_input(self, x: Tensor) -> Tensor:
        """Return log(1 + x), standardised; negative x, which a corruption may produce, gives -log(1 - x)."""
        return (_signed_log1p(x) - self.get_buffer("log_centre")) / self.get_buffer("log_spread")

    @abstractmethod
    def log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return log p(x_d|z), (..., D)."""


def _signed_log1p(x: Tensor) -> Tensor:
    return torch.where(x >= 0, x.clamp(min=0).log1p(), -(-x).clamp(min=0).log1p())


def log_mean(h: Tensor) -> Tensor:
    """Return the logarithm of the mean: the decoder output, bent above 30 so that its exponential is finite."""
    return torch.where(h > _BEND, _BEND + torch.log1p((h - _BEND).clamp(min=0)), h)


def output_for_mean(mean: Tensor) -> Tensor:
    """Return the decoder outputs for features of mean `mean`."""
    return mean.clamp(min=_LEAST_MEAN).log()


def draw_counts(rate: Tensor) -> Tensor:
    """Draw from Poisson(rate), (...)."""
    return torch.poisson(rate.clamp(max=_MOST_DRAWN))


def poisson(log_rate: Tensor, x: Tensor) -> Tensor:
    """Return log Poisson(x; exp(log_rate))."""
    zero, count = x == 0, x.clamp(min=1)
    log_x = count.log()
    some = -_shortfall(log_x, log_rate - log_x) - stirling_error(count, log_x) - 0.5 * (log_x + _LOG_2PI)
    return torch.where(zero, -log_rate.exp(), some)


def negative_binomial(log_mu: Tensor, log_r: Tensor, x: Tensor) -> Tensor:
    """Return the log-probability of `x` for mean mu and variance mu + mu^2 / r.

    With n = x + r it is r / n times Loader's binomial probability of r in n.
    """
    zero, count = x == 0, x.clamp(min=1)
    r, log_x = log_r.exp(), count.log()
    log_total = torch.logaddexp(log_x, log_r)
    r_short = log_total - torch.logaddexp(log_mu, log_r)
    some = (
        stirling_error(count + r, log_total)
        - stirling_error(r, log_r)
        - stirling_error(count, log_x)
        - _shortfall(log_r, r_short)
        - _shortfall(log_x, log_mu - log_x + r_short)
        - 0.5 * (log_total + log_x - log_r + _LOG_2PI)
    )
    return torch.where(zero, -r * log1p_exp(log_mu - log_r), some)


def stirling_error(a: Tensor, log_a: Tensor) -> Tensor:
    """Return log Gamma(1 + a) - (a + 1/2) log a + a - 1/2 log(2 pi) for a > 0, the error of Stirling's formula."""
    large = a > 16
    small, b = torch.where(large, 1.0, a), torch.where(large, a, 16.0)
    exact = torch.lgamma(1 + small) - (small + 0.5) * torch.where(large, 0.0, log_a) + small - 0.5 * _LOG_2PI
    square = b.square()
    series = 1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - 1 / (1188 * square)) / square) / square) / square
    return torch.where(large, series / b, exact)


def _shortfall(log_a: Tensor, u: Tensor) -> Tensor:
    """Return a (e^u - 1 - u) >= 0 for a = exp(log_a), also where e^u overflows but a e^u does not."""
    a = log_a.exp()
    near = a * (torch.expm1(u.clamp(max=1)) - u.clamp(max=1))
    return torch.where(u > 1, (log_a + u.clamp(min=1)).exp() - a * (1 + u.clamp(min=1)), near)
