"""Small valid files in all formats that are read, changes of them, and what reading a changed one may do."""

from __future__ import annotations

import bz2
import contextlib
import functools
import gzip
import io
import lzma
import re
import struct
import warnings
import zipfile
import zlib

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
from PIL import Image

from data_files import idx_bytes
from hostile import checked_message
from isthmus.data import DataError, RowSource, TableBlocks, open_rows, read, reading
from isthmus.data.formats import _parquet_pages
from mutations import change_bytes

NUMBERS = [-1, 0, 1, 2, 3, 127, 255, 2**16, 2**24 + 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**53 + 1, 2**62, 2**63 - 1]
NUMBERS += [-2, -(2**31), -(2**62), 2**63, 2**64 - 1]
WORDS = [b"", b",", b";", b"\t", b'"', b'""', b"\n", b"\r", b"\r\n\r\n", b"\0", b"\xff\xfe", b"\xef\xbb\xbf"]
WORDS += [b"[" * 3000, b"{", b"}", b"[]", b"null", b"NaN", b"1e999", b"-1e-999", b"9" * 400, b"a" * 5000, b",1" * 3000]
WORDS += [b"\xed\xa0\x80", b"\x1b[2J", b"1.234,5", b"31.02.2020", b"0001-01-01", b"99999-12-31"]
WORDS += [b"'|O'", b"'<f16'", b"'>U9'", b"(1,) * 9"]
UNPACK = {"gz": gzip.decompress, "bz2": bz2.decompress, "xz": lzma.decompress}
PACK = {"gz": functools.partial(gzip.compress, mtime=0), "bz2": bz2.compress, "xz": lzma.compress}
IMAGES = ("png", "tiff", "jpeg", "gif", "bmp", "webp", "ppm")


# ---- files ------------------------------------------------------------------------------------------------------


def write_data(folder):
    """Write small files, and return their paths by the name of a format."""
    times = pd.date_range("2020-01-30", periods=24, freq="D").astype("datetime64[us]")
    columns = {"n": np.arange(24), "x": np.linspace(-1, 2.5, 24), "t": ["a", "bü", None, "d e"] * 6, "d": times}
    frame = pd.DataFrame(columns)
    numbers, gray = np.round(frame[["n", "x"]].to_numpy(), 2), np.arange(64, dtype=np.uint8).reshape(8, 8) * 3
    table = pa.Table.from_pandas(frame, preserve_index=False)
    flat = frame.to_csv(index=False).encode()
    records, lines = (frame.to_json(orient="records", date_format="iso", lines=lines) for lines in (False, True))
    news = pa.ipc.new_file, pa.ipc.new_stream
    written = {
        "npy": [_npy(numbers), _npy(np.asfortranarray(numbers.astype(">i4"))), _npy(np.zeros((4, 3, 3), "?"))],
        "csv": [flat, b"# note\n" + frame.to_csv(index=False, sep=";", decimal=",").encode("latin-1")],
        "tsv": [frame.to_csv(index=False, sep="\t").encode(), frame.to_csv(sep="\t").encode("utf-16")],
        "txt": [b"\n".join(b" ".join(b"%8.2f" % x for x in row) for row in numbers)],
        "jsonl": [lines.encode(), b'{"a": {"b": 1}, "c": true}\n{"c": 1.5}\n'],
        "json": [records.encode(), b'{"a": [1, 2], "b": ["x", null]}'],
        "idx": [idx_bytes(np.stack([gray] * 3)), idx_bytes(numbers.astype(">f8"), 14)],
        "npz": [_npz(X=numbers), _npz(X=numbers, y=np.array(["a", "b"] * 12))],
        "xlsx": [_sheet(frame)],
        "parquet": list(_parquets(table)),
        "arrow": [_arrow(table, new, how) for new in news for how in (None, "lz4", "zstd")],
        "feather": [_feather(table, how) for how in ("uncompressed", "lz4")],
        **{kind: [_image(image, kind) for image in _images(gray)] for kind in IMAGES},
    }
    written |= {f"csv.{name}": [pack(flat)] for name, pack in PACK.items()}
    written |= {"csv.zip": [_zip({"x.csv": flat})], "idx.gz": [gzip.compress(written["idx"][0], mtime=0)]}
    paths = {}
    for name, contents in written.items():
        paths[name] = [folder / f"{i}.{name}" for i in range(len(contents))]
        for path, content in zip(paths[name], contents, strict=True):
            path.write_bytes(content)
    return paths


def _npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _npz(**arrays):
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def _sheet(frame):
    stream = io.BytesIO()
    frame.to_excel(stream, index=False)
    return stream.getvalue()


def _arrow(table, new, compression):
    stream = io.BytesIO()
    more = {"l": pa.array([[1, 2], [3], None] * 8), "c": table["t"].dictionary_encode()}
    table = pa.table({**_columns(table), **more})
    with new(stream, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table, max_chunksize=16)
    return stream.getvalue()


