"""Parquet: a file or a folder of files, whose row groups are the blocks. Needs pyarrow: ``isthmus[table]``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus._names import suggestion
from isthmus.data.dataset import DataError
from isthmus.data.sources import RowSource

__all__ = ["ParquetRows", "ParquetWriter", "is_parquet", "parquet_library"]

SUFFIX = ".parquet"


def is_parquet(path: Path) -> bool:
    """Tell whether a path is a Parquet file, or a folder that has one."""
    return path.suffix.lower() == SUFFIX or (path.is_dir() and any(path.glob(f"*{SUFFIX}")))


def parquet_library(path: object) -> Any:
    """Return ``pyarrow.parquet``.

    Raises
    ------
    DataError
        If it is not installed; the message says how to.
    """
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise DataError(f'{path}: Parquet needs pyarrow; pip install "isthmus[table]".') from error
    return pyarrow.parquet


class ParquetRows(RowSource):
    """Rows of a Parquet file, or of all Parquet files of a folder in the order of their names.

    A row group is decoded as a whole, and shuffled as one block: write groups of some thousand rows.

    Parameters
    ----------
    path : str or os.PathLike
        The file or folder. Columns hold numbers or booleans; null is a missing cell.
    columns : sequence of str, optional
        Which columns, in which order; all by default.

    Raises
    ------
    DataError
        If there is no such file, a column is unknown or holds no numbers, or files of a folder differ in columns.
    """

    def __init__(self, path: str | os.PathLike[str], columns: Sequence[str] | None = None) -> None:
        self.path = Path(path)
        files = sorted(self.path.glob(f"*{SUFFIX}")) if self.path.is_dir() else [self.path]
        if not files or not files[0].is_file():
            raise DataError(f"{path}: no such Parquet file, nor a folder of them; check the name.")
        self._groups: list[tuple[Path, int]] = []  # file and number in it
        sizes, names, dtype = [], list(columns or ()), np.dtype(np.float32)
        for file in files:
            with _opened(file) as parquet:
                names = names or list(parquet.schema_arrow.names)
                dtype = np.promote_types(dtype, _type_of(file, parquet.schema_arrow, names))
                for i in range(parquet.metadata.num_row_groups):
                    self._groups.append((file, i))
                    sizes.append(parquet.metadata.row_group(i).num_rows)
        self._edges = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        self._last: tuple[int, NDArray[Any]] | None = None  # the row group decoded last
        super().__init__(int(self._edges[-1]), len(names), dtype, names, str(path))

    def edges(self) -> NDArray[np.int64]:
        """Return where row groups begin."""
        return np.unique(self._edges)

    def select(self, columns: Sequence[int]) -> ParquetRows:
        """Return these columns; no other is read."""
        assert self.columns is not None
        return ParquetRows(self.path, [self.columns[i] for i in columns])

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Decode the row groups that have these rows."""
        rows = np.empty((stop - start, self.n_features), self.dtype)
        groups = range(
            int(np.searchsorted(self._edges, start, side="right")) - 1,
            int(np.searchsorted(self._edges, stop, side="left")),
        )
        for i in groups:
            low, high = max(start, int(self._edges[i])), min(stop, int(self._edges[i + 1]))
            rows[low - start : high - start] = self._group(i)[low - self._edges[i] : high - self._edges[i]]
        return rows

    def _group(self, i: int) -> NDArray[Any]:
        """Return a row group; the last one is kept, since slices need not end where groups do."""
        last = self._last
        if last is None or last[0] != i:
            file, number = self._groups[i]
            with _opened(file) as parquet:
                table = parquet.read_row_group(number, columns=list(self.columns or ()))
            values = np.empty((table.num_rows, self.n_features), self.dtype)
            for j, name in enumerate(self.columns or ()):
                values[:, j] = table.column(name).to_numpy()
            self._last = last = (i, values)
        return last[1]


def _opened(file: Path) -> Any:
    """Open a file; what is none is one clear error."""
    library = parquet_library(file)
    from pyarrow import ArrowException

    try:
        return library.ParquetFile(file)
    except (ArrowException, OSError) as error:
        raise DataError(f"{file}: is damaged, cut short, or no Parquet file; write or fetch it again.") from error


def _type_of(file: Path, schema: Any, names: Sequence[str]) -> np.dtype[Any]:
    """Return a type for all columns, after checking that each is there and holds numbers."""
    from pyarrow import types

    dtype = np.dtype(np.float32)
    for name in names:
        if name not in schema.names:
            raise DataError(f"{file}: has no column {name!r}.{suggestion(name, schema.names)}")
        kind = schema.field(name).type
        if not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)):
            raise DataError(
                f"{file}: column {name!r} holds {kind}, not numbers: drop or encode it, or name the columns you want."
            )
        dtype = np.promote_types(dtype, np.dtype(np.bool_) if types.is_boolean(kind) else kind.to_pandas_dtype())
    return dtype


class ParquetWriter:
    """Writes blocks of rows to a Parquet file, a row group each.

    Parameters
    ----------
    file : Path
        The file.
    columns : sequence of str
        Names of the columns.
    """

    def __init__(self, file: Path, columns: Sequence[str]) -> None:
        self.file, self.columns = file, list(columns)
        self.library = parquet_library(file)
        self._writer: Any = None

    def write(self, block: NDArray[Any]) -> None:
        """Write rows (n, D)."""
        import pyarrow

        arrays = [pyarrow.array(np.ascontiguousarray(column)) for column in block.T]
        table = pyarrow.Table.from_arrays(arrays, names=self.columns)
        if self._writer is None:
            self._writer = self.library.ParquetWriter(self.file, table.schema)
        self._writer.write_table(table)

    def close(self) -> None:
        """Write what stands at the end of the file."""
        if self._writer is not None:
            self._writer.close()
