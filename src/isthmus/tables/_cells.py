"""Cells of columns of objects: what they are, and levels as JSON."""

from __future__ import annotations

import datetime
import decimal
import numbers
from typing import Any

import numpy as np

__all__ = ["as_text", "kind_of_objects", "level_from_json", "level_to_json"]

_LEVEL_TYPES = (str, bool, int, float)  # of which JSON has equal values
# Types of objects in columns of one kind; the first whose types all cells have is the column's.
_TYPES: dict[str, tuple[type, ...]] = {
    "levels": (bool, np.bool_, str),
    "Decimal": (decimal.Decimal,),
    "int": (numbers.Integral, np.integer),
    "float": (numbers.Real, decimal.Decimal, np.number),
    "datetime": (datetime.datetime,),
    "date": (datetime.date,),
    "timedelta": (datetime.timedelta,),
}


def kind_of_objects(cells: Any) -> str:
    """Return what observed cells of a column of objects are: the name of a type, "levels" or "other"."""
    types = {type(cell) for cell in cells}
    for name, kinds in _TYPES.items():
        if all(issubclass(t, kinds) for t in types) and (name == "levels" or not types & {bool, np.bool_}):
            return name if name != "datetime" else _datetimes(cells)
    try:
        return "levels" if all(level_from_json(level_to_json(cell)) == cell for cell in set(cells)) else "other"
    except TypeError:  # without a hash, such as a list, or without a JSON form
        return "other"


def _datetimes(cells: Any) -> str:
    """Return the kind of datetimes, with their time zone."""
    zones = {str(cell.tzinfo or "") for cell in cells}
    return f"datetime {zones.pop()}".rstrip() if len(zones) == 1 else "other"


def level_to_json(level: Any) -> Any:
    """Return a level as a value that JSON has: itself, or a tuple of a word and its parts.

    Raises
    ------
    TypeError
        If there is no such form.
    """
    if isinstance(level, np.generic):
        level = level.item()
    if isinstance(level, _LEVEL_TYPES) and type(level) in _LEVEL_TYPES:
        return level
    if isinstance(level, decimal.Decimal):
        return ("decimal", str(level))
    if isinstance(level, datetime.datetime):
        return ("datetime", level.isoformat())
    if isinstance(level, datetime.date):
        return ("date", level.isoformat())
    if hasattr(level, "closed") and hasattr(level, "left"):
        return ("interval", level_to_json(level.left), level_to_json(level.right), level.closed)
    if isinstance(level, tuple):
        return ("tuple", *map(level_to_json, level))
    raise TypeError(f"{level!r} of type {type(level).__name__} has no JSON form.")


def level_from_json(value: Any) -> Any:
    """Undo :func:`level_to_json`."""
    if not isinstance(value, tuple):
        return value
    import pandas as pd

    word, *rest = value
    if word == "interval":
        return pd.Interval(level_from_json(rest[0]), level_from_json(rest[1]), closed=rest[2])
    if word == "tuple":
        return tuple(map(level_from_json, rest))
    return {"decimal": decimal.Decimal, "datetime": pd.Timestamp, "date": datetime.date.fromisoformat}[word](rest[0])


def as_text(level: Any) -> str:
    """Return a level or a number as text, for tables and messages.

    Examples
    --------
    >>> as_text(20230623.0), as_text(0.12345678), as_text("a")
    ('20230623', '0.123457', 'a')
    """
    if isinstance(level, float):
        return f"{level:.0f}" if level.is_integer() and abs(level) < 1e15 else f"{level:g}"
    return str(level)
