"""Read a file or a bundled data set by its name, into memory or as a source."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from isthmus._formats import BUNDLED, FETCHED, find_row, readable_suffixes, split_images, split_member
from isthmus.data.annotated import is_annotated, rows_of_annotated
from isthmus.data.bundled import load_bundled
from isthmus.data.dataset import NUMERIC, Dataset
from isthmus.data.errors import DataError, MissingFileError, errors_of_reading, unknown_suffix
from isthmus.data.file_rows import rows_of_memmap
from isthmus.data.formats import Format, find_format
from isthmus.data.formats.csv import Csv
from isthmus.data.formats.image_folder import ImageFolder
from isthmus.data.sources import ArrayRows, RowSource
from isthmus.data.table_blocks import TableBlocks
from isthmus.data.torch_dataset import DatasetRows

__all__ = ["STREAM_ABOVE", "as_source", "open_rows", "read", "resolve"]

STREAM_ABOVE = 1 << 28
"""Size in bytes (256 MiB) up to which files and memory maps are read into memory; larger ones are streamed."""


def read(source: str | os.PathLike[str]) -> Dataset:
    """Read a file, or a bundled data set by its name, into memory.

    Parameters
    ----------
    source : str or os.PathLike
        A file in one of the formats of ``isthmus.data.formats``, recognized by its name (`readable_suffixes`) or its
        content; a folder of tables or images, ``folder:28x28:gray`` to resize images and convert them;
        ``file.npz:name`` for one of several arrays, ``file.xlsx:sheet`` for a sheet; or one of `BUNDLED`. Arrays of
        more than two dimensions are flattened to (N, D), and `image_shape` keeps the other dimensions.

    Returns
    -------
    Dataset
        The data. X is an array if all columns are numbers, and else a pandas DataFrame. Labels are read from the same
        file only.

    Raises
    ------
    MissingFileError
        If there is no such file (a `DataError` and a `FileNotFoundError`).
    DataError
        If it cannot be read: one line that says what is wrong, where, and how to fix it.

    Examples
    --------
    >>> read("iris").columns
    ('sepal length (cm)', 'sepal width (cm)', 'petal length (cm)', 'petal width (cm)')
    """
    with errors_of_reading(Path(source)):
        file = _find(source)
        return load_bundled(str(source)) if file is None else _read_whole(file)


def open_rows(source: str | os.PathLike[str], *, tables: bool = False, in_order: bool = False) -> Dataset:
    """Read a file or bundled data set as `read` does, but leave rows of more than `STREAM_ABOVE` bytes on the disk.

    Parameters
    ----------
    source : str or os.PathLike
        As for `read`. Rows of `.npy` and Parquet files can be left on the disk; numbers in tables of text are stored in
        a temporary file.
    tables : bool, default=False
        Whether tables with other columns than numbers can be left on the disk, too.
    in_order : bool, default=False
        Whether rows are read in their order only. With `tables`, numbers in tables of text then stay there, too.

    Returns
    -------
    Dataset
        X is a :class:`RowSource`, or a :class:`TableBlocks`, if its rows are left on the disk.

    Raises
    ------
    MissingFileError, DataError
        As for `read`.
    """
    with errors_of_reading(Path(source)):
        file = _find(source)
        if file is None:
            return load_bundled(str(source))
        text = file.table_blocks(STREAM_ABOVE) if tables and in_order and isinstance(file, Csv) else None
        rows = file.stream(STREAM_ABOVE) if text is None else None
        blocks = file.table_blocks(STREAM_ABOVE) if rows is None and tables else None
        if blocks is not None:
            return Dataset(blocks, blocks.columns, None, None, file.path.stem, blocks.notes)
        if rows is None:
            return _read_whole(file)
        return Dataset(rows, rows.columns, None, rows.image_shape, file.path.stem)


def as_source(X: Any) -> RowSource | None:
    """Return the source that X is or names, or None if it is an ordinary array, table or tensor.

    Parameters
    ----------
    X : object
        A :class:`RowSource`; a path or bundled name, as for `open_rows`; an annotated matrix, such as an AnnData; a
        ``numpy.memmap`` of more than `STREAM_ABOVE` bytes; or a torch ``Dataset``. Smaller files and annotated matrices
        become an :class:`ArrayRows` in memory, smaller memory maps None.

    Raises
    ------
    MissingFileError, DataError
        As for `open_rows`.

    Examples
    --------
    >>> as_source("iris").shape, as_source([[1.0, 2.0]])
    ((150, 4), None)
    """
    if isinstance(X, RowSource):
        return X
    if isinstance(X, (str, os.PathLike)):
        found = resolve(X)
        if isinstance(found, RowSource):
            return found
        texts = [str(name) for name, dtype in found.dtypes.items() if dtype.kind not in "iufb"]
        raise DataError(f"{X}: columns hold no numbers: {', '.join(map(repr, texts)) or 'beyond 2^53'}; drop them.")
    if isinstance(X, np.memmap):
        large = X.nbytes > STREAM_ABOVE and X.ndim == 2 and X.dtype.kind in NUMERIC
        return rows_of_memmap(X) if large else None
    if is_annotated(X):
        return rows_of_annotated(X, STREAM_ABOVE)
    torch = sys.modules.get("torch")  # if X is a Dataset, torch has been imported
    return DatasetRows(X) if torch is not None and isinstance(X, torch.utils.data.Dataset) else None


def resolve(X: Any, *, tables: bool = False) -> Any:
    """Return what a path, a bundled name or an annotated matrix stands for; anything else as it is.

    It is a :class:`RowSource`, or a DataFrame for a table with other columns than numbers.

    Parameters
    ----------
    X : object
        What an estimator is given.
    tables : bool, default=False
        Whether a large table of other columns than numbers may be a :class:`TableBlocks`.

    Raises
    ------
    MissingFileError, DataError
        As for `open_rows`.
    """
    if is_annotated(X):
        return rows_of_annotated(X, STREAM_ABOVE)
    if not isinstance(X, (str, os.PathLike)):
        return X
    rows = open_rows(X, tables=tables)
    if rows.is_frame or isinstance(rows.X, (RowSource, TableBlocks)):
        return rows.X
    return ArrayRows(rows.X, rows.columns, rows.name)


def _read_whole(file: Format) -> Dataset:
    """Read a file, which must not change meanwhile: readers look at it more than once."""
    before = _state(file.path)
    data = file.read()
    if _state(file.path) != before:
        raise DataError(f"{file.path}: changed while it was read; read it again when nothing writes to it.")
    return data


def _state(path: Path) -> list[tuple[Path, int, int]]:
    """Return the files of a path with their sizes and times of modification."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return [(file, (state := file.stat()).st_size, state.st_mtime_ns) for file in files]


def _find(source: str | os.PathLike[str]) -> Format | None:
    """Return the file that a source names, in its format, or None for a bundled data set."""
    path, member = Path(source), None
    if not path.exists():
        file, member = split_member(str(source))
        path = Path(file)
        images = split_images(str(source))
        if images is not None and Path(images[0]).is_dir():
            return ImageFolder(Path(images[0]), images[1])
    if path.is_file() or path.is_dir():
        cls = find_format(path)
        if cls is not None:
            return cls(path, member)
    if path.is_file():
        raise unknown_suffix(path, readable_suffixes(), "read")
    known = path.name in (*BUNDLED, *FETCHED)
    if str(path) == path.name and not path.suffix and (known or not path.exists()):
        return None
    raise _absent(path)


def _absent(path: Path) -> DataError:
    """Return the error for a source that is neither a file nor a bundled name."""
    if path.is_dir():
        return DataError(f"{path}: is a folder without tables or images; name a file.")
    if path.exists():
        return DataError(f"{path}: is not a regular file; save the data in one first.")
    if find_row(path.name) or not path.suffix:
        return MissingFileError(f"{path}: no such file; check the name and the folder.")
    return unknown_suffix(path, readable_suffixes(), "read")
