"""Columns of text as numbers, truth values or texts, as their cells are written."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

__all__ = [
    "COMMA",
    "DECORATED",
    "DIGIT",
    "INTEGER",
    "LEADING_ZERO",
    "LONG",
    "MISSING",
    "MOSTLY",
    "NUMBER",
    "PLACEHOLDERS",
    "SIGNS",
    "WHOLE",
    "Converted",
    "all_numbers",
    "as_texts",
    "cast_numbers",
    "convert",
    "find_decimal",
    "is_number",
    "matches",
    "observed_cells",
    "with_points",
    "without_signs",
]

MISSING = (
    "",
    "NA",
    "na",
    "N/A",
    "n/a",
    "NaN",
    "nan",
    "NAN",
    "NULL",
    "null",
    "None",
    "?",
    "<NA>",
    "#N/A",
    "#NA",
    "-nan",
)
# Words that are missing cells too in a column whose other cells are numbers.
PLACEHOLDERS = (
    *("-", "--", "---", ".", "..", "*", "n.a.", "n.a", "N.A.", "none", "NONE", "Null", "nil", "unknown", "Unknown"),
    *("missing", "Missing", "#VALUE!", "#DIV/0!", "#REF!", "#NAME?", "#NUM!", "NaT", "(null)"),
)
MOSTLY = 0.5  # share of numbers above which a column is one of numbers with other cells, not one of texts

INTEGER = r"^[+-]?\d{1,18}$"
WHOLE = r"^[+-]?\d+$"
LONG = r"\d{19}"
LEADING_ZERO = r"^[+-]?0\d"
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?[iI]nf(inity)?$"
COMMA = r"^[+-]?(\d{1,3}(\.\d{3})+|\d+)?(,\d+)?([eE][+-]?\d+)?$"  # 1.234,56
_SURELY_COMMA = r"^[+-]?(\d*,\d{1,2}|\d*,\d{4,}|\d{4,},\d+|0,\d+|\d{1,3}(\.\d{3})+,\d+)$"  # and not 1,234
_GROUPED = r"^[+-]?\d{1,3}(\.\d{3})+$"
SIGNS = "[$€£¥]"
DECORATED = rf"^[+-]?{SIGNS}? ?[+-]?(\d{{1,3}}([,' ]\d{{3}})+|\d+)?(\.\d*)? ?(%|{SIGNS})?$"
DIGIT = r"\d"


class Converted(NamedTuple):
    """A column.

    Attributes
    ----------
    series : pandas.Series
        The cells: int64 or Int64, float64, bool or boolean, or text.
    removed : str
        What was taken off its numbers, such as "$" or ",".
    placeholders : tuple of str
        Words that were taken for missing cells, because all others are numbers.
    others : tuple of int
        Rows of the first cells that are no numbers, in a column of texts most of which are numbers.
    n_others : int
        Number of such cells.
    """

    series: Any
    removed: str = ""
    placeholders: tuple[str, ...] = ()
    others: tuple[int, ...] = ()
    n_others: int = 0


def _compute() -> Any:
    import pyarrow.compute

    return pyarrow.compute


def matches(cells: Any, pattern: str) -> Any:
    return _compute().match_substring_regex(cells, pattern)


def _all(mask: Any) -> bool:
    """Return whether all are true; missing ones count as true."""
    found = _compute().all(mask).as_py()
    return found is None or bool(found)


def _any(mask: Any) -> bool:
    return bool(_compute().any(mask).as_py())


def is_number(cell: str, decimal: str = ".") -> bool:
    """Return whether a cell is a number."""
    pattern = COMMA if decimal == "," else NUMBER
    return re.search(pattern, cell) is not None and re.search(r"\d", cell) is not None


def observed_cells(cells: Any) -> Any:
    """Return cells without white space around them, null where they are missing."""
    import pyarrow as pa

    pc = _compute()
    trimmed = pc.utf8_trim_whitespace(cells)
    return pc.if_else(pc.is_in(trimmed, pa.array(MISSING)), pa.scalar(None, pa.string()), trimmed)


def all_numbers(cells: Any) -> bool:
    """Return whether all observed cells are numbers, and there is one."""
    observed = observed_cells(cells)
    return observed.null_count < len(observed) and _all(matches(observed, NUMBER))


def find_decimal(columns: list[Any], delimiter: str) -> str:
    """Return "," if columns of cells have decimal commas, else "."."""
    maybe = False
    for cells in map(observed_cells, columns):
        if _all(matches(cells, COMMA)) and _any(matches(cells, ",")):
            if _any(matches(cells, _SURELY_COMMA)):
                return ","
            maybe = True
    if not maybe or delimiter != ";":
        return "."
    points = any(_all(matches(c, NUMBER)) and _any(matches(c, r"\.")) for c in map(observed_cells, columns))
    return "." if points else ","


def convert(cells: Any, decimal: str, *, texts: bool = False, codes: bool = True) -> Converted:
    """Return a column of strings in the type of its cells.

    Parameters
    ----------
    cells : pyarrow.ChunkedArray of str
        The cells as they are written.
    decimal : {".", ","}
        The decimal sign of the file.
    texts : bool
        Whether to keep texts that look like numbers.
    codes : bool
        Whether whole numbers with leading zeros, or of 19 digits and more, are texts.
    """
    observed = observed_cells(cells)
    if observed.null_count == len(observed):
        return Converted(observed.to_pandas().astype("float64"))
    if texts:
        return Converted(as_texts(observed))
    found = _numbers(observed, decimal, codes=codes)
    if found is not None:
        return found
    if _all(_compute().is_in(observed.drop_null(), _array(("True", "False")))):
        return Converted(_truth_values(observed))
    return _mixed(observed, decimal)


def _array(values: tuple[str, ...]) -> Any:
    import pyarrow as pa

    return pa.array(values)


def with_points(cells: Any) -> Any:
    """Return numbers with decimal points instead of commas, and without points between thousands."""
    pc = _compute()
    return pc.replace_substring(pc.replace_substring(cells, ".", ""), ",", ".")


def without_signs(cells: Any) -> Any:
    """Return numbers without what separates thousands, and without signs of money and percent."""
    return _compute().replace_substring_regex(cells, rf"{SIGNS}|[%,' ]", "")


def _numbers(cells: Any, decimal: str, *, codes: bool = True) -> Converted | None:
    """Return a column of numbers, or None if a cell is none, or they are codes such as 01234."""
    if decimal == "," and _all(matches(cells, COMMA)):
        cells = with_points(cells)
    elif not _all(matches(cells, NUMBER)):
        if not (_all(matches(cells, DECORATED)) and _all(matches(cells, DIGIT))):
            return None
        plain = without_signs(cells)
        if not _all(matches(plain, NUMBER)):
            return None
        return Converted(_as_numbers(plain), removed_signs(cells))
    is_code = LEADING_ZERO if _all(matches(cells, INTEGER)) else LONG
    if codes and _all(matches(cells, WHOLE)) and _any(matches(cells, is_code)):
        return None
    return Converted(_as_numbers(cells))


def removed_signs(cells: Any) -> str:
    """Return the signs in cells that are no part of a number."""
    signs = [s for s in ("$", "€", "£", "¥", "%", ",", "'", " ") if _any(_compute().match_substring(cells, s))]
    return " and ".join(repr(s) for s in signs)


def _as_numbers(cells: Any) -> Any:
    """Return strings of numbers as a pandas Series."""
    import pyarrow as pa

    whole = _all(matches(cells, INTEGER))
    numbers = cast_numbers(cells, whole=whole)
    if whole and numbers.null_count:
        return numbers.to_pandas(types_mapper={pa.int64(): _pandas().Int64Dtype()}.get)
    return numbers.to_pandas()


def cast_numbers(cells: Any, *, whole: bool) -> Any:
    """Return strings of numbers as integers or floats."""
    import pyarrow as pa

    return _compute().cast(_compute().replace_substring_regex(cells, r"^\+", ""), pa.int64() if whole else pa.float64())


def _truth_values(cells: Any) -> Any:
    """Return "True" and "False" as a pandas Series."""
    import pyarrow as pa

    values = _compute().equal(cells, "True")
    return values.to_pandas(types_mapper={pa.bool_(): _pandas().BooleanDtype()}.get if values.null_count else None)


def as_texts(cells: Any) -> Any:
    """Return strings as a pandas Series."""
    return cells.to_pandas()


def _mixed(cells: Any, decimal: str) -> Converted:
    """Return a column with texts: one of numbers, if the texts are words for a missing cell only."""
    import pyarrow as pa

    pc = _compute()
    pattern = COMMA if decimal == "," else NUMBER
    numbers = pc.fill_null(matches(cells, pattern), False)
    n_numbers, n_observed = pc.sum(numbers).as_py() or 0, len(cells) - cells.null_count
    if n_numbers <= MOSTLY * n_observed:
        return Converted(as_texts(cells))
    placeholder = pc.is_in(cells, pa.array(PLACEHOLDERS))
    found = _numbers(pc.if_else(placeholder, pa.scalar(None, pa.string()), cells), decimal)
    if found is not None:
        words = tuple(pc.unique(cells.filter(placeholder)).to_pylist())
        return found._replace(placeholders=words)
    others = pc.indices_nonzero(pc.and_(pc.invert(numbers), cells.is_valid()))
    return Converted(as_texts(cells), others=tuple(others[:3].to_pylist()), n_others=len(others))


def _pandas() -> Any:
    import pandas

    return pandas
