"""Batch: what a source yields and an objective takes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Batch"]


class Batch(NamedTuple):
    """Some rows of the data, in the model's (scaled) units.

    Attributes
    ----------
    x : Tensor of shape (N, D)
        The rows.
    weight : Tensor of shape (N,)
        Sample weights; a row that only pads a short batch has weight 0.
    c : Tensor of shape (N, C) or None
        What the model is conditioned on.
    mask : Tensor of shape (N, D) or None
        1 where a cell was observed, 0 where it is missing and `x` holds a filler of 0; None if none is missing.
    """

    x: Tensor
    weight: Tensor
    c: Tensor | None = None
    mask: Tensor | None = None

    def take(self, rows: Tensor) -> Batch:
        """Return the rows at the positions `rows`, in that order."""
        return Batch(*(None if field is None else torch.index_select(field, 0, rows) for field in self))  # type: ignore[arg-type]

    def split(self, n_parts: int) -> list[Batch]:
        """Return the batch in consecutive parts of equal size; its rows must be a multiple of their number."""
        if n_parts == 1:
            return [self]
        size = len(self.x) // n_parts
        parts = [[None] * n_parts if field is None else field.split(size) for field in self]
        return [Batch(*fields) for fields in zip(*parts, strict=True)]

    def to(self, device: torch.device, dtype: torch.dtype) -> Batch:
        """Return the batch on a device, in a floating-point type."""
        return Batch(*(None if field is None else field.to(device, dtype) for field in self))  # type: ignore[arg-type]
