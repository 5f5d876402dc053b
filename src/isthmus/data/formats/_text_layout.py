"""Detect the layout of a table of text: its encoding, what separates cells, and where the table begins."""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import lzma
import re
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import IO, NamedTuple, cast

from isthmus.data.errors import AGAIN, DataError, damaged
from isthmus.data.formats._unpacking import limited

__all__ = ["PACKED", "TextLayout", "find_layout", "open_bytes"]

# What damaged or encrypted compressed files raise, beside OSError.
PACKED = (EOFError, RuntimeError, lzma.LZMAError, zipfile.BadZipFile, zlib.error)
_HEAD = 1 << 18  # bytes of the file that decide
_BLOCK = 1 << 20
_LINES = 200  # of which so many lines
_DELIMITERS = "\t;|,^~\x01\x1f"  # in the order of preference, if more than one fits: prices such as 1,50 have commas
_MOST_PREAMBLE = 50  # lines above a table
_CONSISTENT = 0.8  # share of lines that have as many cells as most
_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before that of UTF-16, with which it begins
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_FOREIGN = {  # beginnings of files that are no tables, and what to do
    rb"\s*(<!doctype|<html|<\?xml)": "is a web page or XML, not a table: download the file itself",
    rb"\s*[\[{]": "is JSON: name it .json",
    rb"version https://git-lfs": "is a pointer of Git LFS: fetch the file itself with `git lfs pull`",
    rb"PAR1": "is a Parquet file: name it .parquet",
    rb"\x93NUMPY": "is an array of NumPy: name it .npy",
    rb"\xd0\xcf\x11\xe0": "is an old Excel file: save it as .xlsx or .csv",
    rb"%PDF": "is a PDF: save the table in it as .csv",
}
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)*|[.,]\d+)(e[+-]?\d+)?|nan|-?inf", re.IGNORECASE)


class TextLayout(NamedTuple):
    """The layout of a table of text.

    Attributes
    ----------
    encoding : str
        As Python calls it.
    delimiter : str
        What separates cells; " " for any white space.
    width : int
        Number of cells in most lines.
    preamble : int
        Number of lines above the table.
    names : tuple of str, or None
        Names of the columns, if they stand above the table in a line with one cell less (that of the row names), or in
        a comment.
    comments : bool
        Whether lines that begin with "#" are comments.
    spaced : bool
        Whether spaces follow delimiters, before cells in quotes.
    """

    encoding: str
    delimiter: str
    width: int
    preamble: int = 0
    names: tuple[str, ...] | None = None
    comments: bool = False
    spaced: bool = False


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file of bytes, decompressed if its first bytes say that it is compressed.

    Raises
    ------
    DataError
        If it is an archive of several files, or an Excel file; also while it is read, if it is a decompression bomb.
    """
    with path.open("rb") as stream:
        magic = stream.read(6)
    if magic.startswith(b"\x1f\x8b"):
        return limited(cast("IO[bytes]", gzip.open(path)), path)
    if magic.startswith(b"BZh"):
        return limited(bz2.open(path), path)
    if magic.startswith(b"\xfd7zXZ"):
        return limited(lzma.open(path), path)
    if magic.startswith(b"PK\x03\x04"):
        return _open_member(path)
    return path.open("rb")


def _open_member(path: Path) -> IO[bytes]:
    """Open the only file in a zip archive."""
    with damaged(path):
        archive = zipfile.ZipFile(path)
    names = [n for n in archive.namelist() if not n.endswith("/") and not n.startswith("__MACOSX/")]
    if "[Content_Types].xml" in names:
        raise DataError(f"{path}: is an Excel file; name it {path.with_suffix('.xlsx').name}.")
    if len(names) != 1:
        held = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
        raise DataError(f"{path}: holds {len(names)} files ({held}); unpack it, and name one of them.")
    with damaged(path):
        return limited(archive.open(names[0]), path)


def find_layout(path: Path) -> TextLayout:
    """Return the layout of a table, by its first lines.

    Raises
    ------
    DataError
        If the file is empty, or no text.
    """
    with damaged(path, PACKED), open_bytes(path) as stream:
        head = stream.read(_HEAD)
        encoding = _encoding(head, path)
        if encoding.startswith("utf-8") and not _is_utf8(head, stream):
            if encoding != "utf-8":  # it begins with the mark of UTF-8
                raise DataError(f"{path}: begins like a text in UTF-8, but is none; {AGAIN}.")
            encoding = _western(head)
        whole = len(head) < _HEAD
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: begins like a text in {encoding}, but is none; {AGAIN}.") from error
    lines = re.split(r"\r\n|\n|\r", text)
    lines = lines[: _LINES if whole or len(lines) < 2 else min(_LINES, len(lines) - 1)]
    if not any(line.strip() for line in lines):
        raise DataError(f"{path}: is empty; it needs a line of names and lines of cells.")
    return _layout(lines, encoding, path)


def _encoding(head: bytes, path: Path) -> str:
    """Return the encoding of a file that begins with these bytes."""
    for bom, encoding in _BOMS.items():
        if head.startswith(bom):
            return encoding
    for pattern, advice in _FOREIGN.items():
        if re.match(pattern, head, re.IGNORECASE):
            raise DataError(f"{path}: {advice}.")
    if b"\0" in head:
        zeros = [head[i::2].count(0) / max(1, len(head) // 2) for i in (0, 1)]
        if max(zeros) > 0.7 and min(zeros) < 0.1:  # UTF-16 of mostly Latin text, without a mark of its byte order
            return "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"
        raise DataError(f"{path}: is binary, not text; {AGAIN}, or give it the extension of what it is.")
    return "utf-8"


def _is_utf8(head: bytes, stream: IO[bytes]) -> bool:
    """Return whether a file is UTF-8; the first letter that is no ASCII may stand far down."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(head)
        while block := stream.read(_BLOCK):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _western(head: bytes) -> str:
    """Return which of the encodings of Western Europe bytes are in: the one of Windows has quotes and the euro."""
    try:
        head.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252"


