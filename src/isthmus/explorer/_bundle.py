"""The files of the page, joined to one that needs no server."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib import resources

__all__ = ["as_base64", "bundle", "policy_hash", "static_text"]


def static_text(name: str) -> str:
    """Return a file of the page."""
    return (resources.files("isthmus.explorer") / "static" / name).read_text(encoding="utf-8")


def as_base64(body: bytes) -> str:
    """Return bytes as text."""
    return base64.b64encode(body).decode("ascii")


def policy_hash(text: str) -> str:
    """Return how a Content-Security-Policy names a script or style by what it holds."""
    return f"'sha256-{as_base64(hashlib.sha256(text.encode()).digest())}'"


def bundle(names: tuple[str, ...]) -> str:
    """Return modules, in order of use, as one script: without imports and exports, since all their names differ."""
    texts = [static_text(f"{name}.js") for name in names]
    parts = [re.sub(r"^import .*?;\n", "", text, flags=re.MULTILINE | re.DOTALL) for text in texts]
    joined = "\n".join(re.sub(r"^export ", "", text, flags=re.MULTILINE) for text in parts)
    return f'"use strict";\n(() => {{\n{joined}\n}})();\n'
