"""Scaling: an invertible map of the data inside the model, with its log-determinant.

The buffers are float64 whatever the dtype of the network: otherwise, a feature of 1e8 +- 1 would lose its digits.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from isthmus._chunks import chunks
from isthmus._column_moments import ColumnMoments
from isthmus._part import Part, resolve
from isthmus._tensor_shapes import TensorShape

__all__ = ["ColumnMoments", "MinMax", "NoScaling", "PerColumn", "Scaling", "Standard"]

# Features are taken to have one unit if their median range is at least this fraction of the largest one.
# In scikit-learn's data sets: digits 1, linnerud .9, diabetes .8, iris .5; wine .003, breast_cancer .0001.
_ONE_UNIT = 0.1

_SQUARES = 1e-300, 1e300  # variances that float64 holds with all digits, and sums of them

_RESOLUTION = 1e-6  # in model units: smaller differences from a constant are rounding errors

_SCALED, _SCALED_GPU = 1 << 18, 1 << 26  # numbers scaled at once: in float64 they stay in a processor's cache


class Scaling(Part):
    """Base of the scalings: x' = (x - shift) / scale for every feature, with scale > 0.

    After :meth:`set_constant`, features that are constant in the training data are also constant in the samples that
    :meth:`to_data_units` returns.
    """

    positive_tensors = ("scale",)
    infinite_tensors = ("constant",)

    shift: Tensor
    scale: Tensor
    constant: Tensor

    def build(self, n_features: int) -> None:
        """Make the buffers for D = `n_features`, as the identity."""
        self.register_buffer("shift", torch.zeros(n_features, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(n_features, dtype=torch.float64))
        self.register_buffer("constant", torch.full((n_features,), torch.inf, dtype=torch.float64))  # inf: it varies

    def tensor_shapes(self, n_features: int) -> Iterator[TensorShape]:
        """Yield the tensors that are saved."""
        return ((name, (n_features,)) for name in ("shift", "scale", "constant"))

    def set_constant(self, moments: ColumnMoments, density: Tensor) -> None:
        """Store the value of each feature that has a density and is constant in the training data."""
        constant = (moments.low == moments.high) & density.to(moments.low.device)
        self.constant.copy_(torch.where(constant, moments.low, torch.inf))

    def forget_varying(self, moments: ColumnMoments) -> None:
        """Drop the stored value of each feature that varies in further training data."""
        low, high, weight = (values.to(self.constant) for values in (moments.low, moments.high, moments.weight))
        varies = (weight > 0) & ((low != self.constant) | (high != self.constant))
        self.constant.masked_fill_(varies, torch.inf)

    @property
    def has_constant(self) -> bool:
        """Whether a feature is constant."""
        return not bool(self.constant.isinf().all())

    def set_from_data(self, x: Tensor, weight: Tensor) -> None:
        """Set shift and scale from training samples `x` (N, D), float64, NaN where missing, with weights (N,)."""
        self.set_from_moments(ColumnMoments.of(x, weight))

    @abstractmethod
    def set_from_moments(self, moments: ColumnMoments) -> None:
        """Set shift and scale from moments of the training data, in which every feature has an observed cell."""

    @property
    def identity(self) -> bool:
        """Whether every number stays the same."""
        return bool((self.shift == 0).all() and (self.scale == 1).all()) and not self.has_constant

    def forward(self, x: Tensor) -> Tensor:
        """Scale samples (..., D)."""
        return (x - self.shift) / self.scale

    def inverse(self, x: Tensor) -> Tensor:
        """Undo :meth:`forward`."""
        return x * self.scale + self.shift

    def to_model_units(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
        """Return samples `x` (N, D) scaled, 0 where NaN, and the mask of observed cells, None if none is missing.

        They are on the device of the scaling. They are computed in float64, of which only a part of the samples is in
        memory at a time. Samples that need no scaling are not copied.
        """
        device, identity, scaled = self.shift.device, self.identity, x
        if not (identity and x.dtype == dtype and x.device == device and x.is_contiguous()):
            scaled = torch.empty(x.shape, dtype=dtype, device=device)
            for part in chunks(len(x), x.shape[1], _SCALED if device.type == "cpu" else _SCALED_GPU):
                scaled[part] = x[part] if identity else self(x[part].to(device).double())
        if not scaled.sum().isnan():  # far quicker than testing every cell
            return scaled, None
        missing = scaled.isnan()
        if not missing.any():
            return scaled, None
        scaled = scaled.masked_fill(missing, 0.0) if scaled is x else scaled.masked_fill_(missing, 0.0)
        return scaled, missing.logical_not_().to(dtype)

    def to_data_units(self, x: Tensor) -> Tensor:
        """Return samples (N, D) of the model's units in the data's units, computed in float64 if the units differ."""
        if self.identity:
            return x
        values = self.inverse(x.double())
        return torch.where(self.constant.isinf(), values, self.constant) if self.has_constant else values

    def constant_log_prob(self, x: Tensor) -> Tensor:
        r"""Return the log-probability, (N, D), that constant features keep their values in samples `x` of model units.

        It is 0 where they do, and :math:`-\log(1 + (d / 10^{-6})^2)` where they differ by d: a value that is one unit
        away costs 28 nats, and rounding costs nothing.
        """
        difference = x.double() - self(self.constant)
        return -(difference / _RESOLUTION).square().log1p().masked_fill(self.constant.isinf(), 0.0)

    def without_broken(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return samples (N, D) of model units with the constants in constant features, and what that hides.

        The second is :meth:`constant_log_prob`; None if no feature is constant. A learned standard deviation of a
        constant feature is tiny: its density would say how far another value is away from it in those.
        """
        if not self.has_constant:
            return x, None
        constant = self(self.constant).to(x)
        return torch.where(constant.isinf(), x, constant), self.constant_log_prob(x).to(x)

    def log_det(self) -> Tensor:
        r"""Return ``log |dx'/dx|`` per feature, (D,): added to a log-density of x', it gives that of x."""
        return -self.scale.log()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # `.to(float32)` may move the buffers to another device, but they stay float64.
        kept = {name: buffer for name, buffer in self._buffers.items() if buffer is not None}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, buffer in kept.items():
            moved: Any = self._buffers[name]
            self._buffers[name] = buffer.to(moved.device)
        return self


