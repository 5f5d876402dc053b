"""Rows that stay where they are until they are wanted: files, and torch's data sets."""

from __future__ import annotations

import mmap
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from isthmus.data.dataset import DataError
from isthmus.data.formats.npy import AGAIN, check_dtype, read_header

__all__ = ["ArrayRows", "DatasetRows", "FileRows", "RowSource", "working_type"]

# Bytes of a block, the piece of rows that is shuffled as a whole and read at once: large enough that reading it from
# an SSD takes longer than finding it, small enough that a pool of 64 MiB has a hundred of them.
_BLOCK = 1 << 19


def working_type(dtype: DTypeLike) -> np.dtype[Any]:
    """Return the type that numbers of `dtype` are computed in: float32 where it holds them all, else float64.

    Examples
    --------
    >>> working_type("u1"), working_type("i4")
    (dtype('float32'), dtype('float64'))
    """
    exact = np.can_cast(dtype, np.float32, "safe")
    return np.dtype(np.float32 if exact else np.float64)


class RowSource(ABC):
    """Base of what holds N rows of D numbers that need not be in memory.

    A slice reads rows, ``source[10:20]``, and gives an array (n, D) of float32 or float64; ``len`` and ``shape`` are an
    array's. A source of your own is a subclass with :meth:`read`; estimators take it as X. Rows are read in a
    background thread, one call at a time, so :meth:`read` may not depend on the thread it runs in.

    Parameters
    ----------
    n_rows, n_features : int
        N and D.
    dtype : numpy dtype
        Of the rows as they are stored; they are given as :func:`working_type` of it.
    columns : sequence of str, optional
        Names of the D columns.
    name : str
        What errors call it.

    Examples
    --------
    >>> class Squares(RowSource):
    ...     def read(self, start, stop):
    ...         return np.arange(start, stop)[:, None] ** 2
    >>> Squares(1000, 1, "int16")[30:33].tolist()
    [[900.0], [961.0], [1024.0]]
    """

    first_row = 0  # the number that errors give its first row

    def __init__(
        self, n_rows: int, n_features: int, dtype: DTypeLike, columns: Sequence[str] | None = None, name: str = "X"
    ) -> None:
        check_dtype(np.dtype(dtype), name)
        if n_rows < 1 or n_features < 1:
            raise DataError(f"{name}: has {n_rows} rows and {n_features} columns; it needs one of each at least.")
        self.n_rows, self.n_features, self.name = int(n_rows), int(n_features), name
        self.dtype = working_type(dtype)
        self.columns = None if columns is None else tuple(columns)

    @abstractmethod
    def read(self, start: int, stop: int) -> ArrayLike:
        """Return the rows from `start` up to, not including, `stop`: numbers (stop - start, D), NaN where missing."""

    def edges(self) -> NDArray[np.int64]:
        """Return where blocks of rows begin, and N: rows of a block are read together."""
        rows = max(1, _BLOCK // (self.n_features * self.dtype.itemsize))
        return np.append(np.arange(0, self.n_rows, rows), self.n_rows)

    def take(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Return the rows of these numbers, which rise, (n, D): block by block, those without any left out."""
        edges = self.edges()
        block = np.searchsorted(edges, rows, side="right") - 1
        taken = np.empty((len(rows), self.n_features), self.dtype)
        for b in np.unique(block):
            here = block == b
            taken[here] = self[int(edges[b]) : int(edges[b + 1])][rows[here] - edges[b]]
        return taken

    def part(self, start: int, stop: int) -> RowSource:
        """Return the rows from `start` to `stop` as a source, whose errors speak of rows of the whole."""
        return _View(self, start, stop, None)

    def select(self, columns: Sequence[int]) -> RowSource:
        """Return the columns at these positions, in that order, as a source."""
        return _View(self, 0, self.n_rows, columns)

    @property
    def shape(self) -> tuple[int, int]:
        """(N, D)."""
        return self.n_rows, self.n_features

    @property
    def ndim(self) -> int:
        """2, as of every matrix."""
        return 2

    @property
    def nbytes(self) -> int:
        """Bytes that all rows would take in memory."""
        return self.n_rows * self.n_features * self.dtype.itemsize

    def __len__(self) -> int:
        return self.n_rows

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        """Read a slice of step 1."""
        if not isinstance(rows, slice):
            raise TypeError(f"{self.name}: rows are read by slices, source[0:100], and by take([...]); got {rows!r}.")
        start, stop, step = rows.indices(self.n_rows)
        if step != 1:
            raise ValueError(f"{self.name}: rows are read one after the other; slice with a step of 1, not {step}.")
        if stop <= start:
            return np.empty((0, self.n_features), self.dtype)
        read = np.ascontiguousarray(self.read(start, stop), dtype=self.dtype)
        if read.shape != (stop - start, self.n_features):
            raise DataError(
                f"{self.name}: rows {start} to {stop} came as an array of shape {read.shape}, and not "
                f"{(stop - start, self.n_features)}; {type(self).__name__}.read must return (stop - start, D)."
            )
        return read


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
        """Read them from the source."""
        rows = self.source[self.start + start : self.start + stop]
        return rows if self.selected is None else rows[:, self.selected]

    def edges(self) -> NDArray[np.int64]:
        """Return the source's, as far as they lie inside."""
        edges = self.source.edges() - self.start
        inside = edges[(edges > 0) & (edges < self.n_rows)]
        return np.concatenate([[0], inside, [self.n_rows]])


class ArrayRows(RowSource):
    """Rows of an array, with the names of its columns.

    Parameters
    ----------
    array : ndarray of shape (N, D)
        The rows; a memory map stays one.
    columns : sequence of str, optional
        Names of the columns.
    name : str
        What errors call it.
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
        """Return a slice."""
        return self.array[start:stop]


class FileRows(RowSource):
    """Rows of one width, one after the other in a file: an `.npy`, or plain numbers of a known type.

    The file is read, not mapped: what was read counts as the system's cache, and not as memory of the process.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    shape : tuple of int
        (N, ...); rows of more than one dimension are flattened.
    dtype : numpy dtype
        Of the numbers in the file.
    offset : int, default=0
        Where they begin, in bytes.

    Raises
    ------
    DataError
        If the file is not there, or shorter than that.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "x.npy"
    ...     np.save(path, np.arange(12.0).reshape(4, 3))
    ...     FileRows.npy(path)[1:3].tolist()
    [[3.0, 4.0, 5.0], [6.0, 7.0, 8.0]]
    """

    def __init__(
        self, path: str | os.PathLike[str], *, shape: Sequence[int], dtype: DTypeLike, offset: int = 0
    ) -> None:
        self.path, self.stored, self.offset = Path(path), np.dtype(dtype), offset
        width = int(np.prod(shape[1:], dtype=np.int64))
        super().__init__(shape[0], width, self.stored, name=str(path))
        self.image_shape = tuple(shape[1:]) if len(shape) > 2 else None
        self._row_bytes = width * self.stored.itemsize
        if not self.path.is_file() or self.path.stat().st_size < offset + self.n_rows * self._row_bytes:
            raise DataError(f"{path}: there is no such file, or it is too short for {self.n_rows} rows; {AGAIN}.")

    @classmethod
    def npy(cls, path: str | os.PathLike[str]) -> FileRows:
        """Return the rows of an `.npy`."""
        path = Path(path)
        if not path.is_file():
            raise DataError(f"{path}: no such file; check the name and the folder.")
        with path.open("rb") as stream:
            header = read_header(stream, path.stat().st_size, str(path))
        if len(header.shape) < 2 or (header.by_columns and min(header.shape) > 1):
            what = "is stored column by column" if len(header.shape) > 1 else f"holds an array of shape {header.shape}"
            raise DataError(f"{path}: {what}; save np.ascontiguousarray(X) of shape (N, D) instead.")
        return cls(path, shape=header.shape, dtype=header.dtype, offset=header.offset)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Read rows from the file."""
        rows = np.empty((stop - start, self.n_features), self.stored)
        with self.path.open("rb", buffering=0) as file:
            self._fill(file, start, rows)
        return rows

    def take(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Return the rows of these numbers, (n, D), reading nothing else."""
        taken = np.empty((len(rows), self.n_features), self.stored)
        with self.path.open("rb", buffering=0) as file:
            for i, row in enumerate(rows.tolist()):
                self._fill(file, row, taken[i : i + 1])
        return taken.astype(self.dtype, copy=False)

    def _fill(self, file: Any, start: int, rows: NDArray[Any]) -> None:
        """Read as many rows as `rows` has, from the one numbered `start` on."""
        file.seek(self.offset + start * self._row_bytes)
        view = rows.view(np.uint8).reshape(-1).data
        while view:
            count = file.readinto(view)
            if not count:
                raise DataError(f"{self.path}: was cut short while it was read; {AGAIN}.")
            view = view[count:]


def of_memmap(array: Any) -> RowSource:
    """Return a memory map's rows: read from its file, or through the map where the file says something else."""
    # A slice of a map does not say where it lies; a map of mode "c" has changes that the file has not.
    whole = isinstance(array.base, mmap.mmap) and array.flags.c_contiguous and array.mode != "c"
    if not whole or array.filename is None:
        return ArrayRows(array)
    return FileRows(array.filename, shape=array.shape, dtype=array.dtype, offset=array.offset)


class DatasetRows(RowSource):
    """Rows of a torch ``Dataset`` with random access: items x, or (x, ...), of which the rest is not looked at.

    Items are asked for one by one (all at once where it has ``__getitems__``, or is a ``TensorDataset``), so they may
    be decoded, or augmented, when they are wanted. Where two calls for one item differ, a resumed run differs too.

    Parameters
    ----------
    dataset : torch.utils.data.Dataset
        With ``__len__`` and ``__getitem__``. Items are flattened; all have as many numbers as the first.

    Raises
    ------
    DataError
        If it has no length, or items that are no numbers.

    Examples
    --------
    >>> import torch
    >>> data = torch.utils.data.TensorDataset(torch.arange(6.0).reshape(3, 2), torch.tensor([0, 1, 0]))
    >>> DatasetRows(data)[1:3].tolist()
    [[2.0, 3.0], [4.0, 5.0]]
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset, name = dataset, type(dataset).__name__
        try:
            n_rows, first = len(dataset), _numbers(dataset[0])
        except (TypeError, NotImplementedError, LookupError, RuntimeError) as error:
            raise DataError(
                f"{name}: rows need a Dataset with __len__ and __getitem__ whose items are x or (x, ...), x of "
                f"numbers ({type(error).__name__}: {error}); an IterableDataset has no random access."
            ) from error
        super().__init__(n_rows, first.size, first.dtype, name=name)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Ask for the items."""
        import torch

        if isinstance(self.dataset, torch.utils.data.TensorDataset):
            return _numbers(self.dataset.tensors[0][start:stop]).reshape(stop - start, -1)
        return self._items(list(range(start, stop)))

    def take(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Return the items of these numbers, (n, D), asking for no other."""
        return self._items(rows.tolist()).astype(self.dtype, copy=False)

    def _items(self, rows: list[int]) -> NDArray[Any]:
        together = getattr(self.dataset, "__getitems__", None)
        items = together(rows) if together else [self.dataset[row] for row in rows]
        found = np.empty((len(rows), self.n_features), self.dtype)
        for i, item in enumerate(items):
            numbers = _numbers(item)
            if numbers.size != self.n_features:
                raise DataError(
                    f"{self.name}: item {rows[i]} has {numbers.size} numbers, and item 0 had {self.n_features}; "
                    "give all the same shape."
                )
            found[i] = numbers.reshape(-1)
        return found


def _numbers(item: Any) -> NDArray[Any]:
    """Return the x of a data set's item as an array."""
    x = item[0] if isinstance(item, (tuple, list)) else item
    return np.asarray(x.numpy(force=True) if hasattr(x, "numpy") else x)
