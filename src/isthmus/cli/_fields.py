"""The types of fields, read from their annotations: a value of the wrong type is an error before any work."""

from __future__ import annotations

import collections.abc
import re
import types
import typing
from typing import Any

from isthmus._part import Part
from isthmus.cli._values import parse_value
from isthmus.estimators._fields import field_docs

__all__ = ["FieldType", "checked", "field_types", "part_types"]

_CODE = ("callbacks", "loggers")  # functions, which no text can name


class FieldType(typing.NamedTuple):
    """What a field may hold.

    Attributes
    ----------
    hint : object
        Its annotation.
    words : str
        The same in words, for messages.
    """

    hint: Any
    words: str


def field_types(cls: type) -> dict[str, FieldType]:
    """Return the types of an estimator's fields that can be typed.

    Examples
    --------
    >>> from isthmus import VAE
    >>> field_types(VAE)["hidden_layer_sizes"].words
    'int or tuple of int'
    """
    hints = typing.get_type_hints(cls)
    docs = {name: text.splitlines()[0] for name, text in field_docs(cls).items() if name not in _CODE}
    return {name: FieldType(hints[name], _words(line)) for name, line in docs.items()}


def part_types(cls: type[Part]) -> dict[str, FieldType]:
    """Return the types of a part's hyperparameters."""
    hints = typing.get_type_hints(cls.__init__)
    return {name: FieldType(hints.get(name, Any), _plain(hints.get(name, Any))) for name in cls.parameter_names()}


def _words(line: str) -> str:
    """Return the type in the first line of a field's text, "beta : float, default=1.0"."""
    return re.sub(r",\s*(default\s*=.*|optional)$", "", line.partition(" : ")[2])


def _plain(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")


def checked(name: str, value: Any, kind: FieldType) -> Any:
    """Return a typed value as its field takes it: lists as tuples, and ``256`` or ``256,128`` where it takes several.

    Raises
    ------
    ValueError
        If no reading of the value fits.

    Examples
    --------
    >>> checked("hidden_layer_sizes", "256,128", FieldType(tuple[int, ...], "tuple of int"))
    (256, 128)
    """
    value = _tuples(value)
    several = tuple(map(parse_value, value.split(","))) if isinstance(value, str) else (value,)
    for reading in (value, _tuples(several)):
        if _fits(reading, kind.hint):
            return reading
    raise ValueError(f"{name}={value!r} must be {kind.words}.")


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, (list, tuple)) else value


def _fits(value: Any, hint: Any) -> bool:
    """Tell whether a value is of an annotation's type; a table in braces may stand for a part."""
    if hint is Any:
        return True
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, option) for option in inner)
    if origin in (tuple, collections.abc.Sequence):
        return isinstance(value, tuple) and all(_fits(item, inner[0]) for item in value)
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    if isinstance(hint, type) and issubclass(hint, Part):
        return isinstance(value, (dict, Part))
    return not isinstance(hint, type) or isinstance(value, hint)
