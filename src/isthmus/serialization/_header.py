"""The header of a file: metadata, and where its tensors are. It is checked against the size of the file."""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

import torch

from isthmus.serialization._errors import FileError, quoted
from isthmus.serialization._json import parse
from isthmus.serialization._migrations import OLDEST

__all__ = [
    "BROKEN",
    "DTYPES",
    "FORMAT",
    "TensorInfo",
    "read_description",
    "read_header",
    "read_tensor_infos",
    "read_version",
]

FORMAT = 4

_MOST_DIMENSIONS = 8
DTYPES = {
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
BROKEN = "damaged, truncated, or no safetensors file ({}); save the model again."


class TensorInfo(NamedTuple):
    """The entry of a tensor in the header of a file: dtype, shape, and where its bytes begin and end."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    stop: int


def _object(text: str) -> dict[str, Any]:
    value = parse(text)
    if not isinstance(value, dict):
        raise FileError("it is no JSON object")
    return value


def read_description(text: str) -> dict[str, Any]:
    """Return the description of a file, a JSON object."""
    try:
        return _object(text)
    except FileError as error:
        raise FileError(f"its description is damaged ({error}); save the model again.") from error


def read_header(raw: memoryview) -> dict[str, Any]:
    """Return the header of a safetensors file; its metadata are texts."""
    try:
        header = _object(str(raw, "utf-8"))
    except ValueError as error:
        reason = error if isinstance(error, FileError) else "its header is no text"
        raise FileError(BROKEN.format(reason)) from error
    metadata = header.get("__metadata__", {})
    if not (isinstance(metadata, dict) and all(isinstance(value, str) for value in metadata.values())):
        raise FileError(BROKEN.format("its metadata are no texts"))
    return header


def read_version(metadata: dict[str, str]) -> int:
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


def read_tensor_infos(header: dict[str, Any], n_bytes: int) -> dict[str, TensorInfo]:
    """Return the entries of a header, whose tensors fill the bytes after it without gaps."""
    infos = {name: _info(name, entry) for name, entry in header.items()}
    end = 0
    for name, info in sorted(infos.items(), key=lambda item: (item[1].start, item[1].stop)):
        if info.start != end:
            raise FileError(BROKEN.format(f"its tensor {quoted(name)} overlaps another, or follows a gap"))
        end = info.stop
    if end != n_bytes:
        raise FileError(BROKEN.format(f"its header describes {end:,} bytes of tensors, and it has {n_bytes:,}"))
    return infos


def _info(name: str, entry: Any) -> TensorInfo:
    if not _is_info(entry):
        raise FileError(BROKEN.format(f"its tensor {quoted(name)} is not described as safetensors does"))
    start, stop = entry["data_offsets"]
    return TensorInfo(DTYPES[entry["dtype"]], tuple(entry["shape"]), start, stop)


def _is_info(entry: Any) -> bool:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        return False
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not (isinstance(dtype, str) and dtype in DTYPES and _are_sizes(shape) and _are_sizes(offsets)):
        return False
    size = DTYPES[dtype].itemsize
    return len(offsets) == 2 and offsets[1] - offsets[0] == math.prod(shape) * size and offsets[0] % size == 0


def _are_sizes(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= _MOST_DIMENSIONS
        and all(type(size) is int and 0 <= size < 2**63 for size in value)
    )
