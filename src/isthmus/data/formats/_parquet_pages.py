"""Compute the memory that a Parquet file takes from its footer and the headers of its pages, without decompressing.

The sizes in the footer are only claims, on which pyarrow does not insist. The sizes in the headers of the pages bind
it: what unpacks to more than its header says is an error. Both are structures of Thrift's compact protocol.
https://parquet.apache.org/docs/file-format/ describes them.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from typing import IO, Any, NamedTuple

__all__ = ["ParquetSizes", "parquet_sizes"]

_MAGIC = b"PAR1"
_DATA, _DICTIONARY, _DATA_2 = 0, 2, 3  # kinds of pages
_WHOLE, _DELTAS = {0, 2, 8}, 7  # encodings: of whole values, or positions in a dictionary; and of differences of texts
_TEXTS, _FIXED = 6, 7  # types of texts, and of texts of a fixed length
_REPEATED = 2  # items of a list
_HEADER, _LARGEST_HEADER = 1 << 9, 1 << 24  # bytes that are read for the header of a page, at first and at most
_DEPTH = 64  # of structures in structures


class ParquetSizes(NamedTuple):
    """What a file says of itself.

    Parameters
    ----------
    n_rows, n_columns : int
        Rows and columns, as the footer counts them; the parts of a structure are columns.
    n_values : int
        Values in all columns, with missing ones; the items of lists count.
    n_bytes : int
        Bytes of all pages after decompression, or of all texts of a fixed length, if these are more.
    largest_page : int
        Bytes of the largest page after decompression: no value of a column is longer.
    levels : frozenset of str
        Columns of texts, each of which is stored whole, and perhaps once for many rows.
    has_deltas : bool
        Whether some texts are stored as what distinguishes them from the text before.
    has_deltas_in_lists : bool
        Whether some of these are items of lists.
    """

    n_rows: int
    n_columns: int
    n_values: int
    n_bytes: int
    largest_page: int
    levels: frozenset[str]
    has_deltas: bool
    has_deltas_in_lists: bool


def parquet_sizes(file: IO[bytes]) -> ParquetSizes:
    """Return the sizes that the pages of a file have.

    Raises
    ------
    ValueError, LookupError or OSError
        If footer and pages contradict each other, or the file is damaged; what else is wrong is left to pyarrow.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 8))
    end = file.read(8)
    start = size - 8 - struct.unpack("<I", end[:4].rjust(4, b"\0"))[0]
    if end[4:] != _MAGIC or start < len(_MAGIC):
        raise ValueError("has no footer")
    file.seek(start)
    footer, _ = _structure(file.read(size - 8 - start))
    columns = _columns(_structures(footer, 2))
    pages = _Pages(file, start)
    n_rows = n_values = n_bytes = largest = 0
    levels, deltas = {column.name for column in columns if column.is_text}, set()
    for group in _structures(footer, 4):
        chunks, n_group = _structures(group, 1), _count(group, 3)
        if len(chunks) != len(columns):
            raise ValueError("a row group has other columns than the schema")
        n_rows += n_group
        for chunk, column in zip(chunks, columns, strict=True):
            n_chunk = n_unpacked = 0
            for page in pages.of(_field(chunk, 3, dict)):
                n_chunk += page.n_values
                n_unpacked += page.n_bytes
                largest = max(largest, page.n_bytes)
                if page.encoding not in _WHOLE:
                    levels.discard(column.name)
                if page.encoding == _DELTAS and column.is_text:
                    deltas.add(column)
            if n_chunk < n_group or (n_chunk > n_group and not (column.in_lists and n_group)):
                raise ValueError("a column has other rows than its row group")
            n_values += n_chunk
            n_bytes += max(n_unpacked, n_chunk * column.width)
    if n_rows != _count(footer, 3):
        raise ValueError("row groups have other rows than the file")
    in_lists = any(column.in_lists for column in deltas)
    return ParquetSizes(n_rows, len(columns), n_values, n_bytes, largest, frozenset(levels), bool(deltas), in_lists)


class _Column(NamedTuple):
    """A column, or a part of a structure or list."""

    name: str
    is_text: bool
    width: int  # bytes of each value, 0 if they differ
    in_lists: bool


def _columns(schema: list[_Structure]) -> list[_Column]:
    """Return the columns of a schema, which lists each structure before its parts."""
    columns, above = [], [(_count(schema[0], 5), "", False)] if schema else []
    for element in schema[1:]:
        while above and not above[-1][0]:
            above.pop()
        if not 0 < len(above) < _DEPTH:
            raise ValueError("a schema has more elements than it counts, or is too deep")
        n_left, prefix, in_lists = above[-1]
        above[-1] = (n_left - 1, prefix, in_lists)
        name, in_lists = prefix + _field(element, 4, bytes).decode(), in_lists or element.get(3) == _REPEATED
        if element.get(5):
            above.append((_count(element, 5), f"{name}.", in_lists))
        else:
            kind = _field(element, 1, int)
            columns.append(_Column(name, kind == _TEXTS, _count(element, 2) if kind == _FIXED else 0, in_lists))
    return columns


class _Page(NamedTuple):
    """A page of a column; dictionaries have no values of rows."""

    n_values: int
    n_bytes: int
    encoding: int


