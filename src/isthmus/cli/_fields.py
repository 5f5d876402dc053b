"""Types of fields, read from their annotations, so that a value of the wrong type is an error before any work."""

from __future__ import annotations

import collections.abc
import re
import types
import typing
from typing import Any

from isthmus._part import Settings
from isthmus.cli._values import parse_value
from isthmus.estimators._fields import field_docs

__all__ = ["FieldType", "checked", "field_types", "part_types"]


class FieldType(typing.NamedTuple):
    """The type of a field.

    Attributes
    ----------
    hint : object
        The annotation.
    text : str
        The type in words, for error messages.
    """

    hint: Any
    text: str


def field_types(cls: type) -> dict[str, FieldType]:
    """Return the types of the fields of an estimator.

    Examples
    --------
    >>> from isthmus import VAE
    >>> field_types(VAE)["hidden_layer_sizes"].text
    'int or tuple of int'
    """
    hints = typing.get_type_hints(cls)
    docs = {name: text.splitlines()[0] for name, text in field_docs(cls).items()}
    # A description begins with the type, as in "beta : float, default=1.0".
    texts = {
        name: re.sub(r",\s*(default\s*=.*|optional)$", "", line.partition(" : ")[2]) for name, line in docs.items()
    }
    return {name: FieldType(hints[name], text) for name, text in texts.items()}


def part_types(cls: type[Settings]) -> dict[str, FieldType]:
    """Return the types of a part's hyperparameters."""
    hints = typing.get_type_hints(cls.__init__)
    found = {}
    for name in cls.parameter_names():
        hint = hints.get(name, Any)
        options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
        text = " or ".join(option.__name__ if isinstance(option, type) else str(option) for option in options)
        found[name] = FieldType(hint, text)
    return found


def checked(name: str, value: Any, kind: FieldType) -> Any:
    """Return a value given as text in the form of its field: a tuple for a list, ``256,128`` or a single item.

    Raises
    ------
    ValueError
        If the value does not fit the type.

    Examples
    --------
    >>> checked("hidden_layer_sizes", "256,128", FieldType(tuple[int, ...], "tuple of int"))
    (256, 128)
    """
    value = _tuples(value)
    items = tuple(map(parse_value, value.split(","))) if isinstance(value, str) else (value,)
    for candidate in (value, _tuples(items)):
        if _fits(candidate, kind.hint):
            for item in candidate if isinstance(candidate, tuple) else (candidate,):
                if isinstance(item, int) and item.bit_length() > 63:
                    raise ValueError(f"{name}={candidate!r} is too large; integers must be below 2**63.")
            return candidate
    raise ValueError(f"{name}={value!r} must be {kind.text}.")


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, (list, tuple)) else value


def _fits(value: Any, hint: Any) -> bool:
    """Return whether a value has the type of an annotation; a dict stands for a part."""
    if hint is Any:
        return True
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, option) for option in inner)
    if origin in (tuple, collections.abc.Sequence):
        return isinstance(value, tuple) and all(_fits(item, inner[0]) for item in value)
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    if isinstance(hint, type) and issubclass(hint, Settings):
        return isinstance(value, (dict, Settings))
    return not isinstance(hint, type) or isinstance(value, hint)