def _layout(lines: list[str], encoding: str, path: Path) -> TextLayout:
    """Return the layout of lines."""
    comments = sum(line.startswith("#") for line in lines)
    kept = [(i, line) for i, line in enumerate(lines) if line.strip() and not (comments and line.startswith("#"))]
    if not kept:
        raise DataError(f"{path}: has comments only; add lines of cells.")
    delimiter, width, counts = _delimiter([line for _, line in kept])
    first = next((j for j, n in enumerate(counts) if n == width), 0) if width > 1 else 0
    first = first if first <= _MOST_PREAMBLE else 0
    names = None
    if first and counts[first - 1] >= 2 and abs(counts[first - 1] - width) == 1:
        above, below = (_cells([line], delimiter)[0] for _, line in kept[first - 1 : first + 1])
        adjacent = kept[first][0] == kept[first - 1][0] + 1
        if adjacent and not any(map(_is_number, above)) and any(map(_is_number, below)):
            if len(above) > width and above[-1].strip():
                line = kept[first - 1][0] + 1
                raise DataError(
                    f"{path}, line {line}: {len(above)} names, but {width} cells in the lines below; complete the line."
                )
            # One name less, as R writes a table: the first cell of each line is the name of the row. One more: a comma
            # at the end of the line.
            names = tuple(above[:-1]) if len(above) > width else ("", *above)
    start = kept[first][0]
    if names is None and start and lines[start - 1].startswith("#"):
        names = _commented_names(lines[start - 1], kept[first][1], delimiter, width)
    quoted = f'{re.escape(delimiter)} +"'
    spaced = delimiter != " " and any(re.search(quoted, line) for _, line in kept)
    return TextLayout(encoding, delimiter, width, start, names, bool(comments), spaced)


def _delimiter(lines: list[str]) -> tuple[str, int, list[int]]:
    """Return what separates the cells of lines, how many cells most lines have, and how many each has."""
    best, best_share = (",", 1, [1] * len(lines)), 0.0
    for delimiter in (*_DELIMITERS, " "):
        counts = [len(cells) for cells in _cells(lines, delimiter)]
        if len(counts) != len(lines):  # a quote is open over lines
            lines = lines[: len(counts)]
        width, _ = Counter(counts).most_common(1)[0]
        if width < 2:
            continue
        start = counts.index(width)
        share = sum(n == width for n in counts[start:]) / len(counts[start:]) * (1 - start / len(counts) / 2)
        if delimiter == " " and not _is_spaced_table(lines[start:], width):
            continue
        if share > best_share + 1e-9 and (share >= _CONSISTENT or delimiter == ","):
            best, best_share = (delimiter, width, counts), share
    return best


def _cells(lines: list[str], delimiter: str) -> list[list[str]]:
    """Return the cells of lines."""
    if delimiter == " ":
        lines = [" ".join(line.split()) for line in lines]
    try:
        return list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True))
    except csv.Error:
        return [line.split(delimiter) for line in lines]


def _is_spaced_table(lines: list[str], width: int) -> bool:
    """Return whether white space separates cells, and not words: most cells are numbers, and lines have the same."""
    cells = [line.split() for line in lines[len(lines) > 1 :]]
    numbers = sum(_is_number(cell) for row in cells for cell in row)
    return bool(cells) and all(len(row) == width for row in cells) and 2 * numbers >= width * len(cells)


def _commented_names(line: str, below: str, delimiter: str, width: int) -> tuple[str, ...] | None:
    """Return the names of the columns in a comment, as NumPy writes them, if the line below has none."""
    above = _cells([line.lstrip("# ")], delimiter)[0]
    is_header = len(above) == width and not any(map(_is_number, above))
    return tuple(above) if is_header and any(map(_is_number, _cells([below], delimiter)[0])) else None


def _is_number(cell: str) -> bool:
    return _NUMBER.fullmatch(cell.strip()) is not None
