"""The saved-model format: one safetensors file with a JSON description. Nothing in it can run code."""

from __future__ import annotations

import math
from typing import Any

from isthmus._names import nearest
from isthmus._part import Part, find
from isthmus._tensorfile import FORMAT, FileError, read, write

__all__ = ["FORMAT", "FileError", "decode", "encode", "read", "write"]

_ROOMS = (
    "likelihoods",
    "posteriors",
    "priors",
    "penalties",
    "corruptions",
    "networks",
    "scaling",
    "objectives",
)


def encode(value: Any) -> Any:
    """Return a description's value as JSON: parts become {"part": name, "params": {...}}, tuples lists.

    Raises
    ------
    TypeError
        If the value has no JSON form (a function, an array).
    """
    if isinstance(value, Part):
        return {"part": type(value).__name__, "params": encode(value.get_params(deep=False))}
    if isinstance(value, dict):
        return {str(k): encode(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{value!r} cannot be saved: it has no JSON form.")


def decode(value: Any, parts: tuple[type[Part], ...] = ()) -> Any:
    """Undo :func:`encode`; lists come back as tuples. Only isthmus' own classes and `parts` are ever made.

    Raises
    ------
    FileError
        If a part's class is unknown.
    """
    if isinstance(value, list):
        return tuple(decode(v, parts) for v in value)
    if not isinstance(value, dict):
        return value
    if set(value) == {"float"}:
        return float(value["float"])
    if set(value) == {"part", "params"}:
        return _part(value["part"], value["params"], parts)
    return {k: decode(v, parts) for k, v in value.items()}


def _part(name: str, params: Any, parts: tuple[type[Part], ...]) -> Part:
    from isthmus.penalties import Warmup

    own = {cls.__name__: cls for room in _ROOMS for cls in find(room).values()} | {"Warmup": Warmup}
    known = own | {cls.__name__: cls for cls in parts}
    if name not in known:
        raise FileError(
            f"the file uses the part {name!r}, which is not one of isthmus; "
            f"if it is yours, pass load(..., parts=[{name}])."
        )
    cls = known[name]
    for key in params:
        if key not in cls.parameter_names():
            raise FileError(str(nearest(f"parameter of {name}", key, cls.parameter_names())))
    return cls(**{k: decode(v, parts) for k, v in params.items()})
