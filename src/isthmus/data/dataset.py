"""A data set in memory, as every reader returns it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isthmus.data.errors import DataError

__all__ = ["EXACT", "NUMERIC", "TOO_LARGE", "Dataset", "as_dataset", "as_floats", "check_dtype"]

NUMERIC = "biuf"  # kinds of numpy dtypes
EXACT = 2**53  # every integer up to this one is a float64
TOO_LARGE = (
    "is an integer beyond 2^53, where float64 has gaps; drop the column if it is an identifier, or convert it to floats"
)


class Dataset(NamedTuple):
    """A data set.

    Attributes
    ----------
    X : ndarray of shape (N, D), or (N,), or pandas DataFrame
        The samples, images flattened; (N,) if the file holds one number per sample, as labels do. A table with other
        columns than numbers is a DataFrame. ``open_rows`` returns a ``RowSource`` here if the rows are too large for
        memory.
    columns : tuple of str, or None
        The names of the D columns.
    y : ndarray of shape (N, ...), or None
        The labels or targets.
    image_shape : tuple of int, or None
        The shape of one sample before it was flattened.
    name : str
        The name of the bundled data set, or of the file without folder and extension.
    notes : tuple of str
        What was decided about the file that its reader may not expect.
    text : TextTable, or None
        The cells of a table of text as they are written.
    """

    X: Any
    columns: tuple[str, ...] | None
    y: NDArray[Any] | None
    image_shape: tuple[int, ...] | None
    name: str
    notes: tuple[str, ...] = ()
    text: Any = None

    @property
    def is_frame(self) -> bool:
        """Whether X is a pandas DataFrame."""
        return hasattr(self.X, "iloc")


def as_dataset(
    X: NDArray[Any], path: Path, y: NDArray[Any] | None = None, columns: tuple[str, ...] | None = None
) -> Dataset:
    """Return the array of a file as a data set, flattened to at most two dimensions.

    Raises
    ------
    DataError
        If the array is empty or a single number.
    """
    if X.ndim == 0 or X.size == 0:
        what = "one number, not an array" if X.ndim == 0 else f"an empty array of shape {X.shape}"
        raise DataError(f"{path}: holds {what}; write at least one row and one column.")
    image_shape = X.shape[1:] if X.ndim > 2 else None
    name = path.stem if path.suffix.lower() != ".gz" else Path(path.stem).stem
    return Dataset(X.reshape(len(X), -1) if image_shape else X, columns, y, image_shape, name)


def check_dtype(dtype: np.dtype[Any], where: object, kinds: str = NUMERIC) -> None:
    """Raise `DataError` if a dtype is not of real numbers (or of strings, if `kinds` allows them)."""
    if dtype.kind not in kinds:
        raise DataError(f"{where}: holds {dtype.name}, not real numbers; convert it to float64 first.")


def as_floats(array: NDArray[Any], dtype: np.dtype[Any], name: str, rows: Sequence[int]) -> NDArray[Any]:
    """Return an array (n, D) as contiguous floats.

    Raises
    ------
    DataError
        If an integer is beyond 2^53; the message says where, by the indices `rows` of the n rows.
    """
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8:
        lost = np.argwhere((array > EXACT) | (array < -EXACT))
        if len(lost):
            row, column = lost[0].tolist()
            raise DataError(f"{name}, row {rows[row]}, column {column}: {array[row, column]} {TOO_LARGE}.")
    return np.ascontiguousarray(array, dtype=dtype)
