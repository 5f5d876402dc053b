"""Detect whether the first row of a table of text holds the names of its columns."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from isthmus.data.formats._text_values import MISSING, PLACEHOLDERS, all_numbers, is_number

__all__ = ["is_header", "looks_like_index"]

_YEAR = re.compile(r"(1[5-9]|20)\d\d")
_ROWS = 10_000  # that are compared with the first one


def is_header(first: list[str], body: list[Any], decimal: str) -> bool:
    """Return whether a row is a header.

    It is one if a text stands above numbers. Else it is one unless one of its cells is a number, or all of its cells
    occur further down in their columns. Numbers are names if they are 0, 1, 2, ..., as pandas names columns, or years
    above other numbers.

    Parameters
    ----------
    first : list of str
        The cells of the row.
    body : list of pyarrow.ChunkedArray
        The columns below it.
    decimal : {".", ","}
        The decimal sign of numbers.
    """
    first = [cell.strip() for cell in first]
    numbers = [cell for cell in first if is_number(cell, decimal)]
    if not body or not len(body[0]):
        return not numbers
    if numbers:
        return _count_columns(first, numbers, body) or any(
            _is_text(cell, decimal) and all_numbers(cells) for cell, cells in zip(first, body, strict=True)
        )
    if not any(first):
        return False
    return not all(_occurs(cell, cells) for cell, cells in zip(first, body, strict=True))


def _is_text(cell: str, decimal: str) -> bool:
    return not (is_number(cell, decimal) or cell in MISSING or cell in PLACEHOLDERS)


def _occurs(cell: str, cells: Any) -> bool:
    """Return whether a cell is one of those below it."""
    import pyarrow.compute as pc

    return bool(pc.any(pc.equal(pc.utf8_trim_whitespace(cells[:_ROWS]), cell)).as_py())


def _count_columns(first: list[str], numbers: list[str], body: list[Any]) -> bool:
    """Return whether the numbers in a row are names of columns that are numbered."""
    if not all(re.fullmatch(r"\d{1,6}", cell) for cell in numbers):
        return False
    values = [int(cell) for cell in numbers]
    steps = {b - a for a, b in pairwise(values)}
    counted = len(values) > 1 and steps == {1} and values[0] == 0
    if counted and len(values) >= len(first) - 1:
        return not all(_occurs(cell, cells) for cell, cells in zip(first, body, strict=True))
    years = all(_YEAR.fullmatch(cell) for cell in numbers) and (len(steps) == 1 or len(values) == 1)
    columns = [cells for cell, cells in zip(first, body, strict=True) if cell in numbers]
    return years and not any(_all_years(cells) for cells in columns)


def _all_years(cells: Any) -> bool:
    import pyarrow.compute as pc

    return bool(pc.all(pc.match_substring_regex(pc.utf8_trim_whitespace(cells[:_ROWS]), r"^\d{4}$")).as_py())


def looks_like_index(name: str, cells: Any) -> bool:
    """Return whether the first column is an index that pandas wrote: without a name, and all cells differ."""
    import pyarrow.compute as pc

    unnamed = not name.strip() or re.fullmatch(r"Unnamed: 0(\.\d+)?", name.strip()) is not None
    return unnamed and len(cells) > 0 and pc.count_distinct(cells).as_py() == len(cells)
