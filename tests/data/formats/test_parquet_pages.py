"""What a Parquet file says of its own sizes: checked against its pages before anything is decompressed."""

import struct

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_files import refused, survives
from isthmus.data import TableBlocks, open_rows, read, reading
from isthmus.data.formats import _unpacking
from isthmus.data.formats._parquet_pages import parquet_sizes

N = 12_345  # no other number in the files


def number(n, length=None):
    """Return a number as Thrift writes it, or in more bytes, which is allowed."""
    data, n = b"", (n << 1) ^ (n >> 63)
    while n > 127 or len(data) + 1 < (length or 0):
        data, n = data + bytes([n & 127 | 128]), n >> 7
    return data + bytes([n])


def claim(path, old, new, which):
    """Write another number into a file, in place of the one that is there, in one place."""
    parts = path.read_bytes().split(number(old))
    ends = [number(old)] * (len(parts) - 1)
    ends[which] = number(new, len(ends[which]))
    path.write_bytes(b"".join(part + end for part, end in zip(parts, [*ends, b""], strict=True)))


def parts_of(path):
    """Return the pages and the footer of a file."""
    raw = path.read_bytes()
    start = len(raw) - 8 - struct.unpack("<I", raw[-8:-4])[0]
    return raw[:start], raw[start:-8]


def test_sizes_that_the_footer_makes_small(tmp_path, monkeypatch):
    monkeypatch.setattr(_unpacking, "_FREE", 1 << 10)
    path = tmp_path / "x.parquet"
    table = pa.table({"a": ["x" * (1 << 20)]})
    pq.write_table(table, path, use_dictionary=False, compression="zstd", write_statistics=False)
    pages, footer = parts_of(path)
    size = pq.read_metadata(path).row_group(0).total_byte_size
    footer = footer.replace(number(size), number(1))
    path.write_bytes(pages + footer + struct.pack("<I", len(footer)) + b"PAR1")
    assert pq.read_metadata(path).row_group(0).total_byte_size == 1
    refused(path, "over 100 times as much")


@pytest.mark.parametrize("columns", ["a", "at"])
@pytest.mark.parametrize("other", [0, 1, N - 1, N + 1, 2**20])
def test_rows_that_are_not_there(tmp_path, columns, other):
    path = tmp_path / "x.parquet"
    schema = pa.schema([pa.field("a", "int64", False), pa.field("t", "string", False)])
    table = pa.table({"a": np.arange(N) % 7, "t": ["xy"] * N}, schema).select(list(columns))
    for which in [0, *range(-2 - len(columns), 0)]:  # in the first page; in the columns, the row group and the file
        pq.write_table(table, path, compression="none", use_dictionary=False, write_statistics=False)
        claim(path, N, other, which)
        refused(path, "damaged")


def test_columns_that_share_a_page(tmp_path):
    path = tmp_path / "x.parquet"
    table = pa.table({f"a{i:03}": ["x" if i < 299 else "y" * 3000] for i in range(300)})
    pq.write_table(table, path, compression="none", use_dictionary=False)  # the header of the last page has statistics
    with path.open("rb") as file:
        sizes = parquet_sizes(file)
    assert (sizes.n_rows, sizes.n_columns, sizes.n_values) == (1, 300, 300)
    metadata = pq.read_metadata(path).row_group(0)
    places = [metadata.column(i).data_page_offset for i in range(300)]
    pages, footer = parts_of(path)
    for place in places[200:299]:
        footer = footer.replace(b"\x26" + number(place), b"\x26" + number(places[-1]))
    path.write_bytes(pages + footer + struct.pack("<I", len(footer)) + b"PAR1")
    assert pq.read_metadata(path).row_group(0).column(200).data_page_offset == places[-1]
    refused(path, "damaged")


def test_a_schema_that_does_not_fit_the_statistics(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"l": [[1, 2], [3]]}), path)
    raw = path.read_bytes()
    optional, required = b"\x35\x02\x18\x01l", b"\x35\x00\x18\x01l"
    assert raw.count(optional) == 1
    path.write_bytes(raw.replace(optional, required))  # pyarrow 26 aborts the process if asked for a column of this
    refused(path, "damaged")


