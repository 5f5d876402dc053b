"""Files that say what no file of isthmus says, with the checksum that fits: what a stranger could write."""

from __future__ import annotations

import json
import re
import struct
import time
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris

from isthmus import load, serialization
from isthmus.serialization import FileError
from isthmus.serialization._container import _checksum
from seeds import TABLE, fit_with_checkpoints


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
    with pytest.raises(FileError) as error:
        load_within_limits(path)
    return checked_message(path, str(error.value))


def load_within_limits(path):
    """Load a file within the memory that its size allows, and in time.

    A megabyte takes at most two seconds; the test allows five times as much, for slow machines and measured coverage.
    """
    size = path.stat().st_size
    began = time.process_time()
    try:
        with little_memory(2 * size + 100_000_000):
            return load(path)
    finally:
        seconds = time.process_time() - began
        assert seconds < 10 * max(1, size / 1e6), f"{seconds:.1f} s"


def checked_message(path, message):
    """Return the message about a file without its name: one short line of printable characters."""
    assert message.startswith(str(path))
    reason = message.removeprefix(str(path))
    assert reason.isprintable()
    assert len(reason) < 300
    assert not re.search(r"(\w)\1{60}", reason), "a message repeats at most 60 characters of a value"
    return reason


ROWS = np.round(load_iris().data[[0, 60, 120]])


def conditions(model):
    """Return conditions for three rows, if the model needs any."""
    if hasattr(model, "classes_"):
        return [model.classes_[:1].repeat(3)]
    return [np.zeros((3, model._condition.width))] if model.conditional else []


def use(model):
    """Call methods of a model, an imputer or a detector."""
    repr(model)
    model.get_params()
    inner = getattr(model, "estimator_", model)
    rows = ROWS if inner._codec is None else TABLE.head(3)
    if hasattr(model, "transform"):
        model.transform(rows, *conditions(inner))
    else:
        model.predict(rows)
    if hasattr(model, "sample") and not model.conditional:
        model.sample(3, random_state=0)


def judge_model(path):
    """Load a file that may be anything, use the model if there is one, and return what happened."""
    try:
        model = load_within_limits(path)
    except FileError as error:
        checked_message(path, str(error))
        cause = error
        while cause is not None:  # it is refused by a check, not because something happened to fail
            assert isinstance(cause, ValueError), repr(cause)
            cause = cause.__cause__
        return "refused"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            use(model)
            model.save(path.with_name("again"))
        except (ValueError, RuntimeError):  # torch raises the second where finite weights make infinite numbers
            return "loaded, not used"
    return "loaded and used"


def another_run(message):
    """Check the message about settings that differ."""
    assert "holds an unfinished run that differs in" in message
    assert message.isprintable()
    return "of another run"


def judge_checkpoint(path):
    """Resume from a checkpoint that may be anything, with no other beside it, and return what happened."""
    for other in path.parent.glob("checkpoint-*"):
        if other != path:
            other.unlink()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            fit_with_checkpoints(path.parent)
        except FloatingPointError:  # parameters are huge
            return "resumed, diverged"
        except ValueError as error:
            return another_run(str(error))
    messages = [str(warning.message) for warning in caught]
    for message in messages:
        assert "cannot be resumed" in message
        checked_message(path, message)
    return "not resumed" if messages else "resumed"
