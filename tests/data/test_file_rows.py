"""Rows of binary files: types, offsets, memory maps, and files that cannot be streamed."""

import numpy as np
import pytest

from isthmus.data import ArrayRows, DataError, FileRows, as_source, reading

X = np.random.default_rng(0).normal(size=(101, 3)).astype(np.float32)


@pytest.mark.parametrize("dtype", ["u1", "i2", "f2", "?", ">f4", "f4", "i4", "u8", "f8", ">f8"])
def test_types(tmp_path, dtype):
    values = np.arange(12).reshape(4, 3).astype(dtype)
    np.save(tmp_path / "x.npy", values)
    source = FileRows.npy(tmp_path / "x.npy")
    assert source.dtype == (np.float32 if dtype in ("u1", "i2", "f2", "?", ">f4", "f4") else np.float64)
    assert source[:].dtype == source.take(np.array([1])).dtype == source.dtype
    np.testing.assert_array_equal(source[:], values.astype(float))


def test_images_are_flattened(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(24.0).reshape(4, 2, 3))
    source = FileRows.npy(tmp_path / "x.npy")
    assert (source.shape, source.image_shape) == ((4, 6), (2, 3))
    assert source[1:2].tolist() == [[6, 7, 8, 9, 10, 11]]


def test_numbers_after_a_header(tmp_path):
    (tmp_path / "x.bin").write_bytes(b"12345" + X.tobytes())
    np.testing.assert_array_equal(FileRows(tmp_path / "x.bin", shape=X.shape, dtype="f4", offset=5)[:], X)


def test_memory_maps_are_read_from_their_files(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "STREAM_ABOVE", 100)
    np.save(tmp_path / "x.npy", X)
    whole = np.load(tmp_path / "x.npy", mmap_mode="r")
    (tmp_path / "x.bin").write_bytes(b"12345" + X.tobytes())
    raw = np.memmap(tmp_path / "x.bin", dtype="f4", mode="r", offset=5, shape=X.shape)
    np.testing.assert_array_equal(as_source(raw)[:], X)
    np.testing.assert_array_equal(as_source(whole[7:50])[:], X[7:50])  # a slice's offset is its whole's
    np.testing.assert_array_equal(as_source(whole[:, 1:])[:], X[:, 1:])
    changed = np.load(tmp_path / "x.npy", mmap_mode="c")
    changed[3] = 9.0  # in memory only
    assert as_source(changed)[3:4].tolist() == [[9.0] * 3]
    np.save(tmp_path / "f.npy", np.asfortranarray(X))
    np.testing.assert_array_equal(as_source(np.load(tmp_path / "f.npy", mmap_mode="r"))[:], X)


def test_files_that_cannot_be_streamed(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "STREAM_ABOVE", 100)
    for array, message in [
        (np.asfortranarray(X), r"column by column; save np.ascontiguousarray\(X\)"),
        (np.arange(100.0), r"holds an array of shape \(100,\)"),
        (np.array(["a" * 100] * 9), "not real numbers"),
    ]:
        np.save(tmp_path / "x.npy", array)
        with pytest.raises(DataError, match=message):
            as_source(tmp_path / "x.npy")
    np.save(tmp_path / "x.npy", X)
    source = as_source(tmp_path / "x.npy")
    content = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(content[:-1])
    with pytest.raises(DataError, match="cut short while it was read"):
        source[:]
    with pytest.raises(DataError, match="bytes by its header"):
        FileRows.npy(tmp_path / "x.npy")
    with pytest.raises(DataError, match="no such file"):
        FileRows.npy(tmp_path / "y.npy")
    with pytest.raises(DataError, match="too short for 500 rows"):
        FileRows(tmp_path / "x.npy", shape=(500, 3), dtype="f4")
    with pytest.raises(DataError, match=r"rows need columns"):
        ArrayRows(np.zeros(3))
