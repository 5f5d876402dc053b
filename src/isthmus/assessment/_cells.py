"""The cells of a table as numbers: for errors of single columns, and for distances between rows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from isthmus.tables import CategoryColumn, DurationColumn, NumberColumn, TableCodec, TimeColumn, to_pandas
from isthmus.tables._plain import Plain

__all__ = ["Cells", "as_pandas", "column_means", "learned_columns"]

Array = np.ndarray

_DAY = 86_400_000_000  # microseconds
_LEARNED = (NumberColumn, CategoryColumn, TimeColumn, DurationColumn)


def as_pandas(X: Any, codec: TableCodec) -> Any:
    """Return a table, or an array of its columns, as a pandas DataFrame with the codec's columns."""
    import pandas as pd

    table = pd.DataFrame(X, columns=pd.Index(codec.names)) if isinstance(X, np.ndarray) else to_pandas(X)
    return table[codec.names].reset_index(drop=True)


class Cells(NamedTuple):
    """The learned columns of a table as numbers (N, C), NaN where a cell is missing.

    Numbers are themselves, times are days since 1970, durations are days, and levels are numbered.

    Attributes
    ----------
    values : ndarray of shape (N, C)
        The cells.
    names : list of str
        Names of the columns.
    levels : ndarray of shape (C,)
        Numbers of levels: 0 for columns of numbers, times and durations.
    """

    values: Array
    names: list[str]
    levels: Array

    @classmethod
    def of_array(cls, X: Array, names: Any = None) -> Cells:
        """Return the cells of a matrix (N, D) of numbers."""
        names = [f"column {d}" for d in range(X.shape[1])] if names is None else list(map(str, names))
        return cls(X, names, np.zeros(X.shape[1], dtype=int))

    @classmethod
    def of_table(cls, table: Any, codec: TableCodec) -> Cells:
        """Return the cells of a pandas DataFrame with the columns of a codec."""
        columns = learned_columns(codec)
        values = [_numbers(column, Plain.of(column.name, table[column.name])) for column in columns]
        levels = [len(c.values) if isinstance(c, CategoryColumn) else 0 for c in columns]
        return cls(np.column_stack(values), [str(c.name) for c in columns], np.array(levels))

    @property
    def is_category(self) -> Array:
        """Whether each column holds levels, bool (C,)."""
        return self.levels > 0

    def errors(self, other: Array) -> Array:
        """Return the error of each cell of `other` (..., N, C): squared, or for levels 1 if it is wrong."""
        difference = other.astype(np.float64) - self.values
        wrong = np.where(np.isnan(difference), np.nan, (difference != 0).astype(np.float64))
        return np.where(self.is_category, wrong, np.square(difference))

    def guess(self) -> Array:
        """Return the best guess of each column that uses no other one: its mean, or its most frequent level, (C,)."""
        means = column_means(self.values)
        for d in np.flatnonzero(self.is_category):
            seen = self.values[~np.isnan(self.values[:, d]), d].astype(int)
            means[d] = float(np.bincount(seen).argmax()) if len(seen) else np.nan
        return means

    def points(self, of: Array, scales: Array) -> Array:
        """Return rows (N, C) as points whose distances compare columns of any kind.

        Numbers are divided by `scales`. A level is a unit vector divided by the square root of 2, so that rows with
        different levels are at the distance of rows one standard deviation apart. Missing cells are at the mean, and in
        no level.
        """
        numbers = ~self.is_category
        centred = np.nan_to_num((of[:, numbers] - column_means(self.values[:, numbers])) / scales[numbers])
        levels = [of[:, d, None] == np.arange(self.levels[d]) for d in np.flatnonzero(self.is_category)]
        return np.concatenate([centred, *(level / np.sqrt(2.0) for level in levels)], axis=1)

    def from_points(self, points: Array, scales: Array) -> Array:
        """Return rows (N, C) of points as :meth:`points` makes them: numbers, and the most likely level."""
        values = np.empty((len(points), len(self.names)))
        numbers = ~self.is_category
        n = int(numbers.sum())
        values[:, numbers] = points[:, :n] * scales[numbers] + column_means(self.values[:, numbers])
        for d in np.flatnonzero(self.is_category):
            values[:, d] = points[:, n : n + self.levels[d]].argmax(axis=1)
            n += self.levels[d]
        return values


def learned_columns(codec: TableCodec) -> list[Any]:
    """Return the columns of which a model can learn something: neither constant, empty nor left out."""
    return [column for column in codec.columns or () if isinstance(column, _LEARNED)]


def _numbers(column: Any, plain: Plain) -> Array:
    """Return the cells of a column as numbers, (N,)."""
    if plain.form == "empty":
        return np.full(len(plain.values), np.nan)
    if isinstance(column, CategoryColumn):
        return column.encode(plain, None)[:, 0]
    if isinstance(column, TimeColumn):
        plain = plain.as_times(column.text_format)
    if plain.form in ("times", "durations"):
        return np.where(plain.missing, np.nan, plain.values.astype(np.int64) / _DAY)
    return np.asarray(plain.values, dtype=np.float64)


def column_means(cells: Array) -> Array:
    """Return the mean of the observed cells of each column, (D,): NaN where there are none."""
    n_observed = (~np.isnan(cells)).sum(axis=0)
    total = np.nansum(cells, axis=0, dtype=np.float64)
    return np.divide(total, n_observed, out=np.full(cells.shape[1], np.nan), where=n_observed > 0)
