"""Tables of files that say the type of each column: Parquet, Arrow, JSON lines and Excel."""

import datetime
import sys

import numpy as np
import pandas as pd
import pytest

from data_files import needs_pyarrow, refused, survives
from isthmus._formats import find_row
from isthmus.data import DataError, check_writable, open_rows, read, write, write_frame
from isthmus.data.formats import load_format
from mixed_tables import every_dtype

pytestmark = needs_pyarrow
SUFFIXES = [".parquet", ".feather", ".arrow", ".jsonl", ".ndjson", ".xlsx"]
FRAME = pd.DataFrame(
    {"n": pd.array([1, None, 3], "Int64"), "x": [0.5, 1.25, None], "t": ["a", None, "ü"], "b": [True, False, True]}
)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_table_comes_back(tmp_path, suffix):
    path = tmp_path / f"t{suffix}"
    write_frame(path, FRAME)
    rows = open_rows(path)
    assert (rows.name, rows.columns, rows.notes) == ("t", ("n", "x", "t", "b"), ())
    texts = rows.X["t"].where(rows.X["t"].notna(), None)  # before pandas 3 they are objects, and Excel's are NaN
    pd.testing.assert_frame_equal(rows.X.assign(t=texts), FRAME)


@pytest.mark.parametrize("suffix", [".parquet", ".feather"])
def test_every_dtype_comes_back(tmp_path, suffix):
    frame = every_dtype().drop(columns=["float16", "texts"])  # which pandas has as its own type of text
    write_frame(tmp_path / f"t{suffix}", frame)
    back = read(tmp_path / f"t{suffix}").X
    assert back.isna().equals(frame.isna())
    assert list(back.dtypes.astype(str)) == list(frame.dtypes.astype(str))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_arrays_are_written_too(tmp_path, suffix):
    X = np.random.default_rng(0).normal(size=(5, 2)).round(3)
    write(tmp_path / f"t{suffix}", X, ["a", "b"])
    rows = read(tmp_path / f"t{suffix}")
    assert rows.columns == ("a", "b")
    np.testing.assert_array_equal(np.asarray(rows.X), X)


@pytest.mark.parametrize("suffix", [".parquet", ".feather", ".xlsx", ".csv"])
def test_an_index_comes_back(tmp_path, suffix):
    frame = FRAME.set_axis(["u", "v", "w"])
    write_frame(tmp_path / f"t{suffix}", frame)
    assert read(tmp_path / f"t{suffix}").X.index.tolist() == ["u", "v", "w"]
    numbers = pd.DataFrame({"a": [1.0, 2.0, 3.0]}, index=[7, 3, 4])
    write_frame(tmp_path / f"n{suffix}", numbers)
    assert read(tmp_path / f"n{suffix}").columns == ("a",)


