"""Values as they are typed: ``--set name=value``, and the same names in a TOML file."""

from __future__ import annotations

import ast
import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["merge", "parse_assignment", "parse_value", "read_config"]

# What the two parsers raise: on syntax, on {[1]: 2}, on numbers of 5,000 digits, and on deep nesting.
_NOT_A_VALUE = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError)


def parse_value(text: str) -> Any:
    """Return what a value stands for: TOML, or a Python literal, or else the text itself.

    Examples
    --------
    >>> [parse_value(text) for text in ("8", "0.5", "true", "[256, 128]", '"x"', "bernoulli", "None", "(16,)")]
    [8, 0.5, True, [256, 128], 'x', 'bernoulli', None, (16,)]
    """
    import tomllib

    text = text.strip()
    with contextlib.suppress(*_NOT_A_VALUE):
        table = tomllib.loads(f"value = {text}")
        if set(table) == {"value"}:  # the text may hold a line break, and more
            return table["value"]
    with contextlib.suppress(*_NOT_A_VALUE):
        return ast.literal_eval(text)
    return text


def parse_assignment(text: str) -> tuple[str, Any]:
    """Return name and value of ``name=value``.

    Raises
    ------
    ValueError
        If it is not of that form.

    Examples
    --------
    >>> parse_assignment("hidden_layer_sizes=[256, 128]")
    ('hidden_layer_sizes', [256, 128])
    """
    name, equals, value = text.partition("=")
    if not (equals and name.strip() and value.strip()):
        raise ValueError(f"--set {text!r} must be name=value, such as --set n_components=8.")
    return name.strip(), parse_value(value)


def read_config(path: str | os.PathLike[str] | None) -> dict[str, Any]:
    """Return the fields of a TOML file; none if there is no file to read.

    Raises
    ------
    ValueError
        If the file is missing or not TOML.
    """
    import tomllib

    if path is None:
        return {}
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); check the name and the folder.") from error
    except (ValueError, RecursionError) as error:  # of the TOML, or of its encoding
        raise ValueError(f"{path}: is not TOML: {error}.") from error


def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Return all fields; a later layer wins, and a part named anew loses what an earlier layer set in the old one.

    Examples
    --------
    >>> merge({"likelihood": "gaussian", "likelihood__scale": 1.0}, {"likelihood": "bernoulli"})
    {'likelihood': 'bernoulli'}
    """
    fields: dict[str, Any] = {}
    for layer in layers:
        fields = {name: value for name, value in fields.items() if name.partition("__")[0] not in layer}
        fields |= layer
    return fields
