"""Checks of columns that come from a file: their parameters have the right types, but may have any values."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from isthmus.serialization import FileError, quoted
from isthmus.tables._categories import UNSEEN, CategoryColumn
from isthmus.tables._cells import level_from_json
from isthmus.tables._column import Column
from isthmus.tables._fixed import ConstantColumn, OmittedColumn
from isthmus.tables._numbers import NumberColumn
from isthmus.tables._times import ELEMENTS, RESOLUTIONS, DurationColumn, TimeColumn

__all__ = ["check_columns"]

_DTYPE = re.compile(r"[\w\[\]<>=:,. ()/+-]{1,150}", re.ASCII)
_FIXED_WIDTH = re.compile(r"[<>=]?[SUVa]\d*", re.ASCII)  # of NumPy; no table has them, and each cell takes the width
_WRONG_WIDTH = re.compile(r"(arrow:)?([Uu]?[Ii]nt|[Ff]loat)(?!(8|16|32|64|128)$)\d+")  # int6
_LONGEST = 100  # characters of a format
_MOST_DECIMALS = 20


def check_columns(columns: Sequence[Column]) -> None:
    """Raise a FileError that names the first column whose parameters no codec has that was fitted.

    Levels of categories that are dates, intervals or decimal numbers are made from text only when they are needed; here
    they are made once.
    """
    names = [column.name for column in columns]
    try:
        twice = len(set(names)) < len(names)
    except TypeError:  # a list as a name
        twice = True
    if twice or not columns:
        raise FileError("its table has no columns, or two of the same name; save the model again.")
    for column in columns:
        if not _is_valid(column):
            raise FileError(f"its table has no valid column {quoted(column.name)}; save the model again.")


def _is_valid(column: Column) -> bool:
    if not (_DTYPE.fullmatch(column.dtype) and 0 <= column.missing <= 1):
        return False
    if _FIXED_WIDTH.fullmatch(column.dtype) or _WRONG_WIDTH.fullmatch(column.dtype):
        return False
    check: Callable[[Any], bool] | None = _CHECKS.get(type(column))
    return check is None or check(column)


def _is_valid_number(column: NumberColumn) -> bool:
    numbers = np.array([column.origin, *column.spikes], dtype=float)
    ordered = len(column.spikes) < 100 and bool((np.diff(column.spikes) > 0).all())
    step = column.step is None or 0 < column.step < np.inf
    decimals = column.decimals is None or 0 <= column.decimals <= _MOST_DECIMALS
    if not (step and decimals and ordered and np.isfinite(numbers).all() and column.low <= column.high):
        return False
    if column.knots is None:
        return True
    x, y = (np.array(values, dtype=float) for values in column.knots)
    return len(x) == len(y) > 1 and all(bool(np.isfinite(a).all() and (np.diff(a) > 0).all()) for a in (x, y))


def _is_valid_category(column: CategoryColumn) -> bool:
    levels = (*column.values, *(column.categories or ()))  # any of them may be a list
    return len(column.values) > 0 and column.unseen in UNSEEN and all(map(_is_level, levels))


def _is_valid_constant(column: ConstantColumn) -> bool:
    whole = type(column.value) is int and abs(column.value) < 2**63
    fits = {"numbers": isinstance(column.value, (int, float)), "times": whole, "durations": whole}
    return fits.get(column.form, column.form == "levels") and all(
        map(_is_level, (column.value, *(column.categories or ())))
    )


def _is_level(value: Any) -> bool:
    """Return whether a level can be made of a value."""
    try:
        hash(level_from_json(value))
    except (TypeError, ValueError, KeyError, IndexError, ArithmeticError):
        return False
    return True


def _is_valid_time(column: TimeColumn) -> bool:
    elements = len(column.elements) == len(column.parts) > 0 and all(e in ELEMENTS for e in column.elements)
    limits = -(2**63) < column.low <= column.high < 2**63 and column.resolution in RESOLUTIONS
    text = column.text_format is None or len(column.text_format) <= _LONGEST
    parts = all(isinstance(p, (NumberColumn, CategoryColumn, ConstantColumn)) and _is_valid(p) for p in column.parts)
    return elements and limits and text and parts


def _is_valid_duration(column: DurationColumn) -> bool:
    return column.days is not None and _is_valid(column.days) and column.resolution in RESOLUTIONS


_CHECKS: dict[type, Callable[[Any], bool]] = {
    NumberColumn: _is_valid_number,
    CategoryColumn: _is_valid_category,
    ConstantColumn: _is_valid_constant,
    TimeColumn: _is_valid_time,
    DurationColumn: _is_valid_duration,
    OmittedColumn: lambda column: column.first is None or abs(column.first) < 2**64,
}
