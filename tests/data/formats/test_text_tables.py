"""Tables of text as people have them: what separates cells, encodings, headers, kinds of columns, and their errors."""

import bz2
import gzip
import random
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets

from data_files import needs_pyarrow, refused, survives
from isthmus.data import open_rows, read, write_frame

pytestmark = needs_pyarrow
PEOPLE = "name,age,pay\nAnn,30,1.5\nBob,41,2.25\nCid,,3.0\n"


def table(path, text, encoding="utf-8"):
    """Write text to a file, and return what is read."""
    path.write_bytes(text.encode(encoding) if isinstance(text, str) else text)
    return read(path)


def check_people(rows):
    assert rows.columns == ("name", "age", "pay")
    assert rows.X["name"].tolist() == ["Ann", "Bob", "Cid"]
    assert rows.X["age"].dtype == "Int64"
    assert rows.X["age"].tolist() == [30, 41, pd.NA]
    assert rows.X["pay"].tolist() == [1.5, 2.25, 3.0]


def german(text):
    return text.replace(",", ";").replace(".", ",")


def spaced(text):
    return "\n".join(" , ".join(f'"{cell}"' for cell in line.split(",")) for line in text.splitlines())


@pytest.mark.parametrize(
    "text",
    [
        PEOPLE,
        PEOPLE.replace("\n", "\r\n"),
        PEOPLE.replace("\n", "\r"),
        PEOPLE.replace(",", "\t"),
        PEOPLE.replace(",", "|"),
        PEOPLE.replace(",", ";"),
        PEOPLE.replace(",", "^"),
        german(PEOPLE),
        spaced(PEOPLE),
        "# a comment\n" + PEOPLE.replace("Bob", "# another, longer\nBob"),
        "Staff of 2024\nSource: HR, Berlin\n\n" + PEOPLE,
        PEOPLE.replace("Cid,,", "Cid,NULL,"),
        PEOPLE.replace("Cid,,", "Cid,?,"),
        PEOPLE.replace("Cid,,", "Cid,N/A,"),
        PEOPLE.replace("Cid,,", "Cid,None,"),
        PEOPLE.replace("Cid,,", "Cid, - ,"),
        PEOPLE.replace("1.5", "$1.50").replace("2.25", '"$ 2.25"'),
        PEOPLE.replace("1.5", "1.5%"),
    ],
)
def test_layouts(tmp_path, text):
    check_people(table(tmp_path / "a.csv", text))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_encodings(tmp_path, encoding):
    rows = table(tmp_path / "a.csv", "größe,city\n1,Köln\n2,Orléans\n", encoding)
    assert rows.columns == ("größe", "city")
    assert rows.X["city"].tolist() == ["Köln", "Orléans"]
    assert any("cp1252" in note for note in rows.notes) == (encoding == "cp1252")


def test_an_encoding_that_shows_far_down(tmp_path):
    rows = table(tmp_path / "a.csv", "a,b\n" + "x,y\n" * 100_000 + "é,z\n", "latin-1")
    assert rows.X["a"].iloc[-1] == "é"


