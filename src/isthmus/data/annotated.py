"""Annotated matrices, such as AnnData: objects with a matrix and the names of its rows and columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.data.errors import DataError
from isthmus.data.sources import ArrayRows, RowSource

__all__ = ["AnnotatedRows", "is_annotated", "rows_of_annotated"]


def is_annotated(X: Any) -> bool:
    """Return whether X is like an AnnData: it has a matrix ``X``, and names of rows and columns."""
    return all(hasattr(X, name) for name in ("X", "obs_names", "var_names"))


class AnnotatedRows(RowSource):
    """Rows of an annotated matrix that is sparse or on the disk; blocks of rows are made dense when they are read.

    Parameters
    ----------
    annotated : object
        An object with a matrix ``X`` of shape (N, D) and column names ``var_names``, such as an AnnData.

    Raises
    ------
    DataError
        If there is no matrix of numbers.
    """

    def __init__(self, annotated: Any) -> None:
        matrix = _matrix(annotated)
        # A sparse matrix by columns would be searched for every block of rows.
        self.matrix = matrix.tocsr() if hasattr(matrix, "tocsr") else matrix
        columns = [str(name) for name in annotated.var_names]
        n_rows, n_features = matrix.shape
        super().__init__(n_rows, n_features, matrix.dtype, columns, _name(annotated))

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return rows as an array."""
        rows = self.matrix[start:stop]
        return rows.toarray() if hasattr(rows, "toarray") else np.asarray(rows)


def rows_of_annotated(annotated: Any, max_bytes: int) -> RowSource:
    """Return the rows of an annotated matrix, in memory if they take at most `max_bytes` bytes or are there already."""
    rows = AnnotatedRows(annotated)
    if isinstance(rows.matrix, np.ndarray):
        return ArrayRows(np.asarray(rows.matrix), rows.columns, rows.name)
    return rows if rows.nbytes > max_bytes else ArrayRows(rows[:], rows.columns, rows.name)


def _matrix(annotated: Any) -> Any:
    """Return the matrix."""
    matrix = annotated.X
    if getattr(matrix, "ndim", len(getattr(matrix, "shape", ()))) != 2 or not hasattr(matrix, "dtype"):
        raise DataError(f"{_name(annotated)}: its X is not a matrix of shape (N, D); assign one, or pass an array.")
    return matrix


def _name(annotated: Any) -> str:
    return type(annotated).__name__
