"""Values of fields from ``--set NAME=VALUE`` and from TOML files."""

from __future__ import annotations

import ast
import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["merge", "parse_assignment", "parse_value", "read_config"]

# Raised by the two parsers for invalid syntax, {[1]: 2}, numbers of 5,000 digits, and deep nesting.
_NOT_A_VALUE = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError)


def parse_value(text: str) -> Any:
    """Return the value of a text as TOML, or as a Python literal, or else the text itself.

    Examples
    --------
    >>> [parse_value(text) for text in ("8", "0.5", "true", "[256, 128]", '"x"', "bernoulli", "None", "(16,)")]
    [8, 0.5, True, [256, 128], 'x', 'bernoulli', None, (16,)]
    """
    import tomllib

    text = text.strip()
    with contextlib.suppress(*_NOT_A_VALUE):
        table = tomllib.loads(f"value = {text}")
        if set(table) == {"value"}:  # false if the text has several lines
            return table["value"]
    with contextlib.suppress(*_NOT_A_VALUE):
        return ast.literal_eval(_Numbers().visit(ast.parse(text, mode="eval")))
    return text


class _Numbers(ast.NodeTransformer):
    """Makes inf and nan literals, as they are in TOML."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(float(node.id)) if node.id in ("inf", "nan") else node


def parse_assignment(text: str) -> tuple[str, Any]:
    """Return the name and the value in ``name=value``; a parameter of a part is ``part.name`` or ``part__name``.

    Raises
    ------
    ValueError
        If the text has another form.

    Examples
    --------
    >>> parse_assignment("hidden_layer_sizes=[256, 128]")
    ('hidden_layer_sizes', [256, 128])
    >>> parse_assignment("optimizer.weight_decay=0.1")
    ('optimizer__weight_decay', 0.1)
    """
    name, equals, value = text.partition("=")
    if not (equals and name.strip() and value.strip()):
        raise ValueError(f"--set {text!r} must be NAME=VALUE, such as --set n_components=8.")
    return name.strip().replace(".", "__"), parse_value(value)


def read_config(path: str | os.PathLike[str] | None) -> dict[str, Any]:
    """Return the fields in a TOML file, a table ``[optimizer]`` as ``optimizer__name``; none if `path` is None.

    Raises
    ------
    ValueError
        If the file cannot be read or is not TOML.
    """
    import tomllib

    if path is None:
        return {}
    try:
        return _flat(tomllib.loads(Path(path).read_text(encoding="utf-8")))
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); check the name and the folder.") from error
    except (ValueError, RecursionError) as error:  # in the TOML or its encoding
        raise ValueError(f"{path}: is not TOML: {error}.") from error


def _flat(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields with a table of parameters as one field for each; a table that names its part stays as it is."""
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, dict) and value and "part" not in value:
            flat |= {f"{name}__{inner}": own for inner, own in _flat(value).items()}
        else:
            flat[name] = value
    return flat


def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of all layers; a later layer overrides, and drops the parameters of a part that it replaces.

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
