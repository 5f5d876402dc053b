"""Values as JSON and back."""

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hostile import join, split
from isthmus.likelihoods import Gaussian
from isthmus.penalties import KL, Warmup
from isthmus.serialization import FileError, decode, encode, read, write
from isthmus.serialization._container import _checksum

PARTS = st.sampled_from([Gaussian(), Gaussian(scale=0.5), KL(Warmup(2.0)), Warmup()])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | PARTS
KEYS = st.sampled_from(["float", "list", "dict", "part", "params"]) | st.text() | st.integers()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=20,
)


def same(a, b):
    if isinstance(a, (list, tuple)) and type(a) is type(b):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(map(same, a.values(), b.values()))
    return type(a) is type(b) and a == b


@given(VALUES)
def test_values_come_back_equal_and_of_the_same_type(value):
    assert same(decode(json.loads(json.dumps(encode(value), allow_nan=False))), value)


def test_not_a_number_comes_back():
    assert math.isnan(decode(encode(math.nan)))
    assert math.isnan(decode(encode(np.float32("nan"))))


@pytest.mark.parametrize("value", [{"float": []}, {"float": 1}, {"list": {}}, {"dict": [[1]]}, {"dict": ""}])
def test_tags_of_other_values(value):
    with pytest.raises(FileError, match="its description has an invalid"):
        decode(value)


@pytest.mark.parametrize("value", [np.zeros(2), print, {1, 2}, object()])
def test_what_has_no_json_form(value):
    with pytest.raises(TypeError, match="cannot be saved: it has no JSON form"):
        encode(value)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.int64, torch.bool, torch.uint8])
@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_tensors_of_every_kind_come_back(tmp_path, dtype, shape):
    tensor = (torch.arange(6.0)[: math.prod(shape)].reshape(shape) - 2).to(dtype)
    write(
        tmp_path / "f", {"a": 1}, {"t": tensor, "transposed": tensor.clone().mT if tensor.ndim == 2 else tensor.clone()}
    )
    description, tensors = read(tmp_path / "f")
    assert description == {"a": 1}
    assert tensors["t"].dtype == dtype
    assert torch.equal(tensors["t"], tensor)


def test_truth_values_that_are_neither(tmp_path):
    """A byte of a truth value is 0 or 1; torch computes nonsense with others."""
    path = tmp_path / "f"
    write(path, {"a": 1}, {"t": torch.tensor([True, False])})
    header, body = split(path.read_bytes())
    path.write_bytes(join(header, b"\x02" + body[1:]))
    odd = torch.tensor([2, 0], dtype=torch.uint8).view(torch.bool)
    header["__metadata__"]["checksum"] = _checksum(header["__metadata__"], {"t": odd})
    path.write_bytes(join(header, b"\x02" + body[1:]))
    with pytest.raises(FileError, match="its tensor 't' has the wrong type"):
        read(path)


def test_a_file_that_becomes_a_device_after_it_was_looked_at(monkeypatch):
    monkeypatch.setattr(Path, "is_file", lambda _: True)
    with pytest.raises(FileError, match=r"/dev/null: is not a file"):
        read(os.devnull)


def test_what_could_not_be_read_again_is_not_written(tmp_path):
    deep = []
    for _ in range(70):
        deep = [deep]
    with pytest.raises(ValueError, match="nested more than 64 levels deep"):
        write(tmp_path / "f", {"deep": deep}, {})
    assert not list(tmp_path.iterdir())
