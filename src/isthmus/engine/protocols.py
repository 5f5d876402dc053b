"""Protocols of what the engine trains and of its data: it knows no model and no data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from torch import Tensor

from isthmus._batch import Batch

__all__ = ["Loader", "LossTerms", "Record", "Weights"]

# The numbers of an epoch: {"epoch": 3, "loss": ..., "reconstruction": ..., "learning_rate": ..., "seconds": ...}
Record = dict[str, float]

Weights = Sequence[float | Tensor]  # weights of loss terms that change during training


class LossTerms(Protocol):
    """The terms of a loss for a batch."""

    @property
    def values(self) -> dict[str, Tensor]:
        """Return the terms by name, each (N,)."""

    def total(self) -> Tensor:
        """Return the loss of each sample, (N,)."""


class Loader(Protocol):
    """Load batches: each of several processes its own part of every batch."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Batch]: ...

    def shuffled(self, seed: int, start: int = 0) -> Iterator[Batch]:
        """Yield the samples in an order that depends on `seed` only, from batch number `start`."""
