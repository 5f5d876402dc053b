"""IDX, the format of MNIST: a magic number, the dimensions, then the numbers, big-endian."""

from __future__ import annotations

import gzip
import math
import zlib
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.data.dataset import Dataset, as_dataset
from isthmus.data.errors import DataError, damaged
from isthmus.data.formats._base import INFLATE, Format
from isthmus.data.formats._unpacking import check_unpacked

__all__ = ["Idx"]

# The magic number is 0, 0, the type, the number of dimensions; each dimension is 4 bytes.
_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_DIMENSIONS = 8
_BLOCK = 1 << 20


class Idx(Format):
    """One array in IDX, the format of MNIST, gzipped or not. It is only read."""

    @classmethod
    def sniff(cls, path: Path) -> bool:
        """Return whether a file begins with an IDX magic number."""
        if not path.is_file():
            return False
        try:
            with _open(path, zipped=_is_gzip(path)) as stream:
                return _is_magic(stream.read(4))
        except (gzip.BadGzipFile, EOFError, zlib.error):  # not gzip after all
            return False

    def read(self) -> Dataset:
        """Return the array, (N, 28, 28) for the images of MNIST and (N,) for its labels.

        The header is compared with the length of the file before anything of the promised size is allocated, and no
        more is decompressed than the header promises.
        """
        length = self.path.stat().st_size
        zipped = _is_gzip(self.path)
        with damaged(self.path, (EOFError, zlib.error)), _open(self.path, zipped=zipped) as stream:
            dtype, shape = _read_header(stream, self.path)
            size = math.prod(shape) * dtype.itemsize
            if not size:
                raise DataError(f"{self.path}: holds an empty array of shape {shape}; it needs at least one row.")
            fits = size <= length * INFLATE if zipped else size == length - stream.tell()
            if fits and zipped:
                check_unpacked(self.path, size, length)
            data = np.empty(size if fits else 0, np.uint8)
            if not fits or not _fills(stream, data.data):
                raise DataError(
                    f"{self.path}: the IDX header says {' x '.join(map(str, shape))} of {dtype.name}, which is not "
                    "the length of the file: it is cut short or damaged; fetch it again."
                )
        return as_dataset(data.view(dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False), self.path)


def _is_gzip(path: Path) -> bool:
    """Return whether a file is gzipped, by its first bytes and not by its name."""
    with path.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def _open(path: Path, *, zipped: bool) -> BufferedIOBase:
    """Open a file of bytes, decompressed if it is zipped."""
    return gzip.open(path) if zipped else path.open("rb")


def _is_magic(magic: bytes) -> bool:
    """Return whether four bytes are an IDX magic number."""
    return len(magic) == 4 and magic[:2] == b"\0\0" and magic[2] in _TYPES and 1 <= magic[3] <= _MOST_DIMENSIONS


def _read_header(stream: BufferedIOBase, path: Path) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Return the type and the dimensions in the header of an IDX file."""
    magic = stream.read(4)
    if not _is_magic(magic):
        what = "is empty" if not magic else f"is not an IDX file (it begins with {magic.hex(' ')})"
        raise DataError(f"{path}: {what}; fetch it again, or give it the extension of what it is.")
    dimensions = stream.read(4 * magic[3])
    if len(dimensions) < 4 * magic[3]:
        raise DataError(f"{path}: the IDX header is cut short; fetch the file again.")
    return np.dtype(_TYPES[magic[2]]), tuple(int(n) for n in np.frombuffer(dimensions, ">u4"))


def _fills(stream: BufferedIOBase, view: memoryview) -> bool:
    """Fill `view` from the stream; return whether the stream ends exactly there."""
    filled = 0
    while filled < len(view) and (n := stream.readinto(view[filled : filled + _BLOCK])):
        filled += n
    return filled == len(view) and not stream.read(1)  # reading past the end also checks gzip's checksum
