"""Write arrays to files, whole or block by block."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isthmus._atomic import atomic_write
from isthmus._formats import find_row, writable_suffixes
from isthmus.data.dataset import check_dtype
from isthmus.data.errors import DataError, MissingFileError, errors_of_writing, unknown_suffix
from isthmus.data.formats import Format, Layout, load_format

__all__ = ["check_writable", "open_frame_writer", "open_writer", "write", "write_frame"]


def write(path: str | os.PathLike[str], array: ArrayLike, columns: Sequence[str] | None = None) -> None:
    r"""Write an array to a file, in the format that its name says.

    The file is written under another name first, and renamed when it is complete, so that `path` is never half written.

    Parameters
    ----------
    path : str or os.PathLike
        A file with one of the `writable_suffixes`. A `.csv` holds every float64 in full, so that reading it returns the
        same numbers; in an `.npz` the array is named "X".
    array : array-like of shape (N, ...)
        Numbers; at most two dimensions for tables (`.csv`, `.parquet`).
    columns : sequence of str, optional
        Names of the columns of a table, x0, x1, ... by default; arrays (`.npy`, `.npz`) do not keep them.

    Raises
    ------
    MissingFileError
        If the folder does not exist.
    DataError
        If the array does not suit the format, or the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(Path(folder) / "z.csv", [[1.0, 2.0]], ["a", "b"])
    ...     (Path(folder) / "z.csv").read_text()
    'a,b\n1.0,2.0\n'
    """
    path = Path(path)
    check_writable(path)
    values = np.asarray(array)
    check_dtype(values.dtype, path)
    if values.ndim == 0:
        raise DataError(f"{path}: a single number is not an array; write one of at least one dimension.")
    with open_writer(path, len(values), columns) as write_block:
        write_block(values)


def write_frame(path: str | os.PathLike[str], frame: Any, like: Any = None) -> None:
    r"""Write a pandas DataFrame to a file, in the format that its name says.

    As with `write`, `path` is never half written.

    Parameters
    ----------
    path : str or os.PathLike
        A file with one of the `writable_suffixes`. Arrays (`.npy`, `.npz`) can hold numbers only.
    frame : pandas.DataFrame
        The table. Its index is written too, unless it only counts the rows.
    like : TextTable, optional
        The text of a `Dataset` whose delimiter, decimal sign and encoding the file gets, if it is a table of text too.

    Raises
    ------
    MissingFileError
        If the folder does not exist.
    DataError
        If the table does not suit the format, or the file cannot be written.

    Examples
    --------
    >>> import pandas, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_frame(Path(folder) / "z.csv", pandas.DataFrame({"a": [1, 2], "b": ["x", None]}))
    ...     (Path(folder) / "z.csv").read_text()
    'a,b\n1,x\n2,\n'
    """
    path = Path(path)
    check_writable(path)
    with errors_of_writing(path), atomic_write(path) as temporary, _errors_of_frames(path):
        _format_to_write(path).write_frame(temporary, frame, like)


@contextlib.contextmanager
def open_frame_writer(path: str | os.PathLike[str], like: Any = None) -> Iterator[Callable[[Any], None]]:
    """Open a file for writing a table in parts, pandas DataFrames with the same columns.

    As with `open_writer`, the file is renamed when the ``with`` block ends without an error. Parquet files and tables
    of text are written part by part; for other formats, all parts are kept until the end.

    Parameters
    ----------
    path, like
        As for `write_frame`.

    Yields
    ------
    callable
        Writes a DataFrame.

    Raises
    ------
    MissingFileError, DataError
        As for `write_frame`.
    """
    path = Path(path)
    check_writable(path)
    with contextlib.ExitStack() as stack:  # errors in the caller's block are not errors of writing
        with _errors_of_frames(path):
            temporary = stack.enter_context(atomic_write(path))
            append = stack.enter_context(_format_to_write(path).frame_writer(temporary, like))

        def write_part(frame: Any) -> None:
            with _errors_of_frames(path):
                append(frame)

        yield write_part
        with _errors_of_frames(path):
            stack.pop_all().close()


@contextlib.contextmanager
def _errors_of_frames(path: Path) -> Iterator[None]:
    """Turn what is raised for a table that cannot be written into one `DataError`."""
    with errors_of_writing(path):
        try:
            yield
        except (TypeError, ValueError, OverflowError) as error:  # such as lists in cells of an Excel file
            if isinstance(error, DataError):
                raise
            raise DataError(f"{path}: cannot hold this table ({' '.join(str(error).split())[:150]}).") from error


@contextlib.contextmanager
def open_writer(
    path: str | os.PathLike[str], n_rows: int, columns: Sequence[str] | None = None
) -> Iterator[Callable[[NDArray[Any]], None]]:
    """Open a file for writing an array block by block, so that it never has to be in memory as a whole.

    The file is written under another name and renamed when the ``with`` block ends without an error; until then, and
    after an error, `path` is unchanged.

    Parameters
    ----------
    path : str or os.PathLike
        As for `write`. In Parquet, every block is a row group.
    n_rows : int
        Number of rows of all blocks together.
    columns : sequence of str, optional
        Names of the columns, as for `write`.

    Yields
    ------
    callable
        Writes a block (n, ...); all blocks have the same type and the same dimensions but for n.

    Raises
    ------
    MissingFileError
        If the folder does not exist.
    DataError
        If the blocks are not numbers, do not agree, or do not have `n_rows` rows in all, or the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "z.npy"
    ...     with open_writer(path, n_rows=3) as write_block:
    ...         write_block(np.zeros((2, 4)))
    ...         write_block(np.ones((1, 4)))
    ...     np.load(path).shape
    (3, 4)
    """
    path = Path(path)
    check_writable(path)
    try:
        with contextlib.ExitStack() as stack:  # errors in the caller's block are not errors of writing
            with errors_of_writing(path):
                temporary = stack.enter_context(atomic_write(path))
            blocks = _Blocks(_format_to_write(path), temporary, n_rows, columns, stack)
            yield blocks.write
            blocks.check_complete()
            with errors_of_writing(path):
                stack.pop_all().close()
    except OSError as error:
        first = error.__context__
        while first is not None and not isinstance(first, DataError):
            first = first.__context__
        if first is not None:  # writing failed, and then closing the file did, with a message that names no file
            raise first from error
        raise


class _Blocks:
    """Check the blocks of one array, and pass them to the writer of the format, which is opened at the first one."""

    def __init__(
        self, file: Format, temporary: Path, n_rows: int, columns: Sequence[str] | None, stack: contextlib.ExitStack
    ) -> None:
        self.file, self.temporary, self.n_rows, self.columns, self.stack = file, temporary, n_rows, columns, stack
        self.written = 0
        self.kind: tuple[np.dtype[Any], tuple[int, ...]] | None = None

    def write(self, block: NDArray[Any]) -> None:
        """Write the next rows."""
        block = np.asarray(block)
        kind = block.dtype, block.shape[1:]
        if self.kind is None:
            check_dtype(block.dtype, self.file.path)
            self.kind = kind
            self.dtype = block.dtype.newbyteorder("=")
            layout = Layout(self.dtype, (self.n_rows, *block.shape[1:]), self.columns)
            with errors_of_writing(self.file.path):
                self._append = self.stack.enter_context(self.file.writer(self.temporary, layout))
        if kind != self.kind:
            raise DataError(f"{self.file.path}: a block of {kind} follows blocks of {self.kind}; write one array only.")
        with errors_of_writing(self.file.path):
            self._append(block.astype(self.dtype, copy=False))
        self.written += len(block)

    def check_complete(self) -> None:
        """Raise `DataError` if the number of rows is not the one in the header of the file."""
        if self.kind is None or self.written != self.n_rows:
            raise DataError(
                f"{self.file.path}: wrote {self.written} of {self.n_rows} rows; the file is left unchanged."
            )


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise an error if `write` could not write `path`; call it before long work.

    Parameters
    ----------
    path : str or os.PathLike
        The file to be written.

    Raises
    ------
    MissingFileError
        If the folder does not exist.
    DataError
        If no format has such a name, the file or folder is not writable, or an optional library is missing.

    Examples
    --------
    >>> check_writable("results.idx")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    isthmus.data.errors.DataError: results.idx: '.idx' files cannot be written. Use .npy, .npz, .csv, .tsv, ...
    """
    path = Path(path)
    file = _format_to_write(path)
    with errors_of_writing(path):
        check_replaceable(path)
    file.check_library()


def check_replaceable(path: Path) -> None:
    """Raise an error if no file can be written at `path`, or the one that is there cannot be replaced."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        path.stat()  # Python 3.14 takes a file whose name is too long for one that is not there
    folder = Path(os.path.realpath(path)).parent  # a link is followed
    if not folder.is_dir():
        raise MissingFileError(f"{path}: the folder {folder} does not exist; make it first.")
    if path.is_dir():
        raise DataError(f"{path}: is a folder; name another file.")
    if path.exists() and not path.is_file():
        raise DataError(f"{path}: is not a regular file; name another, or move it away.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise DataError(f"{path}: the folder {folder} is not writable; change its permissions or name another.")
    if path.exists() and not os.access(path, os.W_OK):
        raise DataError(f"{path}: is read-only; change its permissions or name another file.")


def _format_to_write(path: Path) -> Format:
    """Return the format of a file by its name."""
    row = find_row(path.name)
    if row is None or not row.writes(path.name):
        raise unknown_suffix(path, writable_suffixes(), "written")
    return load_format(row)(path)
