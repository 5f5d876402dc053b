"""From what the user names to rows: in memory where they fit easily, else where they are."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.data.dataset import Dataset
from isthmus.data.files import read
from isthmus.data.formats.npy import NUMERIC
from isthmus.data.formats.parquet import ParquetRows, is_parquet
from isthmus.data.sources import ArrayRows, DatasetRows, FileRows, RowSource, of_memmap

__all__ = ["STREAM_ABOVE", "as_source", "open_rows"]

STREAM_ABOVE = 1 << 28
"""Bytes (256 MiB) up to which files and memory maps are read into memory: training then permutes all rows at once."""


def open_rows(source: str | os.PathLike[str]) -> Dataset:
    """Return a file's data set as `read` does, but leave an `.npy` or Parquet of more than `STREAM_ABOVE` on the disk.

    Parameters
    ----------
    source : str or os.PathLike
        A file, a folder of Parquet files, or a bundled name.

    Returns
    -------
    Dataset
        Its X is a :class:`RowSource` where it was left on the disk.

    Raises
    ------
    DataError
        One line saying what is wrong, where, and how to mend it.
    """
    path = Path(source)
    if is_parquet(path):
        rows = ParquetRows(path)
        if rows.nbytes > STREAM_ABOVE:
            return Dataset(rows, rows.columns, None, None, path.stem)
    elif path.suffix.lower() == ".npy" and path.is_file() and path.stat().st_size > STREAM_ABOVE:
        file = FileRows.npy(path)
        return Dataset(file, None, None, file.image_shape, path.stem)
    return read(source)


def as_source(X: Any) -> RowSource | None:
    """Return the source that X is or names, or None where it is an ordinary array, table or tensor.

    Parameters
    ----------
    X : object
        A :class:`RowSource`; a path or bundled name, as `open_rows` takes; a `numpy.memmap` of more than `STREAM_ABOVE`
        bytes; a torch ``Dataset``. What is small enough is an :class:`ArrayRows` in memory, or, for a memory map, None.

    Examples
    --------
    >>> as_source("iris").shape, as_source([[1.0, 2.0]])
    ((150, 4), None)
    """
    if isinstance(X, RowSource):
        return X
    if isinstance(X, (str, os.PathLike)):
        rows = open_rows(X)
        return rows.X if isinstance(rows.X, RowSource) else ArrayRows(rows.X, rows.columns, rows.name)
    if isinstance(X, np.memmap):
        large = X.nbytes > STREAM_ABOVE and X.ndim == 2 and X.dtype.kind in NUMERIC
        return of_memmap(X) if large else None
    torch = sys.modules.get("torch")  # who has a Dataset has imported it
    return DatasetRows(X) if torch is not None and isinstance(X, torch.utils.data.Dataset) else None