@pytest.mark.parametrize("name", ["a.csv.gz", "a.csv.bz2", "a.csv.zip", "a.zip", "a.csv"])
def test_compressed(tmp_path, name):
    path = tmp_path / name
    if name.endswith("zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("inside.csv", PEOPLE)
    else:
        path.write_bytes(bz2.compress(PEOPLE.encode()) if "bz2" in name else gzip.compress(PEOPLE.encode()))
    rows = open_rows(path)
    check_people(rows)
    assert rows.name == "a"


@pytest.mark.parametrize("name", ["a.tsv", "a.txt", "a.dat", "a.data", "a.tab"])
def test_other_names(tmp_path, name):
    check_people(table(tmp_path / name, PEOPLE.replace(",", "\t")))


def test_white_space_between_numbers(tmp_path):
    rows = table(tmp_path / "a.txt", " 1.0   2.0\n3.0\t4.0\n")
    assert rows.columns is None
    np.testing.assert_array_equal(rows.X, [[1, 2], [3, 4]])
    refused_text(tmp_path, "1.0 2.0\n" * 300 + "1 2 3\n", "line 301 has 3 cells")
    assert table(tmp_path / "b.txt", "a word\nb two words\nc\n").X.shape == (2, 1)


def refused_text(folder, text, *expected):
    (folder / "bad.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return refused(folder / "bad.csv", str(folder / "bad.csv"), *expected)


# ---- headers and indices -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "columns", "n_rows"),
    [
        ("39,Private,7\n50,Self,8\n", ("x0", "x1", "x2"), 2),
        ("p,x\ne,x\np,x\ne,y\np,y\n", ("x0", "x1"), 5),
        ("country,1960,1961\nA,1.5,2\nB,3,4\n", ("country", "1960", "1961"), 2),
        ("0,1,2\n1.5,2.5,3.5\n2,3,4\n", ("0", "1", "2"), 2),
        (",0,1\n0,1.5,2.5\n1,2,3\n", ("0", "1"), 2),
        ("1960,1970\n1.5,2.5\n2,3\n", ("1960", "1970"), 2),
        ("# a,b,c\n1,2,3\n4,5,6\n", ("a", "b", "c"), 2),
        ('"a","b"\n"r1",1,x\n"r2",3,y\n', ("a", "b"), 2),
        ('"","a","b"\n"1",1,2\n"2",3,4\n', ("a", "b"), 2),
        ("a,\nx,1\ny,2\n", ("a", "x1"), 2),
        ("a,b,\nx,1\ny,2\n", ("a", "b"), 2),
        ("150,4,setosa,virginica\n5.1,3.5,1.4,0\n4.9,3.0,1.4,1\n", ("150", "4", "setosa", "virginica"), 2),
        ("1,NA\n2,5\n3,x\n", ("x0", "x1"), 3),
    ],
)
def test_headers(tmp_path, text, columns, n_rows):
    rows = table(tmp_path / "a.csv", text)
    assert rows.columns == columns
    assert len(rows.X) == n_rows


def test_zeros_and_ones_are_no_header(tmp_path):
    assert table(tmp_path / "a.csv", "0,1\n1,1\n0,0\n").columns is None


@pytest.mark.parametrize("frame", [pd.DataFrame({"a": [5, 6], "b": [1.5, 2.5]}), pd.DataFrame({"a": ["x", "y"]})])
@pytest.mark.parametrize("index", [[0, 1], [7, 3], ["u", "v"]])
def test_an_index_that_pandas_wrote_comes_back(tmp_path, frame, index):
    frame.index = index
    frame.to_csv(tmp_path / "a.csv")
    rows = read(tmp_path / "a.csv")
    assert rows.columns == tuple(frame.columns)
    assert any("is not learned" in note for note in rows.notes)
    back = rows.X if rows.is_frame else pd.DataFrame(rows.X, index=rows.text.index_values(), columns=rows.columns)
    pd.testing.assert_frame_equal(back, frame, check_dtype=False, check_index_type=False)


# ---- columns -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "2"], [1, 2]),
        (["+1", "-2"], [1, -2]),
        (["1e3", ".5"], [1000.0, 0.5]),
        (["True", "False"], [True, False]),
        (["TRUE", "FALSE"], ["TRUE", "FALSE"]),
        (["007", "12"], ["007", "12"]),
        (["9007199254740993", "1"], [9007199254740993, 1]),
        (["1" * 25, "2" * 25], ["1" * 25, "2" * 25]),
        (['"1,234"', '"5"'], [1234, 5]),
        (["1 234", "12 500"], [1234, 12500]),
        (["45%", "50%"], [45, 50]),
        (["€ 4", "€ 5"], [4, 5]),
        (["2024-03-01", "2024-03-02"], ["2024-03-01", "2024-03-02"]),
        (["2020_01", "2020_02"], ["2020_01", "2020_02"]),
        (["1-2", "3"], ["1-2", "3"]),
    ],
)
def test_kinds_of_columns(tmp_path, cells, values):
    rows = table(tmp_path / "a.csv", "word,x\n" + "".join(f"w,{cell}\nv,{cell}\n" for cell in cells))
    assert rows.X["x"].tolist() == [value for value in values for _ in "wv"]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("x;y\n1,5;a\n2,25;b\n", [1.5, 2.25]),
        ("x;y\n1.234,5;a\n2;b\n", [1234.5, 2]),
        ("x;y\n1,234;a\n2,500;b\n", [1.234, 2.5]),  # three decimals: it is not known, and ";" says which
        ('x,y\n"1,234",a\n"2,500",b\n', [1234, 2500]),
        ('x,y\n"1,23",a\n"2,5",b\n', [1.23, 2.5]),
    ],
)
def test_decimal_commas(tmp_path, text, values):
    assert table(tmp_path / "a.csv", text).X["x"].tolist() == values


