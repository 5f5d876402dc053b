"""Files of tensors with a description. Everything is checked against the size of the file before memory is used."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import torch
from torch import Tensor

from isthmus._atomic import atomic_write
from isthmus.serialization._errors import FileError, MissingFileError, quoted, shortened
from isthmus.serialization._json import parse
from isthmus.serialization._migrations import OLDEST, migrate

__all__ = ["FORMAT", "SavedFile", "TensorInfo", "open_saved", "read", "write"]

FORMAT = 4

_LONGEST_HEADER = 100_000_000  # bytes; the safetensors library has the same limit
_MOST_DIMENSIONS = 8
_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_BROKEN = "damaged, truncated, or no safetensors file ({}); save the model again."


class TensorInfo(NamedTuple):
    """What the header of a file says of a tensor: dtype, shape, and where its bytes begin and end."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    stop: int


class SavedFile:
    """An open file whose header was read and checked; its tensors were not read yet.

    Attributes
    ----------
    version : int
        The version of the format that the file was written in.
    kind : str
        "model" or "checkpoint".
    description : dict
        The description, in the newest version of the format.
    tensors : dict of str to TensorInfo
        The tensors by name.
    n_bytes : int
        Size of the file.
    """

    def __init__(self, file: IO[bytes], kind: str | None = None, sha256: str | None = None) -> None:
        state = os.fstat(file.fileno())
        if not stat.S_ISREG(state.st_mode):  # a link may have changed since it was looked at
            raise FileError("is not a file.")
        self.n_bytes = state.st_size
        self._file, self._content = file, None if sha256 is None else _pinned(file, self.n_bytes, sha256)
        length = int.from_bytes(self._take(8), "little")
        if not 2 <= length <= min(self.n_bytes - 8, _LONGEST_HEADER) or length % 8:
            raise FileError(_BROKEN.format("the length of its header is impossible"))
        header = _header(self._take(length))
        self._metadata: dict[str, str] = header.pop("__metadata__", {})
        self.version = _version(self._metadata)
        description = _description(self._metadata["isthmus"])
        self.kind = self._metadata.get("kind", "model" if "estimator" in description else "checkpoint")
        if self.kind not in ("model", "checkpoint") or kind not in (None, self.kind):
            raise FileError(f"is a {quoted(self.kind)}, not a {kind or 'model'}; name another file.")
        self.description = migrate(description, self.version, FORMAT)
        self.tensors = _tensors(header, self.n_bytes - 8 - length)

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
def open_saved(path: str | Path, *, kind: str | None = None, sha256: str | None = None) -> Iterator[SavedFile]:
    """Open a file that :func:`write` wrote, and check its header.

    A ValueError that is raised in the block is raised as a :class:`FileError` about this file.

    Parameters
    ----------
    path : str or Path
        The file.
    kind : {"model", "checkpoint"}, optional
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
            yield SavedFile(file, kind, sha256)
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
    kind : {"model", "checkpoint"}, default="model"
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
            raise FileError(_BROKEN.format("it ends too early"))
        rest = rest[count:]
    return data


def _object(text: str) -> dict[str, Any]:
    value = parse(text)
    if not isinstance(value, dict):
        raise FileError("it is no JSON object")
    return value


def _description(text: str) -> dict[str, Any]:
    try:
        return _object(text)
    except FileError as error:
        raise FileError(f"its description is damaged ({error}); save the model again.") from error


def _header(raw: memoryview) -> dict[str, Any]:
    """Return the header of a safetensors file; its metadata are texts."""
    try:
        header = _object(str(raw, "utf-8"))
    except ValueError as error:
        reason = error if isinstance(error, FileError) else "its header is no text"
        raise FileError(_BROKEN.format(reason)) from error
    metadata = header.get("__metadata__", {})
    if not (isinstance(metadata, dict) and all(isinstance(value, str) for value in metadata.values())):
        raise FileError(_BROKEN.format("its metadata are no texts"))
    return header


def _version(metadata: dict[str, str]) -> int:
    """Return the version of the format, if it is one that can be read."""
    if "isthmus" not in metadata:
        raise FileError("a safetensors file, but not one of isthmus; use the program that wrote it.")
    text = metadata.get("format", "1")
    if re.fullmatch("[0-9]{1,9}", text, re.ASCII) and OLDEST <= int(text) <= FORMAT:
        return int(text)
    known = f"this one reads {OLDEST} to {FORMAT}"
    if re.fullmatch("[0-9]{1,9}", text, re.ASCII) and int(text) < OLDEST:
        raise FileError(f"written by an older isthmus (format {int(text)}, {known}); fit and save the model again.")
    raise FileError(f"written by a newer isthmus (format {quoted(text)}, {known}); upgrade isthmus.")


def _tensors(header: dict[str, Any], n_bytes: int) -> dict[str, TensorInfo]:
    """Return the entries of a header, whose tensors fill the bytes after it without gaps."""
    infos = {name: _info(name, entry) for name, entry in header.items()}
    end = 0
    for name, info in sorted(infos.items(), key=lambda item: (item[1].start, item[1].stop)):
        if info.start != end:
            raise FileError(_BROKEN.format(f"its tensor {quoted(name)} overlaps another, or follows a gap"))
        end = info.stop
    if end != n_bytes:
        raise FileError(_BROKEN.format(f"its header describes {end:,} bytes of tensors, and it has {n_bytes:,}"))
    return infos


def _info(name: str, entry: Any) -> TensorInfo:
    broken = FileError(_BROKEN.format(f"its tensor {quoted(name)} is not described as safetensors does"))
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise broken
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not (isinstance(dtype, str) and dtype in _DTYPES and _are_sizes(shape) and _are_sizes(offsets)):
        raise broken
    size = _DTYPES[dtype].itemsize
    if len(offsets) != 2 or offsets[1] - offsets[0] != math.prod(shape) * size or offsets[0] % size:
        raise broken
    return TensorInfo(_DTYPES[dtype], tuple(shape), offsets[0], offsets[1])


def _are_sizes(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= _MOST_DIMENSIONS
        and all(type(size) is int and 0 <= size < 2**63 for size in value)
    )


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
