"""The cells of a table of text, as text: pyarrow reads them, or pandas where only white space separates them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from isthmus.data.errors import DataError, damaged
from isthmus.data.formats._text_layout import PACKED, TextLayout, open_bytes

__all__ = ["cell_blocks", "libraries", "line_of_row", "read_cells"]

_BLOCK = 1 << 24  # bytes; a line has to fit in one
_ROWS = 1 << 16  # of a block that pandas reads
_SHOWN = 4  # lines that a message names


def libraries(path: Path) -> Any:
    """Return pandas, after checking that pyarrow is installed too.

    Raises
    ------
    DataError
        If one of them is not installed.
    """
    try:
        import pandas
        import pyarrow.csv  # noqa: F401
    except ImportError as error:
        raise DataError(f'{path}: tables with text need pandas and pyarrow; pip install "isthmus[table]".') from error
    return pandas


def read_cells(path: Path, layout: TextLayout) -> Any:
    """Return all cells as a pyarrow Table of strings, whose first row may be a header.

    Raises
    ------
    DataError
        If lines differ in the number of cells; the message has the numbers of the first ones.
    """
    import pyarrow as pa

    return pa.concat_tables(cell_blocks(path, layout))


def cell_blocks(path: Path, layout: TextLayout) -> Iterator[Any]:
    """Yield the cells of a file in blocks, as :func:`read_cells` returns them; there is at least one.

    Raises
    ------
    DataError
        If lines differ in the number of cells: after the last block.
    """
    import pyarrow as pa

    read = _by_pandas if layout.delimiter == " " or layout.spaced else _by_pyarrow
    try:
        yield from read(path, layout)
    except (UnicodeError, pa.ArrowInvalid) as error:
        raise _unreadable(path, error) from error


def _by_pyarrow(path: Path, layout: TextLayout) -> Iterator[Any]:
    """Yield the cells of a table with a delimiter."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    ragged: list[tuple[int | None, int, int]] = []

    def on_ragged(row: Any) -> str:
        if not (layout.comments and row.text.startswith("#")):
            ragged.append((row.number, row.actual_columns, row.expected_columns))
        return "skip"

    # pyarrow decodes UTF-8 itself, and checks it; use_threads=False makes it count lines.
    options = arrow_csv.ReadOptions(
        use_threads=False,
        block_size=_BLOCK,
        skip_rows=layout.preamble,
        autogenerate_column_names=True,
        encoding="utf8" if layout.encoding.startswith("utf-8") else layout.encoding,
    )
    parse = arrow_csv.ParseOptions(delimiter=layout.delimiter, newlines_in_values=True, invalid_row_handler=on_ragged)
    strings = {f"f{i}": pa.string() for i in range(layout.width + 1)}  # the first line may have a cell more than most
    convert = arrow_csv.ConvertOptions(strings_can_be_null=False, null_values=[], column_types=strings)
    table, n_rows = None, 0
    with damaged(path, PACKED), open_bytes(path) as stream:
        try:
            for batch in arrow_csv.open_csv(stream, options, parse, convert):
                table = pa.Table.from_batches([batch])
                if table.num_columns > len(strings):  # a first line with more cells: an error, once all is read
                    table = table.cast(pa.schema((name, pa.string()) for name in table.column_names))
                n_rows += len(table)
                yield _without_comments(table) if layout.comments else table
        except pa.ArrowInvalid as error:
            if "Empty CSV" in str(error):
                raise DataError(f"{path}: is empty; it needs a line of names and lines of cells.") from error
            raise
    if ragged:
        raise _ragged(path, ragged)
    _check_quotes(path, table, n_rows, layout)


def _by_pandas(path: Path, layout: TextLayout) -> Iterator[Any]:
    """Yield the cells of a table with spaces between cells."""
    import pandas as pd

    separator = r"\s+" if layout.delimiter == " " else layout.delimiter
    try:
        with damaged(path, PACKED), open_bytes(path) as stream:
            reader = pd.read_csv(
                stream,
                sep=separator,
                header=None,
                dtype=str,
                skiprows=layout.preamble,
                keep_default_na=False,
                skipinitialspace=True,
                encoding=layout.encoding,
                comment="#" if layout.comments and layout.delimiter == " " else None,
                chunksize=_ROWS,
            )
            for frame in reader:
                yield _strings(path, frame, layout)
    except pd.errors.ParserError as error:
        found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
        if found is None:
            raise _unreadable(path, error) from error
        width, line, cells = map(int, found.groups())
        raise _ragged(path, [(line + layout.preamble, cells, width)]) from error


def _strings(path: Path, frame: Any, layout: TextLayout) -> Any:
    """Return a DataFrame of strings as a pyarrow Table.

    Raises
    ------
    DataError
        If a line has too few cells.
    """
    import pyarrow as pa

    short = frame.iloc[:, -1].isna()
    if short.any():
        row = int(short.to_numpy().argmax())
        n_cells = int(frame.iloc[row].notna().sum())
        raise _ragged(path, [(int(frame.index[row]) + 1 + layout.preamble, n_cells, frame.shape[1])])
    return pa.table({f"f{i}": pa.array(frame[c].astype(object), pa.string()) for i, c in enumerate(frame)})


def _without_comments(table: Any) -> Any:
    """Return a table without the rows that are comments."""
    import pyarrow.compute as pc

    return table.filter(pc.invert(pc.starts_with(table.column(0), "#")))


def _check_quotes(path: Path, table: Any, n_rows: int, layout: TextLayout) -> None:
    """Raise DataError if a quote that is never closed made the rest of the file one cell, in its last block `table`."""
    last = table.column(table.num_columns - 1)[-1].as_py() if table is not None and table.num_rows else ""
    if "\n" not in last.rstrip("\r\n"):
        return
    with open_bytes(path) as stream:
        closed = stream.read()[-100:].replace(b"\0", b"").rstrip().endswith(b'"')
    if not closed:
        raise DataError(f"{path}: a quote in line {layout.preamble + n_rows} is never closed; close or remove it.")


def _ragged(path: Path, lines: list[tuple[int | None, int, int]]) -> DataError:
    """Return the error for lines with more or fewer cells than the first one."""
    shown = ", ".join(f"line {line} has {n} cell{'' if n == 1 else 's'}" for line, n, _ in lines[:_SHOWN])
    more = f", and {len(lines) - _SHOWN} more lines" if len(lines) > _SHOWN else ""
    return DataError(
        f"{path}: {shown}{more}, but the first line has {lines[0][2]}; complete {'it' if len(lines) == 1 else 'them'}, "
        "or put cells that have the separator in them in quotes."
    )


def _unreadable(path: Path, error: Exception) -> DataError:
    """Return the error for what a library cannot read."""
    return DataError(f"{path}: cannot be read as a table ({' '.join(str(error).split())[:150]}).")


def line_of_row(path: Path, layout: TextLayout, row: int, *, header: bool) -> int:
    """Return the number of the line in which a row of cells ends, from 1."""
    skipped = layout.preamble
    seen = -1 - header
    with open_bytes(path) as binary, io.TextIOWrapper(binary, layout.encoding, newline="") as stream:
        for _ in range(skipped):
            stream.readline()
        reader = csv.reader(stream, delimiter=layout.delimiter)
        for cells in reader:
            comment = layout.comments and cells and cells[0].startswith("#")
            seen += bool(cells) and not comment
            if seen == row:
                return skipped + reader.line_num
    return skipped + header + row + 1
