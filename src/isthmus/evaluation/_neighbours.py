"""Distances between samples and nearest neighbours, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus._chunks import chunks

__all__ = ["as_rows", "distances", "nearest", "same_width"]


def as_rows(values: Any, name: str, at_least: int = 1) -> Tensor:
    """Return features as a finite float64 tensor (N, F), with at least `at_least` rows; further axes are flattened.

    Raises
    ------
    ValueError
        If there are too few rows or a value is not finite; the message uses `name`.
    """
    rows = np.array(values.detach().cpu().numpy() if isinstance(values, Tensor) else values, dtype=np.float64)
    rows = rows.reshape(len(rows), -1) if rows.size else rows.reshape(0, 1)
    if len(rows) < at_least:
        raise ValueError(f"{name} has {len(rows)} sample(s), and at least {at_least} are needed.")
    bad = ~np.isfinite(rows).all(axis=1)
    if bad.any():
        raise ValueError(f"{name} has a value that is not finite in sample {int(bad.argmax())}.")
    return torch.from_numpy(rows)


def same_width(a: Tensor, b: Tensor, names: str) -> None:
    """Check that two sets have the same number of features.

    Raises
    ------
    ValueError
        If they do not.
    """
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"{names} have {a.shape[1]} and {b.shape[1]} features; the numbers must be equal.")


def distances(a: Tensor, b: Tensor | None = None, budget: int = 1 << 24) -> Iterator[tuple[slice, Tensor]]:
    """Yield slices of the rows of `a` with their Euclidean distances to all rows of `b`, (n, M).

    Without `b`, the distances are to the other rows of `a`; that of a row to itself is infinite. They are computed from
    differences, not from products, so that equal rows have distance 0 exactly.
    """
    others = a if b is None else b
    for part in chunks(len(a), len(others), budget):
        block = torch.cdist(a[part], others, compute_mode="donot_use_mm_for_euclid_dist")
        if b is None:
            own = torch.arange(len(block))
            block[own, own + part.start] = torch.inf
        yield part, block


def nearest(a: Tensor, b: Tensor | None, k: int) -> Tensor:
    """Return the indices of the k nearest rows of `b`, or of the other rows of `a` without it, (N, k)."""
    return torch.cat([block.topk(k, dim=1, largest=False).indices for _, block in distances(a, b)])
