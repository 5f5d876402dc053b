"""Batch: samples with their weights, conditions and mask, as loaders yield them and the training loss takes them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Batch"]


class Batch(NamedTuple):
    """Samples in the model's units, that is, scaled.

    Attributes
    ----------
    x : Tensor of shape (N, D)
        The samples.
    weight : Tensor of shape (N,)
        Sample weights; 0 for samples that only fill up a short batch.
    c : Tensor of shape (N, C) or None
        Conditions.
    mask : Tensor of shape (N, D) or None
        1 where a cell is observed, 0 where it is missing and `x` is 0; None if no cell is missing.
    """

    x: Tensor
    weight: Tensor
    c: Tensor | None = None
    mask: Tensor | None = None

    def take(self, rows: Tensor) -> Batch:
        """Return the samples with the indices `rows`, in that order."""
        return Batch(*(None if field is None else torch.index_select(field, 0, rows) for field in self))  # type: ignore[arg-type]

    def split(self, n_parts: int) -> list[Batch]:
        """Return `n_parts` consecutive parts of equal size; `n_parts` must divide the number of samples."""
        if n_parts == 1:
            return [self]
        size = len(self.x) // n_parts
        parts = [[None] * n_parts if field is None else field.split(size) for field in self]
        return [Batch(*fields) for fields in zip(*parts, strict=True)]
