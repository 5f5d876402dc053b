"""How a conditional model encodes a table of conditions: numbers standardised, categories as one-hot vectors."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Self

import numpy as np

from isthmus._part import resolve
from isthmus.estimators._given import as_columns, table_of_given
from isthmus.likelihoods import Likelihood
from isthmus.tables import TableCodec, is_table, to_pandas

__all__ = ["TableCondition", "n_columns"]


def n_columns(y: Any) -> int:
    """Return the number of columns of a table."""
    if isinstance(y, list):
        return len({name for row in y for name in row})
    return int(y.shape[1])


class TableCondition:
    """Columns of any kinds: numbers are normal scores, standardised; categories are one-hot encoded.

    Parameters
    ----------
    codec : TableCodec
        The codec of the table, which is fitted.
    mean, scale : ndarray of shape (M,)
        Mean and standard deviation of each column of its matrix.
    """

    def __init__(self, codec: TableCodec, mean: np.ndarray, scale: np.ndarray) -> None:
        self.codec, self.mean, self.scale = codec, mean, scale
        self.names = codec.names
        self.levels = [_n_levels(part) for column in codec.columns or () for part in column.likelihoods()]
        self.width = sum(n or 1 for n in self.levels)

    @classmethod
    def fit(cls, y: Any, weight: np.ndarray) -> Self:
        """Return the condition of a table (N, C) of samples with weights (N,).

        Raises
        ------
        ValueError
            If a cell is missing, or there is no column from which anything can be learned.
        """
        _check_complete(y)
        codec = TableCodec(unseen="error").fit(y)
        if not codec.outputs():
            raise ValueError("y has no column of which anything can be learned: each is empty, or left out.")
        matrix = codec.encode(y)
        share = np.where(np.isnan(matrix), 0.0, weight[:, None])
        share = share / np.maximum(share.sum(axis=0), np.finfo(float).tiny)
        mean = (share * np.nan_to_num(matrix)).sum(axis=0)
        scale = np.sqrt((share * np.nan_to_num(matrix - mean) ** 2).sum(axis=0))
        return cls(codec, mean, np.where(scale > 0, scale, 1.0))

    def check_classes(self, classes: Any) -> None:
        """Raise a ValueError: a table has no classes."""
        raise ValueError(f"classes={classes!r}: y was a table in the first call, and has no classes; leave them out.")

    def of_given(self, given: Any, n_samples: int) -> Any:
        """Return the table of conditions given by name, with one row or n_samples of them.

        Raises
        ------
        ValueError
            If a column from which something was learned is not given, or a column is unknown.
        """
        columns = as_columns(given, self.names, n_samples)
        learned = self._learned()
        lacking = [name for name in learned if name not in columns]
        if lacking:
            raise ValueError(
                f"given lacks {', '.join(map(repr, lacking))}: each column of y that the model learned from must be "
                f"given ({', '.join(map(repr, learned))})."
            )
        return table_of_given(self.codec, columns, self.names)

    @property
    def option(self) -> str:
        """How commands are given y, for messages."""
        return f" (of a command: --y {','.join(map(str, self.names))})"

    def _learned(self) -> list[Any]:
        """Return the names of the columns that are not left out."""
        return [column.name for column in self.codec.columns or () if column.outputs()]

    def encode(self, y: Any, n_samples: int) -> np.ndarray:
        """Return conditions (N, C), or one row for all samples, as (N, W).

        Raises
        ------
        ValueError
            If y is no table with the columns of ``fit``, or has a missing cell or a category that ``fit`` did not see.
        """
        if isinstance(y, Mapping):
            y = self.of_given(y, n_samples)
        if not is_table(y):
            columns = ", ".join(map(repr, self.names))
            raise ValueError(f"y must be a table with the columns {columns}, as in fit{self.option}.")
        _check_complete(y, left_out=set(self.names) - set(self._learned()))
        try:
            matrix = self.codec.encode(y)
        except ValueError as error:  # the codec calls every table X
            raise ValueError(re.sub(r"^X\b", "y", str(error))) from error
        if len(matrix) not in (1, n_samples):
            raise ValueError(f"y has {len(matrix)} rows for {n_samples} samples.")
        parts = []
        for i, n in enumerate(self.levels):
            own = matrix[:, i]
            if n:
                parts.append((own[:, None] == np.arange(n)).astype(np.float64))
            else:  # a frequent value has no number beside its level
                parts.append(np.nan_to_num((own - self.mean[i]) / self.scale[i])[:, None])
        return np.broadcast_to(np.concatenate(parts, axis=1), (n_samples, self.width)).copy()


def _n_levels(part: Any) -> int:
    """Return the number of levels of a column of the matrix, 0 of numbers."""
    levels = getattr(resolve("likelihoods", part, Likelihood), "n_levels", None)
    return int(levels[0]) if levels else 0


def _check_complete(y: Any, left_out: Collection[Any] = ()) -> None:
    """Raise a ValueError that names the first missing cell of a table, except in columns that are left out."""
    gone = to_pandas(y).isna().drop(columns=list(left_out), errors="ignore")
    if gone.to_numpy().any():
        column = next(name for name in gone if gone[name].any())
        raise ValueError(
            f"y has no value in row {int(gone[column].to_numpy().argmax())}, column {column!r} "
            f"({int(gone.to_numpy().sum())} missing in all): drop these samples, or fill the cells in."
        )
