"""Values as JSON and back."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from isthmus.likelihoods import Gaussian
from isthmus.penalties import KL, Warmup
from isthmus.serialization import decode, encode, read, write

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
