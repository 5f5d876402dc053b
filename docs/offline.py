"""What the HTML pages would load from other hosts: nothing, since the documentation must work offline."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["loaded_from_elsewhere"]

_ELSEWHERE = re.compile(
    r"""<(?:script|link|img|iframe|source|object)\b[^>]*\b(?:src|href|data)=["'](?:https?:)?//[^"']*"""  # in pages
    r"""|(?:url\(|@import\s*)["']?(?:https?:)?//[^"')]*"""  # in style sheets
)


def loaded_from_elsewhere(folder: Path) -> list[str]:
    """Return a line for each script, style sheet, font or image of another host that a page in `folder` loads."""
    pages = sorted(p for p in folder.rglob("*") if p.suffix in {".html", ".css"})
    return [f"{p.relative_to(folder)}: {m[0]}" for p in pages for m in _ELSEWHERE.finditer(p.read_text())]
