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
    """

    x: Tensor
    weight: Tensor
    c: Tensor | None = None

    def take(self, rows: Tensor) -> Batch:
        """Return the rows at the positions `rows`, in that order."""
        c = None if self.c is None else torch.index_select(self.c, 0, rows)
        return Batch(torch.index_select(self.x, 0, rows), torch.index_select(self.weight, 0, rows), c)

    def to(self, device: torch.device, dtype: torch.dtype) -> Batch:
        """Return the batch on a device, in a floating-point type."""
        c = None if self.c is None else self.c.to(device, dtype)
        return Batch(self.x.to(device, dtype), self.weight.to(device, dtype), c)
