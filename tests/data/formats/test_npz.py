"""Archives of arrays: which array is read, and archives that are damaged."""

import struct
import zipfile

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from data_files import npy_bytes, quick, refused, survives
from isthmus.data import read


@quick
@given(data=st.data())
def test_no_damage_to_an_npz_escapes_as_another_error(tmp_path, data):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, X=np.arange(6.0), y=np.arange(6))
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(len(content) - 20, len(content)))])
    assert survives(path)


def test_npz_with_labels(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.zeros((3, 2)), y=np.array(["a", "b", "a"]), more=np.zeros(9))
    back = read(tmp_path / "a.npz")
    assert back.X.shape == (3, 2)
    np.testing.assert_array_equal(back.y, ["a", "b", "a"])


def test_npz_with_one_array_whatever_its_name(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", np.ones((500, 500)))  # nearly as small as deflate can make it
    assert read(tmp_path / "a.npz").X.shape == (500, 500)
    assert read(tmp_path / "a.npz").y is None


def test_npz_with_several_arrays(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, train=np.zeros((3, 2)), test=np.ones((1, 2)))
    refused(path, "several arrays, none of them 'X'", "it holds test, train", f"Use {path}:NAME for one of them")
    assert read(f"{path}:test").X.tolist() == [[1.0, 1.0]]
    refused(f"{path}:tset", "no array 'tset'", "it holds test, train")
    refused(f"{tmp_path / 'b.npz'}:test", "b.npz: no such file")


def test_strange_names_in_an_npz_cannot_break_the_line(tmp_path):
    np.savez(tmp_path / "a.npz", **{"\n\x1b[2J": np.zeros(3), "é": np.zeros(3)})
    refused(tmp_path / "a.npz", r"it holds \n\x1b[2J, é.")
    np.savez(tmp_path / "a.npz", **{f"a{i:02}": np.zeros(3) for i in range(20)})
    refused(tmp_path / "a.npz", "a10, a11, .... Use")


def test_a_named_array_has_no_labels(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.zeros((3, 2)), y=np.zeros(3))
    assert read(f"{tmp_path / 'a.npz'}:X").y is None


def test_bad_npz(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, X=np.zeros((3, 2)), y=np.zeros(2))
    refused(path, "'X' has shape (3, 2) and 'y' (2,)", "same number of rows")
    np.savez(path, X=np.zeros((3, 2)), y=np.array([None] * 3))
    refused(path, "array 'y': holds object")
    np.savez(path)
    refused(path, "holds no arrays", "write one with the name 'X'")
    path.write_bytes(b"")
    refused(path, "damaged")
    np.savez(path, X=np.zeros((30, 20)))
    path.write_bytes(path.read_bytes()[:-40])
    refused(path, "damaged", "write or fetch it again")


def test_an_npz_with_a_false_size(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("X.npy", npy_bytes(np.zeros(6)))
    content = path.read_bytes()
    at = content.index(b"PK\x01\x02") + 24  # the uncompressed size in the central directory
    path.write_bytes(content[:at] + struct.pack("<I", 4_000_000_000) + content[at + 4 :])
    refused(path, "array 'X': claims a size that its bytes cannot hold")
