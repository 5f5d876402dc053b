"""Readers and writers by extension: .npy, .npz, numeric .csv, Parquet, and IDX."""

from __future__ import annotations

import contextlib
import lzma
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isthmus._atomic import atomic_write
from isthmus._names import suggestion
from isthmus.data.bundled import BUNDLED, load_bundled
from isthmus.data.dataset import DataError, Dataset
from isthmus.data.formats.csv import as_table, column_names, read_csv, write_csv
from isthmus.data.formats.idx import INFLATE, has_idx_magic, is_idx_name, read_idx
from isthmus.data.formats.npy import AGAIN, NUMERIC, check_dtype, read_header
from isthmus.data.formats.parquet import ParquetRows, ParquetWriter, is_parquet, parquet_library

__all__ = ["READABLE", "WRITABLE", "check_writable", "read", "write"]

_LABELS = NUMERIC + "U"  # labels may be words

# What numpy, zipfile and gzip raise on a file that is not what its name says.
_DAMAGE = (
    EOFError, LookupError, ArithmeticError, RuntimeError, SyntaxError, TypeError, ValueError,
    lzma.LZMAError, struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def read(source: str | os.PathLike[str]) -> Dataset:
    """Read a file by its extension, or a bundled data set by its name.

    Parameters
    ----------
    source : str or os.PathLike
        A file: `.npy`; `.npz` with the array "X" and perhaps "y", or with one array only, or
        `file.npz:name` for one of several; numeric `.csv`, whose first line is a header if none of its cells
        is a number, and whose empty, `NA` and `nan` cells are NaN; `.parquet`, or a folder of such files; IDX,
        gzipped or not. Or one of `BUNDLED`.
        Arrays of more than two dimensions are flattened to (N, D), and `image_shape` keeps the rest.

    Returns
    -------
    Dataset
        The data, all in memory. Labels that lie in a file of their own are not looked for.

    Raises
    ------
    DataError
        One line saying what is wrong, where, and how to mend it.

    Examples
    --------
    >>> read("iris").columns
    ('sepal length (cm)', 'sepal width (cm)', 'petal length (cm)', 'petal width (cm)')
    """
    path = Path(source)
    with _one_line(path):
        if path.is_file() or is_parquet(path):
            return _reader(path)(path)
        archive, colon, member = str(path).rpartition(".npz:")
        path = Path(f"{archive}.npz") if colon else path
        if colon and path.is_file():
            return _read_npz(path, member)
        is_name = str(path) == path.name and not path.suffix
        if is_name and (path.name in BUNDLED or not path.exists()):
            return load_bundled(path.name)
        raise _absent(path)


def write(path: str | os.PathLike[str], array: ArrayLike, columns: Sequence[str] | None = None) -> None:
    """Write an array by the extension of `path`, aside first, so that no half-written file is ever left.

    Parameters
    ----------
    path : str or os.PathLike
        A file ending in `.npy`, `.npz` (the array is "X" in it), `.csv` (numbers in full: reading gives back the
        same float64) or `.parquet`.
    array : array-like of shape (N, ...)
        Numbers; for `.csv` and `.parquet` of at most two dimensions.
    columns : sequence of str, optional
        The header of a `.csv` or `.parquet`, x0, x1, ... by default; the other formats have no place for it.

    Raises
    ------
    DataError
        If the array does not suit the format, or the file cannot be written.
    """
    path = Path(path)
    check_writable(path)
    values = np.asarray(array)
    check_dtype(values.dtype, path)
    if values.ndim == 0:
        raise DataError(f"{path}: one number is no array to write; give it at least one dimension.")
    with _writing(path), atomic_write(path) as temporary:
        _WRITERS[path.suffix.lower()](temporary, values, columns, path)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise `DataError` now if `write` could not write `path` later: to be called before long work.

    Parameters
    ----------
    path : str or os.PathLike
        The file to be written.
    """
    path = Path(path)
    if path.suffix.lower() not in WRITABLE:
        raise _unknown_extension(path, WRITABLE, "written")
    with _writing(path):
        folder = Path(os.path.realpath(path)).parent  # a link is written where it leads
        if not folder.is_dir():
            raise DataError(f"{path}: its folder does not exist; make the folder {folder} first.")
        if path.exists() and not path.is_file():
            raise DataError(f"{path}: is not a regular file; name another, or move it away.")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise DataError(f"{path}: its folder may not be written; change its permissions or name another.")
        if path.exists() and not os.access(path, os.W_OK):
            raise DataError(f"{path}: is read-only; change its permissions or name another file.")
    if is_parquet(path):
        parquet_library(path)


@contextlib.contextmanager
def _one_line(path: Path) -> Iterator[None]:
    """Turn whatever a reader raises into one `DataError`."""
    try:
        yield
    except DataError:
        raise
    except MemoryError as error:
        raise DataError(f"{path}: does not fit in memory; read a part of it.") from error
    except (OSError, *_DAMAGE) as error:
        if isinstance(error, OSError) and error.strerror:  # the system's own; gzip's have none
            raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
        raise DataError(f"{path}: is damaged, cut short, or not what its name says; {AGAIN}.") from error


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn the system's refusals to write into one `DataError`."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error}).") from error


def _reader(path: Path) -> Callable[[Path], Dataset]:
    """Return the reader for a file that exists: by its name, or else by an IDX magic number."""
    if is_idx_name(path.name):
        return _read_idx
    reader = _read_parquet if is_parquet(path) else _READERS.get(path.suffix.lower())
    if reader is None and has_idx_magic(path):
        return _read_idx
    if reader is None:
        raise _unknown_extension(path, READABLE, "read")
    return reader


def _absent(path: Path) -> DataError:
    """Return the error for a source that is neither a file nor a bundled name."""
    if path.is_dir():
        return DataError(f"{path}: is a folder; name a file in it.")
    if path.exists():
        return DataError(f"{path}: is not a regular file; save the data in one first.")
    if path.suffix.lower() in READABLE or is_idx_name(path.name) or not path.suffix:
        return DataError(f"{path}: no such file; check the name and the folder.")
    return _unknown_extension(path, READABLE, "read")


def _unknown_extension(path: Path, known: Sequence[str], verb: str) -> DataError:
    """Return the error for an extension that has no reader or writer."""
    ending = f"{path.suffix!r} files cannot be {verb}." if path.suffix else "the name has no extension."
    return DataError(f"{path}: {ending}{suggestion(path.suffix, known)} Use one of: {', '.join(known)}.")


def _dataset(X: NDArray[Any], path: Path, y: NDArray[Any] | None = None) -> Dataset:
    """Flatten an array to a data set named after its file."""
    if X.ndim == 0 or X.size == 0:
        what = "one number, not an array" if X.ndim == 0 else f"an empty array of shape {X.shape}"
        raise DataError(f"{path}: holds {what}; write at least one row and one column.")
    image_shape = X.shape[1:] if X.ndim > 2 else None
    name = path.stem if path.suffix.lower() != ".gz" else Path(path.stem).stem
    return Dataset(X.reshape(len(X), -1) if image_shape else X, None, y, image_shape, name)


def _read_idx(path: Path) -> Dataset:
    """Read an IDX file."""
    return _dataset(read_idx(path), path)


def _read_npy(path: Path) -> Dataset:
    """Read an array saved by numpy."""
    with path.open("rb") as stream:
        return _dataset(_load(stream, path.stat().st_size, str(path)), path)


def _read_npz(path: Path, member: str | None = None) -> Dataset:
    """Read the array `member` of an archive; by default "X" with "y", or the only one."""
    with zipfile.ZipFile(path) as archive:
        names = sorted(name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy"))
        has_labels = not member and "X" in names and "y" in names
        member = _choose(names, member, path)
        X = _load_member(archive, member, path)
        y = _load_member(archive, "y", path, _LABELS) if has_labels else None
    if y is not None and (y.ndim == 0 or X.ndim == 0 or len(y) != len(X)):
        raise DataError(f"{path}: 'X' has shape {X.shape} and 'y' {y.shape}; give both the same number of rows.")
    return _dataset(X, path, y)


def _choose(names: list[str], member: str | None, path: Path) -> str:
    """Return the array of an .npz that holds the samples: the one asked for, "X", or the only one."""
    if not names:
        raise DataError(f"{path}: holds no arrays; write one with the name 'X'.")
    if not member:
        member = "X" if "X" in names else names[0] if len(names) == 1 else None
    if member not in names:
        what = f"no array {member!r}" if member else "several arrays, none of them 'X'"
        held = f"it holds {', '.join(names[:12])}{', ...' if len(names) > 12 else ''}"
        raise DataError(f"{path}: {what}; {held}. Say {path}:NAME for one of them.")
    return member


def _load_member(archive: zipfile.ZipFile, name: str, path: Path, kinds: str = NUMERIC) -> NDArray[Any]:
    """Load one array of an .npz, unless its declared size is more than its bytes can hold."""
    info = archive.getinfo(f"{name}.npy")
    where = f"{path}, array {name!r}"
    if info.file_size > INFLATE * info.compress_size:
        raise DataError(f"{where}: claims a size that its bytes cannot hold; {AGAIN}.")
    with archive.open(info) as stream:
        return _load(stream, info.file_size, where, kinds)


def _load(stream: IO[bytes], size: int, where: str, kinds: str = NUMERIC) -> NDArray[Any]:
    """Load one .npy of `size` bytes; its header is checked before anything is allocated."""
    dtype = read_header(stream, size, where, kinds).dtype
    stream.seek(0)
    array = np.lib.format.read_array(stream, allow_pickle=False)
    return array.astype(dtype.newbyteorder("="), copy=False)  # torch takes the machine's own order only


def _write_npy(file: Path, array: NDArray[Any], _columns: object, _path: object) -> None:
    """Write an .npy; the names have no place in it."""
    with file.open("wb") as stream:  # not a name, to which numpy might add an extension
        np.save(stream, array, allow_pickle=False)


def _write_npz(file: Path, array: NDArray[Any], _columns: object, _path: object) -> None:
    """Write an .npz with one array, "X"."""
    with file.open("wb") as stream:
        np.savez(stream, X=array)


def _read_csv(path: Path) -> Dataset:
    """Read a numeric table."""
    X, columns = read_csv(path)
    return _dataset(X, path)._replace(columns=columns)


def _read_parquet(path: Path) -> Dataset:
    """Read a table, or a folder of them."""
    rows = ParquetRows(path)
    return Dataset(rows[:], rows.columns, None, None, path.stem)


def _write_parquet(file: Path, array: NDArray[Any], columns: Sequence[str] | None, path: Path) -> None:
    """Write a table."""
    table = as_table(array, path)
    with contextlib.closing(ParquetWriter(file, column_names(columns, table.shape[1], path))) as writer:
        writer.write(table)


_READERS: dict[str, Callable[[Path], Dataset]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".csv": _read_csv,
    ".idx": _read_idx,
    ".parquet": _read_parquet,
}
_WRITERS = {".npy": _write_npy, ".npz": _write_npz, ".csv": write_csv, ".parquet": _write_parquet}
READABLE = (*_READERS, ".idx.gz")
WRITABLE = tuple(_WRITERS)
