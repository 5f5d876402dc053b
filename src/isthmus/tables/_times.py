"""The codecs of columns of dates, times and durations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from isthmus.likelihoods import Likelihood
from isthmus.tables._column import Column
from isthmus.tables._date_texts import format_dates
from isthmus.tables._numbers import NumberColumn
from isthmus.tables._plain import Plain

__all__ = ["ELEMENTS", "RESOLUTIONS", "DurationColumn", "TimeColumn", "as_days"]

_DAY = 86_400_000_000  # microseconds
RESOLUTIONS = (_DAY, 3_600_000_000, 60_000_000, 1_000_000, 1000, 1)
_P_VALUE = 1e-4  # of the test whether weekdays, days of the year or times of day are evenly distributed
_MIN_YEARS = 2  # of dates whose day of the year is looked at
_MIN_MONTHS = 3  # of dates that are all the first or the last days of months
_DAYS_PER_MONTH = 365.2425 / 12


@dataclass(eq=False, repr=False)
class TimeColumn(Column):
    """The codec of dates and times: the days since 1970, or a split of them into cycles that carry information.

    Weekdays, days of the year and times of day that are not evenly distributed become columns of their own, beside the
    number of the week, year or day. Dates that are all the first or the last days of months are numbers of months. No
    time is encoded twice, so that the density of a time is the product of those of its elements. It is one per day;
    local time counts where there is a time zone.

    Parameters
    ----------
    text_format : str, optional
        Format of dates that the column has as texts or whole numbers, such as "%Y-%m-%d".
    resolution : int
        Microseconds of which all times are multiples.
    low, high : int
        Range of decoded times, in microseconds since 1970.
    elements : tuple of str
        What the time is split into.
    parts : tuple of Column
        The codec of each element, a column of numbers.
    """

    text_format: str | None = None
    resolution: int = 1
    low: int = 0
    high: int = 0
    elements: tuple[str, ...] = ("time",)
    parts: tuple[Column, ...] = ()

    kind: ClassVar[str] = "time"
    forms: ClassVar[tuple[str, ...]] = ("times", "levels", "numbers")

    @classmethod
    def fit(
        cls,
        column: Plain,
        part: Callable[[Plain], Column],
        *,
        text_format: str | None = None,
        within_support: bool = True,
    ) -> Self:
        """Return the codec of a column.

        Parameters
        ----------
        column : Plain
            Times.
        part : callable
            Returns the codec of a column of numbers.
        text_format : str, optional
            See the class.
        within_support : bool, default=True
            Whether decoded times stay in the column's range.
        """
        times = column.values.astype(np.int64)
        observed = times[~column.missing]
        resolution = next(unit for unit in RESOLUTIONS if not (observed % unit).any())
        limits = (int(observed.min()), int(observed.max())) if within_support else (-(2**62), 2**62)
        elements = _informative(observed, resolution)
        made = cls(
            column.name,
            column.dtype,
            float(column.missing.mean()),
            text_format=text_format,
            resolution=resolution,
            low=limits[0],
            high=limits[1],
            elements=elements,
        )
        made.parts = tuple(part(p) for p in made.elements_of(column))
        return made

    def likelihoods(self) -> tuple[str | Likelihood, ...]:
        """Return the likelihoods of the elements."""
        return tuple(likelihood for part in self.parts for likelihood in part.likelihoods())

    def outputs(self) -> tuple[str, ...]:
        """Return the names of the elements."""
        return tuple(output for part in self.parts for output in part.outputs())

    def encode(self, column: Plain, noise: np.random.Generator | None) -> np.ndarray:
        """Return the columns of the elements."""
        pairs = zip(self.parts, self.elements_of(column), strict=True)
        return np.column_stack([part.encode(element, noise) for part, element in pairs])

    def decode(self, matrix: np.ndarray) -> np.ndarray:
        """Return times, datetime64[us]."""
        values = [part.decode(columns) for part, columns in zip(self.parts, self._split(matrix), strict=True)]
        days = dict(zip(self.elements, (v.astype(np.float64) for v in values), strict=True))
        gone = np.isnan(np.column_stack(list(days.values()))).any(axis=1)
        time = sum(_JOIN[name](np.nan_to_num(v)) for name, v in days.items()) * _DAY
        time = np.round(np.asarray(time) / self.resolution).astype(np.int64) * self.resolution
        times = np.clip(time, self.low, self.high).astype("datetime64[us]")
        return np.where(gone, np.datetime64("NaT", "us"), times)

    def to_series(self, values: np.ndarray) -> Any:
        """Return times as a pandas Series of the dtype."""
        import pandas as pd

        from isthmus.tables._dtypes import as_series, is_integer

        if self.text_format is None:
            return super().to_series(values)
        texts = format_dates(pd.Series(values), self.text_format).astype(object)
        texts = texts.where(texts.notna(), None).to_numpy()
        if is_integer(self.dtype):
            texts = np.array([np.nan if text is None else float(text) for text in texts])
        return as_series(texts, self.dtype)

    def times(self, cells: Any) -> np.ndarray:
        """Return the cells of a pandas Series or array as datetime64[us], local time, NaT where missing."""
        import pandas as pd

        return Plain.of(self.name, pd.Series(cells)).as_times(self.text_format).values

    def leaves(self) -> tuple[Column, ...]:
        """Return the codec of each element."""
        return self.parts

    def log_det(self, matrix: np.ndarray) -> np.ndarray:
        """Return those of the elements, (N, W)."""
        pairs = zip(self.parts, self._split(matrix), strict=True)
        found = np.column_stack([part.log_det(columns) for part, columns in pairs])
        return found - np.log(_DAYS_PER_MONTH) if self.elements[0].startswith("month") else found

    def levels(self) -> str:
        """Return the range, and the elements."""
        first, last = (np.datetime64(limit, "us").item() for limit in (self.low, self.high))
        shown = f"{first:%Y-%m-%d} to {last:%Y-%m-%d}" if self.high < 2**62 else "any"
        return shown if self.elements in (("day",), ("time",)) else f"{shown}, as {' and '.join(self.elements)}"

    def _split(self, matrix: np.ndarray) -> list[np.ndarray]:
        """Return the columns of the matrix of each element."""
        ends = np.cumsum([len(part.outputs()) for part in self.parts])[:-1]
        return np.split(matrix, ends, axis=1)

    def elements_of(self, column: Plain) -> list[Plain]:
        """Return the elements of times as columns of numbers."""
        column = column.as_times(self.text_format)
        times = np.where(column.missing, 0, column.values.astype(np.int64))
        made = []
        for element in self.elements:
            values = np.where(column.missing, np.nan, _SPLIT[element](times))
            name = column.name if len(self.elements) == 1 else f"{column.name} ({element})"
            made.append(Plain(name, "float64", "numbers", values, column.missing))
        return made


@dataclass(eq=False, repr=False)
class DurationColumn(Column):
    """The codec of durations, as numbers of days.

    Parameters
    ----------
    resolution : int
        Microseconds of which all durations are multiples.
    days : NumberColumn
        The codec of the number of days.
    """

    resolution: int = 1
    days: NumberColumn | None = None

    kind: ClassVar[str] = "timedelta"
    forms: ClassVar[tuple[str, ...]] = ("durations",)

    @classmethod
    def fit(cls, column: Plain, *, within_support: bool = True) -> Self:
        """Return the codec of a column of durations."""
        observed = column.observed().astype(np.int64)
        resolution = next(unit for unit in RESOLUTIONS if not (observed % unit).any())
        days = NumberColumn.fit(as_days(column), within_support=within_support, step=resolution / _DAY)
        return cls(column.name, column.dtype, float(column.missing.mean()), resolution=resolution, days=days)

    @property
    def _days(self) -> NumberColumn:
        assert self.days is not None  # fit sets it
        return self.days

    def likelihoods(self) -> tuple[str | Likelihood, ...]:
        """Return the likelihood of the number of days."""
        return self._days.likelihoods()

    def outputs(self) -> tuple[str, ...]:
        """Return the names of the columns of the matrix."""
        return self._days.outputs()

    def encode(self, column: Plain, noise: np.random.Generator | None) -> np.ndarray:
        """Return the columns of the number of days."""
        return self._days.encode(as_days(column), noise)

    def decode(self, matrix: np.ndarray) -> np.ndarray:
        """Return durations, timedelta64[us]."""
        days = self._days.decode(matrix)
        ticks = np.round(np.nan_to_num(days) * _DAY / self.resolution).astype(np.int64) * self.resolution
        return np.where(np.isnan(days), np.timedelta64("NaT", "us"), ticks.astype("timedelta64[us]"))

    def leaves(self) -> tuple[Column, ...]:
        """Return the codec of the number of days."""
        return (self._days,)

    def log_det(self, matrix: np.ndarray) -> np.ndarray:
        """Return that of the number of days, (N, W)."""
        return self._days.log_det(matrix)

    def levels(self) -> str:
        """Return the range in days."""
        return f"{self._days.levels()} days" if np.isfinite(self._days.high) else "any"


def as_days(column: Plain) -> Plain:
    """Return a column of durations as numbers of days."""
    days = np.where(column.missing, np.nan, column.values.astype(np.int64) / _DAY)
    return Plain(column.name, "float64", "numbers", days, column.missing)


# ---- elements of times: functions of microseconds since 1970 to numbers, and of numbers to days ----------------------


def _year_start(years: np.ndarray) -> np.ndarray:
    """Return the days from 1970 to the first day of each year (N,)."""
    return (np.round(years).astype(np.int64) - 1970).astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)


def _day(times: np.ndarray) -> np.ndarray:
    return times // _DAY


def _year(times: np.ndarray) -> np.ndarray:
    return _day(times).astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970


def _month(times: np.ndarray) -> np.ndarray:
    return _day(times).astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)


def _month_start(months: np.ndarray) -> np.ndarray:
    """Return the days from 1970 to the first day of each month since then (N,)."""
    return np.round(months).astype(np.int64).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)


_SPLIT: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "time": lambda times: times / _DAY,
    "day": _day,
    "week": lambda times: (_day(times) + 3) // 7,  # Mondays are 0; 1970 began on a Thursday
    "weekday": lambda times: (_day(times) + 3) % 7,
    "year": _year,
    "day of the year": lambda times: _day(times) - _year_start(_year(times)),
    "month": _month,
    "month end": _month,
    "time of day": lambda times: (times % _DAY) / _DAY,
}
_JOIN: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "time": lambda value: value,
    "day": lambda value: value,
    "week": lambda value: value * 7 - 3,
    "weekday": lambda value: value,
    "year": _year_start,
    "day of the year": lambda value: value,
    "month": _month_start,
    "month end": lambda value: _month_start(value + 1) - 1,
    "time of day": lambda value: value,
}


ELEMENTS = tuple(_JOIN)


def _informative(times: np.ndarray, resolution: int) -> tuple[str, ...]:
    """Return what times, in microseconds since 1970, are split into."""
    day = _day(times)
    if resolution == _DAY and len(np.unique(_month(times))) >= _MIN_MONTHS:
        for element in ("month", "month end"):
            if (_JOIN[element](_month(times)) == day).all():
                return (element,)
    hours = resolution < _DAY and _uneven((times % _DAY) * 24 // _DAY, 24)
    n_years = (day.max() - day.min()) / 365.25
    cycles: tuple[str, ...] = ()
    if n_years >= _MIN_YEARS and _uneven((times - _year_start(_year(times)) * _DAY) * 12 // (366 * _DAY), 12):
        cycles = ("year", "day of the year")
    elif day.max() - day.min() >= 14 and _uneven((day + 3) % 7, 7):
        cycles = ("week", "weekday")
    if not (hours or cycles):
        return ("day",) if resolution == _DAY else ("time",)
    return (cycles or ("day",)) + (() if resolution == _DAY else ("time of day",))


def _uneven(phase: np.ndarray, n_phases: int) -> bool:
    """Return whether whole numbers from 0 to n_phases - 1 are not evenly distributed."""
    from scipy.special import chdtrc

    counts = np.bincount(phase.astype(np.int64), minlength=n_phases)
    expected = counts.sum() / n_phases
    chi_squared = ((counts - expected) ** 2).sum() / expected
    return bool(expected >= 5 and chdtrc(n_phases - 1, chi_squared) < _P_VALUE)
