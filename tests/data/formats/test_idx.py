"""IDX: by name or by its first bytes, gzipped or not; a damaged file is refused before memory is allocated."""

import gzip
import struct

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_files import idx_bytes, quick, refused
from isthmus.data import read
from isthmus.data.formats.idx import Idx

IDX_CODES = {"u1": 8, "i1": 9, ">i2": 11, ">i4": 12, ">f4": 13, ">f8": 14}
IMAGES = np.arange(3 * 28 * 28).astype(np.uint8).reshape(3, 28, 28)


@quick
@given(data=st.data(), code=st.sampled_from(sorted(IDX_CODES)), zipped=st.booleans())
def test_idx_of_every_type(tmp_path, data, code, zipped):
    X = data.draw(arrays.arrays(code, arrays.array_shapes(min_dims=1, max_dims=4, max_side=4)))
    content = idx_bytes(X, IDX_CODES[code])
    path = tmp_path / f"t-idx{X.ndim}-ubyte{'.gz' if zipped else ''}"
    path.write_bytes(gzip.compress(content, mtime=0) if zipped else content)
    back = read(path)
    np.testing.assert_array_equal(back.X, X.reshape(len(X), -1) if X.ndim > 2 else X)
    assert back.X.dtype.isnative
    assert back.X.flags.writeable
    assert back.name == f"t-idx{X.ndim}-ubyte"


@pytest.mark.parametrize(
    ("name", "zipped"),
    [
        ("train-images-idx3-ubyte", False),
        ("train-images-idx3-ubyte.gz", True),
        ("train-images.idx3-ubyte", False),
        ("images.idx", False),
        ("images.idx.gz", True),
        ("images.idx", True),  # a wrong name does no harm: the first bytes say what it is
        ("images.idx.gz", False),
        ("images.ubyte", False),  # known by its magic number alone
        ("images.gz", True),
        ("images", False),
    ],
)
def test_images_under_any_name(tmp_path, name, zipped):
    content = idx_bytes(IMAGES)
    (tmp_path / name).write_bytes(gzip.compress(content, mtime=0) if zipped else content)
    back = read(tmp_path / name)
    assert back.X.shape == (3, 784)
    assert back.X.dtype == np.uint8
    assert back.image_shape == (28, 28)
    np.testing.assert_array_equal(back.X.reshape(IMAGES.shape), IMAGES)


def test_labels_in_another_file_are_not_read(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_bytes(IMAGES))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.array([5, 0, 4], np.uint8)))
    assert read(tmp_path / "train-images-idx3-ubyte").y is None
    labels = read(tmp_path / "train-labels-idx1-ubyte")
    assert labels.image_shape is None
    np.testing.assert_array_equal(labels.X, [5, 0, 4])


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b + b"\0", lambda b: b[:20]])
def test_idx_of_the_wrong_length(tmp_path, change, zipped):
    content = change(idx_bytes(IMAGES))
    path = tmp_path / "a.idx"
    path.write_bytes(gzip.compress(content, mtime=0) if zipped else content)
    refused(path, "a.idx", "3 x 28 x 28 of uint8", "cut short or damaged", "fetch it again")


@pytest.mark.parametrize("zipped", [False, True])
def test_a_false_idx_header_allocates_nothing(tmp_path, zipped, monkeypatch):
    content = bytes([0, 0, 14, 4]) + b"\xff" * 16 + b"\0" * 100
    path = tmp_path / "a.idx"
    path.write_bytes(gzip.compress(content, mtime=0) if zipped else content)
    sizes = []
    empty = np.empty
    monkeypatch.setattr(np, "empty", lambda n, *rest: sizes.append(n) or empty(n, *rest))
    refused(path, "4294967295 x 4294967295", "float64")
    assert sizes == [0]


def test_a_gzip_bomb_is_not_inflated_beyond_its_header(tmp_path):
    content = bytes([0, 0, 8, 1]) + struct.pack(">I", 1000) + b"\0" * 10_000_000
    path = tmp_path / "a.idx.gz"
    path.write_bytes(gzip.compress(content, mtime=0))
    refused(path, "1000 of uint8")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b"\0\0", "is not an IDX file (it begins with 00 00)"),
        (b"\x89PNG....", "is not an IDX file (it begins with 89 50 4e 47)"),
        (bytes([0, 0, 8, 0]), "is not an IDX file"),
        (bytes([0, 0, 8, 200]) + b"\0" * 800, "is not an IDX file"),
        (bytes([0, 0, 8, 3, 0, 0]), "header is cut short"),
        (idx_bytes(np.zeros((0, 28, 28), np.uint8)), "an empty array of shape (0, 28, 28)"),
        (gzip.compress(idx_bytes(IMAGES), mtime=0)[:-12], "damaged"),
        (gzip.compress(idx_bytes(IMAGES), mtime=0)[:20], "damaged"),
        (gzip.compress(idx_bytes(IMAGES), mtime=0)[:-8] + b"\0" * 8, "damaged"),  # wrong checksum
        (b"\x1f\x8b and no more", "damaged"),
    ],
)
def test_files_that_are_not_idx(tmp_path, content, expected):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    refused(path, str(path), expected)


def test_a_gzip_file_of_something_else_has_no_idx_magic(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"text", mtime=0))
    assert not Idx.sniff(path)
    path.write_bytes(b"\x1f\x8bnonsense")
    assert not Idx.sniff(path)
    refused(path, "'.gz' files cannot be read")
