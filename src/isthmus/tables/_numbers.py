"""The codec of columns of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from isthmus.likelihoods import Categorical, Gaussian, Likelihood
from isthmus.tables._cells import as_text
from isthmus.tables._column import Column
from isthmus.tables._dtypes import as_series
from isthmus.tables._plain import Plain
from isthmus.tables._spline import NormalScores

__all__ = ["NumberColumn"]

_SPIKE = 10  # a value is a spike if it is this many times as frequent as its neighbours
_MIN_SPIKE, _MIN_SPIKE_SHARE, _MAX_SPIKES = 10, 0.005, 20
_NEIGHBOURS = 3  # distinct values on either side
_MAX_DECIMALS = 12
_NEIGHBOURS_OF_KNOT = 10  # whose mean a knot is, if no number of a single row is to be kept
_N_NODES = 32  # of Gauss-Hermite quadrature
_CENTRES = np.concatenate([[-1e4], np.linspace(-8.0, 8.0, 1025), [1e4]])  # T is linear from a score of 5 at most
_CERTAIN = 0.01  # distance from a whole number below which chance is unlikely


@dataclass(eq=False, repr=False)
class NumberColumn(Column):
    r"""The codec of numbers: normal scores, and a level for each value that is far more frequent than its neighbours.

    A number x becomes T(x), with T a smooth increasing map under which the column is about normal. Its derivative
    belongs to log p(x), which is thereby a density in the data's units. Frequent single values (the zero of amounts,
    the limit of a scale) are the levels of a column of their own, in which 0 stands for all other numbers; T(x) is
    missing where x is one of them. Decoded numbers are rounded as those of the column are, and lie in its range.

    Parameters
    ----------
    decimals : int, optional
        Decimals of all numbers; None if they are not rounded.
    step, origin : float, optional
        All numbers are `origin` plus multiples of `step`.
    low, high : float
        Range of decoded numbers.
    spikes : tuple of float
        The frequent values.
    knots : tuple of two tuples of float, optional
        Knots of T and their values. None leaves numbers as they are.
    likelihood : str or Likelihood, optional
        Likelihood of the numbers, which are then not transformed. By default, normal distributions of the scores.
    """

    decimals: int | None = None
    step: float | None = None
    origin: float = 0.0
    low: float = -np.inf
    high: float = np.inf
    spikes: tuple[float, ...] = ()
    knots: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    likelihood: str | Likelihood | None = None

    kind: ClassVar[str] = "number"
    forms: ClassVar[tuple[str, ...]] = ("numbers",)

    @classmethod
    def fit(
        cls,
        column: Plain,
        *,
        likelihood: str | Likelihood | None = None,
        within_support: bool = True,
        step: float | None = None,
    ) -> Self:
        """Return the codec of a column of numbers.

        Parameters
        ----------
        column : Plain
            Numbers.
        likelihood : str or Likelihood, optional
            See the class.
        within_support : bool, default=True
            Whether decoded numbers stay in the column's range. If False, the codec keeps no number of a single row.
        step : float, optional
            What the numbers are multiples of; by default it is found.
        """
        values = column.observed()
        decimals = None
        if step is None:
            decimals, step = _rounding(values, 1e-6 if "16" in column.dtype or "32" in column.dtype else 1e-12)
        low, high = float(values.min()), float(values.max())
        origin = low
        if not within_support:
            origin, low, high = (low % step if step else 0.0), -np.inf, np.inf
        made = cls(
            column.name,
            column.dtype,
            float(column.missing.mean()),
            decimals=decimals,
            step=step,
            origin=origin,
            low=low,
            high=high,
            likelihood=likelihood,
        )
        if likelihood is None:
            made.spikes = _spikes(values)
            rest = made._spread(values[~np.isin(values, made.spikes)], np.random.default_rng(0))
            n_mean = 1 if within_support else _NEIGHBOURS_OF_KNOT
            made.knots = tuple(NormalScores.fit(rest if len(rest) > 1 else values, n_mean))  # type: ignore[assignment]
        return made

    @classmethod
    def as_it_is(cls, column: Plain) -> Self:
        """Return the codec of a column that leaves numbers as they are; decoded ones have its decimals and range."""
        if column.form == "numbers":
            return cls.fit(column, likelihood="gaussian")
        return cls(column.name, column.dtype, float(column.missing.mean()), likelihood="gaussian")

    def is_rounded(self) -> bool:
        """Return whether decoded numbers are rounded."""
        return self.decimals is not None or self.step is not None

    def likelihoods(self) -> tuple[str | Likelihood, ...]:
        """Return the likelihood of the numbers, after that of the spikes if there are any."""
        number = _SCORES if self.likelihood is None else self.likelihood
        return (Categorical(n_levels=(1 + len(self.spikes),)), number) if self.spikes else (number,)

    def outputs(self) -> tuple[str, ...]:
        """Return the names of the columns of the matrix."""
        return (f"{self.name} (frequent value)", str(self.name)) if self.spikes else (str(self.name),)

    def encode(self, column: Plain, noise: np.random.Generator | None) -> np.ndarray:
        """Return the level of each spike, if the column has any, and the score of each other number."""
        values = column.values
        level = np.where(np.isnan(values), np.nan, 0.0)
        for i, value in enumerate(self.spikes, start=1):
            level[values == value] = i
        numbers = np.where(level > 0, np.nan, values)
        if noise is not None and self.likelihood is None:
            numbers = self._spread(numbers, noise)
        if self.knots is not None:
            numbers, _ = NormalScores(*self.knots).forward(numbers)
        return np.column_stack([level, numbers]) if self.spikes else numbers[:, None]

    def decode(self, matrix: np.ndarray) -> np.ndarray:
        """Return numbers."""
        numbers = matrix[:, -1].astype(np.float64)
        if self.knots is not None:
            numbers = NormalScores(*self.knots).inverse(numbers)
        if self.step is not None:
            numbers = self.origin + np.round((numbers - self.origin) / self.step) * self.step
        numbers = np.clip(numbers, self.low, self.high)
        if self.decimals is not None:
            numbers = np.round(numbers, self.decimals) + 0.0  # no negative zeros
        if self.spikes:
            level = np.nan_to_num(matrix[:, 0]).round().astype(int)
            numbers = np.where(level > 0, np.array([0.0, *self.spikes])[level], numbers)
        return numbers

    def has_own_mean(self) -> bool:
        """Return whether numbers have scores."""
        return self.knots is not None

    def score_of_mean(
        self, weight: np.ndarray, centre: np.ndarray, sd: float, levels: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the columns of the matrix (N, W) that are decoded to the mean of a mixture of S components.

        The mean of a component is a smooth function of its centre, which is interpolated between 1,000 values.

        Parameters
        ----------
        weight : ndarray of shape (S, N)
            Weights of the components.
        centre : ndarray of shape (S, N)
            Means of the scores, which are normal.
        sd : float
            Their standard deviation.
        levels : ndarray of shape (S, N, 1 + number of spikes), optional
            Probabilities of no spike, and of each of them.
        """
        assert self.knots is not None  # has_own_mean
        scores = NormalScores(*self.knots)
        node, share = np.polynomial.hermite_e.hermegauss(_N_NODES)
        values = np.clip(scores.inverse(_CENTRES[:, None] + sd * node), self.low, self.high)
        mean = np.interp(centre, _CENTRES, values @ (share / share.sum()))
        if levels is not None:
            mean = levels[..., 0] * mean + levels[..., 1:] @ np.array(self.spikes)
        score, _ = scores.forward((weight * mean).sum(axis=0))
        return np.column_stack([np.zeros(len(score)), score]) if self.spikes else score[:, None]

    def to_series(self, values: np.ndarray) -> Any:
        """Return numbers as a pandas Series of the dtype."""
        return as_series(values, self.dtype, self.decimals)

    def log_det(self, matrix: np.ndarray) -> np.ndarray:
        """Return log T'(x) of each score, 0 of levels and where there is no score, (N, W)."""
        result = super().log_det(matrix)
        if self.knots is not None:
            scores = NormalScores(*self.knots)
            result[:, -1] = np.nan_to_num(scores.forward(scores.inverse(matrix[:, -1]))[1])
        return result

    def levels(self) -> str:
        """Return the range, and the frequent values."""
        low, high, *spikes = map(as_text, (self.low, self.high, *self.spikes))
        shown = f"{low} to {high}" if np.isfinite(self.high) else "any"
        return shown + (f", often {', '.join(spikes)}" if spikes else "")

    def _spread(self, values: np.ndarray, noise: np.random.Generator) -> np.ndarray:
        """Return numbers with uniform noise of the width to which they were rounded."""
        return values if self.step is None else values + self.step * (noise.random(len(values)) - 0.5)