def _columns(table):
    return {name: table[name] for name in table.column_names}


def _feather(table, compression):
    stream = io.BytesIO()
    pyarrow.feather.write_feather(table, stream, compression=compression)
    return stream.getvalue()


def _parquets(table):
    """Yield tables of numbers, of all kinds of columns, and of one column in each encoding."""
    more = {
        "c": table["t"].dictionary_encode(),
        "l": pa.array([[1, 2], [], None, [3]] * 6),
        "s": pa.array([{"q": [1.5], "r": "x"}, None] * 12),
        "m": pa.array([[("k", 1)], []] * 12, pa.map_(pa.string(), pa.int64())),
    }
    for part in (table.select(["n", "x"]), pa.table({**_columns(table), **more})):
        for i, compression in enumerate(["none", "snappy", "zstd", "gzip", "brotli"]):
            options = {
                "compression": compression,
                "data_page_version": f"{1 + i % 2}.0",
                "write_page_checksum": i % 2 == 1,
            }
            yield _parquet(part, row_group_size=20, **options)
    encodings = {"n": ["PLAIN", "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"], "x": ["PLAIN", "BYTE_STREAM_SPLIT"]}
    encodings["t"] = ["PLAIN", "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"]
    for name, kinds in encodings.items():
        yield _parquet(table.select([name]), compression="none")
        for kind in kinds:
            options = {"use_dictionary": False, "compression": "none", "column_encoding": {name: kind}}
            yield _parquet(table.select([name]), write_statistics=False, **options)


def _parquet(table, **options):
    stream = io.BytesIO()
    pyarrow.parquet.write_table(table, stream, **options)
    return stream.getvalue()


def _images(gray):
    deep = Image.fromarray((gray.astype(np.uint16) * 300).astype(np.uint16))
    plain = Image.fromarray(gray)
    return [plain, plain.convert("RGB"), plain.convert("P"), plain.convert("1"), plain.convert("RGBA"), deep]


def _image(image, kind):
    stream = io.BytesIO()
    if kind not in ("png", "tiff") and image.mode not in ("L", "RGB"):
        image = image.convert("L" if image.mode == "I;16" else "RGB")
    options = {"compression": "tiff_lzw"} if kind == "tiff" and image.mode == "RGB" else {}
    image.save(stream, kind, **options)
    return stream.getvalue()


# ---- changes ----------------------------------------------------------------------------------------------------


def mutated_data(rng, kind, raw):
    """Return the bytes of a file of a format with one to three changes."""
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        raw = _changed(rng, kind, raw) if raw else raw
    return raw


def _changed(rng, kind, raw):
    packing = kind.rpartition(".")[2]
    inside = {"zip": _changed_zip, "npz": _changed_zip, "xlsx": _changed_zip, "png": _changed_png}
    inside |= {"parquet": _changed_thrift, "npy": _changed_npy}
    if rng.random() < 0.7:  # what is inside, if it can be reached: an earlier change may have made it unreadable
        with contextlib.suppress(Exception):
            if packing in PACK:
                return PACK[packing](_changed(rng, kind.removesuffix(f".{packing}"), UNPACK[packing](raw)))
            if packing in inside:
                return inside[packing](rng, raw)
    how = rng.random()
    if how < (0.7 if packing in ("csv", "tsv", "txt", "json", "jsonl", "xml") else 0.1):
        return _changed_text(rng, raw)
    return _changed_number(rng, raw) if how < 0.8 else change_bytes(rng, raw)


def _changed_number(rng, raw):
    """Write a number of 2, 4 or 8 bytes at some place, most often one that is a multiple of its length."""
    size = rng.choice([2, 4, 4, 8])
    at = rng.randrange(len(raw))
    at -= at % size if rng.random() < 0.8 else 0
    number = rng.choice([*NUMBERS, len(raw), len(raw) - at]) % (1 << 8 * size)
    data = number.to_bytes(size, rng.choice(["little", "little", "big"]))
    return raw[:at] + data + raw[at + size :]


def _changed_text(rng, raw):
    """Replace a number or a line, or insert something that is read specially."""
    if rng.random() < 0.5 and (found := list(re.finditer(rb"\d+", raw))):
        place, new = rng.choice(found).span(), str(rng.choice(NUMBERS)).encode()
    elif rng.random() < 0.3 and (found := list(re.finditer(rb"[^\n]*\n", raw))):
        place, new = rng.choice(found).span(), rng.choice(found)[0] * rng.choice([0, 1, 2, 500])
    else:
        at = rng.randrange(len(raw) + 1)
        place, new = (at, at + rng.choice([0, 0, 1, 5])), rng.choice(WORDS)
    return raw[: place[0]] + new + raw[place[1] :]


def _changed_npy(rng, raw):
    """Change the header of an array, and its length accordingly."""
    length = int.from_bytes(raw[8:10], "little")
    header = _changed_text(rng, raw[10 : 10 + length])[: 2**16 - 1]
    return raw[:8] + struct.pack("<H", len(header)) + header + raw[10 + length :]


