"""Files are written whole or not at all, and what cannot be written is known before long work."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

from data_files import names_in, needs_pyarrow
from isthmus import _atomic
from isthmus.data import DataError, check_writable, open_writer, read, write


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.cvs", "'.cvs' files cannot be written. Did you mean '.csv'? Use .npy, .npz, .csv, .tsv, .parquet"),
        ("a.txt", "'.txt' files cannot be written"),
        ("a.idx", "'.idx' files cannot be written"),
        ("a", "the name has no extension. Use .npy, .npz, .csv, .tsv, .parquet, .feather"),
        ("nowhere/a.npy", "nowhere does not exist; make it first."),
        ("folder.npy", "is a folder; name another file"),
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


def test_permissions_are_checked_beforehand(tmp_path, monkeypatch):
    (tmp_path / "a.npy").touch()
    check_writable(tmp_path / "a.npy")
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path).is_dir())  # root may write everything
    with pytest.raises(DataError, match="is read-only"):
        check_writable(tmp_path / "a.npy")
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    with pytest.raises(DataError, match="is not writable; change its permissions"):
        check_writable(tmp_path / "b.npy")


@pytest.mark.parametrize(
    ("name", "array", "columns", "expected"),
    [
        ("a.npy", ["x"], None, "holds str32, not real numbers"),
        ("a.csv", [object()], None, "holds object"),
        ("a.npz", 3.0, None, "a single number is not an array"),
        ("a.csv", np.zeros((2, 2, 2)), None, "cannot hold an array of shape (2, 2, 2); write .npy instead"),
        ("a.csv", np.zeros((2, 2)), ["a"], "1 column names for 2 columns"),
        ("a.csv", np.zeros((2, 2)), ["a", "a"], "two columns are named 'a'"),
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


def test_a_missing_folder_is_a_file_not_found_error(tmp_path):
    for call in (check_writable, lambda path: write(path, [1.0])):
        with pytest.raises(FileNotFoundError, match="nowhere does not exist; make it first") as caught:
            call(tmp_path / "nowhere" / "a.npy")
        assert isinstance(caught.value, DataError)


def test_errors_of_the_caller_stay_what_they_are(tmp_path):
    with (
        pytest.raises(OSError, match="the source is gone") as caught,
        open_writer(tmp_path / "a.npy", 3) as write_block,
    ):
        write_block(np.zeros(2))
        raise OSError(5, "the source is gone")
    assert not isinstance(caught.value, DataError)
    assert names_in(tmp_path) == []


def test_a_disk_that_is_full_after_the_last_block(tmp_path, monkeypatch):
    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_atomic.os, "fsync", fail)
    with (
        pytest.raises(DataError, match=r"cannot be written \(No space left on device\)"),
        open_writer(tmp_path / "a.npy", 3) as write_block,
    ):
        write_block(np.zeros(3))
    assert names_in(tmp_path) == []


def test_a_file_without_a_block_is_not_written(tmp_path):
    with pytest.raises(DataError, match="wrote 0 of 0 rows"), open_writer(tmp_path / "a.npy", 0):
        pass
    assert names_in(tmp_path) == []


@needs_pyarrow
def test_numbers_in_the_other_byte_order_are_written(tmp_path):
    for name in ("a.npy", "a.npz", "a.csv", "a.parquet"):
        write(tmp_path / name, np.arange(3.0).astype(">f4")[:, None])
        assert read(tmp_path / name).X.ravel().tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv", pytest.param(".parquet", marks=needs_pyarrow)])
def test_a_file_is_whole_or_not_there(tmp_path, suffix):
    path, X = tmp_path / f"z{suffix}", np.zeros((5, 3))
    with pytest.raises(KeyError), open_writer(path, 10) as write_block:
        write_block(X)
        raise KeyError
    with pytest.raises(DataError, match="wrote 5 of 10 rows"), open_writer(path, 10) as write_block:
        write_block(X)
    for other in (X.astype("f4"), X[:, :2]):
        with pytest.raises(DataError, match="write one array only"), open_writer(path, 10) as write_block:
            write_block(X)
            write_block(other)
    with pytest.raises(DataError, match="not real numbers"), open_writer(path, 1) as write_block:
        write_block(np.array([["a"]]))
    assert names_in(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe.npy")
    with pytest.raises(DataError, match="pipe.npy: is not a regular file; name another, or move it away"):
        write(tmp_path / "pipe.npy", [1.0])
    assert names_in(tmp_path) == ["pipe.npy"]
