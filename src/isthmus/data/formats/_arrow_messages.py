"""Compute the memory that an Arrow file takes from its messages alone, without decompressing anything.

pyarrow decompresses a buffer as soon as it reads it, and does not tell how large the buffer will be. The lengths are in
the messages, which are FlatBuffers. https://arrow.apache.org/docs/format/Columnar.html describes both.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import IO, Any, cast

__all__ = ["unpacked_bytes"]

_MAGIC = b"ARROW1"
_CONTINUES = 0xFFFFFFFF  # before the length of a message, except in files that are older than Arrow 0.15
_OLD_COMPRESSION = b"ARROW:experimental_compression"  # of Arrow 0.17
_DICTIONARY, _BATCH = 2, 3  # kinds of messages


def unpacked_bytes(file: IO[bytes]) -> int:
    """Return the bytes that the compressed buffers of a file of random access, or of a stream, say they unpack to.

    Raises
    ------
    struct.error, ValueError or OSError
        If the file is damaged; what pyarrow finds wrong besides is not looked at.
    """
    messages = _Messages(file)
    return sum(messages.unpacked(data, body) for data, body in messages)


class _Messages:
    """The messages of a file, and where their bodies begin: those that the footer lists, or else in their order."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._size = file, file.seek(0, os.SEEK_END)

    def __iter__(self) -> Iterator[tuple[bytes, int]]:
        return self._listed() if self._read(0, len(_MAGIC)) == _MAGIC else self._in_order()

    def _listed(self) -> Iterator[tuple[bytes, int]]:
        end = self._size - 10
        footer = self._read(end - (length := _number("<i", self._read(end, 4))), length)
        for field in (2, 3):  # dictionaries, and batches
            for block in _items(footer, _root(footer), field, 24):
                at, length = _number("<q", footer, block), _number("<i", footer, block + 8)
                message, body, _ = self._message(at)
                if body != at + length:
                    raise ValueError("a message has another length than the footer says")
                yield message, body

    def _in_order(self) -> Iterator[tuple[bytes, int]]:
        at = 0
        while at < self._size:
            message, body, n_bytes = self._message(at)
            if not message:
                return
            yield message, body
            at = body + n_bytes

    def _message(self, at: int) -> tuple[bytes, int, int]:
        """Return the message at a position, where its body begins, and the bytes of the body."""
        length = _number("<I", self._read(at, 4))
        if length == _CONTINUES:
            at, length = at + 4, _number("<I", self._read(at + 4, 4))
        message = self._read(at + 4, length)
        n_bytes = _field(message, _root(message), 3) if length else None
        return message, at + 4 + length, 0 if n_bytes is None else max(0, _number("<q", message, n_bytes))

    def unpacked(self, data: bytes, body: int) -> int:
        """Return the bytes that the buffers of a message unpack to, 0 if they are not compressed."""
        root = _root(data)
        kind, table = _field(data, root, 1), _table(data, root, 2)
        if kind is None or table is None or data[kind] not in (_DICTIONARY, _BATCH):
            return 0
        batch = _table(data, table, 1) if data[kind] == _DICTIONARY else table
        if batch is None or (_field(data, batch, 3) is None and _OLD_COMPRESSION not in data):
            return 0
        total = 0
        for item in _items(data, batch, 2, 16):
            offset, length = struct.unpack_from("<qq", data, item)
            if length >= 8 and 0 <= offset <= self._size - 8 - body:
                n_bytes = _number("<q", self._read(body + offset, 8))  # -1 if this one is not compressed
                total += max(length, n_bytes)
        return total

    def _read(self, at: int, length: int) -> bytes:
        """Return bytes of the file; fewer, if it ends before them."""
        self._file.seek(at)  # an error if it is negative
        return self._file.read(max(0, min(length, self._size - at)))


# ---- FlatBuffers ------------------------------------------------------------------------------------------------


def _root(data: bytes) -> int:
    return cast("int", _number("<I", data))


def _field(data: bytes, table: int, i: int) -> int | None:
    """Return where the i-th field of a table is, None if it has its default."""
    fields = table - _number("<i", data, table)
    if fields < 0 or 6 + 2 * i > _number("<H", data, fields):
        return None
    offset = _number("<H", data, fields + 4 + 2 * i)
    return table + offset if offset else None


def _table(data: bytes, table: int, i: int) -> int | None:
    """Return where the table is to which the i-th field of a table points."""
    at = _field(data, table, i)
    return None if at is None else at + _number("<I", data, at)


def _items(data: bytes, table: int, i: int, size: int) -> range:
    """Return where the items of a vector of structures are."""
    vector = _table(data, table, i)
    if vector is None:
        return range(0)
    count = _number("<I", data, vector)
    if vector + 4 + count * size > len(data):
        raise ValueError("a vector is longer than its message")
    return range(vector + 4, vector + 4 + count * size, size)


def _number(code: str, data: bytes, at: int = 0) -> Any:
    return struct.unpack_from(code, data, at)[0]