def test_notes_name_what_was_decided(tmp_path):
    rows = table(tmp_path / "a.csv", "p,q,r,s\n$1,-,7,a\n$2,3,8,b\n$3,4,9,c\n$4,5,ten,d\n$5,6,11,e\n")
    notes = "; ".join(rows.notes)
    assert "column 'p' has numbers, read without '$'" in notes
    assert "column 'q' has numbers; '-' counts as missing there" in notes
    assert "column 'r' is text because of 1 of 5 cells, such as 'ten' in line 5" in notes
    assert rows.X["q"].tolist() == [pd.NA, 3, 4, 5, 6]


def test_lines_are_counted_with_everything_above(tmp_path):
    text = 'Title\n\na,b\n1,"x\ny"\n\n2,z\n3,z\nthree,z\n5,w\n'
    (note,) = [n for n in table(tmp_path / "a.csv", text).notes if "is text" in n]
    assert "'three' in line 9" in note


# ---- errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["is empty", "a line of names and lines of cells"]),
        ("\n\n", ["is empty"]),
        ("# nothing\n", ["has comments only"]),
        ("a,b\n", ["has a header and no rows", "add lines"]),
        ("name,b\nx,1\ny\n", ["line 3 has 1 cell, but the first line has 2; complete it"]),
        ("name,b\nx,1,2\n", ["line 2 has 3 cells, but the first line has 2"]),
        ("n,b\n" + "x,1\n" * 5 + "y\n" * 6, ["line 7 has 1 cell, line 8", "and 2 more lines", "complete them"]),
        ("n,b,c,d\nx,1,2\ny,1,2\n", ["line 1: 4 names, but 3 cells in the lines below"]),
        ("a,a\nx,2\n", ["two columns are named 'a'; rename one"]),
        ("a,a,b,b\nx,2,3,4\n", ["columns have the same name: 'a', 'b'"]),
        ('a,b\n1,"2\n3,4\n', ["a quote in line 2 is never closed"]),
        ('a,b\n1,2\n2,"2\n3,4\n', ["a quote in line 3 is never closed"]),
        (b"a,b\n1\0,2\n", ["is binary, not text"]),
        (b"\x89PNG\r\n\x1a\n\0\0\0\r", ["is binary, not text"]),
        (b"PAR1\x15\x04", ["is a Parquet file: name it .parquet"]),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", ["is an old Excel file"]),
        ("<!DOCTYPE html>\n<table>", ["is a web page"]),
        ('[{"a": 1}]', ["is JSON: name it .json."]),
        (b"\xff\xfea\0,\0b\0\n\0\xff\xdb1\0", ["begins like a text in utf-16, but is none"]),
        (b"\xef\xbb\xbfa,b\nx,\xe9\n", ["begins like a text in UTF-8, but is none"]),
        ("version https://git-lfs.github.com/spec/v1\n", ["git lfs pull"]),
        (gzip.compress(PEOPLE.encode(), mtime=0)[:-9], ["is damaged, cut short"]),
        (b"PK\x03\x04 and no more", ["is damaged, cut short"]),
    ],
)
def test_bad_tables(tmp_path, text, expected):
    message = refused_text(tmp_path, text, *expected)
    assert len(message) < 300 + len(str(tmp_path))


