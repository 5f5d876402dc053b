"""Tensors and a JSON description in one safetensors file: saved models and checkpoints. Nothing in it can run code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from isthmus._atomic import atomic_write

__all__ = ["FORMAT", "FileError", "read", "write"]

FORMAT = 1


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