def test_numbers_of_headers_that_are_false_are_survived(tmp_path):
    path = tmp_path / "x.parquet"
    table = pa.table({"a": [0.5, None, 2.5] * 20, "t": ["x", "yy", None] * 20, "l": [[1], [], [2, 3]] * 20})
    r = np.random.default_rng(0)
    for version in ("1.0", "2.0"):
        pq.write_table(table, path, compression="snappy", data_page_version=version, row_group_size=25)
        whole = path.read_bytes()
        for place in r.integers(4, len(whole) - 4, 60):
            path.write_bytes(whole[:place] + bytes([r.choice([0, 1, 2, 127, 128, 255])]) + whole[place + 1 :])
            assert survives(path)


@pytest.mark.parametrize("kind", ["string", "large_string", "binary"])
@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY", "PLAIN"])
def test_texts_in_every_encoding(tmp_path, monkeypatch, encoding, kind):
    texts = pa.array(["abc", "abd", None, "ü"] * 50, "string").cast(kind)
    table = pa.table({"t": texts, "n": np.arange(200), "l": [["x"], ["xy", "xz"]] * 100})
    coded = {"t": encoding, "l.list.element": encoding}
    pq.write_table(table, tmp_path / "x.parquet", use_dictionary=False, column_encoding=coded, row_group_size=70)
    whole = read(tmp_path / "x.parquet").X
    assert [None if text is pd.NA else text for text in whole["t"]] == table["t"].to_pylist()
    assert whole["l"].map(list).tolist() == table["l"].to_pylist()
    monkeypatch.setattr(reading, "STREAM_ABOVE", 100)
    blocks = open_rows(tmp_path / "x.parquet", tables=True).X
    assert isinstance(blocks, TableBlocks)
    frames = pd.concat([blocks.to_frame(block) for block in blocks.blocks()], ignore_index=True)
    pd.testing.assert_frame_equal(frames, whole)


def test_nested_texts_in_several_row_groups(tmp_path, monkeypatch):
    nested = {"l": [["x", "y"], None] * 50, "s": [{"q": [1.5], "r": "x"}, None] * 50}
    table = pa.table({**nested, "m": pa.array([[("k", "v")], []] * 50, pa.map_(pa.string(), pa.string()))})
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=30)
    whole = read(tmp_path / "x.parquet").X
    assert whole["s"].iloc[-2] == {"q": [1.5], "r": "x"}
    assert pa.Table.from_pandas(whole).to_pylist() == table.to_pylist()
    monkeypatch.setattr(reading, "STREAM_ABOVE", 100)
    blocks = open_rows(tmp_path / "x.parquet", tables=True).X
    assert [len(block) for block in blocks.blocks()] == [30, 30, 30, 10]


def test_long_texts_in_several_row_groups_are_added_up(tmp_path, monkeypatch):
    monkeypatch.setattr(_unpacking, "_FREE", 1 << 16)
    options = {"compression": "zstd", "write_statistics": False, "row_group_size": 100}  # one group is not too much
    pq.write_table(pa.table({"t": ["x" * 1000] * 4000}), tmp_path / "x.parquet", **options)
    refused(tmp_path / "x.parquet", "over 100 times as much")


def test_long_levels_stay_levels(tmp_path, monkeypatch):
    monkeypatch.setattr(_unpacking, "_FREE", 1 << 10)
    frame = pd.DataFrame({"t": pd.Categorical(["x" * 5000] * 100)})
    frame.to_parquet(tmp_path / "x.parquet")
    pd.testing.assert_frame_equal(read(tmp_path / "x.parquet").X, frame)


def test_a_flipped_bit_is_noticed_if_pages_have_checksums(tmp_path):
    path = tmp_path / "x.parquet"
    table = pa.table({"a": np.arange(100.0)})
    pq.write_table(table, path, compression="none", use_dictionary=False, write_page_checksum=True)
    raw = path.read_bytes()
    place = raw.index(struct.pack("<d", 50.0))
    path.write_bytes(raw[:place] + b"\1" + raw[place + 1 :])
    refused(path, "damaged")
