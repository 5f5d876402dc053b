"""The columns of a table as text."""

from __future__ import annotations

import html
from collections.abc import Sequence

from isthmus.tables._column import Column

__all__ = ["columns_as_html", "describe_columns"]

_HEAD = ("column", "kind", "likelihood", "missing", "levels")


def describe_columns(columns: Sequence[Column]) -> str:
    """Return a table with one line per column: its kind, its likelihood, how much is missing, and what it holds."""
    rows = [_HEAD, *map(_row, columns)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def columns_as_html(columns: Sequence[Column]) -> str:
    """Return the same table as HTML, for notebooks."""

    def line(tag: str, cells: tuple[str, ...]) -> str:
        style = ' style="text-align: left"'
        return f"<tr>{''.join(f'<{tag}{style}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"

    body = "".join(line("td", _row(column)) for column in columns)
    return f"<table><thead>{line('th', _HEAD)}</thead><tbody>{body}</tbody></table>"


def _row(column: Column) -> tuple[str, ...]:
    """Return the cells that describe a column."""
    names = [p if isinstance(p, str) else _snake(type(p).__name__) for p in column.likelihoods()]
    missing = f"{100 * column.missing:.1f} %" if column.missing else ""
    return str(column.name), column.kind, " + ".join(dict.fromkeys(names)), missing, column.levels()


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))
