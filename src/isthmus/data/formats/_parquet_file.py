"""Open Parquet files, and limit the memory that their tables take."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from isthmus.data.errors import AGAIN, DataError
from isthmus.data.formats._unpacking import check_cells, check_unpacked

__all__ = ["decoded", "library_of", "opened", "opened_tables"]


def library_of(path: Path) -> Any:
    """Return ``pyarrow.parquet``, or raise `DataError` that says how to install it."""
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise DataError(f'{path}: Parquet needs pyarrow; pip install "isthmus[table]".') from error
    return pyarrow.parquet


@contextlib.contextmanager
def opened(file: Path, texts: Sequence[str] = ()) -> Iterator[Any]:
    """Open a Parquet file, whose columns of `texts` are read as levels; what pyarrow raises becomes a `DataError`."""
    library = library_of(file)
    from pyarrow import ArrowException

    try:
        with library.ParquetFile(file, read_dictionary=list(texts)) as parquet:
            _check_sizes(parquet, file)
            yield parquet
    except (ArrowException, OSError) as error:
        raise DataError(f"{file}: is damaged, cut short, or not a Parquet file; {AGAIN}.") from error


def _check_sizes(parquet: Any, file: Path) -> None:
    """Raise `DataError` if a file has far more cells, or bytes when it is decompressed, than it stores."""
    metadata, schema, stored = parquet.metadata, parquet.schema_arrow, file.stat().st_size
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    check_cells(file, metadata.num_rows, len(schema), stored)
    if any(field.type.num_fields for field in schema):  # a cell may be a long list
        n_values = sum(group.column(j).num_values for group in groups for j in range(group.num_columns))
        check_cells(file, metadata.num_rows, n_values // max(1, metadata.num_rows), stored)
    check_unpacked(file, sum(group.total_byte_size for group in groups), stored)


@contextlib.contextmanager
def opened_tables(file: Path) -> Iterator[tuple[Any, Any]]:
    """Open a Parquet file for `decoded`, which gives its tables the schema."""
    with opened(file) as parquet:
        schema = parquet.schema_arrow
    with opened(file, [field.name for field in schema if _is_text(field.type)]) as parquet:
        yield parquet, schema


def decoded(table: Any, schema: Any, file: Path) -> Any:
    """Return a table with texts in place of levels: a long text may be stored once, and occur in each row.

    Raises
    ------
    DataError
        If the texts would take far more memory than the file stores.
    """
    import pyarrow.compute

    n_bytes = 0
    for column in table.itercolumns():
        for chunk in column.chunks if isinstance(column.type, pyarrow.DictionaryType) else ():
            if len(chunk.dictionary) and _is_text(chunk.dictionary.type):
                lengths = pyarrow.compute.binary_length(chunk.dictionary)
                n_bytes += pyarrow.compute.sum(lengths.take(chunk.indices)).as_py() or 0
    check_unpacked(file, n_bytes, file.stat().st_size)
    return table.cast(schema)


def _is_text(arrow_type: Any) -> bool:
    from pyarrow import types

    return any(
        is_kind(arrow_type)
        for is_kind in (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    )