@dataclass(eq=False, repr=False)
class NoScaling(Scaling):
    """Leave the data unchanged: x' = x."""

    alias = "none"

    def set_from_moments(self, moments: ColumnMoments) -> None:
        """Do nothing."""


@dataclass(eq=False, repr=False)
class Standard(Scaling):
    r"""Standardise the data: x' = (x - mean) / s, with one standard deviation s per feature, or one for all features.

    Parameters
    ----------
    per : {"auto", "feature", "all"}, default="auto"
        "feature" divides each feature by its own standard deviation (features in different units, as in a table).
        "all" divides every feature by the same number, the root of the mean variance (features in one unit, as in
        images, where a nearly constant pixel must not be amplified). "auto" is "all" if the median range of the
        features is at least a tenth of the largest, otherwise "feature".

    Notes
    -----
    A constant feature has scale 1, so that nothing is divided by 0.
    """

    per: str = "auto"

    def set_from_moments(self, moments: ColumnMoments) -> None:
        """Set shift to the means, and scale to the standard deviations or the root of the mean variance."""
        if self.per not in ("auto", "feature", "all"):
            raise ValueError(f"{self!r}: per must be 'auto', 'feature' or 'all'.")
        every = moments.high - moments.low
        ranges = every[every > 0]
        one_unit = len(ranges) == 0 or bool(ranges.median() >= _ONE_UNIT * ranges.max())
        per_feature = self.per == "feature" or (self.per == "auto" and not one_unit)
        self.shift.copy_(moments.mean)
        self.scale.copy_(_standard_deviation(moments, every, per_feature=per_feature))


