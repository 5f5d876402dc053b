"""Every reader and writer: what goes in comes out, and what cannot is one line that helps."""

import ast
import gzip
import io
import os
import re
import stat
import struct
import sys
import warnings
import zipfile
from pathlib import Path

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import isthmus.data
from isthmus import _atomic
from isthmus._atomic import atomic_write
from isthmus.data import BUNDLED, DataError, check_writable, read, write
from isthmus.data.formats.idx import has_idx_magic

quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
IDX_CODES = {"u1": 8, "i1": 9, ">i2": 11, ">i4": 12, ">f4": 13, ">f8": 14}


def idx_bytes(array, code=8):
    """Return an array as an IDX file."""
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def npy_bytes(array):
    """Return an array as an .npy file, pickled if it must be."""
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def refused(path, *expected):
    """Return the message of the one `DataError` that reading raises, with everything expected in it."""
    with pytest.raises(DataError) as caught:
        read(path)
    message = str(caught.value)
    assert "\n" not in message
    for text in expected:
        assert text in message
    return message


def survives(path):
    """Read a file that may be damaged: the data or one `DataError` of one line, and nothing else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's, on headers of Python 2
        try:
            read(path)
        except DataError as error:
            return "\n" not in str(error)
    return True


def names_in(folder):
    """Return the names of all files in a folder."""
    return [file.name for file in folder.iterdir()]


# --- round trips ---------------------------------------------------------------------------------------


@quick
@given(
    X=arrays.arrays(np.float64, arrays.array_shapes(min_dims=2, max_dims=2, max_side=5)),
    suffix=st.sampled_from([".npy", ".npz", ".csv", ".CSV", ".NPY"]),
)
def test_a_table_of_any_floats_comes_back_with_the_same_bits(tmp_path, X, suffix):
    path = tmp_path / f"table{suffix}"
    write(path, X)
    back = read(path)
    assert back.name == "table"
    assert back.y is None
    assert back.image_shape is None
    assert back.columns == (tuple(f"x{i}" for i in range(X.shape[1])) if suffix.lower() == ".csv" else None)
    np.testing.assert_array_equal(back.X, X)
    np.testing.assert_array_equal(np.signbit(back.X[~np.isnan(X)]), np.signbit(X[~np.isnan(X)]))
    assert back.X.dtype == np.float64


@quick
@given(
    X=arrays.arrays(
        st.sampled_from(["?", "u1", "<i4", ">i4", ">f4", "<f8", "f2"]),
        arrays.array_shapes(min_dims=1, max_dims=4, max_side=4),
    ),
    suffix=st.sampled_from([".npy", ".npz"]),
)
def test_arrays_of_any_shape_are_flattened_and_their_image_shape_kept(tmp_path, X, suffix):
    write(tmp_path / f"images{suffix}", X)
    back = read(tmp_path / f"images{suffix}")
    assert back.image_shape == (X.shape[1:] if X.ndim > 2 else None)
    np.testing.assert_array_equal(back.X, X.reshape(len(X), -1) if X.ndim > 2 else X)
    assert back.X.dtype == X.dtype.newbyteorder("=")
    assert back.X.dtype.isnative


@pytest.mark.parametrize("dtype", ["?", "u1", "i8", "f2", "f4"])
def test_other_dtypes_keep_their_values_in_csv(tmp_path, dtype):
    X = np.random.default_rng(0).normal(size=(7, 3)).astype(dtype)
    write(tmp_path / "table.csv", X, columns=["a", 'b "c", d', "é"])
    back = read(tmp_path / "table.csv")
    np.testing.assert_array_equal(back.X.astype(dtype), X)
    assert back.columns == ("a", 'b "c", d', "é")


def test_a_vector_is_one_column_of_csv(tmp_path):
    write(tmp_path / "y.csv", [1.0, np.nan, 3.0])
    np.testing.assert_array_equal(read(tmp_path / "y.csv").X, [[1.0], [np.nan], [3.0]])


def test_a_fortran_ordered_array_comes_back(tmp_path):
    X = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    write(tmp_path / "x.npy", X)
    np.testing.assert_array_equal(read(tmp_path / "x.npy").X, X)


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


# --- IDX -----------------------------------------------------------------------------------------------

IMAGES = np.arange(3 * 28 * 28).astype(np.uint8).reshape(3, 28, 28)


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
def test_images_by_every_name(tmp_path, name, zipped):
    content = idx_bytes(IMAGES)
    (tmp_path / name).write_bytes(gzip.compress(content, mtime=0) if zipped else content)
    back = read(tmp_path / name)
    assert back.X.shape == (3, 784)
    assert back.X.dtype == np.uint8
    assert back.image_shape == (28, 28)
    np.testing.assert_array_equal(back.X.reshape(IMAGES.shape), IMAGES)


def test_labels_beside_the_images_are_not_read_silently(tmp_path):
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
def test_an_idx_header_that_lies_allocates_nothing(tmp_path, zipped, monkeypatch):
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
def test_what_is_not_idx(tmp_path, content, expected):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    refused(path, str(path), expected)


def test_a_gzip_file_of_something_else_has_no_idx_magic(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"text", mtime=0))
    assert not has_idx_magic(path)
    path.write_bytes(b"\x1f\x8bnonsense")
    assert not has_idx_magic(path)
    refused(path, "'.gz' files cannot be read")


# --- .npy and .npz -------------------------------------------------------------------------------------


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
    refused(path, "several arrays, none of them 'X'", "it holds test, train", f"Say {path}:NAME")
    assert read(f"{path}:test").X.tolist() == [[1.0, 1.0]]
    refused(f"{path}:tset", "no array 'tset'", "it holds test, train")
    refused(f"{tmp_path / 'b.npz'}:test", "b.npz: no such file")


def test_strange_names_in_an_npz_cannot_break_the_line(tmp_path):
    np.savez(tmp_path / "a.npz", **{"\n\x1b[2J": np.zeros(3), "é": np.zeros(3)})
    refused(tmp_path / "a.npz", r"it holds \n\x1b[2J, é.")
    np.savez(tmp_path / "a.npz", **{f"a{i:02}": np.zeros(3) for i in range(20)})
    refused(tmp_path / "a.npz", "a10, a11, .... Say")


def test_npz_asked_for_one_array_gives_no_labels(tmp_path):
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


def test_an_npz_that_lies_about_its_size(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("X.npy", npy_bytes(np.zeros(6)))
    content = path.read_bytes()
    at = content.index(b"PK\x01\x02") + 24  # the uncompressed size in the central directory
    path.write_bytes(content[:at] + struct.pack("<I", 4_000_000_000) + content[at + 4 :])
    refused(path, "array 'X': claims a size that its bytes cannot hold")


# --- .csv ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "columns", "X"),
    [
        ("a,b\n1,2\n3,4\n", ("a", "b"), [[1, 2], [3, 4]]),
        ("1,2\n3,4\n", None, [[1, 2], [3, 4]]),
        ("1,2\r\n3,4", None, [[1, 2], [3, 4]]),
        ("\ufeffa,b\n1,2\n", ("a", "b"), [[1, 2]]),
        ("a, b \n 1 ,\t2\n", ("a", "b"), [[1, 2]]),
        ('"a,b","c""d"\n"1","2"\n', ("a,b", 'c"d'), [[1, 2]]),
        (",a\n0,5\n", ("x0", "a"), [[0, 5]]),
        ("nan,a\n0,5\n", ("nan", "a"), [[0, 5]]),
        ("a,b\n,NA\nnan,NaN\nna, \n", ("a", "b"), [[np.nan, np.nan]] * 3),
        ("a\n1\n\n\n2\n\n", ("a",), [[1], [2]]),
        ('a\n1\n""\n2\n', ("a",), [[1], [np.nan], [2]]),
        (",nan\n1,2\n", None, [[np.nan, np.nan], [1, 2]]),
        ("1e3,-inf\n0x,1\n".replace("0x", "+.5"), None, [[1000, -np.inf], [0.5, 1]]),
    ],
)
def test_tables(tmp_path, text, columns, X):
    (tmp_path / "a.csv").write_text(text, encoding="utf-8", newline="")
    back = read(tmp_path / "a.csv")
    assert back.columns == columns
    np.testing.assert_array_equal(back.X, np.array(X, dtype=float))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["is empty", "a line of numbers"]),
        ("\n\n", ["is empty"]),
        ("a,b\n", ["has a header and no rows", "add a line"]),
        ("a,b\n1,2\n3,x\n", ["line 3, column 2: 'x' is not a number", "Text columns are not numeric"]),
        ('a,b\n"1\n",2\n3,\n4,x\n', ["line 5, column 2"]),
        ("a,b\n1,2020_01\n", ["line 2, column 2: '2020_01'"]),
        ("a,b\n1,2\n3\n", ["line 3: 1 cells, but the first line has 2"]),
        ("a,b\n1,2,3\n", ["line 2: 3 cells, but the first line has 2"]),
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n", ["line 1, column 3: 'setosa' stands beside numbers", "encode"]),
        ("1,2.O\n1,2\n", ["line 1, column 2: '2.O' stands beside numbers"]),
        ("a;b\n1;2\n", ["line 2, column 1: '1;2'", "cells are parted by commas here"]),
        ("a,a\n1,2\n", ["line 1: the column name 'a' stands twice", "rename one"]),
        ('a,b\n1,"2\n3,4\n', ["line 3:", "a quote that is never closed"]),
        ("a\n1\n'" + "x" * 999 + "\n", ["line 3, column 1", "is not a number"]),
        ("a\n" + "1" * 200_000 + "\n", ["line 2", "field larger than field limit"]),
    ],
)
def test_bad_tables(tmp_path, text, expected):
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8", newline="")
    message = refused(path, str(path), *expected)
    assert len(message) < 300 + len(str(path))


def test_a_table_that_is_not_text(tmp_path):
    (tmp_path / "a.csv").write_bytes("é\n1\n".encode("latin-1"))
    refused(tmp_path / "a.csv", "is not UTF-8 text", "save it as UTF-8")
    (tmp_path / "a.csv").write_bytes(b"a\n1\0\n")
    refused(tmp_path / "a.csv", r"line 2, column 1: '1\x00' is not a number")


# --- names ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_sets(name):
    data = read(name)
    assert data.name == name
    assert data.X.shape == (len(data.y), len(data.columns))
    assert data.image_shape == ((8, 8) if name == "digits" else None)


def test_a_file_goes_before_a_bundled_name_and_a_folder_after(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    assert read("digits").X.shape == (1797, 64)
    (tmp_path / "iris").write_bytes(idx_bytes(IMAGES))
    assert read("iris").X.shape == (3, 784)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("digit", ["digit: neither a file nor a bundled data set", "Did you mean 'digits'?", "wine"]),
        ("Iris", ["Did you mean 'iris'?"]),
        ("qqqqq", ["Bundled: breast_cancer, diabetes, digits, iris, wine."]),
        ("digits.csv", ["digits.csv: no such file"]),
        ("digits.cvs", ["'.cvs' files cannot be read. Did you mean '.csv'?", ".npy, .npz, .csv, .idx"]),
        ("table.xlsx", ["'.xlsx' files cannot be read. Use one of"]),
        ("nowhere/digits", ["digits: no such file", "check the name and the folder"]),
        ("train-images-idx3-ubyte.gz", ["no such file"]),
        ("n" * 300, ["cannot be read (File name too long)"]),
        (".", ["is a folder; name a file in it"]),
        (os.devnull, ["is not a regular file"]),
    ],
)
def test_sources_that_are_not_there(tmp_path, monkeypatch, source, expected):
    monkeypatch.chdir(tmp_path)
    refused(source, *expected)


def test_a_file_of_an_unknown_kind(tmp_path):
    (tmp_path / "a.txt").write_text("1 2 3")
    refused(tmp_path / "a.txt", "'.txt' files cannot be read")
    (tmp_path / "a").write_text("1 2 3")
    refused(tmp_path / "a", "the name has no extension. Use one of: .npy, .npz, .csv, .idx, .parquet, .idx.gz.")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PermissionError(13, "Permission denied"), "cannot be read (Permission denied)"),
        (MemoryError(), "does not fit in memory"),
    ],
)
def test_a_file_that_the_system_refuses(tmp_path, monkeypatch, error, expected):
    (tmp_path / "a.npy").write_bytes(npy_bytes(np.zeros(3)))

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(Path, "open", fail)
    refused(tmp_path / "a.npy", expected)


# --- writing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.cvs", "'.cvs' files cannot be written. Did you mean '.csv'? Use one of: .npy, .npz, .csv, .parquet."),
        ("a.idx", "'.idx' files cannot be written"),
        ("a", "the name has no extension. Use one of: .npy, .npz, .csv, .parquet."),
        ("nowhere/a.npy", "its folder does not exist; make the folder"),
        ("folder.npy", "is not a regular file; name another"),
        ("n" * 300 + ".npy", "cannot be written (File name too long)"),
    ],
)
def test_paths_that_cannot_be_written(tmp_path, name, expected):
    (tmp_path / "folder.npy").mkdir()
    with pytest.raises(DataError, match=re.escape(expected)):
        check_writable(tmp_path / name)
    with pytest.raises(DataError, match=re.escape(expected)):
        write(tmp_path / name, object())  # before the array is looked at
    assert names_in(tmp_path) == ["folder.npy"]


def test_permissions_are_asked_for_beforehand(tmp_path, monkeypatch):
    (tmp_path / "a.npy").touch()
    check_writable(tmp_path / "a.npy")
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path).is_dir())  # root may write everything
    with pytest.raises(DataError, match="is read-only"):
        check_writable(tmp_path / "a.npy")
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    with pytest.raises(DataError, match="its folder may not be written"):
        check_writable(tmp_path / "b.npy")


@pytest.mark.parametrize(
    ("name", "array", "columns", "expected"),
    [
        ("a.npy", ["x"], None, "holds str32, not real numbers"),
        ("a.csv", [object()], None, "holds object"),
        ("a.npz", 3.0, None, "one number is no array"),
        ("a.csv", np.zeros((2, 2, 2)), None, "cannot hold an array of shape (2, 2, 2); write .npy instead"),
        ("a.csv", np.zeros((2, 2)), ["a"], "1 column names for 2 columns"),
        ("a.csv", np.zeros((2, 2)), ["a", "a"], "'a' stands twice"),
        ("a.csv", np.zeros((2, 2)), ["0", "a"], "the column name '0' would be read as a number"),
        ("a.csv", np.zeros((2, 2)), ["2019", "2020"], "the column name '2019' would be read as a number"),
        ("a.csv", np.zeros((2, 1)), ["nan"], "the column name 'nan' would be read as a number"),
    ],
)
def test_arrays_that_cannot_be_written_leave_what_was_there(tmp_path, name, array, columns, expected):
    (tmp_path / name).write_text("old")
    with pytest.raises(DataError, match=re.escape(expected)):
        write(tmp_path / name, array, columns)
    assert (tmp_path / name).read_text() == "old"
    assert names_in(tmp_path) == [name]


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    (tmp_path / "a.npy").write_text("old")

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_atomic.os, "fsync", fail)
    with pytest.raises(DataError, match=r"cannot be written \(No space left on device\)"):
        write(tmp_path / "a.npy", [1.0])
    assert (tmp_path / "a.npy").read_text() == "old"
    assert names_in(tmp_path) == ["a.npy"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_atomic_write_leaves_nothing_behind(tmp_path, error):
    def fail():
        with atomic_write(tmp_path / "a.bin") as temporary:
            assert temporary.parent == tmp_path
            assert temporary.suffix == ".bin"
            temporary.write_bytes(b"half")
            raise error

    with pytest.raises(error):
        fail()
    assert names_in(tmp_path) == []


def test_atomic_write_replaces_only_at_the_end(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    path.chmod(0o640)
    with atomic_write(path) as temporary:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert names_in(tmp_path) == ["a.bin"]


def test_atomic_write_gives_a_new_file_the_usual_permissions(tmp_path):
    (tmp_path / "usual").touch()
    with atomic_write(tmp_path / "a.bin"):
        pass
    assert (tmp_path / "a.bin").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_atomic_write_follows_a_link(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "link.bin").symlink_to(tmp_path / "deep" / "a.bin")
    with atomic_write(tmp_path / "link.bin") as temporary:
        temporary.write_bytes(b"new")
    assert (tmp_path / "link.bin").is_symlink()
    assert (tmp_path / "deep" / "a.bin").read_bytes() == b"new"


def test_atomic_write_replaces_no_folder_and_no_device(tmp_path):
    for path in (tmp_path, os.devnull):
        with pytest.raises(OSError, match="is not a regular file"), atomic_write(path):
            pass


# --- the package ------------------------------------------------------------------------------------------


def test_only_numpy_and_the_standard_library_are_imported_at_the_top():
    folder = Path(isthmus.data.__file__).parent
    files = [file for file in folder.rglob("*.py") if file.parent.name != "loaders"]  # loaders import torch
    modules = {".".join(("isthmus", "data", *file.relative_to(folder).with_suffix("").parts)) for file in files}
    for file in [*files, Path(_atomic.__file__)]:
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                allowed = name.split(".")[0] in {*sys.stdlib_module_names, "numpy"}
                assert allowed or name in {*modules, "isthmus._atomic", "isthmus._names"}, f"{file.name}: {name}"


def test_everything_exported_is_there():
    for name in isthmus.data.__all__:
        assert hasattr(isthmus.data, name)