_SCORES = Gaussian(scale="feature")  # of the scores; one object, so that they form a group


def _rounding(values: np.ndarray, tolerance: float) -> tuple[int | None, float | None]:
    """Return the decimals of numbers, and the largest step of which all their differences are multiples."""
    largest = np.abs(values).max()
    for decimals in range(_MAX_DECIMALS + 1):
        if largest * 10.0**decimals * tolerance > _CERTAIN or largest * 10.0**decimals > 2**53:
            break  # any number would pass
        scaled = values * 10.0**decimals
        whole = np.round(scaled)
        if np.all(np.abs(scaled - whole) <= tolerance * np.maximum(np.abs(scaled), 1.0)):
            step = np.gcd.reduce((whole - whole.min()).astype(np.int64))
            return decimals, float(step / 10.0**decimals) if step else None
    return None, None


def _spikes(values: np.ndarray) -> tuple[float, ...]:
    """Return the values that are ten times as frequent as their neighbours, in ascending order."""
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) < 2 * _NEIGHBOURS:
        return ()
    often = np.flatnonzero(counts >= max(_MIN_SPIKE, _MIN_SPIKE_SHARE * len(values)))
    found = []
    for i in often:
        around = np.concatenate([counts[max(0, i - _NEIGHBOURS) : i], counts[i + 1 : i + 1 + _NEIGHBOURS]])
        if counts[i] >= _SPIKE * np.median(around):
            found.append(i)
    largest = sorted(found, key=lambda i: -counts[i])[:_MAX_SPIKES]
    return tuple(distinct[sorted(largest)].tolist())
