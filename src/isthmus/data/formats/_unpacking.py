"""Limits on the memory that a small file may take, so that a megabyte does not become gigabytes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO, cast

from isthmus.data.errors import DataError

__all__ = ["allowed", "check_cells", "check_unpacked", "limited"]

_TIMES = 100  # tables of text are packed to a tenth or so, and images of zeros and ones to a thirtieth
_FREE = 1 << 24  # bytes or cells that any file may have


def allowed(stored: int) -> int:
    """Return the bytes, or cells, that a file of `stored` bytes may have."""
    return max(_FREE, _TIMES * stored)


def check_unpacked(where: object, unpacked: int, stored: int) -> None:
    """Raise `DataError` if far more bytes are unpacked than are stored."""
    if unpacked > allowed(stored):
        raise DataError(
            f"{where}: {stored / 1e6:.3g} MB unpack to {unpacked / 1e6:.3g} MB or more, over {_TIMES} times as much, "
            "like a decompression bomb; if the file is right, unpack it first, or write it without compression."
        )


def check_cells(where: object, n_rows: int, n_columns: int, stored: int) -> None:
    """Raise `DataError` if a table has far more cells than its file has bytes or values."""
    if n_rows * n_columns > allowed(stored):
        raise DataError(
            f"{where}: has {n_rows} rows and {n_columns} columns, far more cells than the file stores; if the file is "
            "right, drop the columns that are empty or constant."
        )


def limited(stream: IO[bytes], path: Path) -> IO[bytes]:
    """Return a stream of unpacked bytes that raises `DataError` where there are far more than the file stores."""
    return cast("IO[bytes]", io.BufferedReader(_Limited(stream, path), 1 << 16))


class _Limited(io.RawIOBase):
    """Count the bytes that are unpacked."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self._stream, self._path, self._stored, self._unpacked = stream, path, path.stat().st_size, 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read bytes, and return their number."""
        data = self._stream.read(len(buffer))
        self._unpacked += len(data)
        check_unpacked(self._path, self._unpacked, self._stored)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
        super().close()
