"""Pieces of the pages that benchmarks write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["about", "table"]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *rows])


def about(run: Mapping[str, Any]) -> str:
    """Return when and where something was measured."""
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    load = " Other work ran at the same time." if run["busy"] else ""
    return f"<small>{run['date']}; {run['cores']} cores, {run['processor']}; {versions}.{load}</small>"
