"""Tables as text: numbers separated by commas are read here, and all others by pyarrow."""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import io
import itertools
import math
import re
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isthmus.data.dataset import EXACT, TOO_LARGE, Dataset, as_dataset
from isthmus.data.errors import DataError, damaged
from isthmus.data.file_rows import stored_rows
from isthmus.data.formats._base import Format, Layout, as_table, check_names, has_index
from isthmus.data.sources import RowSource
from isthmus.data.table_blocks import TableBlocks

if TYPE_CHECKING:
    from isthmus.data.formats._text_blocks import TextBlocks
    from isthmus.data.formats._text_table import TextTable

__all__ = ["Csv"]

_PACKED, _TIMES = (".gz", ".bz2", ".xz", ".zip"), 5  # of which tables of text take about five times as much unpacked


class _Numbers(NamedTuple):
    """A table of numbers (N, D)."""

    X: NDArray[Any]
    columns: tuple[str, ...] | None
    quoted_header: bool
    unsure: bool  # whether the first line or column may be something else, or a column is empty


class Csv(Format):
    """A table of text: comma-separated values, tab-separated values, and their relatives.

    Numbers separated by commas, in UTF-8, are read without any other library. What separates cells, the encoding,
    decimal commas, comments, lines above the table and the header are found out in all other files.
    """

    def __init__(self, path: Path, member: str | None = None) -> None:
        super().__init__(path, member)
        self._found: TextBlocks | None = None

    def read(self) -> Dataset:
        """Return the table: an array of float64 if all columns are numbers, else a pandas DataFrame."""
        problem, numbers = None, None
        try:
            numbers = self._numbers()
        except DataError as error:
            problem = error
        if numbers is not None and not numbers.unsure:
            return as_dataset(numbers.X, self.path, columns=numbers.columns)
        from isthmus.data.formats._text_cells import libraries

        try:
            libraries(self.path)
        except DataError as error:
            if numbers is not None:
                return as_dataset(numbers.X, self.path, columns=numbers.columns)
            raise DataError(f"{problem} {str(error).partition(': ')[2]}") from error
        return self.read_text(quoted_header=numbers is not None and numbers.quoted_header).dataset()

    def stream(self, max_bytes: int) -> RowSource | None:
        """Return the rows of a large table of numbers, which are read once and kept in a temporary file."""
        blocks = self._blocks(max_bytes)
        if blocks is None or not blocks.has_only_numbers:
            return None
        return stored_rows(blocks.matrices(), blocks.shape, np.float64, str(self.path), blocks.columns)

    def table_blocks(self, max_bytes: int) -> TableBlocks | None:
        """Return a large table."""
        return self._blocks(max_bytes)

    def _blocks(self, max_bytes: int) -> TextBlocks | None:
        """Return the table in blocks if its text has more than `max_bytes` bytes."""
        if not all(map(importlib.util.find_spec, ("pandas", "pyarrow"))):
            return None
        packed = self.path.suffix.lower() in _PACKED
        if self.path.stat().st_size * (_TIMES if packed else 1) <= max_bytes:
            return None
        from isthmus.data.formats._text_blocks import TextBlocks
        from isthmus.data.formats._text_layout import PACKED, open_bytes

        if self._found is None:
            with (
                damaged(self.path, PACKED),
                open_bytes(self.path) as binary,
                io.TextIOWrapper(binary, "utf-8", errors="replace") as stream,
            ):
                lines = io.StringIO(stream.readline() + stream.readline())
            self._found = TextBlocks(self.path, quoted_header=_is_quoted_header(lines))
        return self._found

    def read_text(self, *, quoted_header: bool | None = None) -> TextTable:
        """Return the table with its cells as they are written.

        Parameters
        ----------
        quoted_header : bool, optional
            Whether the first line is a header because only its cells are quoted; found out by default.
        """
        from isthmus.data.formats._text_table import TextTable

        if quoted_header is None:
            try:
                quoted_header = self._numbers().quoted_header
            except DataError:
                quoted_header = False
        return TextTable.read(self.path, quoted_header=quoted_header)

    def write_frame(self, file: Path, frame: Any, like: Any = None) -> None:
        """Write a DataFrame, laid out as the file that it came from."""
        options = self._options(frame, like)
        try:
            frame.to_csv(file, **options)
        except UnicodeEncodeError:  # a level of the training data has letters that the file's encoding has not
            frame.to_csv(file, **options | {"encoding": "utf-8"})

    @contextlib.contextmanager
    def frame_writer(self, file: Path, like: Any = None) -> Iterator[Callable[[Any], object]]:
        """Write DataFrames one below the other, laid out as the file that they came from."""
        with file.open("w", encoding="utf-8" if like is None else like.layout.encoding, newline="") as stream:

            def append(frame: Any) -> None:
                options = self._options(frame, like)
                frame.to_csv(stream, **options | {"header": options["header"] and not stream.tell()})

            yield append

    def _options(self, frame: Any, like: Any) -> dict[str, Any]:
        """Return the parameters with which pandas writes a table as the file `like` is written."""
        separator = "\t" if self._is_tabbed else ","
        options = {"sep": separator, "encoding": "utf-8", "header": True}
        if like is not None:
            if not self._is_tabbed and like.layout.delimiter != " ":
                options["sep"] = like.layout.delimiter
            options |= {"decimal": like.decimal, "encoding": like.layout.encoding}
            options["header"] = like.header or like.layout.names is not None
        options |= {"index": has_index(frame), "lineterminator": "\n"}
        if options["index"] and options["header"]:
            options["index_label"] = frame.index.names if frame.index.nlevels > 1 else frame.index.name or ""
        return options

    @property
    def _is_tabbed(self) -> bool:
        return any(suffix in (".tsv", ".tab") for suffix in self.path.suffixes)

    @contextlib.contextmanager
    def writer(self, file: Path, layout: Layout) -> Iterator[Callable[[NDArray[Any]], object]]:
        """Write a header, and each number in as many digits as its float64 needs."""
        names = layout.table_columns(self.path)
        look_like_numbers = any(_number(name) is not None for name in names)
        exact = {"b": np.dtype(np.int8), "f": np.dtype(np.float64)}.get(layout.dtype.kind, layout.dtype)
        with file.open("w", encoding="utf-8", newline="") as stream:
            quoting: Literal[0, 1] = csv.QUOTE_ALL if look_like_numbers else csv.QUOTE_MINIMAL
            delimiter = "\t" if self._is_tabbed else ","
            csv.writer(stream, delimiter=delimiter, lineterminator="\n", quoting=quoting).writerow(names)
            writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n")
            # Row by row: a list of all numbers would take four times the memory of the array.
            yield lambda block: writer.writerows(row.astype(exact).tolist() for row in as_table(block))

    def _numbers(self) -> _Numbers:
        """Return the table if it has nothing but numbers, commas and a header.

        Raises
        ------
        DataError
            If there is anything else.
        """
        with self.path.open(encoding="utf-8-sig", newline="") as stream:
            try:
                return self._read(stream)
            except UnicodeDecodeError as error:
                raise DataError(f"{self.path}: is not UTF-8 text; save it as UTF-8.") from error

    def _read(self, stream: IO[str]) -> _Numbers:
        quoted = _is_quoted_header(stream)
        values = array("d")  # 8 bytes per cell; a list of floats takes 32
        reader = csv.reader(stream, strict=True)
        try:
            first = next(filter(None, reader), None)  # a blank line is not a row
            if first is None:
                raise DataError(f"{self.path}: is empty; it needs at least one line of numbers.")
            columns = _header(first, f"{self.path}, line {reader.line_num}", quoted=quoted)
            for row in itertools.chain([] if columns else [first], reader):
                if row:
                    values.extend(_numbers(row, len(first), self.path, reader.line_num))
        except csv.Error as error:
            where = f"{self.path}, line {reader.line_num}"
            raise DataError(f"{where}: {error}; look for a quote that is never closed.") from error
        if not values:
            raise DataError(f"{self.path}: has a header and no rows; add a line of numbers.")
        X = np.array(values).reshape(-1, len(first))  # (N, D)
        if (np.abs(X) >= EXACT).any():
            self._check_integers(stream, header=columns is not None)
        unsure = _is_unsure(first, columns, quoted=quoted) or bool(np.isnan(X).all(axis=0).any())
        return _Numbers(X, columns, quoted, unsure)

    def _check_integers(self, stream: IO[str], *, header: bool) -> None:
        """Raise `DataError` at the first integer that loses digits in float64."""
        stream.seek(0)
        reader = csv.reader(stream, strict=True)
        for row in itertools.islice(filter(None, reader), int(header), None):
            for column, cell in enumerate(row, start=1):
                digits = cell.strip().lstrip("+-").lstrip("0")
                if digits.isdecimal() and f"{float(digits):.0f}" != digits:
                    raise DataError(f"{self.path}, line {reader.line_num}, column {column}: {cell!r:.40} {TOO_LARGE}.")


