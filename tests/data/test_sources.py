"""Sources: rows that stay where they are until they are wanted."""

import builtins
import importlib.util

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
    as_source,
    open_rows,
    open_writer,
    read,
    reading,
    sources,
    write,
)

X = np.random.default_rng(0).normal(size=(101, 3)).astype(np.float32)
HAS_PYARROW = importlib.util.find_spec("pyarrow") is not None
needs_pyarrow = pytest.mark.skipif(not HAS_PYARROW, reason="pyarrow is not installed: isthmus[table]")


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
    with open_writer(tmp_path / "x.parquet", len(X), ["a", "b", "c"]) as put:
        for start in range(0, len(X), 17):
            put(X[start : start + 17])
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


@pytest.mark.parametrize("dtype", ["u1", "i2", "f2", "?", ">f4", "f4", "i4", "u8", "f8", ">f8"])
def test_types(tmp_path, dtype):
    values = np.arange(12).reshape(4, 3).astype(dtype)
    np.save(tmp_path / "x.npy", values)
    source = FileRows.npy(tmp_path / "x.npy")
    assert source.dtype == (np.float32 if dtype in ("u1", "i2", "f2", "?", ">f4", "f4") else np.float64)
    assert source[:].dtype == source.take(np.array([1])).dtype == source.dtype
    np.testing.assert_array_equal(source[:], values.astype(float))


IDS = np.column_stack([np.arange(40), 2**60 + np.arange(40)])  # int64; odd ones above 2^53 are no floats


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


@needs_pyarrow
@pytest.mark.parametrize("missing", [False, True])
def test_integers_that_lose_digits_in_parquet(tmp_path, missing):
    import pyarrow.parquet

    values = [2**53, None if missing else 3, -(2**53) - 1]
    table = pyarrow.table({"x": [1.0, 2.0, 3.0], "id": pyarrow.array(values, "int64")})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"t.parquet, column 'id': a value is an integer beyond 2\^53"):
        read(tmp_path / "t.parquet")
    assert ParquetRows(tmp_path / "t.parquet", ["x"])[:].shape == (3, 1)


def test_images_are_flattened(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(24.0).reshape(4, 2, 3))
    source = FileRows.npy(tmp_path / "x.npy")
    assert (source.shape, source.image_shape) == ((4, 6), (2, 3))
    assert source[1:2].tolist() == [[6, 7, 8, 9, 10, 11]]


def test_plain_numbers_behind_a_header(tmp_path):
    (tmp_path / "x.bin").write_bytes(b"12345" + X.tobytes())
    np.testing.assert_array_equal(FileRows(tmp_path / "x.bin", shape=X.shape, dtype="f4", offset=5)[:], X)


def test_a_source_of_ones_own_is_checked():
    class Short(RowSource):
        def read(self, start, stop):
            return np.zeros((stop - start - 1, 2))

    with pytest.raises(DataError, match=r"Short.read\(3, 6\) returned .* shape \(2, 2\); it must return \(3, 2\)"):
        Short(10, 2, "f8")[3:6]
    with pytest.raises(DataError, match="holds complex128, not real numbers"):
        Short(10, 2, "c16")
    with pytest.raises(DataError, match="0 rows and 2 columns"):
        Short(0, 2, "f8")


# ---- recognised --------------------------------------------------------------------------------------------------


