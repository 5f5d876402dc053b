"""Parquet: files and folders, types of columns, missing cells, and the optional library."""

import builtins

import numpy as np
import pytest

from data_files import needs_pyarrow
from isthmus.data import DataError, ParquetRows, as_source, read, reading, write

X = np.random.default_rng(0).normal(size=(101, 3)).astype(np.float32)


@needs_pyarrow
def test_a_parquet_file_comes_back(tmp_path):
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
    with pytest.raises(DataError, match="damaged, cut short, or not a Parquet file"):
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


@needs_pyarrow
@pytest.mark.parametrize("missing", [False, True])
def test_integers_that_lose_digits_in_parquet(tmp_path, missing):
    import pyarrow.parquet

    values = [2**53, None if missing else 3, -(2**53) - 1]
    table = pyarrow.table({"x": [1.0, 2.0, 3.0], "id": pyarrow.array(values, "int64")})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"t.parquet, column 'id': a value is an integer beyond 2\^53"):
        ParquetRows(tmp_path / "t.parquet")[:]
    assert read(tmp_path / "t.parquet").X["id"].iloc[2] == -(2**53) - 1
    assert ParquetRows(tmp_path / "t.parquet", ["x"])[:].shape == (3, 1)
