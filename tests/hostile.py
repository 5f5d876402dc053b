"""Files that say what no file of isthmus says, with the checksum that fits: what a stranger could write."""

from __future__ import annotations

import json
import re
import struct
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from isthmus import load, serialization
from isthmus.serialization import FileError
from isthmus.serialization._container import _checksum


def split(raw):
    """Return the header of a safetensors file, and the bytes after it."""
    length = struct.unpack("<Q", raw[:8])[0]
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def join(header, body):
    """Return a safetensors file; the header may be text."""
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + body


def with_text(path, text, **metadata):
    """Replace the description of a file by a text, and its checksum by one that fits."""
    _, tensors = serialization.read(path)
    header, body = split(path.read_bytes())
    header["__metadata__"] |= {"isthmus": text} | metadata
    header["__metadata__"]["checksum"] = _checksum(header["__metadata__"], tensors)
    path.write_bytes(join(header, body))


def with_header(path, change):
    """Replace the header by what `change` makes of it; the checksum stays."""
    header, body = split(path.read_bytes())
    path.write_bytes(join(change(header), body))


def changed(path, change):
    """Write a file anew with what `change` makes of its description and tensors, which it may change in place."""
    with serialization.open_saved(path) as file:
        description, tensors = file.description, file.read_tensors()
    change(description, tensors)
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    text = json.dumps(description)
    try:
        serialization.write(path, description, tensors, kind=file.kind)
    except ValueError:  # a description that isthmus would not write
        with_text(path, text)


@contextmanager
def little_memory(n_bytes):
    """Let this process take no more than `n_bytes` of memory in addition to what it has."""
    resource = pytest.importorskip("resource", reason="limits of memory are Unix's")
    pages = Path("/proc/self/statm")
    if not pages.exists():
        pytest.skip("the memory of a process is in /proc on Linux")
    now = int(pages.read_text().split()[0]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + n_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def refusal(path):
    """Load a file that must be refused, as cheaply as the size of the file allows, and return the message."""
    size = path.stat().st_size
    began = time.perf_counter()
    with little_memory(2 * size + 100_000_000), pytest.raises(FileError) as error:
        load(path)
    seconds = time.perf_counter() - began
    message = str(error.value)
    assert seconds < 2 * max(1, size / 1e6), f"{seconds:.1f} s: {message}"
    assert message.startswith(str(path))
    reason = message.removeprefix(str(path))
    assert reason.isprintable()
    assert len(reason) < 300
    assert not re.search(r"(\w)\1{60}", reason), "a message repeats at most 60 characters of a value"
    return reason
