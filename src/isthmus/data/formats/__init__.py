"""File formats: one class per module, listed in ``isthmus._formats.TABLE``."""

from __future__ import annotations

import importlib
from pathlib import Path

from isthmus import _formats
from isthmus._formats import FormatRow, find_row
from isthmus.data.formats._base import Format, Layout

__all__ = ["Format", "Layout", "find_format", "load_format"]


def load_format(row: FormatRow) -> type[Format]:
    """Return the class of a row of the table; its module is imported when it is first used."""
    cls: type[Format] = getattr(importlib.import_module(f"isthmus.data.formats.{row.module}"), row.class_name)
    return cls


def find_format(path: Path) -> type[Format] | None:
    """Return the format of a file by its name, or of a file or folder by its content; None if there is none."""
    row = find_row(path.name) if path.is_file() else None
    if row is not None:
        return load_format(row)
    return next((cls for cls in map(load_format, _formats.TABLE) if cls.sniff(path)), None)
