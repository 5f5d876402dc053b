"""Sources: whatever holds the rows, they are read like those of an array."""

import numpy as np
import pytest
import torch

from isthmus.data import (
    ArrayRows,
    DataError,
    DatasetRows,
    FileRows,
    ParquetRows,
    RowSource,
    open_writer,
    sources,
)

X = np.random.default_rng(0).normal(size=(101, 3)).astype(np.float32)


class Items(torch.utils.data.Dataset):
    """A data set with labels, whose items are images."""

    def __len__(self):
        return len(X)

    def __getitem__(self, i):
        return torch.from_numpy(X[i]).reshape(1, 3), i % 2


class Together(Items):
    """The same with many items at once; one alone may not be asked for after the first."""

    def __getitem__(self, i):
        assert i == 0
        return super().__getitem__(i)

    def __getitems__(self, rows):
        return [Items.__getitem__(self, i) for i in rows]


def in_file(tmp_path):
    np.save(tmp_path / "x.npy", X)
    return FileRows.npy(tmp_path / "x.npy")


def in_parquet(tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed: isthmus[table]")
    with open_writer(tmp_path / "x.parquet", len(X), ["a", "b", "c"]) as write_block:
        for start in range(0, len(X), 17):
            write_block(X[start : start + 17])
    return ParquetRows(tmp_path / "x.parquet")


MAKERS = {
    "array": lambda _: ArrayRows(X),
    "file": in_file,
    "parquet": in_parquet,
    "dataset": lambda _: DatasetRows(Items()),
    "dataset, together": lambda _: DatasetRows(Together()),
    "tensors": lambda _: DatasetRows(torch.utils.data.TensorDataset(torch.from_numpy(X).reshape(-1, 3, 1))),
    "part": lambda _: ArrayRows(np.concatenate([X[:5], X, X[:9]])).part(5, 106),
    "selected": lambda _: ArrayRows(np.column_stack([X[:, 2], X[:, 0], X[:, :2]])).select([1, 3, 0]),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_a_source_reads_like_the_array(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(sources, "_BLOCK", 7 * 3 * 4)
    source = MAKERS[kind](tmp_path)
    assert (source.shape, source.ndim, len(source), source.dtype) == ((101, 3), 2, 101, np.float32)
    assert source.nbytes == X.nbytes
    for rows in (slice(None), slice(0, 0), slice(4, 5), slice(15, 60), slice(90, 500), slice(-3, None)):
        np.testing.assert_array_equal(source[rows], X[rows])
        assert source[rows].dtype == np.float32
    index = np.array([0, 3, 6, 7, 50, 99, 100])
    np.testing.assert_array_equal(source.take(index), X[index])
    edges = source.edges()
    assert (edges[0], edges[-1]) == (0, 101)
    assert (np.diff(edges) > 0).all()
    assert len(edges) > 5
    part = source.part(20, 90)
    assert part.first_row == source.first_row + 20
    np.testing.assert_array_equal(part[3:5], X[23:25])
    assert (part.edges()[0], part.edges()[-1]) == (0, 70)
    np.testing.assert_array_equal(source.select([2, 0])[10:40], X[10:40][:, [2, 0]])
    with pytest.raises(TypeError, match="read rows by a slice"):
        source[3]
    with pytest.raises(ValueError, match="step of 1"):
        source[::2]


IDS = np.column_stack([np.arange(40), 2**60 + np.arange(40)])  # int64, beyond 2^53


def large_ids(kind, tmp_path):
    """Return a source with an integer that loses digits in row 23, column 1."""
    ids = IDS.copy()
    ids[:, 1] = np.where(np.arange(40) < 23, 2**53, ids[:, 1])
    if kind == "dataset":
        return DatasetRows(torch.utils.data.StackDataset(torch.from_numpy(ids)))
    if kind == "file":
        np.save(tmp_path / "x.npy", ids)
        return FileRows.npy(tmp_path / "x.npy")
    return {
        "array": ArrayRows(ids, name="ids"),
        "unsigned": ArrayRows(ids.astype("u8"), name="ids"),
        "part": ArrayRows(np.concatenate([IDS[:3, :1] * [0, 0], ids]), name="ids").part(3, 43).part(0, 40),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "row"), [("array", 23), ("unsigned", 23), ("part", 26), ("file", 23), ("dataset", 23)]
)
def test_integers_that_lose_digits_are_refused(tmp_path, kind, row):
    source = large_ids(kind, tmp_path)
    assert source[:23].tolist() == [[i, 2.0**53] for i in range(23)]
    for read_rows in (lambda: source[20:30], lambda: source.take(np.array([3, 23]))):
        with pytest.raises(DataError, match=rf", row {row}, column 1: {2**60 + 23} is an integer beyond 2\^53"):
            read_rows()


def test_what_a_custom_source_returns_is_checked():
    class Short(RowSource):
        def read(self, start, stop):
            return np.zeros((stop - start - 1, 2))

    with pytest.raises(DataError, match=r"Short.read\(3, 6\) returned .* shape \(2, 2\); it must return \(3, 2\)"):
        Short(10, 2, "f8")[3:6]
    with pytest.raises(DataError, match="holds complex128, not real numbers"):
        Short(10, 2, "c16")
    with pytest.raises(DataError, match="0 rows and 2 columns"):
        Short(0, 2, "f8")
