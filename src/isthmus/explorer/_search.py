"""Search for rows by their number, their label or the text of their cells."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["find_points"]


def find_points(explorer: Any, text: str) -> np.ndarray:
    """Return which points have a text: uint8 of shape (N,), in the order of points.

    A whole number is the number of a row; any other text is looked for in labels, in the cells of a table, and in the
    columns that a model is conditioned on, in upper or lower case.
    """
    text = text.strip().lower()
    found = np.zeros(explorer.n_rows, dtype=bool)
    if not text:
        return found.astype(np.uint8)
    if text.isdigit() and int(text) < explorer.n_rows:
        found[int(text)] = True
    else:
        if explorer.y is not None and explorer.y.ndim == 1:
            found |= _contains(explorer.y, text)
        if hasattr(explorer.X, "iloc"):
            for name in explorer.X.columns:
                if explorer.X[name].dtype.kind not in "fiu":
                    found |= _contains(explorer.X[name], text)
        for values in explorer.given_columns:
            if values.dtype.kind not in "fiu":
                found |= _contains(values, text)
    return found[explorer.order].astype(np.uint8)


def _contains(values: Any, text: str) -> np.ndarray:
    """Return which values contain a text, in upper or lower case; each distinct value is looked at once."""
    import pandas as pd

    codes, levels = pd.factorize(values)
    hits = np.array([text in str(level).lower() for level in levels] + [False])
    return hits[codes]  # the code of a missing value is -1
