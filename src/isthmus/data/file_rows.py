"""Rows that stay in a binary file until they are used."""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from isthmus.data.dataset import as_floats
from isthmus.data.errors import AGAIN, DataError, MissingFileError
from isthmus.data.formats._npy_header import read_header
from isthmus.data.sources import ArrayRows, RowSource

__all__ = ["FileRows", "rows_of_memmap", "stored_rows"]


class FileRows(RowSource):
    """Rows of an `.npy`, or of any file that holds numbers of a known type row after row.

    The file is read and not memory-mapped, so that rows that were read do not count as memory of the process.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    shape : tuple of int
        (N, ...); rows of more than one dimension are flattened.
    dtype : numpy dtype
        Type of the numbers in the file.
    offset : int, default=0
        Where the numbers begin, in bytes.

    Raises
    ------
    MissingFileError
        If there is no such file.
    DataError
        If the file is too short.

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
        _check_exists(self.path)
        if self.path.stat().st_size < offset + self.n_rows * self._row_bytes:
            raise DataError(f"{path}: is too short for {self.n_rows} rows; {AGAIN}.")

    @classmethod
    def npy(cls, path: str | os.PathLike[str]) -> FileRows:
        """Return the rows of an `.npy`."""
        path = Path(path)
        _check_exists(path)
        with path.open("rb") as stream:
            header = read_header(stream, path.stat().st_size, str(path))
        if len(header.shape) < 2 or (header.fortran_order and min(header.shape) > 1):
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
        """Return the rows at these indices, (n, D); no other row is read."""
        taken = np.empty((len(rows), self.n_features), self.stored)
        with self.path.open("rb", buffering=0) as file:
            for i, row in enumerate(rows.tolist()):
                self._fill(file, row, taken[i : i + 1])
        return as_floats(taken, self.dtype, self.name, rows.tolist())

    def _fill(self, file: Any, start: int, rows: NDArray[Any]) -> None:
        """Fill `rows` with the rows from `start`."""
        file.seek(self.offset + start * self._row_bytes)
        view = rows.view(np.uint8).reshape(-1).data
        while view:
            count = file.readinto(view)
            if not count:
                raise DataError(f"{self.path}: was cut short while it was read; {AGAIN}.")
            view = view[count:]


def rows_of_memmap(array: Any) -> RowSource:
    """Return the rows of a memory map: read from its file, or through the map if it may differ from the file."""
    # A slice of a map does not say where it begins; a map of mode "c" may have changes that the file does not have.
    whole = isinstance(array.base, mmap.mmap) and array.flags.c_contiguous and array.mode != "c"
    if not whole or array.filename is None:
        return ArrayRows(array)
    return FileRows(array.filename, shape=array.shape, dtype=array.dtype, offset=array.offset)


def stored_rows(
    blocks: Iterable[NDArray[Any]], shape: tuple[int, int], dtype: DTypeLike, name: str, columns: Sequence[str] | None
) -> FileRows:
    """Return blocks of rows as a source: they are written to a temporary file, which is kept as long as it is used.

    Parameters
    ----------
    blocks : iterable of ndarray of shape (n, D)
        All rows in their order.
    shape : (int, int)
        (N, D).
    dtype : numpy dtype
        Type of the numbers in the file.
    name : str
        The name of the source in error messages.
    columns : sequence of str, optional
        Names of the D columns.

    Raises
    ------
    DataError
        If there is no room for the file, or there are not N rows.
    """
    folder = tempfile.mkdtemp(prefix="isthmus-")
    path, n_rows = Path(folder) / "rows", 0
    try:
        with path.open("wb") as file:
            for block in blocks:
                file.write(np.ascontiguousarray(block, dtype=dtype).data)
                n_rows += len(block)
        rows = FileRows(path, shape=(n_rows, *shape[1:]), dtype=dtype)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if not isinstance(error, OSError):
            raise
        raise DataError(
            f"{name}: its encoded rows cannot be written to {folder} ({error.strerror or error}); set TMPDIR to a "
            "folder with more room."
        ) from error
    weakref.finalize(rows, shutil.rmtree, folder, ignore_errors=True)
    if n_rows != shape[0]:
        raise DataError(f"{name}: changed while it was read; read it again when nothing writes to it.")
    rows.name, rows.columns = name, None if columns is None else tuple(columns)
    return rows


def _check_exists(path: Path) -> None:
    """Raise `MissingFileError` if there is no such file."""
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file; check the name and the folder.")