def _standard_deviation(moments: ColumnMoments, ranges: Tensor, *, per_feature: bool) -> Tensor:
    """Return the standard deviation of each feature (D,), or the root of their mean variance; 1 if it is 0.

    Squares of numbers above 1e154 or below 1e-154 are not in float64: for those, it is half the range.
    """
    noise = 1e-14 * moments.mean.abs()  # what the variance of a constant feature is: rounding error of its mean
    held = (moments.variance > _SQUARES[0]) & (moments.variance < _SQUARES[1])
    rounding = (ranges <= noise) | (held & (moments.variance <= noise.square()))
    beyond = ~rounding & ~held
    variance = torch.where(rounding | beyond, 0.0, moments.variance)
    if not bool(beyond.any()):
        variance = variance if per_feature else variance.mean().expand_as(variance)
        return torch.where(variance > 0, variance.sqrt(), ranges.clamp(min=1.0))
    deviation = torch.where(beyond, 0.5 * ranges, variance.sqrt())
    if not per_feature:
        largest = deviation.max()
        deviation = (largest * (deviation / largest).square().mean().sqrt()).expand_as(deviation)
    return torch.where(deviation > 0, deviation, ranges.clamp(min=1.0))


@dataclass(eq=False, repr=False)
class MinMax(Scaling):
    """Scale bounded data to [0, 1]: x' = (x - low) / (high - low), with one low and one high for all features.

    Parameters
    ----------
    low, high : float, optional
        The bounds. By default 0 and 1 if the training data lie in [0, 1], otherwise their minimum and maximum. Set
        them if test data may lie outside (0 and 255 for bytes).
    """

    low: float | None = None
    high: float | None = None

    def set_from_moments(self, moments: ColumnMoments) -> None:
        """Set shift and scale from the minimum and the maximum over all features."""
        low, high = float(moments.low.min()), float(moments.high.max())
        if low >= 0 and high <= 1:
            low, high = 0.0, 1.0
        low = low if self.low is None else self.low
        high = high if self.high is None else self.high
        if not high > low:
            raise ValueError(f"{self!r}: high={high:g} must be greater than low={low:g}.")
        self.shift.fill_(low)
        self.scale.fill_(high - low)


@dataclass(eq=False, repr=False)
class PerColumn(Scaling):
    """A scaling for each group of columns, for tables of numbers, counts and categories.

    Parameters
    ----------
    scalings : tuple of str or Scaling
        The scaling of each group, by name ("standard") or as a part.
    columns : tuple of tuple of int
        The columns of each group; every column is in exactly one group.

    Examples
    --------
    >>> scaling = PerColumn(("standard", "none"), columns=((0, 2), (1,))); scaling.build(3)
    >>> scaling.set_from_data(torch.tensor([[0.0, 5.0, 1.0], [2.0, 7.0, 3.0]]).double(), torch.ones(2))
    >>> scaling.shift, scaling.scale
    (tensor([1., 0., 2.], dtype=torch.float64), tensor([1., 1., 1.], dtype=torch.float64))
    """

    scalings: tuple[str | Scaling, ...] = ()
    columns: tuple[tuple[int, ...], ...] = ()

    def build(self, n_features: int) -> None:
        """Make the buffers for D = `n_features`, as the identity.

        Raises
        ------
        ValueError
            If a column is in no group, or in two.
        """
        super().build(n_features)
        named = sorted(column for group in self.columns for column in group)
        whole = len(named) == n_features and named == list(range(n_features))
        if len(self.scalings) != len(self.columns) or not all(self.columns) or not whole:
            raise ValueError(
                f"{self!r}: columns must have one group for each of scalings, and name each of the {n_features} "
                f"columns (0 to {n_features - 1}) once."
            )

    def set_from_moments(self, moments: ColumnMoments) -> None:
        """Set the scaling of each group from the moments of its columns."""
        for described, group in zip(self.scalings, self.columns, strict=True):
            columns = list(group)
            scaling = resolve("scaling", described, Scaling)
            scaling.build(len(columns))
            scaling.set_from_moments(moments.columns(columns))
            self.shift[columns], self.scale[columns] = scaling.shift, scaling.scale
