"""Results written block by block, so that they never have to be in memory as a whole."""

from __future__ import annotations

import contextlib
import os
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus._atomic import atomic_write
from isthmus.data.dataset import DataError
from isthmus.data.files import check_writable
from isthmus.data.formats.csv import as_table, column_names, write_rows
from isthmus.data.formats.npy import check_dtype
from isthmus.data.formats.parquet import ParquetWriter

__all__ = ["open_writer"]


@contextlib.contextmanager
def open_writer(
    path: str | os.PathLike[str], n_rows: int, columns: Sequence[str] | None = None
) -> Iterator[Callable[[NDArray[Any]], None]]:
    """Yield a function that writes the next rows of an array to a file.

    The file is written aside and takes its place when the block ends well: until then, and after an error, `path` is as
    it was.

    Parameters
    ----------
    path : str or os.PathLike
        `.npy`, `.npz` (the array is "X" in it), `.csv`, or `.parquet` (every block is a row group).
    n_rows : int
        How many rows will be written in all.
    columns : sequence of str, optional
        The header of a `.csv` or `.parquet`.

    Yields
    ------
    callable
        Takes blocks (n, ...) that agree in type and all dimensions but the first.

    Raises
    ------
    DataError
        If the blocks are not numbers, do not agree, or are not `n_rows` rows in all; or the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "z.npy"
    ...     with open_writer(path, n_rows=3) as write:
    ...         write(np.zeros((2, 4)))
    ...         write(np.ones((1, 4)))
    ...     np.load(path).shape
    (3, 4)
    """
    path = Path(path)
    check_writable(path)
    with atomic_write(path) as temporary, contextlib.closing(_KINDS[path.suffix.lower()](temporary, path)) as file:
        blocks = _Blocks(file, path, n_rows, columns)
        yield blocks.write
        blocks.check_complete()


class _Blocks:
    """Blocks of one array, checked and handed on."""

    def __init__(self, file: _File, path: Path, n_rows: int, columns: Sequence[str] | None) -> None:
        self.file, self.path, self.n_rows, self.columns = file, path, n_rows, columns
        self.written = 0
        self.kind: tuple[np.dtype[Any], tuple[int, ...]] | None = None

    def write(self, block: NDArray[Any]) -> None:
        """Write the next rows."""
        block = np.asarray(block)
        kind = block.dtype, block.shape[1:]
        if self.kind is None:
            check_dtype(block.dtype, self.path)
            self.kind = kind
            self.file.begin(block, self.n_rows, self.columns)
        if kind != self.kind:
            raise DataError(f"{self.path}: a block of {kind} follows blocks of {self.kind}; write one array only.")
        self.file.write(block)
        self.written += len(block)

    def check_complete(self) -> None:
        """Raise if there were more or fewer rows than were announced: the header says how many."""
        if self.written != self.n_rows:
            raise DataError(f"{self.path}: {self.written} rows were written, and {self.n_rows} announced; nothing is.")


class _File(ABC):
    """Base of the formats."""

    def __init__(self, temporary: Path, path: Path) -> None:
        self.temporary, self.path = temporary, path
        self.stream: Any = None

    @abstractmethod
    def begin(self, block: NDArray[Any], n_rows: int, columns: Sequence[str] | None) -> None:
        """Write what comes before the first block, and look at what that is."""

    @abstractmethod
    def write(self, block: NDArray[Any]) -> None:
        """Write rows."""

    def close(self) -> None:
        """Close what was opened."""
        if self.stream is not None:
            self.stream.close()


class _Npy(_File):
    def begin(self, block: NDArray[Any], n_rows: int, columns: Sequence[str] | None) -> None:  # noqa: ARG002
        self.stream = self.temporary.open("wb")
        _write_header(self.stream, block, n_rows)

    def write(self, block: NDArray[Any]) -> None:
        self.stream.write(np.ascontiguousarray(block).data)


class _Npz(_File):
    def begin(self, block: NDArray[Any], n_rows: int, columns: Sequence[str] | None) -> None:  # noqa: ARG002
        self.archive = zipfile.ZipFile(self.temporary, "w")
        self.stream = self.archive.open("X.npy", "w", force_zip64=True)
        _write_header(self.stream, block, n_rows)

    def write(self, block: NDArray[Any]) -> None:
        self.stream.write(np.ascontiguousarray(block).data)

    def close(self) -> None:
        super().close()
        if self.stream is not None:
            self.archive.close()


class _Csv(_File):
    def begin(self, block: NDArray[Any], n_rows: int, columns: Sequence[str] | None) -> None:  # noqa: ARG002
        names = column_names(columns, as_table(block, self.path).shape[1], self.path)
        self.stream = self.temporary.open("w", encoding="utf-8", newline="")
        write_rows(self.stream, names, np.empty((0, len(names))))

    def write(self, block: NDArray[Any]) -> None:
        write_rows(self.stream, None, as_table(block, self.path))


class _Parquet(_File):
    def begin(self, block: NDArray[Any], n_rows: int, columns: Sequence[str] | None) -> None:  # noqa: ARG002
        names = column_names(columns, as_table(block, self.path).shape[1], self.path)
        self.stream = ParquetWriter(self.temporary, names)

    def write(self, block: NDArray[Any]) -> None:
        self.stream.write(as_table(block, self.path))


_KINDS: dict[str, type[_File]] = {".npy": _Npy, ".npz": _Npz, ".csv": _Csv, ".parquet": _Parquet}


def _write_header(stream: Any, block: NDArray[Any], n_rows: int) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(block.dtype), "fortran_order": False}
    np.lib.format.write_array_header_1_0(stream, header | {"shape": (n_rows, *block.shape[1:])})
