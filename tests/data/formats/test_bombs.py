"""Small files that would take gigabytes: refused in one line, and their numbers are never in memory."""

import bz2
import gzip
import json
import lzma
import struct
import tracemalloc
import zipfile

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet
import pytest

from isthmus.data import DataError, read
from isthmus.data.formats import _unpacking

MANY = 1 << 16  # bytes that are unpacked; a file may have a thousandth here


@pytest.fixture(scope="module", autouse=True)
def imported(tmp_path_factory):
    """Libraries are imported before memory is measured."""
    path = tmp_path_factory.mktemp("first") / "x.csv"
    path.write_text("a;b\nx;1\ny;2\n")
    read(path)


@pytest.fixture(autouse=True)
def little_is_free(monkeypatch):
    monkeypatch.setattr(_unpacking, "_FREE", 1 << 10)


def npy(descr, shape):
    header = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


def zipped(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_", "."), content)


def sheet(path, change):
    """Write an Excel file, and change its sheet."""
    book = openpyxl.Workbook()
    book.active.append(["a", "b"])
    book.active.append([1, 2])
    book.save(path.with_name("plain.xlsx"))
    with zipfile.ZipFile(path.with_name("plain.xlsx")) as plain:
        parts = {name: plain.read(name) for name in plain.namelist()}
    parts["xl/worksheets/sheet1.xml"] = change(parts["xl/worksheets/sheet1.xml"])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


LINES = b"a,b\n" + b"0,0\n" * (1 << 18)  # a megabyte
IDX = b"\0\0\x08\x02" + struct.pack(">II", MANY, 4) + bytes(4 * MANY)
OBJECTS = [{f"a{i}": i} for i in range(400)]
ZEROS = pa.table({"a": np.zeros(1 << 17)})
LONG = "x" * 50_000
LEVELS = pa.table({"a": pa.array(["x" * (1 << 20)]).dictionary_encode()})
WRITERS = {
    "x.npz": lambda path: zipped(path, X_npy=npy("|u1", (MANY * 4, 4)) + bytes(MANY * 16)),
    "x.idx.gz": lambda path: path.write_bytes(gzip.compress(IDX)),
    "x.csv.gz": lambda path: path.write_bytes(gzip.compress(LINES)),
    "x.csv.bz2": lambda path: path.write_bytes(bz2.compress(LINES)),
    "x.csv.xz": lambda path: path.write_bytes(lzma.compress(LINES)),
    "x.csv.zip": lambda path: zipped(path, x_csv=LINES),
    "x.jsonl": lambda path: path.write_text("\n".join(map(json.dumps, OBJECTS))),
    "x.json": lambda path: path.write_text(json.dumps(OBJECTS)),
    "x.arrow": lambda path: write_arrow(path, pa.table({"a": pa.nulls(1 << 30), "b": pa.nulls(1 << 30)})),
    "zstd.arrow": lambda path: write_arrow(path, ZEROS, "zstd"),
    "lz4.arrow": lambda path: write_arrow(path, ZEROS, "lz4"),
    "stream.arrow": lambda path: write_arrow(path, ZEROS, "zstd", pa.ipc.new_stream),
    "levels.arrow": lambda path: write_arrow(path, LEVELS, "zstd"),
    "views.arrow": lambda path: write_arrow(path, pa.table({"a": views()})),
    "x.parquet": lambda path: pyarrow.parquet.write_table(pa.table({"a": np.zeros(1 << 20, np.float32)}), path),
    "text.parquet": lambda path: pyarrow.parquet.write_table(pa.table({"a": ["x" * 5000] * 1000}), path),
    "page.parquet": lambda path: pyarrow.parquet.write_table(
        pa.table({"a": ["x" * (1 << 20)]}), path, compression="zstd", use_dictionary=False, write_statistics=False
    ),
    "list.parquet": lambda path: pyarrow.parquet.write_table(pa.table({"a": [[0] * (1 << 18)]}), path),
    "fixed.parquet": lambda path: write_parquet(path, [LONG.encode()] * 99, pa.binary(len(LONG))),
    "lists.parquet": lambda path: write_parquet(path, [[LONG]] * 99),
    "structure.parquet": lambda path: write_parquet(path, [{"q": [LONG]}] * 99),
    "map.parquet": lambda path: write_parquet(path, [[("k", LONG)]] * 99, pa.map_(pa.string(), pa.string())),
    "view.parquet": lambda path: write_parquet(path, [LONG] * 99, pa.string_view()),
    "deltas.parquet": lambda path: write_parquet(path, [LONG] * 150, column_encoding={"a": "DELTA_BYTE_ARRAY"}),
    "deltas_in_lists.parquet": lambda path: write_parquet(
        path, [[LONG]] * 150, column_encoding={"a.list.element": "DELTA_BYTE_ARRAY"}
    ),
    "far.xlsx": lambda path: sheet(path, lambda text: text.replace(b'r="B2"', b'r="XFD1048576"')),
    "x.xlsx": lambda path: sheet(path, lambda text: text.replace(b"<sheetData>", b" " * (1 << 22) + b"<sheetData>")),
}


def write_arrow(path, table, compression=None, new=pa.ipc.new_file):
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.OSFile(str(path), "wb") as stream, new(stream, table.schema, options=options) as writer:
        writer.write_table(table)


def views():
    """Return many views of one text."""
    each = struct.pack("<i4sii", len(LONG), b"xxxx", 0, 0)
    try:
        return pa.Array.from_buffers(pa.string_view(), 999, [None, *map(pa.py_buffer, [each * 999, LONG.encode()])])
    except ValueError as error:  # older versions take two buffers
        pytest.skip(str(error))


def write_parquet(path, cells, kind=None, column_encoding=None):
    options = {"compression": "zstd"}
    if column_encoding:
        options = {"compression": "none", "use_dictionary": False, "column_encoding": column_encoding}
    try:
        pyarrow.parquet.write_table(pa.table({"a": pa.array(cells, kind)}), path, write_statistics=False, **options)
    except pa.ArrowNotImplementedError as error:  # views, in older versions
        pytest.skip(str(error))


@pytest.mark.parametrize("name", WRITERS)
def test_a_bomb(name, tmp_path):
    WRITERS[name](tmp_path / name)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="over 100 times as much|far more cells than the file stores") as raised:
            read(tmp_path / name)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "\n" not in str(raised.value)
    assert name in str(raised.value)
    assert peak < 16 << 20


