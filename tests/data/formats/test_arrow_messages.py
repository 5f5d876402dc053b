"""What compressed Arrow files say that they unpack to."""

import contextlib
import io
import random
import struct

import numpy as np
import pyarrow as pa
import pytest

from isthmus.data.formats._arrow_messages import unpacked_bytes

TABLE = pa.table(
    {"n": np.arange(500.0), "t": ["x" * 10] * 500, "l": pa.array(["u" * 99, "v"] * 250).dictionary_encode()}
)
NEW = {"file": pa.ipc.new_file, "stream": pa.ipc.new_stream}


def written(new, compression):
    stream = io.BytesIO()
    with NEW[new](stream, TABLE.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(TABLE, max_chunksize=200)
    return stream.getvalue()


@pytest.mark.parametrize("new", NEW)
@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_it_is_the_size_of_the_buffers(new, compression):
    assert unpacked_bytes(io.BytesIO(written(new, compression))) == pytest.approx(TABLE.nbytes, rel=0.03)


@pytest.mark.parametrize("new", NEW)
def test_a_file_that_is_not_compressed(new):
    assert unpacked_bytes(io.BytesIO(written(new, None))) == 0


def test_a_footer_that_says_something_else_than_the_messages():
    raw = bytearray(written("file", "zstd"))
    footer = len(raw) - 10 - struct.unpack("<i", raw[-10:-6])[0]
    (length,) = struct.unpack("<I", raw[12:16])  # of the schema, which comes first
    at = raw.index(struct.pack("<q", 16 + length), footer)
    raw[at + 8 : at + 12] = struct.pack("<i", 64)
    with pytest.raises(ValueError, match="another length than the footer says"):
        unpacked_bytes(io.BytesIO(bytes(raw)))


def test_damaged_files():
    """Whatever the bytes are, it ends soon, with a number or one of these errors."""
    rng, whole = random.Random(0), [written(new, "zstd") for new in NEW]
    for _ in range(2000):
        raw = bytearray(rng.choice(whole))
        at = rng.randrange(len(raw))
        raw[at : at + 4] = rng.choice([b"\xff" * 4, bytes(4), rng.randbytes(4), struct.pack("<i", -at)])
        with contextlib.suppress(struct.error, ValueError, OSError, IndexError):
            assert unpacked_bytes(io.BytesIO(bytes(raw))) >= 0