def _changed_zip(rng, raw):
    """Change, drop, rename or repeat a member of an archive."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    sheets = [name for name in members if "sheet" in name]
    name = rng.choice(sheets if sheets and rng.random() < 0.5 else list(members))
    how = rng.random()
    if how < 0.8:
        members[name] = _changed(rng, name.rpartition(".")[2], members[name])
    elif how < 0.9:
        members[rng.choice(["../x.csv", "y.npy", "X.npy", "/x.csv", name + "/", "a\n.csv"])] = members[name]
    else:
        del members[name]
    return _zip(members, rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]))


def _zip(members, compression=zipfile.ZIP_DEFLATED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return stream.getvalue()


def _changed_png(rng, raw):
    """Change a chunk of an image, with the checksum that fits."""
    chunks, at = [], 8
    while at < len(raw):
        length = int.from_bytes(raw[at : at + 4], "big")
        chunks.append((raw[at + 4 : at + 8], raw[at + 8 : at + 8 + length]))
        at += 12 + length
    i = rng.randrange(len(chunks))
    kind, content = chunks[i]
    if rng.random() < 0.2:
        kind = rng.choice([b"IHDR", b"IDAT", b"PLTE", b"tRNS", b"zTXt", b"iTXt", b"iCCP", b"eXIf", b"acTL", b"fdAT"])
    elif kind == b"IDAT":
        content = zlib.compress(_changed_number(rng, zlib.decompress(content)))
    elif content:
        content = _changed_number(rng, content) if rng.random() < 0.7 else change_bytes(rng, content)
    chunks[i : i + rng.choice([0, 1, 1, 1])] = [(kind, content)]
    parts = [struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks]
    return raw[:8] + b"".join(parts)


def _changed_thrift(rng, raw):
    """Change a number, or the length of a text or list, in the footer or in the header of a page."""
    in_footer, in_pages, start = _thrift_numbers(raw)
    low, high = rng.choice(in_pages if in_pages and rng.random() < 0.4 else in_footer)
    old = _parquet_pages._integer(raw, low)[0]
    other = _parquet_pages._integer(raw, rng.choice(in_footer)[0])[0]
    new = rng.choice([*NUMBERS[:-2], old + 1, old - 1, old * 2, len(raw), other])
    data = _varint(((new << 1) ^ (new >> 63)) % (1 << 64), high - low)
    raw = raw[:low] + data + raw[high:]
    start += len(data) - (high - low) if low < start else 0
    return raw[:-8] + struct.pack("<I", len(raw) - 8 - start) + raw[-4:]


@functools.lru_cache(maxsize=512)
def _thrift_numbers(raw):
    """Return where the numbers in the footer and in the headers of pages are, and where the footer begins."""
    start = len(raw) - 8 - struct.unpack("<I", raw[-8:-4])[0]
    found, base = [], 0
    real, varint = _parquet_pages._structure, _parquet_pages._varint

    def structure(data):
        nonlocal base
        base = raw.index(data)
        return real(data)

    def number(data, at):
        value, end = varint(data, at)
        found.append((base + at, base + end))
        return value, end

    _parquet_pages._structure, _parquet_pages._varint = structure, number
    try:
        _parquet_pages.parquet_sizes(io.BytesIO(raw))
    except (ValueError, LookupError):  # what was found before the error stays
        pass
    finally:
        _parquet_pages._structure, _parquet_pages._varint = real, varint
    return [place for place in found if place[0] >= start], [place for place in found if place[0] < start], start


def _varint(number, length):
    data = bytearray()
    while number > 127 or len(data) + 1 < length:
        data.append(number & 127 | 128)
        number >>= 7
    return bytes(data) + bytes([number])


# ---- what reading does ------------------------------------------------------------------------------------------


def judge_data(path, *, blocks=False):
    """Read a file that may be anything, whole or block by block, and return "read", "refused" or "out of memory".

    The last is possible where memory is limited: LZMA allocates what a file claims, though it never fills it.

    Raises
    ------
    Exception
        Any but a `DataError` with a message of one short, printable line.
    """
    source = path.parent if path.suffix[1:] in IMAGES else path
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries, about damaged files
        try:
            _read_blocks(source) if blocks else np.asarray(read(source).X[:1000])
        except DataError as error:
            message = checked_message(source, str(error))
            return "out of memory" if "does not fit in memory" in message else "refused"
    return "read"


def _read_blocks(source):
    limit, reading.STREAM_ABOVE = reading.STREAM_ABOVE, 100
    try:
        rows = open_rows(source, tables=True).X
        if isinstance(rows, RowSource):
            rows[:1000]
        elif isinstance(rows, TableBlocks):
            for block in rows.blocks():
                np.asarray(rows.to_frame(block)[:1000])
    finally:
        reading.STREAM_ABOVE = limit
