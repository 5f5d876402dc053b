"""Tables of numbers as comma-separated text: headers and missing cells. Other text: test_text_tables.py."""

import sys

import numpy as np
import pytest

from data_files import refused
from isthmus.data import read, write


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


@pytest.mark.parametrize(
    ("text", "columns", "X"),
    [
        ("a,b\n1,2\n3,4\n", ("a", "b"), [[1, 2], [3, 4]]),
        ("1,2\n3,4\n", None, [[1, 2], [3, 4]]),
        ("1,2\r\n3,4", None, [[1, 2], [3, 4]]),
        ("\ufeffa,b\n1,2\n", ("a", "b"), [[1, 2]]),
        ("a, b \n 1 ,\t2\n", ("a", "b"), [[1, 2]]),
        ('"a,b","c""d"\n"1","2"\n', ("a,b", 'c"d'), [[1, 2]]),
        (",a\n0,5\n", ("a",), [[5]]),
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


def test_names_that_look_like_numbers_are_quoted_in_the_header(tmp_path):
    write(tmp_path / "a.csv", [[1.0, 2.0], [3.0, np.nan]], ["0", "1"])
    assert (tmp_path / "a.csv").read_text() == '"0","1"\n1.0,2.0\n3.0,nan\n'
    back = read(tmp_path / "a.csv")
    assert back.columns == ("0", "1")
    np.testing.assert_array_equal(back.X, [[1.0, 2.0], [3.0, np.nan]])


@pytest.mark.parametrize(
    "text",
    ['"1","2"\n"3","4"\n', '"1","2"\n', '"1",2\n3,4\n', '1,2\n"3","4"\n', '\n"1","2"\n\n"3","4"\n'],
)
def test_a_file_that_quotes_its_numbers_has_no_header(tmp_path, text):
    (tmp_path / "a.csv").write_text(text)
    back = read(tmp_path / "a.csv")
    assert back.columns is None
    np.testing.assert_array_equal(back.X, np.arange(1.0, 1 + back.X.size).reshape(-1, 2))


def test_large_numbers_that_keep_their_digits_are_read(tmp_path):
    (tmp_path / "a.csv").write_text(f'"9007199254740993","b"\n{2**53},{2**60}\n-1e300,1.7e18\ninf,{2**53 + 1}.5\n')
    assert read(tmp_path / "a.csv").X[:, 0].tolist() == [2.0**53, -1e300, np.inf]


def test_without_pandas_numbers_are_read_and_texts_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.csv", None)
    (tmp_path / "a.csv").write_text(",a\n0,5\n1,6\n")
    assert read(tmp_path / "a.csv").columns == ("x0", "a")
    (tmp_path / "a.csv").write_text("a,b\n1,x\n")
    refused(tmp_path / "a.csv", "line 2, column 2: 'x' is not a number", 'pip install "isthmus[table]"')
