"""Sources: rows that need not be in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from isthmus.data.dataset import as_floats, check_dtype
from isthmus.data.errors import DataError

__all__ = ["ArrayRows", "RowSource", "working_type"]

# Bytes of a block, the unit of rows that is read and shuffled as a whole: large enough that an SSD needs more time to
# read it than to find it, small enough that a pool of 64 MiB holds a hundred of them.
_BLOCK = 1 << 19


def working_type(dtype: DTypeLike) -> np.dtype[Any]:
    """Return the type that numbers of `dtype` are computed in: float32 if it holds them all, else float64.

    Examples
    --------
    >>> working_type("u1"), working_type("i4")
    (dtype('float32'), dtype('float64'))
    """
    exact = np.can_cast(dtype, np.float32, "safe")
    return np.dtype(np.float32 if exact else np.float64)


class RowSource(ABC):
    """Base of sources of N rows of D numbers that need not be in memory.

    A slice reads rows: ``source[10:20]`` is an array (10, D) of float32 or float64. ``len`` and ``shape`` are those of
    an array. To write your own source, subclass this and define :meth:`read`; estimators accept it as X. Rows are read
    in background threads, one call at a time, so :meth:`read` must not depend on the thread that calls it.

    Parameters
    ----------
    n_rows, n_features : int
        N and D.
    dtype : numpy dtype
        The type in which the rows are stored; they are returned in :func:`working_type` of it.
    columns : sequence of str, optional
        Names of the D columns.
    name : str
        The name of the source in error messages.

    Raises
    ------
    DataError
        If there is no row or no column, or `dtype` is not numeric.

    Examples
    --------
    >>> class Squares(RowSource):
    ...     def read(self, start, stop):
    ...         return np.arange(start, stop)[:, None] ** 2
    >>> Squares(1000, 1, "int16")[30:33].tolist()
    [[900.0], [961.0], [1024.0]]
    """

    first_row = 0  # number of the first row in error messages
    image_shape: tuple[int, ...] | None = None  # shape of a row before it was flattened, if it has one

    def __init__(
        self, n_rows: int, n_features: int, dtype: DTypeLike, columns: Sequence[str] | None = None, name: str = "X"
    ) -> None:
        check_dtype(np.dtype(dtype), name)
        if n_rows < 1 or n_features < 1:
            raise DataError(f"{name}: has {n_rows} rows and {n_features} columns; it needs at least one of each.")
        self.n_rows, self.n_features, self.name = int(n_rows), int(n_features), name
        self.dtype = working_type(dtype)
        self.columns = None if columns is None else tuple(columns)

    @abstractmethod
    def read(self, start: int, stop: int) -> ArrayLike:
        """Return the rows from `start` up to but not including `stop`: numbers (stop - start, D), NaN where missing."""

    def edges(self) -> NDArray[np.int64]:
        """Return where blocks of rows begin, and N; the rows of a block are read together."""
        rows = max(1, _BLOCK // (self.n_features * self.dtype.itemsize))
        return np.append(np.arange(0, self.n_rows, rows), self.n_rows)

    def take(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Return the rows at these increasing indices, (n, D); only blocks that hold one of them are read."""
        edges = self.edges()
        block = np.searchsorted(edges, rows, side="right") - 1
        taken = np.empty((len(rows), self.n_features), self.dtype)
        for b in np.unique(block):
            here = block == b
            taken[here] = self[int(edges[b]) : int(edges[b + 1])][rows[here] - edges[b]]
        return taken

    def part(self, start: int, stop: int) -> RowSource:
        """Return the rows from `start` to `stop` as a source; its errors count rows as this source does."""
        return _View(self, start, stop, None)

    def select(self, columns: Sequence[int]) -> RowSource:
        """Return the columns at these positions, in this order, as a source."""
        return _View(self, 0, self.n_rows, columns)

    @property
    def shape(self) -> tuple[int, int]:
        """(N, D)."""
        return self.n_rows, self.n_features

    @property
    def ndim(self) -> int:
        """Always 2."""
        return 2

    @property
    def nbytes(self) -> int:
        """Number of bytes that all rows would take in memory."""
        return self.n_rows * self.n_features * self.dtype.itemsize

    def __len__(self) -> int:
        return self.n_rows

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        """Read a slice of consecutive rows."""
        if not isinstance(rows, slice):
            raise TypeError(f"{self.name}: read rows by a slice, source[0:100], or by take([...]); got {rows!r}.")
        start, stop, step = rows.indices(self.n_rows)
        if step != 1:
            raise ValueError(f"{self.name}: only consecutive rows can be read; slice with a step of 1, not {step}.")
        if stop <= start:
            return np.empty((0, self.n_features), self.dtype)
        read = np.asarray(self.read(start, stop))
        if read.shape != (stop - start, self.n_features):
            raise DataError(
                f"{self.name}: {type(self).__name__}.read({start}, {stop}) returned an array of shape {read.shape}; it "
                f"must return {(stop - start, self.n_features)}."
            )
        return as_floats(read, self.dtype, self.name, range(self.first_row + start, self.first_row + stop))


class _View(RowSource):
    """Some rows and columns of another source."""

    def __init__(self, source: RowSource, start: int, stop: int, columns: Sequence[int] | None) -> None:
        names = source.columns
        if names is not None and columns is not None:
            names = tuple(names[i] for i in columns)
        width = source.n_features if columns is None else len(columns)
        super().__init__(stop - start, width, source.dtype, names, source.name)
        self.source, self.start, self.selected = source, start, None if columns is None else list(columns)
        self.first_row = source.first_row + start

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Read rows of the source."""
        rows = self.source[self.start + start : self.start + stop]
        return rows if self.selected is None else rows[:, self.selected]

    def edges(self) -> NDArray[np.int64]:
        """Return the edges of the source that lie inside."""
        edges = self.source.edges() - self.start
        inside = edges[(edges > 0) & (edges < self.n_rows)]
        return np.concatenate([[0], inside, [self.n_rows]])


class ArrayRows(RowSource):
    """Rows of an array, with the names of its columns.

    Parameters
    ----------
    array : ndarray of shape (N, D)
        The rows; a memory map is not copied.
    columns : sequence of str, optional
        Names of the columns.
    name : str
        The name of the array in error messages.
    """

    def __init__(self, array: NDArray[Any], columns: Sequence[str] | None = None, name: str = "X") -> None:
        if array.ndim != 2:
            raise DataError(f"{name}: has shape {array.shape}; rows need columns, an array of shape (N, D).")
        super().__init__(len(array), array.shape[1], array.dtype, columns, name)
        self.array = array

    @property
    def resident(self) -> bool:
        """Whether the rows are in memory already."""
        return not isinstance(self.array, np.memmap)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return a slice of the array."""
        return self.array[start:stop]
