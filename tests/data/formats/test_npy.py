"""Arrays saved by numpy: the header is checked before memory is allocated, and nothing is unpickled."""

import os
import warnings
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_files import npy_bytes, quick, refused, survives
from isthmus.data import read, write


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([{"a": 1}], dtype=object), "holds object"),
        (np.array(["a", "b"]), "holds str32"),
        (np.array([b"a"]), "holds bytes8"),
        (np.array([1j]), "holds complex128"),
        (np.array(["2020-01-01"], "M8[D]"), "holds datetime64"),
        (np.zeros(2, dtype=[("a", "f8"), ("b", "f8")]), "holds void128"),
        (np.zeros(2, dtype=[("ж", "f8")]), "is not a plain array of numbers"),
        (np.array(3.0), "holds one number"),
        (np.zeros((0, 3)), "an empty array of shape (0, 3)"),
        (np.zeros((3, 0)), "an empty array of shape (3, 0)"),
    ],
)
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_arrays_that_are_not_numbers(tmp_path, array, expected, suffix):
    path = tmp_path / f"a{suffix}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's, on names of fields outside Latin-1
        content = npy_bytes(array)
    if suffix == ".npz":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("X.npy", content)
    else:
        path.write_bytes(content)
    refused(path, str(path), expected)


def test_nothing_pickled_is_ever_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    (tmp_path / "a.npy").write_bytes(npy_bytes(np.array([Trap()], dtype=object)))
    refused(tmp_path / "a.npy", "holds object", "convert it to float64")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda _: b"", "is empty"),
        (lambda b: b[:-8], "176 bytes by its header, but there are 168"),
        (lambda b: b + b"more", "176 bytes by its header, but there are 180"),
        (lambda b: b[:50], "damaged, cut short, or not what its name says"),
        (lambda _: b"text, not an array", "damaged, cut short, or not what its name says"),
        (lambda b: b.replace(b"(6,)", b"(7,)"), "184 bytes by its header"),
        (lambda b: b.replace(b"(6,), ", b"(10**9,"), "damaged"),
        (lambda b: b.replace(b"(6,)", b"(-6)"), "damaged"),
    ],
)
def test_damaged_npy(tmp_path, change, expected):
    path = tmp_path / "a.npy"
    path.write_bytes(change(npy_bytes(np.arange(6.0))))
    refused(path, str(path), expected, "write or fetch it again")


@quick
@given(place=st.integers(0, 127), byte=st.integers(0, 255), end=st.integers(1, 200))
def test_no_damage_to_an_npy_escapes_as_another_error(tmp_path, place, byte, end):
    content = bytearray(npy_bytes(np.arange(6.0)))
    content[place] = byte
    path = tmp_path / "a.npy"
    path.write_bytes(content[:end])
    assert survives(path)


def test_a_fortran_ordered_array_comes_back(tmp_path):
    X = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    write(tmp_path / "x.npy", X)
    np.testing.assert_array_equal(read(tmp_path / "x.npy").X, X)