@pytest.mark.parametrize("name", ["zstd.arrow", "lz4.arrow", "stream.arrow", "levels.arrow"])
def test_it_is_counted_before_it_is_unpacked(name, tmp_path, monkeypatch):
    WRITERS[name](tmp_path / name)
    for opener in ("open_file", "open_stream"):
        monkeypatch.setattr(pa.ipc, opener, None)
    with pytest.raises(DataError, match="over 100 times as much"):
        read(tmp_path / name)


def test_tables_that_are_packed_as_usual(tmp_path, monkeypatch):
    monkeypatch.setattr(_unpacking, "_FREE", 0)
    rows = np.random.default_rng(0).integers(0, 2, size=(500, 8))
    np.savetxt(tmp_path / "x.csv.gz", rows, delimiter=",", fmt="%d", header="a,b,c,d,e,f,g,h", comments="")
    np.savez_compressed(tmp_path / "x.npz", X=rows)
    assert np.array_equal(read(tmp_path / "x.csv.gz").X, rows)
    assert np.array_equal(read(tmp_path / "x.npz").X, rows)


LIES = {
    "huge.npy": npy("<f8", (2**62,)),
    "overflow.npy": npy("<f8", (2**32, 2**32, 4)),
    "empty.npy": npy("<f8", (0, 2**62)),
    "negative.npy": npy("<f8", (-1, -8)) + bytes(64),
    "objects.npy": npy("|O", (3,)) + b"cos\nsystem\n(S'true'\ntR.",
    "texts.npy": npy("<U500000000", (1,)),
    "nothing.npy": npy("|V0", (2**62,)),
    "nested.npy": b"\x93NUMPY\x01\x00" + struct.pack("<H", 60_000) + b"(" * 60_000,
    "header.npy": b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + b" " * 100,
    "huge.idx": b"\0\0\x08\x03" + struct.pack(">III", *[2**32 - 1] * 3),
    "empty.idx": b"\0\0\x0e\x03" + struct.pack(">III", 0, 2**32 - 1, 2**32 - 1),
    "nested.json": b"[" * 100_000,
    "nested.jsonl": b'{"a":' * 100_000,
}


@pytest.mark.parametrize("name", LIES)
def test_a_lie(name, tmp_path):
    (tmp_path / name).write_bytes(LIES[name])
    tracemalloc.start()
    try:
        with pytest.raises(DataError) as raised:
            read(tmp_path / name)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "\n" not in str(raised.value)
    assert peak < 64 << 20


def test_a_file_in_an_archive_of_archives(tmp_path):
    zipped(tmp_path / "inner.zip", x_csv=b"a,b\n1,2\n")
    zipped(tmp_path / "outer.csv.zip", inner_zip=(tmp_path / "inner.zip").read_bytes())
    with pytest.raises(DataError, match="binary, not text"):
        read(tmp_path / "outer.csv.zip")


def test_an_archive_writes_nothing(tmp_path):
    path = tmp_path / "in" / "x.csv.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../evil.csv", b"a,b\n1,2\n")
    assert read(path).X.tolist() == [[1, 2]]
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["in", "x.csv.zip"]


def test_a_sheet_does_not_read_other_files(tmp_path):
    (tmp_path / "secret").write_text("7")
    declared = f'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY m SYSTEM "{(tmp_path / "secret").as_uri()}">]>'.encode()
    path = tmp_path / "x.xlsx"
    sheet(path, lambda old: declared + old.split(b"?>", 1)[-1].replace(b"<v>1</v>", b"<v>&m;</v>"))
    with pytest.raises(DataError, match="damaged, or not an Excel file"):
        read(path)
