"""The file format of saved models and checkpoints: tensors and a JSON description in one safetensors file.

Nothing in such a file can run code.
"""

from __future__ import annotations

import importlib
import json
import math
from pathlib import Path
from typing import Any

from torch import Tensor

from isthmus._atomic import atomic_write
from isthmus._names import nearest
from isthmus._part import Part

__all__ = ["FORMAT", "FileError", "decode", "encode", "read", "write"]

FORMAT = 1

_MODULES = (
    "likelihoods",
    "posteriors",
    "priors",
    "penalties",
    "corruptions",
    "networks",
    "scaling",
    "objectives",
)


class FileError(ValueError):
    """A saved model that cannot be read; the message says what is wrong with the file and what to do."""


def write(path: str | Path, description: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Write tensors and their description to `path`, aside first, replacing what was there when complete.

    Parameters
    ----------
    path : str or Path
        The file.
    description : dict
        JSON-able; the format's version is added.
    tensors : dict of str to Tensor
        By name.
    """
    from safetensors.torch import save_file

    text = json.dumps({"format": FORMAT, **description}, allow_nan=False)
    with atomic_write(Path(path)) as temporary:
        save_file({k: v.contiguous() for k, v in tensors.items()}, temporary, metadata={"isthmus": text})


def read(path: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return description and tensors of a file that :func:`write` made.

    Raises
    ------
    FileError
        If the file is missing, damaged, truncated, of another program, or of a newer isthmus.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise FileError(f"{path}: there is no such file.")
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get("isthmus")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except (SafetensorError, OSError, ValueError) as error:
        raise FileError(
            f"{path}: damaged, truncated, or no safetensors file ({error}); save the model again."
        ) from error
    if text is None:
        raise FileError(f"{path}: a safetensors file, but not one of isthmus; use the program that wrote it.")
    try:
        description = json.loads(text)
        version = int(description["format"])
    except (ValueError, KeyError, TypeError) as error:
        raise FileError(f"{path}: its description is damaged; save the model again.") from error
    if version > FORMAT:
        raise FileError(
            f"{path}: written by a newer isthmus (format {version}, this one reads {FORMAT}); upgrade isthmus."
        )
    return description, tensors


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
    known = _own_parts() | {cls.__name__: cls for cls in parts}
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


def _own_parts() -> dict[str, type[Part]]:
    """Return isthmus' own classes of parts by name."""
    modules = [importlib.import_module(f"isthmus.{name}") for name in _MODULES]
    exports = [getattr(module, name) for module in modules for name in module.__all__]
    return {cls.__name__: cls for cls in exports if isinstance(cls, type) and issubclass(cls, Part)}
