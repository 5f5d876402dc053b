"""Open Parquet files, and limit the memory that their tables take."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from isthmus.data.errors import AGAIN, DataError
from isthmus.data.formats._parquet_pages import ParquetSizes, parquet_sizes
from isthmus.data.formats._unpacking import allowed, check_cells, check_unpacked

__all__ = ["ParquetTables", "library_of", "opened", "opened_tables"]


def library_of(path: Path) -> Any:
    """Return ``pyarrow.parquet``, or raise `DataError` that says how to install it."""
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise DataError(f'{path}: Parquet needs pyarrow; pip install "isthmus[table]".') from error
    return pyarrow.parquet


@contextlib.contextmanager
def opened(file: Path, texts: Collection[str] = ()) -> Iterator[Any]:
    """Open a Parquet file, whose columns of `texts` are read as levels; what pyarrow raises becomes a `DataError`."""
    library = library_of(file)
    from pyarrow import ArrowException, ArrowNotImplementedError

    try:
        _checked_sizes(file)
        # A flipped bit is an error, if the file has checksums: parquet-java writes them, pyarrow does not by default.
        with library.ParquetFile(file, read_dictionary=list(texts), page_checksum_verification=True) as parquet:
            yield parquet
    except ArrowNotImplementedError as error:
        what = " ".join(str(error).split())[:100]
        raise DataError(f"{file}: pyarrow does not read what this file has ({what}); write it otherwise.") from error
    except (ArrowException, OSError, UnicodeDecodeError) as error:  # the last one if a name is no text
        raise _damaged(file) from error


def _damaged(file: Path) -> DataError:
    return DataError(f"{file}: is damaged, cut short, or not a Parquet file; {AGAIN}.")


def _checked_sizes(file: Path) -> ParquetSizes:
    """Return the sizes in a file, after checking that it has no more cells and bytes than its size allows."""
    status = file.stat()
    sizes = _sizes(file, status.st_ino, status.st_size, status.st_mtime_ns)
    n_columns = max(sizes.n_columns, sizes.n_values // max(1, sizes.n_rows))  # items of lists count
    check_cells(file, sizes.n_rows, n_columns, status.st_size)
    check_unpacked(file, sizes.n_bytes, status.st_size)
    return sizes


@functools.lru_cache(maxsize=1024)  # each row group is read from a file that is opened anew
def _sizes(file: Path, *status: int) -> ParquetSizes:  # noqa: ARG001
    try:
        with file.open("rb", buffering=0) as stream:
            return parquet_sizes(stream)
    except (ValueError, LookupError) as error:
        raise _damaged(file) from error


@contextlib.contextmanager
def opened_tables(file: Path) -> Iterator[ParquetTables]:
    """Open a Parquet file to read tables of any columns."""
    with opened(file) as parquet:
        schema, sizes = parquet.schema_arrow, _checked_sizes(file)
    with opened(file, sizes.levels) as parquet:
        yield ParquetTables(file, parquet, schema, sizes)


class ParquetTables:
    """Read tables from a Parquet file, in no more memory than its size allows.

    Parameters
    ----------
    file : Path
        The file.
    parquet : pyarrow.parquet.ParquetFile
        The open file, which reads texts as levels where it can.
    schema : pyarrow.Schema
        What it would have if it did not.
    sizes : ParquetSizes
        What the pages of the file say of themselves.
    """

    def __init__(self, file: Path, parquet: Any, schema: Any, sizes: ParquetSizes) -> None:
        self._file, self._parquet = file, parquet
        self._allowed = allowed(file.stat().st_size)
        self._schema = _without_views(schema)
        self._largest = sizes.largest_page if sizes.has_deltas else 0
        if sizes.has_deltas_in_lists:  # a single row may have any number of them
            check_unpacked(file, sizes.n_values * sizes.largest_page, file.stat().st_size)

    def read(self) -> Any:
        """Return the whole table.

        Raises
        ------
        DataError
            If its texts would take far more memory than the file stores.
        """
        import pyarrow

        parts = self._batches(1 << 15) if self._largest else map(self._parquet.read_row_group, self._groups)
        tables, n_bytes = [], 0
        for part in parts:
            n_bytes += sum(column.nbytes for column in part.columns if _is_text(column.type)) + self._n_decoded(part)
            check_unpacked(self._file, n_bytes, self._file.stat().st_size)
            tables.append(part.cast(self._schema))
        return pyarrow.concat_tables(tables) if tables else self._schema.empty_table()

    def batches(self, n_rows: int) -> Iterator[Any]:
        """Yield tables of at most `n_rows` rows; fewer, if each may have a text as long as the largest page."""
        for batch in self._batches(n_rows):
            check_unpacked(self._file, self._n_decoded(batch), self._file.stat().st_size)
            yield batch.cast(self._schema)

    @property
    def _groups(self) -> range:
        """The row groups, which are read one by one: of several, pyarrow does not read lists of levels."""
        return range(self._parquet.num_row_groups)

    def _batches(self, n_rows: int) -> Iterator[Any]:
        """Yield tables with levels."""
        import pyarrow

        if self._largest:
            n_rows = max(1, min(n_rows, self._allowed // self._largest))
        for i in self._groups:
            for batch in self._parquet.iter_batches(n_rows, row_groups=[i]):
                yield pyarrow.Table.from_batches([batch])

    def _n_decoded(self, table: Any) -> int:
        """Return the bytes of the texts in place of levels: a long text may be stored once, and occur in each row."""
        return sum(
            _text_bytes(chunk, field.type)
            for column, field in zip(table.itercolumns(), self._schema, strict=True)
            for chunk in column.chunks
        )


def _text_bytes(array: Any, target: Any) -> int:
    """Return the bytes of the texts that an array has as levels, and will not have as levels."""
    import pyarrow.compute
    from pyarrow import types

    kind = array.type
    if types.is_dictionary(kind):
        if types.is_dictionary(target) or not len(array.dictionary) or not _is_text(kind.value_type):
            return 0
        lengths = pyarrow.compute.binary_length(array.dictionary).cast(pyarrow.int64())
        return pyarrow.compute.sum(lengths.take(array.indices)).as_py() or 0
    if types.is_map(kind):
        return _text_bytes(array.keys, target.key_type) + _text_bytes(array.items, target.item_type)
    if types.is_struct(kind):
        return sum(_text_bytes(part, field.type) for part, field in zip(array.flatten(), target, strict=True))
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _text_bytes(array.flatten(), target.value_type)
    return 0


def _without_views(schema: Any) -> Any:
    """Return a schema with plain texts in place of views, to which levels cannot be cast."""
    import pyarrow

    plain = {"string_view": pyarrow.string(), "binary_view": pyarrow.binary()}
    fields = [field.with_type(plain.get(str(field.type), field.type)) for field in schema]
    return pyarrow.schema(fields, schema.metadata)


def _is_text(arrow_type: Any) -> bool:
    from pyarrow import types

    return any(
        is_kind(arrow_type)
        for is_kind in (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    )
