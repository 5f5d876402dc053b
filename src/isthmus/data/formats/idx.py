"""IDX, the format of MNIST and its kin: a magic number, the dimensions, then the numbers, big-endian."""

from __future__ import annotations

import gzip
import math
import re
import zlib
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.data.dataset import DataError

__all__ = ["INFLATE", "has_idx_magic", "is_idx_name", "read_idx"]

INFLATE = 1032  # deflate's own limit: no byte of a gzip or zip file stands for more bytes than this

# The magic number is 0, 0, the type, the number of dimensions; each dimension is 4 bytes (see MNIST's page).
_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_DIMENSIONS = 8
_NAME = re.compile(r"([-.]idx\d-[a-z]+|\.idx)(\.gz)?", re.IGNORECASE)
_BLOCK = 1 << 20


def is_idx_name(name: str) -> bool:
    """Tell whether a file's name says that it is IDX.

    Examples
    --------
    >>> [is_idx_name(name) for name in ("train-images-idx3-ubyte.gz", "faces.idx", "faces.csv")]
    [True, True, False]
    """
    found = _NAME.search(name)
    return found is not None and found.end() == len(name)


def has_idx_magic(path: Path) -> bool:
    """Tell whether a file, gzipped or not, begins with an IDX magic number."""
    try:
        with _open(path, zipped=_is_gzip(path)) as stream:
            return _is_magic(stream.read(4))
    except (gzip.BadGzipFile, EOFError, zlib.error):  # not gzip after all
        return False


def read_idx(path: Path) -> NDArray[Any]:
    """Return the array of an IDX file, gzipped or not, in the machine's own byte order.

    The header is held against the file's length before anything of the promised size is allocated, and no
    more is decompressed than the header promises.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    ndarray
        Of the dimensions in the file, (N, 28, 28) for MNIST's images and (N,) for its labels.

    Raises
    ------
    DataError
        If the file is not IDX, or is shorter or longer than its header says.
    OSError, EOFError, zlib.error
        If the file cannot be read or decompressed.
    """
    room = path.stat().st_size
    zipped = _is_gzip(path)
    with _open(path, zipped=zipped) as stream:
        dtype, shape = _read_header(stream, path)
        size = math.prod(shape) * dtype.itemsize
        fits = size <= room * INFLATE if zipped else size == room - stream.tell()
        data = np.empty(size if fits else 0, np.uint8)
        if not fits or not _fills(stream, data.data):
            raise DataError(
                f"{path}: the IDX header says {' x '.join(map(str, shape))} of {dtype.name}, which is not "
                "the length of the file: it is cut short or damaged; fetch it again."
            )
    return data.view(dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _is_gzip(path: Path) -> bool:
    """Tell whether a file is gzipped, by its first bytes and not by its name."""
    with path.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def _open(path: Path, *, zipped: bool) -> BufferedIOBase:
    """Open a file of bytes, through gzip if it is zipped."""
    return gzip.open(path) if zipped else path.open("rb")


def _is_magic(magic: bytes) -> bool:
    """Tell whether four bytes are an IDX magic number."""
    return len(magic) == 4 and magic[:2] == b"\0\0" and magic[2] in _TYPES and 1 <= magic[3] <= _MOST_DIMENSIONS


def _read_header(stream: BufferedIOBase, path: Path) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Return the type and the dimensions at the head of an IDX file."""
    magic = stream.read(4)
    if not _is_magic(magic):
        what = "is empty" if not magic else f"is not an IDX file (it begins with {magic.hex(' ')})"
        raise DataError(f"{path}: {what}; fetch it again, or give it the extension of what it is.")
    dimensions = stream.read(4 * magic[3])
    if len(dimensions) < 4 * magic[3]:
        raise DataError(f"{path}: the IDX header is cut short; fetch the file again.")
    return np.dtype(_TYPES[magic[2]]), tuple(int(n) for n in np.frombuffer(dimensions, ">u4"))


def _fills(stream: BufferedIOBase, view: memoryview) -> bool:
    """Read into all of `view`; False if the stream ends before it, or does not end with it."""
    filled = 0
    while filled < len(view) and (n := stream.readinto(view[filled : filled + _BLOCK])):
        filled += n
    return filled == len(view) and not stream.read(1)  # reading past the end also checks gzip's checksum