def test_types_of_arrow_come_back_without_the_notes_of_pandas(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet

    table = pa.table({"n": pa.array([1, None]), "t": ["a", "b"], "d": [datetime.date(2024, 1, 1), None]})
    pa.parquet.write_table(table, tmp_path / "t.parquet")
    frame = read(tmp_path / "t.parquet").X
    write_frame(tmp_path / "u.parquet", frame)
    assert pa.parquet.read_table(tmp_path / "u.parquet").schema.types == table.schema.types


@pytest.mark.parametrize("n", [2, 2000])
def test_views_of_texts_as_polars_writes_them(tmp_path, n):
    pa = pytest.importorskip("pyarrow", "20", reason="older versions do not convert views")
    views = pa.array(["abc", "a text that is not within its view", None] * n, "string_view")
    table = pa.table({"t": views, "n": list(range(3 * n))})
    for part in (table, table.slice(1)):
        with pa.OSFile(str(tmp_path / "t.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(part)
        texts = read(tmp_path / "t.arrow").X["t"]
        assert [None if text is pd.NA else text for text in texts] == part["t"].to_pylist()


def test_types_that_pandas_or_pyarrow_do_not_read_are_refused(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet

    column = pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], "int32"), pa.array([1.0, 2.0]))
    table = pa.table({"n": [1, 2, 3], "odd": column})
    with pa.OSFile(str(tmp_path / "t.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    refused(tmp_path / "t.arrow", "column 'odd' has the type", "convert it, or drop the column")
    try:
        pa.parquet.write_table(pa.table({"l": pa.array([["x"]], pa.list_(pa.string_view()))}), tmp_path / "t.parquet")
    except pa.ArrowNotImplementedError:  # in older versions
        return
    refused(tmp_path / "t.parquet", "pyarrow does not read what this file has")


def test_a_folder_of_tables(tmp_path):
    for i in range(2):
        write_frame(tmp_path / f"{i}.parquet", FRAME)
    assert open_rows(tmp_path).X.equals(pd.concat([FRAME, FRAME], ignore_index=True))
    write_frame(tmp_path / "2.parquet", FRAME.rename(columns={"x": "y"}))
    refused(tmp_path, "2.parquet: has other columns than 0.parquet: it lacks 'x' and has 'y'")


def test_sheets(tmp_path):
    with pd.ExcelWriter(tmp_path / "t.xlsx") as book:
        FRAME.to_excel(book, sheet_name="one", index=False)
        FRAME.rename(columns={"n": "m"}).to_excel(book, sheet_name="two")
    rows = read(tmp_path / "t.xlsx")
    assert (rows.columns, rows.notes) == (("n", "x", "t", "b"), ("read the sheet 'one'; others are 'two'",))
    rows = read(f"{tmp_path / 't.xlsx'}:two")
    assert rows.columns == ("m", "x", "t", "b")
    assert "is not learned" in rows.notes[0]
    refused(f"{tmp_path / 't.xlsx'}:three", "has no sheet 'three'; it has 'one', 'two'")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "data", [b"", b"PAR1 and no more", b"ARROW1\0\0 and no more", b'{"a": 1}\n{"a": \n', b"PK\3\4"]
)
def test_damaged(tmp_path, suffix, data):
    (tmp_path / f"t{suffix}").write_bytes(data)
    refused(tmp_path / f"t{suffix}")


@pytest.mark.parametrize("suffix", [".parquet", ".feather", ".xlsx"])
def test_flipped_bytes_are_survived(tmp_path, suffix):
    path = tmp_path / f"t{suffix}"
    write_frame(path, FRAME)
    whole = path.read_bytes()
    for place in np.random.default_rng(0).integers(0, len(whole), 25):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
        assert survives(path)


def test_numbers_in_json_have_the_digits_that_they_need(tmp_path):
    frame = pd.DataFrame({"x": [174.3, None], "d": pd.to_datetime(["2024-01-02", None]), "t": ["é", None], "n": [1, 2]})
    write_frame(tmp_path / "t.jsonl", frame)
    assert (tmp_path / "t.jsonl").read_text(encoding="utf-8").splitlines() == [
        '{"x": 174.3, "d": "2024-01-02T00:00:00", "t": "é", "n": 1}',
        '{"x": null, "d": null, "t": null, "n": 2}',
    ]


def test_json_arrays(tmp_path):
    (tmp_path / "t.json").write_text('\n [{"a": 1, "b": "x"}, {"b": "y"}]\n')
    rows = read(tmp_path / "t.json").X
    assert rows["a"].tolist() == [1, pd.NA]
    (tmp_path / "t.json").write_text('[{"a": 1}, 2]')
    refused(tmp_path / "t.json", "is an array of other things than objects")
    (tmp_path / "t.json").write_text('[{"a": 1},')
    refused(tmp_path / "t.json", "is no valid JSON")


def test_json_that_is_no_object_is_named_by_its_line(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"a": 1}\n\n{"a": 2,}\n')
    refused(tmp_path / "t.jsonl", "line 3 is no JSON object", "'{\"a\": 2,}'")


@pytest.mark.parametrize(
    ("suffix", "library", "extra"),
    [(".xlsx", "openpyxl", "excel"), (".feather", "pyarrow", "table"), (".parquet", "pyarrow", "table")],
)
def test_a_missing_library_is_named(tmp_path, monkeypatch, suffix, library, extra):
    write_frame(tmp_path / f"t{suffix}", FRAME)
    for name in (library, f"{library}.ipc", f"{library}.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    refused(tmp_path / f"t{suffix}", library, f'pip install "isthmus[{extra}]"')
    with pytest.raises(DataError, match=library):
        check_writable(tmp_path / f"u{suffix}")


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_arrays_hold_numbers_only(tmp_path, suffix):
    with pytest.raises(DataError, match=r"cannot hold columns of text or dates \('t'\); write .csv or .parquet"):
        write_frame(tmp_path / f"t{suffix}", FRAME)
    assert not list(tmp_path.iterdir())
    write_frame(tmp_path / f"t{suffix}", FRAME[["n", "b"]])
    np.testing.assert_array_equal(read(tmp_path / f"t{suffix}").X, [[1, 1], [np.nan, 0], [3, 1]])


@pytest.mark.parametrize("suffix", [".csv", *SUFFIXES])
def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch, suffix):
    path = tmp_path / f"t{suffix}"
    path.write_bytes(b"old")
    plain = load_format(find_row(path.name)).write_frame

    def full(self, file, frame, like=None):
        plain(self, file, frame, like)
        raise OSError(28, "No space left on device", str(file))

    monkeypatch.setattr(load_format(find_row(path.name)), "write_frame", full)
    with pytest.raises(DataError, match=rf"t\{suffix}: cannot be written \(No space left on device\)"):
        write_frame(path, FRAME)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]


@pytest.mark.parametrize("name", ["x.arrow", "x.parquet"])
def test_a_time_zone_that_is_not_known(tmp_path, name):
    import pyarrow as pa
    from pyarrow import feather, parquet

    write = feather.write_feather if name == "x.arrow" else parquet.write_table
    for zone in ("Nowhere/Land", "America", "../x"):  # the second is the name of a folder
        write(pa.table({"t": ["a"], "d": pa.array([0], pa.timestamp("us", zone))}), str(tmp_path / name))
        refused(tmp_path / name, f"column 'd' has the time zone '{zone}'", "write the times in UTC")
    for zone in ("Europe/Berlin", "+02:00", None):
        write(pa.table({"t": ["a"], "d": pa.array([0], pa.timestamp("us", zone))}), str(tmp_path / name))
        assert read(tmp_path / name).X["d"].dt.year.tolist() == [1970]
