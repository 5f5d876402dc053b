"""Values as JSON and back: numbers, texts, sequences, and parts of a model."""

from __future__ import annotations

import collections.abc
import functools
import importlib
import inspect
import math
import types
import typing
from typing import Any, Union

from isthmus._names import PART_MODULES, unknown_name
from isthmus._part import Part, Settings
from isthmus.serialization._errors import FileError, quoted

__all__ = ["decode", "encode", "fits", "unknown_parts"]

_MODULES = (*PART_MODULES.values(), "training", "tables")
# JSON objects with exactly these keys represent values that JSON does not have.
_TAGS = ({"float"}, {"list"}, {"dict"}, {"part", "params"})
_LONGEST_NAME = 100  # characters of the name of a class or of a parameter


def encode(value: Any) -> Any:
    """Return a JSON representation, from which :func:`decode` makes an equal value of the same type.

    Tuples become arrays; other values that JSON does not have become objects with a tag: parts
    ``{"part": name, "params": {...}}``, lists ``{"list": [...]}``, infinite numbers and NaN ``{"float": "inf"}``, and
    dictionaries whose keys are not strings ``{"dict": [[key, value], ...]}``.

    Parameters
    ----------
    value : None, bool, int, float, str, tuple, list, dict, part or other settings
        The value; numbers may be NumPy scalars.

    Raises
    ------
    TypeError
        If the value has no JSON representation (a function, an array).

    Examples
    --------
    >>> from isthmus.likelihoods import Gaussian
    >>> encode({"likelihood": Gaussian(scale=0.5), "sizes": (8, 4), "names": ["a"]})["sizes"]
    [8, 4]
    """
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        items = [encode(v) for v in value]
        return items if isinstance(value, tuple) else {"list": items}
    if isinstance(value, dict):
        plain = all(isinstance(key, str) for key in value) and set(value) not in _TAGS
        items = [[encode(key), encode(v)] for key, v in value.items()]
        return dict(items) if plain else {"dict": items}
    if isinstance(value, Settings):
        return {"part": type(value).__name__, "params": encode(value.get_params(deep=False))}
    raise TypeError(f"{value!r} cannot be saved: it has no JSON form.")


def decode(value: Any, parts: tuple[type[Part], ...] = ()) -> Any:
    """Return the value that was passed to :func:`encode`.

    Parameters
    ----------
    value : object
        Values as :mod:`json` returns them.
    parts : tuple of type, default=()
        Classes of parts that may be instantiated besides those of isthmus. No other class ever is.

    Raises
    ------
    FileError
        If the class of a part is unknown, or an object with a tag is malformed.

    Examples
    --------
    >>> decode({"part": "Gaussian", "params": {"scale": 0.5}})
    Gaussian(scale=0.5)
    """
    if isinstance(value, list):
        return tuple(decode(v, parts) for v in value)
    if not isinstance(value, dict):
        return value
    return _untagged(value, parts) if set(value) in _TAGS else {k: decode(v, parts) for k, v in value.items()}


def _untagged(value: dict[str, Any], parts: tuple[type[Part], ...]) -> Any:
    if "part" in value:
        return _part(value["part"], value["params"], parts)
    ((tag, content),) = value.items()
    if tag == "float" and content in ("inf", "-inf", "nan"):
        return float(content)
    if tag == "list" and isinstance(content, list):
        return [decode(v, parts) for v in content]
    if tag == "dict" and isinstance(content, list) and all(isinstance(p, list) and len(p) == 2 for p in content):
        return {_key(decode(k, parts)): decode(v, parts) for k, v in content}
    raise FileError(f"its description has an invalid {tag}; save the model again.")


def _key(value: Any) -> Any:
    """Return a key of a dictionary, which must be hashable."""
    try:
        hash(value)
    except TypeError:
        raise FileError("its description has an invalid dict; save the model again.") from None
    return value


def unknown_parts(value: Any) -> set[str]:
    """Return the names of the parts in an encoded value that are not of isthmus.

    Examples
    --------
    >>> unknown_parts(["gaussian", {"part": "Gaussian", "params": {}}, {"part": "Mine", "params": {}}])
    {'Mine'}
    """
    if isinstance(value, list):
        return {name for v in value for name in unknown_parts(v)}
    if not isinstance(value, dict):
        return set()
    name = value.get("part") if value.keys() == {"part", "params"} else None
    return unknown_parts([*value.values()]) | ({name} if isinstance(name, str) and name not in _own_parts() else set())


def _part(name: Any, params: Any, parts: tuple[type[Part], ...]) -> Settings:
    if not (isinstance(name, str) and len(name) < _LONGEST_NAME and name.isidentifier() and isinstance(params, dict)):
        raise FileError("its description has a part without a name or parameters.")
    cls = next((cls for cls in parts if cls.__name__ == name), None) or _own_parts().get(name)
    if cls is None:
        raise FileError(
            f"the file uses the part {name!r}, which is not one of isthmus; "
            f"if it is yours, pass load(..., parts=[{name}])."
        )
    hints = _hints().get(cls, {})
    values = {}
    for key, value in params.items():
        if key not in cls.parameter_names():
            raise unknown_name(f"parameter of {name}", key[:_LONGEST_NAME], cls.parameter_names())
        values[key] = decode(value, parts)
        if key in hints and not fits(values[key], hints[key]):
            raise FileError(f"{name}({key}={quoted(values[key])}) has a value of the wrong type.")
    return cls(**values)


@functools.cache
def _own_parts() -> dict[str, type[Settings]]:
    """Return isthmus' own classes of parts, optimizers and trainers by name."""
    modules = [importlib.import_module(f"isthmus.{name}") for name in _MODULES]
    exports = [getattr(module, name) for module in modules for name in module.__all__]
    classes = [cls for cls in exports if isinstance(cls, type) and issubclass(cls, Settings)]
    base = importlib.import_module("isthmus.optimizers").Optimizer  # a base without abstract methods
    return {cls.__name__: cls for cls in classes if not inspect.isabstract(cls) and cls is not base}


@functools.cache
def _hints() -> dict[type, dict[str, Any]]:
    """Return the types of the parameters of isthmus' own classes; other classes may not be annotated."""
    return {cls: typing.get_type_hints(cls.__init__) for cls in _own_parts().values()}


def fits(value: Any, hint: Any) -> bool:
    """Return whether a decoded value is of an annotated type. Lists and tuples, and int and float, are alike.

    Examples
    --------
    >>> fits([8, 4], int | tuple[int, ...]), fits("8", int | tuple[int, ...])
    (True, False)
    """
    origin, args = _origin_and_args(hint)
    if origin in (Union, types.UnionType):
        return any(fits(value, arg) for arg in args)
    if origin in (tuple, list, collections.abc.Sequence):
        return isinstance(value, (list, tuple)) and _items_fit(value, origin, args)
    if hint is float:
        return isinstance(value, (int, float))
    if origin is collections.abc.Mapping:
        return isinstance(value, dict) and all(fits(k, args[0]) and fits(v, args[1]) for k, v in value.items())
    return hint is Any or isinstance(value, hint)


@functools.cache
def _origin_and_args(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    return typing.get_origin(hint), typing.get_args(hint)


def _items_fit(values: list[Any] | tuple[Any, ...], origin: Any, args: tuple[Any, ...]) -> bool:
    if origin is tuple and args[-1] is not Ellipsis:
        return len(values) == len(args) and all(map(fits, values, args))
    return all(fits(value, args[0]) for value in values)