def _is_unsure(first: list[str], columns: tuple[str, ...] | None, *, quoted: bool) -> bool:
    """Return whether the first line may be a comment or have numbers as names, or the first column be an index."""
    if columns is not None:
        unnamed = len(first) > 1 and re.fullmatch(r"\s*|Unnamed: 0(\.\d+)?", first[0]) is not None
        return unnamed or (not quoted and first[0].startswith("#"))
    cells = [cell.strip() for cell in first]
    cells = cells if cells[0] else cells[1:]
    counted = len(cells) > 1 and cells == [str(i) for i in range(len(cells))]
    return counted or (len(cells) > 1 and all(re.fullmatch(r"(1[5-9]|20)\d\d", cell) for cell in cells))


def _is_quoted_header(stream: IO[str]) -> bool:
    """Return whether all cells of the first line are quoted and not all of the second; rewind the stream."""
    reader = csv.reader(stream, quoting=csv.QUOTE_NONNUMERIC)  # an unquoted cell is a float, or a ValueError
    quoted: list[bool] = []
    while len(quoted) < 2:
        try:
            row: list[Any] = next(reader)
        except ValueError:
            row = [math.nan]
        except (StopIteration, csv.Error):
            break
        if row:
            quoted.append(all(isinstance(cell, str) for cell in row))
    stream.seek(0)
    return quoted == [True, False]


