"""Running sums over importance weights, and the shape of their tail."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["WeightSums", "pareto_k", "tail_length"]

_FLAT = 1e-3  # nats; largest weights that differ by less are equal up to the rounding of float32
_LOWEST = -1e300  # instead of log 0, because differences of infinities are NaN
_MIN_TAIL = 5  # weights; with fewer, no shape is fitted


class WeightSums:
    """Running mean and variance of the weights of N samples, and their largest weights.

    Sums are in float64, relative to the largest weight so far, and merged by Chan's formula: neither cancellation nor
    underflow affects the standard error.

    Parameters
    ----------
    n_rows : int
        N.
    n_tail : int
        Number of largest weights to keep.
    """

    def __init__(self, n_rows: int, n_tail: int) -> None:
        self.n_draws = 0
        self.shift = torch.full((n_rows,), _LOWEST, dtype=torch.float64)
        self.mean = torch.zeros(n_rows, dtype=torch.float64)  # of w / exp(shift)
        self.squares = torch.zeros(n_rows, dtype=torch.float64)  # sum of (w / exp(shift) - mean)^2
        self.largest = torch.empty(0, n_rows, dtype=torch.float64)  # log weights
        self.n_tail = n_tail

    def add(self, log_w: Tensor) -> None:
        """Add log weights (S, N)."""
        log_w = log_w.detach().cpu().double()
        shift = torch.maximum(self.shift, log_w.amax(0))
        before, m = (self.shift - shift).exp(), len(log_w)
        w = (log_w - shift).exp()
        mean = w.mean(0)
        step = mean - self.mean * before
        n = self.n_draws + m
        self.squares = (
            self.squares * before.square() + (w - mean).square().sum(0) + step.square() * self.n_draws * m / n
        )
        self.mean = self.mean * before + step * m / n
        self.shift, self.n_draws = shift, n
        largest = torch.cat([self.largest, log_w])
        self.largest = largest.topk(min(self.n_tail, len(largest)), dim=0).values

    def log_mean(self) -> Tensor:
        """Return the logarithm of the mean weight, (N,)."""
        return self.mean.log() + self.shift

    def standard_error(self) -> Tensor:
        """Return the standard error of :meth:`log_mean` by the delta method, (N,); NaN for a single draw."""
        if self.n_draws < 2:
            return torch.full_like(self.mean, torch.nan)
        variance = self.squares / (self.n_draws - 1) / self.n_draws
        return (variance.sqrt() / self.mean).nan_to_num(nan=torch.inf)

    def effective_sample_size(self) -> Tensor:
        """Return (sum w)^2 / sum w^2, (N,): between 1 and S, or 0 if all weights are 0."""
        total = self.n_draws * self.mean.square()
        return (self.n_draws * total / (self.squares + total)).nan_to_num(nan=0.0)

    def pareto_k(self) -> Tensor:
        """Return the shape parameter of the weights' tail, (N,)."""
        return pareto_k(self.largest)


def tail_length(n_draws: int) -> int:
    """Return how many of the largest of `n_draws` weights form the tail, by Vehtari et al. (2024), section 6."""
    return math.ceil(min(0.2 * n_draws, 3 * math.sqrt(n_draws)))


def pareto_k(largest: Tensor) -> Tensor:
    r"""Return the shape k of the generalized Pareto distribution fitted to the largest weights, (N,).

    The weights' mean exists if k < 1, their variance if k < 1/2. The fit is the posterior mean of Zhang & Stephens,
    shrunk towards 1/2 with the weight of ten observations.

    Parameters
    ----------
    largest : Tensor of shape (M + 1, N)
        Log weights in descending order; the last one is the threshold.

    Returns
    -------
    Tensor of shape (N,)
        NaN with fewer than five weights above the threshold; minus infinity if they are almost equal.

    References
    ----------
    Zhang & Stephens (2009), A New and Efficient Estimation Method for the Generalized Pareto Distribution,
    Technometrics 51; Vehtari, Simpson, Gelman, Yao & Gabry (2024), Pareto Smoothed Importance Sampling, JMLR 25.
    """
    if len(largest) <= _MIN_TAIL:
        return torch.full(largest.shape[1:], torch.nan, dtype=largest.dtype)
    w = (largest - largest[0]).exp()
    k = _fit((w[:-1] - w[-1]).flip(0)).nan_to_num(nan=torch.inf)
    return torch.where(largest[0] - largest[-1] < _FLAT, -torch.inf, k)


def _fit(excess: Tensor) -> Tensor:
    """Return the shape for excesses (M, N) in ascending order, one theta of the grid at a time to save memory."""
    m = len(excess)
    n_grid = 30 + math.isqrt(m)
    quartile, largest = excess[(m + 2) // 4 - 1].clamp_min(1e-300), excess[-1]
    grid = torch.arange(n_grid, dtype=excess.dtype) + 0.5
    theta = 1 / largest + (1 - (n_grid / grid).sqrt()).unsqueeze(1) / (3 * quartile)  # (n_grid, N)
    profile = []
    for one in theta:
        k = torch.log1p(-one * excess).mean(0)
        profile.append(m * ((-one / k).log() - k - 1))
    weight = torch.softmax(torch.stack(profile).nan_to_num(nan=-torch.inf), 0)
    k = torch.log1p(-(weight * theta).sum(0) * excess).mean(0)
    return (m * k + 10 * 0.5) / (m + 10)
