"""Changes from one version of the format to the next, so that old files can still be read."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

__all__ = ["MIGRATIONS", "OLDEST", "migrate"]

Description = dict[str, Any]


def _from_3(description: Description) -> Description:
    """Add the codec of a table, which there was not, and give the type of labels its name.

    ``<i8`` is ``int64``, and ``<U10`` is ``str320``, for its number of bits.
    """
    description = description | {"table": None}
    condition = description.get("condition")
    if not isinstance(condition, dict) or not isinstance(condition.get("dtype"), str):
        return description
    rest = {key: value for key, value in condition.items() if key != "dtype"}
    return description | {"condition": rest | {"type": _name_of_type(condition["dtype"])}}


def _name_of_type(code: str) -> str | None:
    kind, size = code.lstrip("<>|=")[:1], code.lstrip("<>|=")[1:]
    if kind == "O":
        return "object"
    name, bits = {"b": ("bool", 0), "i": ("int", 8), "u": ("uint", 8), "f": ("float", 8), "U": ("str", 32)}.get(
        kind, ("", 0)
    )
    if not name or not re.fullmatch("[0-9]{1,9}", size):
        return None
    return f"{name}{bits * int(size) or ''}"


# The function that makes a description of the next version from one of this version. Each has a file in
# tests/golden_files.
MIGRATIONS: dict[int, Callable[[Description], Description]] = {3: _from_3}
OLDEST = min(MIGRATIONS)


def migrate(description: Description, version: int, newest: int) -> Description:
    """Return a description of the newest version."""
    for number in range(version, newest):
        description = MIGRATIONS[number](description)
    return description
