"""The partition of N rows into batches, and of each batch into equal parts for processes and micro-batches."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["BatchPartition"]


class BatchPartition:
    """Divide N rows into batches of equal size, and each batch into parts of equal size.

    A process computes its own parts of every batch. Where a batch has fewer rows than its parts have room for, they are
    padded with rows of weight 0: every shape stays the same, and every row counts exactly once per epoch.

    Parameters
    ----------
    n_rows : int
        Number of rows N.
    batch_size : int
        Maximum number of rows per batch, over all processes.
    process : tuple of (int, int), default=(0, 1)
        Rank of this process and number of processes.
    parts_per_process : int, default=1
        Number of parts per process, computed one after the other (gradient accumulation).

    Attributes
    ----------
    n_rows, n_batches, batch_size : int
        Number of rows, number of batches per epoch, and rows per batch over all processes.
    n_parts, part_size : int
        Number of parts per batch over all processes, and rows per part.
    parts : range
        The parts of this process.
    own : slice
        Their position in a padded batch.

    Examples
    --------
    >>> partition = BatchPartition(10, 4)
    >>> partition.n_batches, partition.batch_size
    (3, 4)
    """

    def __init__(
        self, n_rows: int, batch_size: int, process: tuple[int, int] = (0, 1), parts_per_process: int = 1
    ) -> None:
        self.n_rows = n_rows
        self.n_batches = max(1, math.ceil(n_rows / batch_size))
        self.batch_size = math.ceil(n_rows / self.n_batches)
        rank, world_size = process
        self.n_parts = world_size * parts_per_process
        self.part_size = math.ceil(self.batch_size / self.n_parts)
        self.parts = range(rank * parts_per_process, (rank + 1) * parts_per_process)
        self.own = slice(self.parts.start * self.part_size, self.parts.stop * self.part_size)

    def __len__(self) -> int:
        return self.n_batches

    def part_start(self, part: int) -> int:
        """Return the first row of a part if all rows are divided into `n_parts` consecutive shares."""
        return part * (self.n_rows // self.n_parts) + min(part, self.n_rows % self.n_parts)

    def rows_before(self, part: int, batch: int) -> int:
        """Return how many rows of a part precede a batch.

        Row j of an epoch belongs to part j mod `n_parts`: the parts of a batch, and of an epoch, differ by at most one
        row.
        """
        ended = min(batch * self.batch_size, self.n_rows)
        return -((part - ended) // self.n_parts)

    def row_indices(self) -> tuple[Tensor, Tensor]:
        """Return the rows of this process' parts in batch order, and a mask that is False where they are padding.

        Each part holds its consecutive share of the rows, batch after batch, so that a process reads no other rows.
        The padding repeats the first row of the process.

        Returns
        -------
        indices : Tensor of shape (n_batches * parts per process * part_size,)
            Row indices.
        counted : bool Tensor of the same shape
            Whether each one counts.
        """
        indices, counted = [], []
        for part in self.parts:
            start, n = self.part_start(part), self.part_start(part + 1) - self.part_start(part)
            position = torch.arange(self.n_batches * self.part_size)
            padding = min(self.part_start(self.parts.start), self.n_rows - 1)
            indices.append(torch.where(position < n, start + position, padding))
            counted.append(position < n)
        both = (torch.stack(values).unflatten(1, (self.n_batches, -1)) for values in (indices, counted))
        first, second = (values.transpose(0, 1).flatten() for values in both)
        return first, second
