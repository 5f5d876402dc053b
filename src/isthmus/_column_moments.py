"""Weighted moments and extremes of each feature, of which those of chunks can be merged."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["ColumnMoments"]


class ColumnMoments(NamedTuple):
    r"""Statistics of each feature over its observed cells, (D,) and float64, from which scalings are set.

    The moments of chunks can be merged, so that samples need not be in memory at once (Chan, Golub & LeVeque, 1983,
    equation 1.5): with t the second chunk's fraction of the weight and d the difference of the means,

    .. math:: m = m_1 + t d, \qquad v = (1 - t) v_1 + t v_2 + t (1 - t) d^2.

    Attributes
    ----------
    weight : Tensor of shape (D,)
        Sum of the weights.
    mean, variance : Tensor of shape (D,)
        Weighted mean, and weighted variance divided by `weight`; 0 if no cell is observed.
    low, high : Tensor of shape (D,)
        Minimum and maximum over samples of positive weight; inf and -inf if no cell is observed.

    Examples
    --------
    >>> x = torch.tensor([[1.0], [2.0], [6.0]]).double()
    >>> first, second = ColumnMoments.of(x[:2], torch.ones(2)), ColumnMoments.of(x[2:], torch.ones(1))
    >>> first.merge(second).mean, first.merge(second).high
    (tensor([3.], dtype=torch.float64), tensor([6.], dtype=torch.float64))
    """

    weight: Tensor
    mean: Tensor
    variance: Tensor
    low: Tensor
    high: Tensor

    @classmethod
    def of(cls, x: Tensor, weight: Tensor) -> ColumnMoments:
        """Return the moments of samples `x` (N, D), float64, NaN where missing, with sample weights (N,)."""
        weight = weight.to(x)
        has_missing = bool(x.sum().isnan())  # most data have none, and then need no mask
        missing = x.isnan() if has_missing else None
        total = weight.sum().expand(x.shape[1]) if missing is None else weight @ (~missing).to(x)  # (D,)
        divisor = torch.where(total > 0, total, 1.0)
        mean = weight @ (x.nan_to_num() if has_missing else x) / divisor
        deviation = x - mean
        deviation = deviation if missing is None else deviation.masked_fill_(missing, 0.0)
        variance = weight @ deviation.square_() / divisor
        counts = weight > 0
        rows = x if counts.all() else x[counts]
        if not len(rows):
            nothing = torch.full_like(mean, torch.inf)
            return cls(total, mean, variance, nothing, -nothing)
        low, high = (rows.nan_to_num(fill) if has_missing else rows for fill in (torch.inf, -torch.inf))
        return cls(total, mean, variance, low.amin(0), high.amax(0))

    def merge(self, other: ColumnMoments) -> ColumnMoments:
        """Return the moments of the samples of both."""
        total = self.weight + other.weight
        t = other.weight / torch.where(total > 0, total, 1.0)
        delta = other.mean - self.mean
        mean = self.mean + t * delta
        variance = (1 - t) * self.variance + t * other.variance + t * (1 - t) * delta.square()
        return ColumnMoments(total, mean, variance, self.low.minimum(other.low), self.high.maximum(other.high))

    def columns(self, columns: list[int]) -> ColumnMoments:
        """Return the moments of some features."""
        return ColumnMoments(*(value[columns] for value in self))