def test_changed_bytes_are_survived(tmp_path):
    """Bytes that mean something in tables, put in anywhere: the data or one error, and nothing else."""
    r = random.Random(0)
    tables = [PEOPLE.encode(), german(PEOPLE).encode(), b'# c\n"a","b"\n1,"x, y"\n', b"1.0 2.0\n3 4\n", b",a\n0,x\n"]
    parts = [b",", b";", b"\t", b"\n", b'"', b"#", b"\r", b"\0", b" ", b"1", b"\xff", b"\xe9", b"|", b"1,5", b"$", b"{"]
    for _ in range(200):
        content = bytearray(r.choice(tables))
        for _ in range(r.randint(1, 5)):
            place = r.randint(0, len(content))
            content[place : place + r.choice([0, 0, 2])] = r.choice(parts)
        (tmp_path / "a.csv").write_bytes(content)
        assert survives(tmp_path / "a.csv"), bytes(content)


def test_an_archive_of_several_files(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("one.csv", PEOPLE)
        archive.writestr("two.csv", PEOPLE)
    refused(tmp_path / "a.zip", "holds 2 files (one.csv, two.csv)", "unpack it")
    with zipfile.ZipFile(tmp_path / "b.csv", "w") as archive:
        archive.writestr("[Content_Types].xml", "")
    refused(tmp_path / "b.csv", "is an Excel file; name it b.xlsx")


# ---- written again ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
@pytest.mark.parametrize("text", [german(PEOPLE), PEOPLE.replace(",", "\t"), PEOPLE])
def test_a_table_is_written_as_it_was(tmp_path, text, encoding):
    rows = table(tmp_path / "a.csv", "é" + text, encoding)
    write_frame(tmp_path / "b.csv", rows.X, rows.text)
    assert (tmp_path / "b.csv").read_bytes() == ("é" + text).encode(encoding)


def test_only_missing_cells_are_filled_in(tmp_path):
    text = "id,pay,rate,n,who\n007,$1.50,5%,1,x\n008,,6%,,\n009,$2.25,,3,y\n"
    rows = table(tmp_path / "a.csv", text)
    made = rows.X.assign(pay=[0, 9.5, 0], rate=[0.0, 0, 7], n=[0, 2.0, 0], who=["", "z", ""])
    write_frame(tmp_path / "b.csv", rows.text.fill_missing(made), rows.text)
    assert (
        tmp_path / "b.csv"
    ).read_text() == "id,pay,rate,n,who\n007,$1.50,5%,1,x\n008,$9.50,6%,2,z\n009,$2.25,7%,3,y\n"


def test_letters_that_an_encoding_does_not_have(tmp_path):
    rows = table(tmp_path / "a.csv", "é,b\nx,1\ny,2\n", "latin-1")
    write_frame(tmp_path / "b.csv", rows.X.assign(é=["☃", "y"]), rows.text)
    assert read(tmp_path / "b.csv").X["é"].tolist() == ["☃", "y"]


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("iris.csv", (150, 5)),  # its first line has the numbers of rows and columns, and names of classes
        ("wine_data.csv", (178, 14)),
        ("breast_cancer.csv", (569, 31)),
        ("linnerud_exercise.csv", (20, 3)),
        ("diabetes_data_raw.csv.gz", (442, 10)),
    ],
)
def test_files_that_scikit_learn_ships(name, shape):
    rows = read(Path(datasets.__file__).parent / "data" / name)
    assert rows.X.shape == shape
    assert not np.isnan(rows.X).any()
