"""Tables of the file formats and of the bundled data sets.

Help texts and errors list them. Nothing heavy is imported here, so that ``--help`` stays fast.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

__all__ = [
    "BUNDLED",
    "FETCHED",
    "TABLE",
    "FormatRow",
    "any_of",
    "find_row",
    "readable_suffixes",
    "split_images",
    "split_member",
    "writable_suffixes",
]


class FormatRow(NamedTuple):
    """One format.

    Attributes
    ----------
    module, class_name : str
        Its class, a ``Format`` in ``isthmus.data.formats.<module>``.
    suffixes : tuple of str
        Endings of file names, in lower case.
    writable : bool
        Whether results can be written in it.
    read_only : tuple of str
        Endings of the names of other files that can be read, but are not written.
    members : bool
        Whether a file holds several arrays, one of which is selected as FILE:NAME.
    pattern : str
        Regular expression for the ending of other file names, in lower case.
    is_text : bool
        Whether numbers are written as text, so that a result can have the decimals and the dates of the file read.
    """

    module: str
    class_name: str
    suffixes: tuple[str, ...]
    writable: bool = True
    read_only: tuple[str, ...] = ()
    members: bool = False
    pattern: str | None = None
    is_text: bool = False

    def matches(self, name: str) -> bool:
        """Return whether a file of this name is in this format."""
        name = name.lower()
        return name.endswith(self.suffixes + self.read_only) or bool(
            self.pattern and re.search(f"({self.pattern})$", name)
        )

    def writes(self, name: str) -> bool:
        """Return whether a file of this name can be written in this format."""
        return self.writable and name.lower().endswith(self.suffixes)


TABLE = (
    FormatRow("npy", "Npy", (".npy",)),
    FormatRow("npz", "Npz", (".npz",), members=True),
    FormatRow(
        "csv",
        "Csv",
        (".csv", ".tsv"),
        read_only=(".txt", ".dat", ".data", ".tab", ".csv.gz", ".zip"),
        pattern=r"\.(csv|tsv|tab|txt|dat|data)\.(gz|bz2|xz|zip)",
        is_text=True,
    ),
    FormatRow("parquet", "Parquet", (".parquet",)),
    FormatRow("feather", "Feather", (".feather", ".arrow")),
    FormatRow("json_lines", "JsonLines", (".jsonl", ".ndjson"), read_only=(".json",)),
    FormatRow("excel", "Excel", (".xlsx",), members=True),
    FormatRow("idx", "Idx", (".idx", ".idx.gz"), writable=False, pattern=r"[-.]idx\d-[a-z]+(\.gz)?"),
    FormatRow("table_folder", "TableFolder", (), writable=False),
    FormatRow("image_folder", "ImageFolder", (), writable=False),
)

BUNDLED = ("breast_cancer", "diabetes", "digits", "iris", "wine")  # scikit-learn's data sets that need no download
FETCHED = ("fashion-mnist", "fashion-mnist-test")  # found if a package or `isthmus data fetch` put them on the disk


def find_row(name: str) -> FormatRow | None:
    """Return the format of a file name, or None if no format has such a name.

    Examples
    --------
    >>> find_row("train-images-idx3-ubyte.gz").class_name, find_row("notes.docx")
    ('Idx', None)
    """
    return next((row for row in TABLE if row.matches(name)), None)


def split_member(source: str) -> tuple[str, str | None]:
    """Return the file and the array that a source names: ``file.npz:name`` is the array ``name`` of ``file.npz``.

    Examples
    --------
    >>> split_member("data.npz:train"), split_member("data.npz")
    (('data.npz', 'train'), ('data.npz', None))
    """
    file, colon, member = source.rpartition(":")
    row = find_row(file) if colon else None
    return (file, member) if row is not None and row.members else (source, None)


def split_images(source: str) -> tuple[str, str] | None:
    """Return the folder of images that a source names, and how to read them; None if it is written otherwise.

    Examples
    --------
    >>> split_images("photos:28x28:gray"), split_images("photos")
    (('photos', '28x28:gray'), None)
    """
    found = re.fullmatch(r"(.+?):(\d+x\d+(?::(?:gray|grey|rgb))?|gray|grey|rgb)", source)
    return (found[1], found[2]) if found else None


def readable_suffixes() -> tuple[str, ...]:
    """Return the endings of the names of files that can be read."""
    return tuple(suffix for row in TABLE for suffix in row.suffixes + row.read_only)


def writable_suffixes() -> tuple[str, ...]:
    """Return the endings of the names of files that can be written."""
    return tuple(suffix for row in TABLE if row.writable for suffix in row.suffixes)


def any_of(words: Sequence[str]) -> str:
    """Return words as a list in a sentence.

    Examples
    --------
    >>> any_of(writable_suffixes())
    '.npy, .npz, .csv, .tsv, .parquet, .feather, .arrow, .jsonl, .ndjson or .xlsx'
    """
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