def test_what_is_a_source(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", X)
    held = as_source(tmp_path / "x.npy")
    assert isinstance(held, ArrayRows)
    assert held.resident
    for ordinary in (X, X.tolist(), torch.from_numpy(X), np.load(tmp_path / "x.npy", mmap_mode="r")):
        assert as_source(ordinary) is None
    assert as_source(held) is held
    assert isinstance(as_source(Items()), DatasetRows)
    assert as_source("digits").columns[0] == "pixel_0_0"
    monkeypatch.setattr(reading, "STREAM_ABOVE", 100)
    for named in (str(tmp_path / "x.npy"), tmp_path / "x.npy", np.load(tmp_path / "x.npy", mmap_mode="r")):
        source = as_source(named)
        assert isinstance(source, FileRows)
        np.testing.assert_array_equal(source[:], X)
    assert isinstance(open_rows(tmp_path / "x.npy").X, FileRows)
    assert as_source(X) is None, "an array in memory stays there"


def test_memory_maps_are_read_where_they_say(tmp_path, monkeypatch):
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


def test_data_sets_that_have_no_rows():
    class Endless(torch.utils.data.IterableDataset):
        def __iter__(self):
            yield from X

    class Growing(Items):
        def __getitem__(self, i):
            return np.zeros(i + 1)

    with pytest.raises(DataError, match="an IterableDataset has no random access"):
        as_source(Endless())
    with pytest.raises(DataError, match="item 1 has 2 numbers, and item 0 has 1"):
        as_source(Growing())[:]


# ---- Parquet -----------------------------------------------------------------------------------------------------


@needs_pyarrow
def test_parquet_there_and_back(tmp_path):
    table = np.where(np.arange(303).reshape(101, 3) % 10 == 4, np.nan, X.astype("f8"))
    write(tmp_path / "t.parquet", table, ["a", "b", "c"])
    back = read(tmp_path / "t.parquet")
    assert (back.columns, back.name) == (("a", "b", "c"), "t")
    np.testing.assert_array_equal(back.X, table)
    source = ParquetRows(tmp_path / "t.parquet", ["c", "a"])
    np.testing.assert_array_equal(source[:], table[:, [2, 0]])
    assert source.select([1]).columns == ("a",)


@needs_pyarrow
def test_a_folder_of_parquet_files(tmp_path, monkeypatch):
    for i in range(3):
        write(tmp_path / f"{i}.parquet", X[34 * i : 34 * (i + 1)], ["a", "b", "c"])
    np.testing.assert_array_equal(read(tmp_path).X, X)
    monkeypatch.setattr(reading, "STREAM_ABOVE", 100)
    source = as_source(tmp_path)
    assert source.edges().tolist() == [0, 34, 68, 101]
    np.testing.assert_array_equal(source[30:70], X[30:70])
    write(tmp_path / "3.parquet", X, ["a", "d", "c"])
    with pytest.raises(DataError, match=r"3.parquet: has no column 'b'"):
        as_source(tmp_path)


@needs_pyarrow
def test_parquet_types(tmp_path):
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table(
        {
            "int": pyarrow.array([1, None, 3], "int64"),
            "bool": pyarrow.array([True, None, False]),
            "byte": pyarrow.array([1, 2, 255], "uint8"),
            "text": ["a", "b", "c"],
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(DataError, match="column 'text' holds string, not numbers"):
        ParquetRows(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="has no column 'bit'. Did you mean 'int'"):
        ParquetRows(tmp_path / "t.parquet", ["bit"])
    source = ParquetRows(tmp_path / "t.parquet", ["int", "bool", "byte"])
    assert source.dtype == np.float64
    np.testing.assert_array_equal(source[:], [[1, 1, 1], [np.nan, np.nan, 2], [3, 0, 255]])
    assert ParquetRows(tmp_path / "t.parquet", ["bool", "byte"]).dtype == np.float32


@needs_pyarrow
def test_damaged_parquet(tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="damaged, cut short, or no Parquet file"):
        ParquetRows(tmp_path / "t.parquet")


def test_parquet_without_its_library(tmp_path, monkeypatch):
    plain = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] == "pyarrow":
            raise ImportError(name)
        return plain(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    (tmp_path / "t.parquet").touch()
    message = r't.parquet: Parquet needs pyarrow; pip install "isthmus\[table\]"'
    for call in (ParquetRows, read, as_source):
        with pytest.raises(DataError, match=message):
            call(tmp_path / "t.parquet")
    with pytest.raises(DataError, match=message):
        write(tmp_path / "t.parquet", X)
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / "none.parquet")


# ---- written block by block --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["z.npy", "z.npz", "z.csv", "z.parquet"])
@pytest.mark.parametrize("array", [X, X.astype("f8"), np.arange(9) * 3], ids=["f4", "f8", "one column"])
def test_blocks_make_the_file_that_the_whole_makes(tmp_path, name, array):
    if name == "z.parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed: isthmus[table]")
    with open_writer(tmp_path / name, len(array)) as put:
        for start in range(0, len(array), 4):
            put(array[start : start + 4])
            assert not (tmp_path / name).exists(), "written aside"
    write(tmp_path / f"whole.{name}", array)
    a, b = read(tmp_path / name), read(tmp_path / f"whole.{name}")
    np.testing.assert_array_equal(a.X, b.X)
    assert (a.X.dtype, a.columns) == (b.X.dtype, b.columns)


@pytest.mark.parametrize("name", ["z.npy", "z.npz", "z.csv"])
def test_a_file_is_whole_or_not_there(tmp_path, name):
    with pytest.raises(KeyError), open_writer(tmp_path / name, 10) as put:
        put(X[:5])
        raise KeyError
    with (
        pytest.raises(DataError, match="5 rows were written of 10"),
        open_writer(tmp_path / name, 10) as put,
    ):
        put(X[:5])
    with pytest.raises(DataError, match="write one array only"), open_writer(tmp_path / name, 10) as put:
        put(X[:5])
        put(X[:5].astype("f8"))
    with pytest.raises(DataError, match="not real numbers"), open_writer(tmp_path / name, 1) as put:
        put(np.array([["a"]]))
    assert not list(tmp_path.iterdir())
