"""Batches of rows that are in memory."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from isthmus._batch import Batch
from isthmus.data.loaders.partition import BatchPartition

__all__ = ["InMemoryLoader"]


class InMemoryLoader:
    """Load batches from rows that are all on the device, permuted there without work per row.

    Batches are of equal size, at most `batch_size`. If N is not a multiple of it, the last batch is padded with rows of
    weight 0, so that shapes stay the same and every row counts.

    Parameters
    ----------
    rows : Batch
        All rows.
    batch_size : int
        Maximum number of rows per batch, over all processes.
    process : tuple of (int, int), default=(0, 1)
        Rank of this process and number of processes. Each process holds all rows and yields its part of every batch.
    parts_per_process : int, default=1
        Number of parts of equal size per process, into which ``Batch.split`` divides what is yielded.

    Examples
    --------
    >>> rows = Batch(torch.arange(5.0).reshape(5, 1), torch.ones(5))
    >>> [batch.weight.tolist() for batch in InMemoryLoader(rows, 2)]
    [[1.0, 1.0], [1.0, 1.0], [1.0, 0.0]]
    """

    def __init__(
        self, rows: Batch, batch_size: int, process: tuple[int, int] = (0, 1), parts_per_process: int = 1
    ) -> None:
        self.rows = rows
        self.n_rows = len(rows.x)
        self.partition = BatchPartition(self.n_rows, batch_size, process, parts_per_process)

    def __len__(self) -> int:
        return self.partition.n_batches

    def __iter__(self) -> Iterator[Batch]:
        """Yield all rows in their own order."""
        yield from self._batches(torch.arange(self.n_rows, device=self.rows.x.device))

    def shuffled(self, seed: int, start: int = 0) -> Iterator[Batch]:
        """Yield the rows in an order that depends on `seed` only, from batch number `start`."""
        device = self.rows.x.device
        generator = torch.Generator(device).manual_seed(seed)
        order = torch.randperm(self.n_rows, generator=generator, device=device)
        yield from self._batches(order[start * self.partition.batch_size :])

    def _batches(self, order: torch.Tensor) -> Iterator[Batch]:
        for rows in torch.split(order, self.partition.batch_size):
            if not len(rows):  # torch.split of an empty tensor yields one empty tensor
                return
            own = rows[self.partition.own]
            short = self.partition.own.stop - self.partition.own.start - len(own)
            batch = self.rows.take(torch.nn.functional.pad(own, (0, short)) if short else own)
            if short:
                batch.weight[-short:] = 0
            yield batch
