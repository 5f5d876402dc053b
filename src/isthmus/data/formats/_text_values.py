"""Columns of text as numbers, truth values or texts, as their cells are written."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

__all__ = ["MISSING", "PLACEHOLDERS", "Converted", "all_numbers", "as_texts", "convert", "find_decimal", "is_number"]

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
_MOST = 0.5  # share of numbers above which a column is one of numbers with other cells, not one of texts

_INTEGER = r"^[+-]?\d{1,18}$"
_WHOLE = r"^[+-]?\d+$"
_LONG = r"\d{19}"
_LEADING_ZERO = r"^[+-]?0\d"
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?[iI]nf(inity)?$"
_COMMA = r"^[+-]?(\d{1,3}(\.\d{3})+|\d+)?(,\d+)?([eE][+-]?\d+)?$"  # 1.234,56
_SURELY_COMMA = r"^[+-]?(\d*,\d{1,2}|\d*,\d{4,}|\d{4,},\d+|0,\d+|\d{1,3}(\.\d{3})+,\d+)$"  # and not 1,234
_GROUPED = r"^[+-]?\d{1,3}(\.\d{3})+$"
_SIGNS = "[$€£¥]"
_DECORATED = rf"^[+-]?{_SIGNS}? ?[+-]?(\d{{1,3}}([,' ]\d{{3}})+|\d+)?(\.\d*)? ?(%|{_SIGNS})?$"
_DIGIT = r"\d"
_MANY = 15  # decimals from which numbers are written in full


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


def _matches(cells: Any, pattern: str) -> Any:
    return _compute().match_substring_regex(cells, pattern)


def _all(mask: Any) -> bool:
    """Return whether all are true; missing ones count as true."""
    found = _compute().all(mask).as_py()
    return found is None or bool(found)


def _any(mask: Any) -> bool:
    return bool(_compute().any(mask).as_py())


def is_number(cell: str, decimal: str = ".") -> bool:
    """Return whether a cell is a number."""
    pattern = _COMMA if decimal == "," else _NUMBER
    return re.search(pattern, cell) is not None and re.search(r"\d", cell) is not None


def _observed(cells: Any) -> Any:
    """Return cells without white space around them, null where they are missing."""
    import pyarrow as pa

    pc = _compute()
    trimmed = pc.utf8_trim_whitespace(cells)
    return pc.if_else(pc.is_in(trimmed, pa.array(MISSING)), pa.scalar(None, pa.string()), trimmed)


def all_numbers(cells: Any) -> bool:
    """Return whether all observed cells are numbers, and there is one."""
    observed = _observed(cells)
    return observed.null_count < len(observed) and _all(_matches(observed, _NUMBER))


def find_decimal(columns: list[Any], delimiter: str) -> str:
    """Return "," if columns of cells have decimal commas, else "."."""
    maybe = False
    for cells in map(_observed, columns):
        if _all(_matches(cells, _COMMA)) and _any(_matches(cells, ",")):
            if _any(_matches(cells, _SURELY_COMMA)):
                return ","
            maybe = True
    if not maybe or delimiter != ";":
        return "."
    points = any(_all(_matches(c, _NUMBER)) and _any(_matches(c, r"\.")) for c in map(_observed, columns))
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
    observed = _observed(cells)
    if observed.null_count == len(observed):
        return Converted(observed.to_pandas().astype("float64"))
    if texts:
        return Converted(as_texts(observed))
    found = _numbers(observed, decimal, codes=codes)
    if found is not None:
        return found
    if _all(_compute().is_in(observed, _array(("True", "False")))):
        return Converted(_truth_values(observed))
    return _mixed(observed, decimal)


def _array(values: tuple[str, ...]) -> Any:
    import pyarrow as pa

    return pa.array(values)


def _numbers(cells: Any, decimal: str, *, codes: bool = True) -> Converted | None:
    """Return a column of numbers, or None if a cell is none, or they are codes such as 01234."""
    pc = _compute()
    if decimal == "," and _all(_matches(cells, _COMMA)):
        if _any(_matches(cells, f",|{_GROUPED}")):
            cells = pc.replace_substring(pc.replace_substring(cells, ".", ""), ",", ".")
    elif not _all(_matches(cells, _NUMBER)):
        if not (_all(_matches(cells, _DECORATED)) and _all(_matches(cells, _DIGIT))):
            return None
        plain = pc.replace_substring_regex(cells, rf"{_SIGNS}|[%,' ]", "")
        if not _all(_matches(plain, _NUMBER)):
            return None
        return Converted(_as_numbers(plain), _removed(cells))
    is_code = _LEADING_ZERO if _all(_matches(cells, _INTEGER)) else _LONG
    if codes and _all(_matches(cells, _WHOLE)) and _any(_matches(cells, is_code)):
        return None
    return Converted(_as_numbers(cells))


def _removed(cells: Any) -> str:
    """Return the signs in cells that are no part of a number."""
    signs = [s for s in ("$", "€", "£", "¥", "%", ",", "'", " ") if _any(_compute().match_substring(cells, s))]
    return " and ".join(repr(s) for s in signs)


def _as_numbers(cells: Any) -> Any:
    """Return strings of numbers as a pandas Series."""
    import pyarrow as pa

    pc = _compute()
    whole = _all(_matches(cells, _INTEGER))
    numbers = pc.cast(pc.replace_substring_regex(cells, r"^\+", ""), pa.int64() if whole else pa.float64())
    if whole and numbers.null_count:
        return numbers.to_pandas(types_mapper={pa.int64(): _pandas().Int64Dtype()}.get)
    return numbers.to_pandas()


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
    pattern = _COMMA if decimal == "," else _NUMBER
    numbers = pc.fill_null(_matches(cells, pattern), False)
    n_numbers, n_observed = pc.sum(numbers).as_py() or 0, len(cells) - cells.null_count
    if n_numbers <= _MOST * n_observed:
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


# ---- back to text ----------------------------------------------------------------------------------------------------


def fill_cells(cells: Any, made: Any, decimal: str) -> Any:
    """Return cells as they are written, those that are missing filled in by values, written as the others are.

    Parameters
    ----------
    cells : pyarrow.ChunkedArray of str
        The cells of a column.
    made : pandas.Series
        A value for each cell.
    decimal : {".", ","}
        The decimal sign of the file.
    """
    import numpy as np

    converted = convert(cells, decimal)
    gone = converted.series.isna().to_numpy()
    texts = cells.to_pandas().astype(object).reset_index(drop=True)
    if not gone.any():
        return texts
    values = made.reset_index(drop=True)[gone]
    new = _written(values, _observed(cells), decimal) if values.dtype.kind in "iuf" else values.map(str)
    texts[gone] = np.where(values.isna(), "", new.to_numpy(dtype=object))
    return texts


def _written(values: Any, cells: Any, decimal: str) -> Any:
    """Return numbers with as many decimals as the observed cells of a column, and their sign of money or percent."""
    observed = cells.drop_null()
    sign = re.escape(decimal)
    if _any(_matches(observed, "[eE]")) or not len(observed):
        return values.map(repr)
    pc = _compute()
    digits = pc.struct_field(pc.extract_regex(observed, rf"{sign}(?P<digits>\d*)\D*$"), [0])
    most = pc.max(pc.utf8_length(digits)).as_py() or 0
    texts = values.map(lambda v: f"{v:.{most}f}" if most < _MANY else repr(float(v)))
    texts = texts.str.replace(".", decimal, regex=False)
    before = _common(observed, rf"^(?P<sign>{_SIGNS} ?)")
    return before + texts + _common(observed, rf"(?P<sign> ?(?:%|{_SIGNS}))$")


def _common(cells: Any, pattern: str) -> str:
    """Return the text that a pattern finds in all cells, or "" if not all have the same."""
    pc = _compute()
    found = pc.unique(pc.struct_field(pc.extract_regex(cells, pattern), [0])).to_pylist()
    return found[0] if len(found) == 1 and found[0] else ""