class _Pages:
    """The pages of a file, whose headers are read one by one."""

    def __init__(self, file: IO[bytes], end: int) -> None:
        self._file, self._end, self._n_bytes = file, end, 0  # of headers

    def of(self, column: _Structure) -> Iterator[_Page]:
        """Yield the pages of a column in a row group, up to its last value."""
        n_values = _count(column, 5)
        at = _count(column, 9) if n_values else 0
        dictionary = column.get(11)
        if isinstance(dictionary, int) and 0 < dictionary < at:
            at = dictionary
        while n_values > 0:
            page, at = self._at(at)
            n_values -= page.n_values
            yield page
        if n_values:
            raise ValueError("a column has more values in its pages than the footer says")

    def _at(self, at: int) -> tuple[_Page, int]:
        """Return the page at a position, and where the next one begins."""
        header, length = self._header(at)
        at, self._n_bytes = at + length, self._n_bytes + length
        if self._n_bytes > self._end:
            raise ValueError("pages are in several columns")
        kind, stored = _field(header, 1, int), _count(header, 3)
        if at + stored > self._end:
            raise ValueError("a page ends after the file")
        field = {_DATA: 5, _DATA_2: 8, _DICTIONARY: 7}.get(kind)
        if field is None:
            return _Page(0, _count(header, 2), 0), at + stored
        details = _field(header, field, dict)
        encoding = _field(details, 4 if kind == _DATA_2 else 2, int)
        n_values = 0 if kind == _DICTIONARY else _count(details, 1)
        return _Page(n_values, _count(header, 2), encoding), at + stored

    def _header(self, at: int) -> tuple[_Structure, int]:
        """Return the header at a position, and its length."""
        n_bytes = _HEADER
        while True:
            self._file.seek(at)
            data = self._file.read(min(n_bytes, self._end - at) if at < self._end else 0)
            try:
                return _structure(data)
            except IndexError:
                if n_bytes >= min(self._end - at, _LARGEST_HEADER):
                    raise
                n_bytes *= 16  # the smallest and the largest value of a page may be long texts


# ---- Thrift's compact protocol ----------------------------------------------------------------------------------

_Structure = dict[int, Any]
_TRUE, _FALSE, _BYTE = 1, 2, 3


def _field(structure: _Structure, i: int, kind: type) -> Any:
    value = structure[i]
    if type(value) is not kind:
        raise ValueError(f"field {i} has another type")
    return value


def _count(structure: _Structure, i: int) -> int:
    count: int = _field(structure, i, int)
    if count < 0:
        raise ValueError(f"field {i} is negative")
    return count


def _structures(structure: _Structure, i: int) -> list[_Structure]:
    items: list[_Structure] = _field(structure, i, list)
    if any(type(item) is not dict for item in items):
        raise ValueError(f"field {i} has items of another type")
    return items


def _structure(data: bytes, at: int = 0, depth: int = 0) -> tuple[_Structure, int]:
    """Return a structure, a dict by the numbers of its fields, and where it ends; IndexError if the data end before."""
    if depth > _DEPTH:
        raise ValueError("structures are too deep")
    fields: _Structure = {}
    last = 0
    while head := data[at]:
        at += 1
        if head >> 4:
            last += head >> 4
        else:
            last, at = _integer(data, at)
        fields[last], at = _value(data, at, head & 15, depth)
    return fields, at + 1


def _value(data: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in {_TRUE, _FALSE}:
        return kind == _TRUE, at
    if kind in _READERS:
        return _READERS[kind](data, at)
    if kind in _NESTED:
        return _NESTED[kind](data, at, depth + 1)
    raise ValueError(f"no type of Thrift has the number {kind}")


def _list(data: bytes, at: int, depth: int) -> tuple[list[Any], int]:
    if depth > _DEPTH:
        raise ValueError("lists are too deep")
    head = data[at]
    length, kind, at = head >> 4, head & 15, at + 1
    if length == 15:
        length, at = _varint(data, at)
    if length > len(data) - at:  # each item takes a byte or more
        raise IndexError("a list ends after the data")
    items = []
    for _ in range(length):
        item, at = _value(data, at, _BYTE if kind in {_TRUE, _FALSE} else kind, depth)
        items.append(item)
    return items, at


def _text(data: bytes, at: int) -> tuple[bytes, int]:
    length, at = _varint(data, at)
    if length > len(data) - at:
        raise IndexError("a text ends after the data")
    return data[at : at + length], at + length


def _integer(data: bytes, at: int) -> tuple[int, int]:
    number, at = _varint(data, at)
    return (number >> 1) ^ -(number & 1), at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while (byte := data[at]) >= 128:
        number |= (byte & 127) << shift
        shift, at = shift + 7, at + 1
        if shift > 63:
            raise ValueError("a number is too long")
    return number | byte << shift, at + 1


def _byte(data: bytes, at: int) -> tuple[int, int]:
    return data[at], at + 1


def _double(data: bytes, at: int) -> tuple[bytes, int]:
    return data[at : at + 8], at + 8


_READERS: dict[int, Callable[[bytes, int], tuple[Any, int]]] = {
    **dict.fromkeys((4, 5, 6), _integer),
    _BYTE: _byte,
    7: _double,
    8: _text,
}
_NESTED: dict[int, Callable[[bytes, int, int], tuple[Any, int]]] = {9: _list, 10: _list, 12: _structure}
