"""Rows of data in any form: how many there are, and a random subset of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.data import RowSource, as_source

__all__ = ["count_rows", "random_rows", "take_rows"]


def count_rows(X: Any) -> int:
    """Return the number of rows of an array, a table, a list or a source."""
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)


def take_rows(X: Any, index: np.ndarray) -> Any:
    """Return the rows of `index`, in increasing order, in the form of X; those of a source as an array."""
    if isinstance(X, RowSource):
        return X.take(index)
    if hasattr(X, "iloc"):
        return X.iloc[index]
    if hasattr(X, "column_names"):  # pyarrow
        return X.take(index)
    if isinstance(X, list):
        return [X[i] for i in index]
    return X[index.tolist()] if hasattr(X, "columns") else X[index]


def random_rows(X: Any, n: int, seed: int) -> tuple[Any, np.ndarray]:
    """Return at most n random rows of X, which may be a path, and their indices in increasing order."""
    source = as_source(X)
    X = X if source is None else source
    total = count_rows(X)
    if total <= n:
        return (X[:] if isinstance(X, RowSource) else X), np.arange(total)
    index = np.sort(np.random.default_rng(seed).choice(total, n, replace=False))
    return take_rows(X, index), index
