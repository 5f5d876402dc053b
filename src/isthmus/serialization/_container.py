"""Files of tensors with a description. Everything is checked against the size of the file before memory is used."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from isthmus._atomic import atomic_write
from isthmus.serialization._errors import FileError, MissingFileError, quoted, shortened
from isthmus.serialization._header import (
    BROKEN,
    FORMAT,
    TensorInfo,
    read_description,
    read_header,
    read_tensor_infos,
    read_version,
)
from isthmus.serialization._json import parse
from isthmus.serialization._migrations import migrate

__all__ = ["SavedFile", "open_saved", "read", "write"]

KINDS = ("model", "meta_estimator", "checkpoint")
_LONGEST_HEADER = 100_000_000  # bytes; the safetensors library has the same limit


class SavedFile:
    """An open file whose header was read and checked; its tensors were not read yet.

    Attributes
    ----------
    version : int
        The version of the format that the file was written in.
    kind : str
        "model", "meta_estimator" or "checkpoint".
    description : dict
        The description, in the newest version of the format.
    tensors : dict of str to TensorInfo
        The tensors by name.
    n_bytes : int
        Size of the file.
    """

    def __init__(self, file: IO[bytes], kind: Sequence[str] = (), sha256: str | None = None) -> None:
        state = os.fstat(file.fileno())
        if not stat.S_ISREG(state.st_mode):  # a link may have changed since it was looked at
            raise FileError("is not a file.")
        self.n_bytes = state.st_size
        self._file, self._content = file, None if sha256 is None else _pinned(file, self.n_bytes, sha256)
        length = int.from_bytes(self._take(8), "little")
        if not 2 <= length <= min(self.n_bytes - 8, _LONGEST_HEADER) or length % 8:
            raise FileError(BROKEN.format("the length of its header is impossible"))
        header = read_header(self._take(length))
        self._metadata: dict[str, str] = header.pop("__metadata__", {})
        self.version = read_version(self._metadata)
        description = read_description(self._metadata["isthmus"])
        self.kind = self._metadata.get("kind", "model" if "estimator" in description else "checkpoint")
        if self.kind not in KINDS or (kind and self.kind not in kind):
            raise FileError(f"is a {quoted(self.kind)}, not a {kind[0] if kind else 'model'}; name another file.")
        if self.kind == "meta_estimator" and isinstance(description.get("model"), dict):
            description["model"] = migrate(description["model"], self.version, FORMAT)
        self.description = description if self.kind == "meta_estimator" else migrate(description, self.version, FORMAT)
        self.tensors = read_tensor_infos(header, self.n_bytes - 8 - length)

    def _take(self, n_bytes: int) -> memoryview:
        """Return the next bytes of the file."""
        if self._content is None:
            return _read_exactly(self._file, n_bytes)
        taken, self._content = self._content[:n_bytes], self._content[n_bytes:]
        return taken

    def read_tensors(self) -> dict[str, Tensor]:
        """Read the tensors, which share one block of memory, and compare the file with its checksum."""
        n_bytes = max((info.stop for info in self.tensors.values()), default=0)
        data = self._take(n_bytes)
        tensors = {name: _tensor(data, info) for name, info in self.tensors.items()}
        if self._metadata.get("checksum") != _checksum(self._metadata, tensors):
            raise FileError("damaged: its checksum does not fit its content; save the model again.")
        for name, tensor in tensors.items():
            if tensor.dtype == torch.bool and bool((tensor.view(torch.uint8) > 1).any()):
                raise FileError(f"its tensor {quoted(name)} has the wrong type.")
        return tensors


@contextmanager
def open_saved(path: str | Path, *, kind: str | Sequence[str] = (), sha256: str | None = None) -> Iterator[SavedFile]:
    """Open a file that :func:`write` wrote, and check its header.

    A ValueError that is raised in the block is raised as a :class:`FileError` about this file.

    Parameters
    ----------
    path : str or Path
        The file.
    kind : {"model", "meta_estimator", "checkpoint"} or sequence of them, optional
        What the file must be; by default any of them.
    sha256 : str, optional
        The SHA-256 digest that the file must have, in hexadecimal digits. The file is then read once into memory, and
        these bytes are compared and used.

    Raises
    ------
    MissingFileError
        If there is no such file.
    FileError
        If the file is damaged, truncated, not a file of isthmus, or of a version of the format that cannot be read.
    """
    path = Path(path)
    if sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise ValueError(f"sha256={quoted(sha256)} must have 64 hexadecimal digits.")
    if not path.exists():
        raise MissingFileError(f"{path}: there is no such file.")
    if not path.is_file():
        raise FileError(f"{path}: is not a file but a folder or a device; name a file that was saved by isthmus.")
    with path.open("rb", buffering=0) as file:
        try:
            yield SavedFile(file, (kind,) if isinstance(kind, str) else kind, sha256)
        except FileError as error:
            raise FileError(f"{path}: {shortened(str(error), 260)}") from error
        except ValueError as error:
            raise FileError(f"{path}: {shortened(str(error))}") from error


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
        If the file is damaged, truncated, not a file of isthmus, or of a version of the format that cannot be read.
    """
    with open_saved(path) as file:
        return file.description, file.read_tensors()


def write(path: str | Path, description: dict[str, Any], tensors: dict[str, Tensor], *, kind: str = "model") -> None:
    """Write tensors and their description to `path`, which is replaced only when the new file is complete.

    Parameters
    ----------
    path : str or Path
        The file.
    description : dict
        Values that JSON can represent, or that :func:`encode` returned.
    tensors : dict of str to Tensor
        Tensors by name.
    kind : {"model", "meta_estimator", "checkpoint"}, default="model"
        What the file is.

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError
        If the description is nested too deeply, or has too many values, to be read again.

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
    parse(text)
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    metadata = {"isthmus": text, "format": str(FORMAT), "kind": kind}
    metadata["checksum"] = _checksum(metadata, tensors)
    with atomic_write(Path(path)) as temporary:
        try:
            save_file(tensors, temporary, metadata=metadata)
        except SafetensorError as error:  # for instance, the disk is full
            raise OSError(f"{path}: could not be written ({error}).") from error


def _pinned(file: IO[bytes], n_bytes: int, sha256: str) -> memoryview:
    """Return the content of a file, which must have this digest."""
    content = _read_exactly(file, n_bytes)
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256.lower():
        raise FileError(f"is another file than was asked for: its SHA-256 digest is {digest}.")
    return content


def _read_exactly(file: IO[bytes], n_bytes: int) -> memoryview:
    """Read this many bytes."""
    data = memoryview(bytearray(n_bytes))
    rest = data
    while rest:
        count: int = file.readinto(rest)  # type: ignore[attr-defined]
        if not count:
            raise FileError(BROKEN.format("it ends too early"))
        rest = rest[count:]
    return data


def _tensor(data: memoryview, info: TensorInfo) -> Tensor:
    count = math.prod(info.shape)
    if count == 0:
        return torch.empty(info.shape, dtype=info.dtype)
    return torch.frombuffer(data, dtype=info.dtype, count=count, offset=info.start).reshape(info.shape)


def _checksum(metadata: dict[str, str], tensors: dict[str, Tensor]) -> str:
    """Return a digest of the metadata, and of each tensor's name, type, shape and bits.

    In format 3 it was one of the description and the tensors.
    """
    digest = hashlib.blake2b(digest_size=16)
    if metadata["format"] == "3":
        digest.update(metadata["isthmus"].encode())
    else:
        for name, text in sorted(metadata.items()):
            if name != "checksum":
                digest.update(f"{name} {len(text)}\n{text}\n".encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
