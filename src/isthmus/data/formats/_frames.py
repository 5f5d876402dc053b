"""Base of the formats of tables whose files give the type of each column: they are read as pandas DataFrames."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.data.dataset import Dataset
from isthmus.data.errors import AGAIN, DataError
from isthmus.data.formats._base import check_names, has_index
from isthmus.data.formats._unpacking import check_unpacked

__all__ = ["arrow_to_frame", "as_frame_dataset", "frame_appender", "import_pandas", "whole_numbers"]

_VIEW = 16  # bytes of a view of a text


def import_pandas(path: Path, what: str, extra: str = "table") -> Any:
    """Return pandas, or raise DataError that says how to install it."""
    try:
        import pandas
    except ImportError as error:
        raise DataError(f'{path}: {what} needs pandas; pip install "isthmus[{extra}]".') from error
    return pandas


def arrow_to_frame(table: Any, path: Path) -> Any:
    """Return a pyarrow Table as a pandas DataFrame: with Arrow's own types, unless pandas wrote the table.

    Raises
    ------
    DataError
        If two columns have the same name, a column has a type that pandas does not have, the values do not agree with
        their types, or texts would take far more memory than the file stores.
    """
    import pyarrow as pa

    pandas = import_pandas(path, "a table with other columns than numbers")
    try:
        check_names(table.schema.names, path)
        table.validate(full=True)
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise DataError(f"{path}: is damaged ({' '.join(str(error).split())[:150]}); {AGAIN}.") from error
    table = _with_plain_texts(table, path)
    for field in table.schema:
        try:
            _ = pandas.ArrowDtype(field.type).type
        except NotImplementedError as error:
            raise DataError(
                f"{path}: column {field.name!r} has the type {str(field.type)[:60]}, which pandas does not have; "
                "convert it, or drop the column."
            ) from error
        _check_zone(field, path)
    if b"pandas" in (table.schema.metadata or {}):
        with contextlib.suppress(ValueError, LookupError, TypeError, AttributeError):  # its notes may be damaged
            return table.to_pandas()
    return table.replace_schema_metadata(None).to_pandas(types_mapper=pandas.ArrowDtype)


def _check_zone(field: Any, path: Path) -> None:
    """Raise `DataError` if a column of times has an unknown time zone, which would be an error where it is used."""
    import pyarrow as pa

    zone = field.type.tz if pa.types.is_timestamp(field.type) else None
    try:
        pa.scalar(0, pa.timestamp("us", zone)).as_py()
    except (LookupError, ValueError, OSError) as error:  # some names are those of folders
        raise DataError(
            f"{path}: column {field.name!r:.60} has the time zone {zone!r:.60}, which is not known here; "
            "write the times in UTC."
        ) from error


def _with_plain_texts(table: Any, path: Path) -> Any:
    """Return a pyarrow Table with plain texts in place of views, as polars writes them; pandas does not have these."""
    import pyarrow as pa

    plain = {"string_view": pa.string(), "binary_view": pa.binary()}
    schema, n_bytes = table.schema, 0
    for i, field in enumerate(table.schema):
        if str(field.type) in plain:
            schema = schema.set(i, field.with_type(plain[str(field.type)]))
            for chunk in table.column(i).chunks:  # views may all be of the same text
                views = np.frombuffer(chunk.buffers()[1], np.int32)[:: _VIEW // 4]  # each begins with a length
                n_bytes += int(views[chunk.offset : chunk.offset + len(chunk)].sum(dtype=np.int64))
    if schema is table.schema:
        return table
    check_unpacked(path, n_bytes, path.stat().st_size)
    schema = pa.schema([field.with_nullable(True) for field in schema], schema.metadata)  # whatever the file says
    try:
        return table.cast(schema)
    except pa.ArrowNotImplementedError as error:
        raise DataError(
            f"{path}: has views of texts, which pyarrow {pa.__version__} does not convert; update it."
        ) from error


def whole_numbers(frame: Any) -> Any:
    """Return a DataFrame whose columns of whole numbers are so in spite of missing cells."""
    for name in frame.columns[frame.dtypes == "float64"]:
        cells = frame[name].dropna()
        if len(cells) and len(cells) < len(frame) and (cells % 1 == 0).all() and cells.abs().max() < 2**53:
            frame[name] = frame[name].astype("Int64")
    return frame


def as_frame_dataset(frame: Any, path: Path, notes: tuple[str, ...] = ()) -> Dataset:
    """Return a DataFrame as a data set.

    Raises
    ------
    DataError
        If it has no rows, no columns, or columns of the same name.
    """
    names = tuple(map(str, frame.columns))
    check_names(names, path)
    if not len(frame) or not names:
        raise DataError(f"{path}: has no {'rows' if names else 'columns'}; write at least one row and one column.")
    first = frame.iloc[:, 0]
    if len(names) > 1 and (not names[0].strip() or names[0].startswith("Unnamed: 0")) and _is_unique(first):
        frame = frame.set_index(frame.columns[0]).rename_axis(None)
        notes = (*notes, "the first column, which has no name, is taken for the names of the rows, and is not learned")
        names = names[1:]
    return Dataset(frame, names, None, None, path.name.partition(".")[0] or path.name, notes)


def _is_unique(column: Any) -> bool:
    """Return whether the values of a column differ; lists and structures are no names of rows."""
    try:
        return bool(column.is_unique)
    except (TypeError, NotImplementedError):
        return False


def frame_appender(open_writer: Callable[[Any], Any]) -> Callable[[Any], None]:
    """Return a function that appends DataFrames to a writer of pyarrow Tables, opened with the schema of the first."""
    import pyarrow as pa

    writers: list[Any] = []

    def append(frame: Any) -> None:
        schema = writers[0].schema if writers else None
        table = pa.Table.from_pandas(frame, schema, preserve_index=has_index(frame))
        if not writers:
            writers.append(open_writer(table.schema))
        writers[0].write_table(table)

    return append
