"""JSON from files that may be damaged or hostile."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from isthmus.serialization._errors import FileError, quoted

__all__ = ["parse"]

_DEEPEST = 64
_LONGEST_INTEGER = 40  # digits
# A name or a value takes up to 150 bytes in memory, and may take two characters in a file. Those of real descriptions
# take more, so that this limit, and the memory, grow slowly with the size of a file.
_MOST_VALUES, _CHARACTERS_PER_VALUE = 700_000, 12
# Strings, or what opens, closes and separates. An open string ends with the text, so that no character is read twice.
_TOKENS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{\]},:]', re.DOTALL)


def parse(text: str) -> Any:
    """Return the value of a JSON text.

    Depth and number of values are counted before anything is built. Numbers are finite, and names in an object unique.

    Raises
    ------
    FileError
        If it is no such text.
    """
    _check_size(text)
    try:
        return json.loads(
            text,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_number,
            object_pairs_hook=_object,
        )
    except FileError:
        raise
    except ValueError as error:
        raise FileError("it is not valid JSON") from error


def _check_size(text: str) -> None:
    depth = count = 0
    most = _MOST_VALUES + len(text) // _CHARACTERS_PER_VALUE
    for token in _TOKENS.finditer(text):
        first = text[token.start()]
        if first == '"':
            continue
        count += first in "[{,:"
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(first, 0)
        if depth > _DEEPEST or count > most:
            many = f"it has more than {most:,} names and values"
            raise FileError(f"it is nested more than {_DEEPEST} levels deep" if depth > _DEEPEST else many)


def _integer(text: str) -> int:
    if len(text) > _LONGEST_INTEGER:
        raise FileError(f"it has the number {quoted(text)}, which is too large")
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise FileError(f"it has the number {quoted(text)}, which is not finite")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise FileError("it has a name twice")
    return result
