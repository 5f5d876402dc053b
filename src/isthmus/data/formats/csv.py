"""Numeric CSV: a table of numbers with or without a header."""

from __future__ import annotations

import contextlib
import csv
import itertools
import math
from array import array as packed
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from isthmus.data.dataset import DataError

__all__ = ["as_table", "column_names", "read_csv", "write_csv", "write_rows"]


def read_csv(path: Path) -> tuple[NDArray[Any], tuple[str, ...] | None]:
    """Read a table of numbers."""
    values = packed("d")  # 8 bytes a cell, where a list of floats takes 32
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, strict=True)
        try:
            first = next((row for row in reader if row), None)  # a blank line is no row
            if first is None:
                raise DataError(f"{path}: is empty; it needs a line of numbers at least.")
            columns = _header(first, f"{path}, line {reader.line_num}")
            for row in itertools.chain([] if columns else [first], reader):
                if row:
                    values.extend(_numbers(row, len(first), path, reader.line_num))
        except csv.Error as error:
            where = f"{path}, line {reader.line_num}"
            raise DataError(f"{where}: {error}; look for a quote that is never closed.") from error
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: is not UTF-8 text; save it as UTF-8.") from error
    if not values:
        raise DataError(f"{path}: has a header and no rows; add a line of numbers.")
    X = np.array(values).reshape(-1, len(first))  # (N, D)
    return X, columns


def write_csv(file: Path, array: NDArray[Any], columns: Sequence[str] | None, path: Path) -> None:
    """Write a table with a header, every number in as many digits as its float64 needs."""
    table = as_table(array, path)
    names = column_names(columns, table.shape[1], path)
    with file.open("w", encoding="utf-8", newline="") as stream:
        write_rows(stream, names, table)


def write_rows(stream: IO[str], names: Sequence[str] | None, table: NDArray[Any]) -> None:
    """Write the rows of a table, below a header where there are names."""
    exact = {"b": np.int8, "f": np.float64}.get(table.dtype.kind, table.dtype)
    writer = csv.writer(stream, lineterminator="\n")
    if names is not None:
        writer.writerow(names)
    for row in table:  # row by row: a list of all the numbers would take four times the array
        writer.writerow(row.astype(exact).tolist())


def as_table(array: NDArray[Any], path: Path) -> NDArray[Any]:
    """Return an array as a table (N, K)."""
    if array.ndim > 2:
        raise DataError(f"{path}: a table cannot hold an array of shape {array.shape}; write .npy instead.")
    return array[:, None] if array.ndim == 1 else array


def _header(row: list[str], where: str) -> tuple[str, ...] | None:
    """Return the column names if a file's first row is a header, or None if it is data."""
    cells = [_number(cell) for cell in row]
    if None not in cells:
        return None
    text = cells.index(None)
    if not all(cell is None or math.isnan(cell) for cell in cells):
        raise DataError(
            f"{where}, column {text + 1}: {row[text]!r:.40} stands beside numbers. Text columns are "
            "not numeric: drop or encode them; if the line is a header, no name in it may be a number."
        )
    names = tuple(cell.strip() or f"x{i}" for i, cell in enumerate(row))
    _check_names(names, where)
    return names


def column_names(columns: Sequence[str] | None, width: int, path: Path) -> list[str]:
    """Return the header to write, which must be one that `read` would take for a header."""
    if columns is None:
        return [f"x{i}" for i in range(width)]
    names = [str(name) for name in columns]
    if len(names) != width:
        raise DataError(f"{path}: {len(names)} column names for {width} columns; make them agree.")
    _check_names(names, path)
    cells = [_number(name) for name in names]
    for name, cell in zip(names, cells, strict=True):
        if cell is not None and (None not in cells or not math.isnan(cell)):
            raise DataError(f"{path}: the column name {name!r} would be read as a number; rename it.")
    return names


def _check_names(names: Sequence[str], where: object) -> None:
    """Refuse a header in which a name stands twice."""
    counts = Counter(names)
    twice = next((name for name in names if counts[name] > 1), None)
    if twice is not None:
        raise DataError(f"{where}: the column name {twice!r} stands twice; rename one.")


def _numbers(row: list[str], width: int, path: Path, line: int) -> list[float]:
    """Return the numbers of one row, NaN where a cell is missing."""
    if len(row) != width:
        raise DataError(f"{path}, line {line}: {len(row)} cells, but the first line has {width}; make them agree.")
    if "_" not in "".join(row):  # float() would take 2020_01 for a number
        with contextlib.suppress(ValueError):
            return list(map(float, row))
    numbers = []
    for column, cell in enumerate(row, start=1):
        number = _number(cell)
        if number is None:
            hint = " (cells are parted by commas here)" if ";" in cell or "\t" in cell else ""
            raise DataError(
                f"{path}, line {line}, column {column}: {cell!r:.40} is not a number{hint}. "
                "Text columns are not numeric: drop or encode them; leave missing cells empty."
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