def _header(row: list[str], where: str, *, quoted: bool) -> tuple[str, ...] | None:
    """Return the names of the columns if the first row is a header, or None if it is data."""
    cells = [_number(cell) for cell in row]
    if not quoted:
        if None not in cells:
            return None
        text = cells.index(None)
        if not all(cell is None or math.isnan(cell) for cell in cells):
            raise DataError(
                f"{where}, column {text + 1}: {row[text]!r:.40} is not a number. Drop or encode columns of text; "
                "if the line is a header, put all its names in quotes."
            )
    names = tuple(cell.strip() or f"x{i}" for i, cell in enumerate(row))
    check_names(names, where)
    return names


def _numbers(row: list[str], width: int, path: Path, line: int) -> list[float]:
    """Return the numbers of one row, NaN where a cell is missing."""
    if len(row) != width:
        raise DataError(f"{path}, line {line}: {len(row)} cells, but the first line has {width}; complete the line.")
    if "_" not in "".join(row):  # float() would read 2020_01 as a number
        with contextlib.suppress(ValueError):
            return list(map(float, row))
    numbers = []
    for column, cell in enumerate(row, start=1):
        number = _number(cell)
        if number is None:
            hint = " (cells are separated by commas here)" if ";" in cell or "\t" in cell else ""
            raise DataError(
                f"{path}, line {line}, column {column}: {cell!r:.40} is not a number{hint}. "
                "Drop or encode columns of text; leave missing cells empty."
            )
        numbers.append(number)
    return numbers


def _number(cell: str) -> float | None:
    """Return the number in a cell, NaN if it is missing, or None if it is text."""
    cell = cell.strip()
    if cell.upper() in ("", "NA"):
        return math.nan
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None
