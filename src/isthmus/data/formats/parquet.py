"""Parquet: a file, or a folder of files. It needs pyarrow: ``isthmus[table]``."""

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
from isthmus.data.formats._base import Format, Layout, as_table, check_names, check_same_columns, has_index
from isthmus.data.formats._frames import arrow_to_frame, as_frame_dataset, frame_appender
from isthmus.data.formats._parquet_file import library_of, opened, opened_tables
from isthmus.data.sources import RowSource
from isthmus.data.table_blocks import TableBlocks

__all__ = ["Parquet", "ParquetRows", "block_writer"]


_ROWS = 1 << 15  # of a block


class Parquet(Format):
    """A table in Parquet, or a folder of such files with the same columns."""

    @classmethod
    def sniff(cls, path: Path) -> bool:
        """Return whether a folder has Parquet files."""
        return path.is_dir() and bool(_files(path))

    def read(self) -> Dataset:
        """Return the table, or all tables of the folder: an array if all columns are numbers, else a DataFrame."""
        if self._has_only_numbers("iuf"):
            rows = ParquetRows(self.path)
            try:
                return Dataset(rows[:], rows.columns, None, None, self.path.stem)
            except DataError as error:
                if TOO_LARGE not in str(error):
                    raise
        return as_frame_dataset(self._frame(), self.path)

    def stream(self, max_bytes: int) -> RowSource | None:
        """Return the rows of a large table or folder of numbers."""
        if not self._has_only_numbers("iufb"):
            return None
        rows = ParquetRows(self.path)
        return rows if rows.nbytes > max_bytes else None

    def table_blocks(self, max_bytes: int) -> TableBlocks | None:
        """Return a large table, or a folder of them."""
        blocks = _ParquetBlocks(self.path, self._paths())
        return blocks if blocks.nbytes > max_bytes else None

    def _paths(self) -> list[Path]:
        files = _files(self.path) if self.path.is_dir() else [self.path]
        if not files or not files[0].is_file():
            raise MissingFileError(f"{self.path}: no such Parquet file, nor a folder of them; check the name.")
        return files

    def _has_only_numbers(self, kinds: str) -> bool:
        """Return whether all columns are of these kinds of numbers, and none is an index that pandas wrote."""
        for path in self._paths():
            with opened(path) as file:
                schema = file.schema_arrow
                if _has_index(schema):
                    return False
                if not all(_kind(field.type) in kinds for field in schema):
                    return False
        return True

    def _frame(self) -> Any:
        """Return all tables as one DataFrame."""
        import pyarrow

        tables = []
        for path in self._paths():
            with opened_tables(path) as file:
                tables.append(file.read())
            check_same_columns(path, tables[-1].schema.names, self._paths()[0], tables[0].schema.names)
        try:
            table = pyarrow.concat_tables(tables, promote_options="permissive")
        except pyarrow.ArrowException as error:
            raise DataError(f"{self.path}: its files have columns of different types ({error}).") from error
        return arrow_to_frame(table, self.path)

    def check_library(self) -> None:
        """Raise `DataError` if pyarrow is not installed."""
        library_of(self.path)

    @contextlib.contextmanager
    def writer(self, file: Path, layout: Layout) -> Iterator[Callable[[NDArray[Any]], object]]:
        """Write a table; each block is a row group."""
        library = library_of(self.path)
        schema, to_table = block_writer(layout, self.path)
        with library.ParquetWriter(file, schema) as writer:
            yield lambda block: writer.write_table(to_table(block))

    def write_frame(self, file: Path, frame: Any, like: Any = None) -> None:  # noqa: ARG002
        """Write a DataFrame with its types."""
        library = library_of(self.path)
        import pyarrow

        library.write_table(pyarrow.Table.from_pandas(frame, preserve_index=has_index(frame)), file)

    @contextlib.contextmanager
    def frame_writer(self, file: Path, like: Any = None) -> Iterator[Callable[[Any], object]]:  # noqa: ARG002
        """Write DataFrames one below the other; each is a row group."""
        library = library_of(self.path)
        with contextlib.ExitStack() as stack:
            yield frame_appender(lambda schema: stack.enter_context(library.ParquetWriter(file, schema)))


class _ParquetBlocks(TableBlocks):
    """A Parquet file, or a folder of them, in blocks of rows."""

    def __init__(self, path: Path, files: Sequence[Path]) -> None:
        self._files, n_rows = files, 0
        names: list[str] = []
        for file in files:
            with opened(file) as parquet:
                n_rows += parquet.metadata.num_rows
                own = list(parquet.schema_arrow.names)
                check_names(own, file)
                names = names or own
                check_same_columns(file, own, files[0], names)
        super().__init__(path, n_rows, names)

    def blocks(self) -> Iterator[Any]:
        """Yield tables of some ten thousand rows."""
        first = None
        for file in self._files:
            with opened_tables(file) as tables:
                for whole in tables.batches(_ROWS):
                    table = whole.select(list(self.columns))
                    first = first or table.schema
                    yield table.replace_schema_metadata(first.metadata)

    def to_frame(self, table: Any) -> Any:
        """Return a block as a DataFrame, whose values are checked first."""
        return arrow_to_frame(table, self.path)


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
            with opened(file) as parquet:
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
            with opened(file) as parquet:
                table = parquet.read_row_group(position, columns=list(self.columns or ()))
                if table.num_rows != self._edges[i + 1] - self._edges[i]:
                    raise DataError(f"{file}: a row group has other rows than its pages; {AGAIN}.")
            values = np.empty((table.num_rows, self.n_features), self.dtype)
            for j, name in enumerate(self.columns or ()):
                values[:, j] = _floats(table.column(name), f"{file}, column {name!r}")
            self._last = (i, values)
        return self._last[1]


def _has_index(schema: Any) -> bool:
    """Return whether a column is an index that pandas wrote."""
    try:
        columns = (schema.pandas_metadata or {}).get("index_columns", ())
    except (ValueError, AttributeError):  # damaged notes
        return False
    return any(isinstance(column, str) for column in columns)


def block_writer(layout: Layout, path: Path) -> tuple[Any, Callable[[NDArray[Any]], Any]]:
    """Return the schema of a table of numbers, and a function that makes a pyarrow Table of a block of rows."""
    import pyarrow

    kind = pyarrow.from_numpy_dtype(layout.dtype)
    schema = pyarrow.schema([(name, kind) for name in layout.table_columns(path)])

    def to_table(block: NDArray[Any]) -> Any:
        columns = [pyarrow.array(np.ascontiguousarray(column)) for column in as_table(block).T]
        return pyarrow.Table.from_arrays(columns, schema=schema)

    return schema, to_table


def _kind(arrow_type: Any) -> str:
    """Return numpy's kind of a type of numbers, "O" for any other."""
    from pyarrow import types

    if types.is_boolean(arrow_type):
        return "b"
    return "i" if types.is_integer(arrow_type) else "f" if types.is_floating(arrow_type) else "O"


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
