"""The file format of saved models and checkpoints: tensors and a JSON description in one safetensors file.

Loading such a file cannot run code. The file's metadata hold the description, the version of the format and a checksum
of everything else.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from isthmus._atomic import atomic_write
from isthmus._names import PART_MODULES, unknown_name
from isthmus._part import Part, Settings

__all__ = ["FORMAT", "FileError", "MissingFileError", "decode", "encode", "read", "write"]

FORMAT = 3

_MODULES = (*PART_MODULES.values(), "training", "tables")
# JSON objects with exactly these keys represent values that JSON does not have.
_TAGS = ({"float"}, {"list"}, {"dict"}, {"part", "params"})


class FileError(ValueError):
    """A file that cannot be read; the message says what is wrong with it and what to do."""


class MissingFileError(FileError, FileNotFoundError):
    """A file that does not exist."""


def write(path: str | Path, description: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Write tensors and their description to `path`, which is replaced only when the new file is complete.

    Parameters
    ----------
    path : str or Path
        The file.
    description : dict
        Values that JSON can represent, or that :func:`encode` returned.
    tensors : dict of str to Tensor
        Tensors by name.

    Raises
    ------
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "file.safetensors"
    >>> write(path, {"epoch": 3}, {"weight": torch.ones(2)})
    >>> read(path)
    ({'epoch': 3}, {'weight': tensor([1., 1.])})
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    text = json.dumps(description, allow_nan=False)
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    metadata = {"isthmus": text, "format": str(FORMAT), "checksum": _checksum(text, tensors)}
    with atomic_write(Path(path)) as temporary:
        try:
            save_file(tensors, temporary, metadata=metadata)
        except SafetensorError as error:  # for instance, the disk is full
            raise OSError(f"{path}: could not be written ({error}).") from error


def read(path: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the description and the tensors of a file that :func:`write` wrote.

    Parameters
    ----------
    path : str or Path
        The file.

    Raises
    ------
    MissingFileError
        If there is no such file.
    FileError
        If the file is damaged, truncated, not a file of isthmus, or of another version of the format.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.exists():
        raise MissingFileError(f"{path}: there is no such file.")
    if not path.is_file():
        raise FileError(f"{path}: is not a file but a folder or a device; name a file that was saved by isthmus.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except SafetensorError as error:
        raise FileError(
            f"{path}: damaged, truncated, or no safetensors file ({error}); save the model again."
        ) from error
    if "isthmus" not in metadata:
        raise FileError(f"{path}: a safetensors file, but not one of isthmus; use the program that wrote it.")
    version = metadata.get("format", "1")
    if version.isdigit() and int(version) < FORMAT:
        raise FileError(
            f"{path}: written by an older isthmus (format {version}, this one reads {FORMAT}); fit and save the model "
            "again."
        )
    if version != str(FORMAT):
        raise FileError(
            f"{path}: written by a newer isthmus (format {version!r:.20}, this one reads {FORMAT}); upgrade isthmus."
        )
    if metadata.get("checksum") != _checksum(metadata["isthmus"], tensors):
        raise FileError(f"{path}: damaged: its checksum does not fit its content; save the model again.")
    return json.loads(metadata["isthmus"]), tensors


def _checksum(text: str, tensors: dict[str, Tensor]) -> str:
    """Return a digest of the description and of each tensor's name, type, shape and bits."""
    digest = hashlib.blake2b(text.encode(), digest_size=16)
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


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
        return {decode(k, parts): decode(v, parts) for k, v in content}
    raise FileError(f"its description has an invalid {tag}; save the model again.")


def _part(name: Any, params: Any, parts: tuple[type[Part], ...]) -> Settings:
    if not (isinstance(name, str) and name.isidentifier() and isinstance(params, dict)):
        raise FileError("its description has a part without a name or parameters.")
    modules = [importlib.import_module(f"isthmus.{module}") for module in _MODULES]
    own = [getattr(module, export) for module in modules for export in module.__all__]
    known = {cls.__name__: cls for cls in (*own, *parts) if isinstance(cls, type) and issubclass(cls, Settings)}
    if name not in known:
        raise FileError(
            f"the file uses the part {name!r}, which is not one of isthmus; "
            f"if it is yours, pass load(..., parts=[{name}])."
        )
    cls = known[name]
    for key in params:
        if key not in cls.parameter_names():
            raise unknown_name(f"parameter of {name}", key, cls.parameter_names())
    return cls(**{key: decode(v, parts) for key, v in params.items()})
