"""Parquet: a file, or a folder of files, whose row groups are the blocks. It needs pyarrow: ``isthmus[table]``."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus._names import suggestion
from isthmus.data.dataset import TOO_LARGE, Dataset
from isthmus.data.errors import AGAIN, DataError, MissingFileError
from isthmus.data.formats._base import Format, Layout, as_table, check_names
from isthmus.data.sources import RowSource

__all__ = ["Parquet", "ParquetRows"]


class Parquet(Format):
    """A table in Parquet, or a folder of such files with the same columns."""

    @classmethod
    def sniff(cls, path: Path) -> bool:
        """Return whether a folder has Parquet files."""
        return path.is_dir() and bool(_files(path))

    def read(self) -> Dataset:
        """Return the table, or all tables of the folder."""
        rows = ParquetRows(self.path)
        return Dataset(rows[:], rows.columns, None, None, self.path.stem)

    def stream(self, above: int) -> RowSource | None:
        """Return the rows of a large table or folder."""
        rows = ParquetRows(self.path)
        return rows if rows.nbytes > above else None

    def check_library(self) -> None:
        """Raise `DataError` if pyarrow is not installed."""
        _library(self.path)

    @contextlib.contextmanager
    def writer(self, file: Path, layout: Layout) -> Iterator[Callable[[NDArray[Any]], object]]:
        """Write a table; each block is a row group."""
        library = _library(self.path)
        import pyarrow

        kind = pyarrow.from_numpy_dtype(layout.dtype)
        schema = pyarrow.schema([(name, kind) for name in layout.table_columns(self.path)])

        def write(block: NDArray[Any]) -> None:
            columns = [pyarrow.array(np.ascontiguousarray(column)) for column in as_table(block).T]
            writer.write_table(pyarrow.Table.from_arrays(columns, schema=schema))

        with library.ParquetWriter(file, schema) as writer:
            yield write


class ParquetRows(RowSource):
    """Rows of a Parquet file, or of all Parquet files in a folder, in the order of their names.

    A row group is decoded as a whole and shuffled as one block, so write groups of a few thousand rows.

    Parameters
    ----------
    path : str or os.PathLike
        The file or folder. Columns hold numbers or booleans; null is a missing cell.
    columns : sequence of str, optional
        The columns to read, in this order; all by default.

    Raises
    ------
    MissingFileError
        If there is no such file or folder.
    DataError
        If a column is unknown or does not hold numbers, or the files of a folder differ in columns.
    """

    def __init__(self, path: str | os.PathLike[str], columns: Sequence[str] | None = None) -> None:
        self.path = Path(path)
        files = _files(self.path) if self.path.is_dir() else [self.path]
        if not files or not files[0].is_file():
            raise MissingFileError(f"{path}: no such Parquet file, nor a folder of them; check the name.")
        self._groups: list[tuple[Path, int]] = []  # file, and position in the file
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
        """Return where row groups begin, and N."""
        return np.unique(self._edges)

    def select(self, columns: Sequence[int]) -> ParquetRows:
        """Return the columns at these positions as a source; no other column is read."""
        assert self.columns is not None
        return ParquetRows(self.path, [self.columns[i] for i in columns])

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Decode the row groups that hold these rows."""
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
        """Return a row group; the last one is kept, because slices need not end where groups do."""
        if self._last is None or self._last[0] != i:
            file, position = self._groups[i]
            with _opened(file) as parquet:
                table = parquet.read_row_group(position, columns=list(self.columns or ()))
            values = np.empty((table.num_rows, self.n_features), self.dtype)
            for j, name in enumerate(self.columns or ()):
                values[:, j] = _floats(table.column(name), f"{file}, column {name!r}")
            self._last = (i, values)
        return self._last[1]


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """Open a Parquet file, and turn what pyarrow raises into one `DataError`."""
    library = _library(file)
    from pyarrow import ArrowException

    try:
        with library.ParquetFile(file) as parquet:
            yield parquet
    except (ArrowException, OSError) as error:
        raise DataError(f"{file}: is damaged, cut short, or no Parquet file; {AGAIN}.") from error


def _floats(column: Any, where: str) -> NDArray[Any]:
    """Return the numbers of a column, after checking that no integer loses digits."""
    import pyarrow

    if column.type in (pyarrow.int64(), pyarrow.uint64()):
        try:
            column = column.cast(pyarrow.float64())
        except pyarrow.ArrowInvalid as error:
            raise DataError(f"{where}: a value {TOO_LARGE}.") from error
    return column.to_numpy()


def _type_of(file: Path, schema: Any, names: Sequence[str]) -> np.dtype[Any]:
    """Return a common type of all columns, after checking that each exists once and holds numbers."""
    from pyarrow import types

    check_names(schema.names, file)
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


def _files(folder: Path) -> list[Path]:
    """Return the Parquet files of a folder."""
    return sorted(folder.glob("*.parquet"))


def _library(path: Path) -> Any:
    """Return ``pyarrow.parquet``, or raise `DataError` that says how to install it."""
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise DataError(f'{path}: Parquet needs pyarrow; pip install "isthmus[table]".') from error
    return pyarrow.parquet
