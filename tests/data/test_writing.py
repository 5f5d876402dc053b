"""Files are written whole or not at all, and what cannot be written is known before long work."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

from data_files import names_in
from isthmus import _atomic
from isthmus.data import DataError, check_writable, write


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.cvs", "'.cvs' files cannot be written. Did you mean '.csv'? Use .npy, .npz, .csv or .parquet."),
        ("a.idx", "'.idx' files cannot be written"),
        ("a", "the name has no extension. Use .npy, .npz, .csv or .parquet."),
        ("nowhere/a.npy", "nowhere does not exist; make it first."),
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
