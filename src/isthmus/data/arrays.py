"""Data that fit in memory: resident on the device, permuted there, no work per row."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from isthmus._batch import Batch

__all__ = ["Batches", "Resident"]


class Batches:
    """Base of what cuts N rows into batches of equal size, and each batch into equal parts: some for every process.

    Attributes
    ----------
    n_rows, n_batches, batch_size : int
        N; batches of an epoch; rows of a batch of all processes.
    n_parts, part_size : int
        Parts of a batch, over all processes; rows of each.
    parts : range
        The parts that this process has.
    own : slice
        Where they are in a batch; rows of weight 0 fill it up where a batch ends before it does.
    """

    def __init__(self, n_rows: int, batch_size: int, part: tuple[int, int], multiple: int) -> None:
        self.n_rows = n_rows
        self.n_batches = max(1, math.ceil(n_rows / batch_size))
        self.batch_size = math.ceil(n_rows / self.n_batches)
        self.n_parts = part[1] * multiple
        self.part_size = math.ceil(self.batch_size / self.n_parts)
        self.parts = range(part[0] * multiple, (part[0] + 1) * multiple)
        self.own = slice(self.parts.start * self.part_size, self.parts.stop * self.part_size)

    def __len__(self) -> int:
        return self.n_batches

    def border(self, part: int) -> int:
        """Return how many rows the parts before `part` have, where all rows are dealt to the parts in turn."""
        return part * (self.n_rows // self.n_parts) + min(part, self.n_rows % self.n_parts)

    def before(self, part: int, batch: int) -> int:
        """Return how many rows of a part come before a batch, where the rows of every batch are dealt in turn.

        Row j of an epoch is then one of part j mod P's: parts differ by a row at most, over an epoch and in a batch.
        """
        ended = min(batch * self.batch_size, self.n_rows)
        return -((part - ended) // self.n_parts)

    def places(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the numbers of the rows in this process' parts of all batches, and whether they count.

        Each part has its share of the rows in their order, batch after batch: nothing that a process has no part in.
        What fills up the last batches is the process' first row.
        """
        numbers, counted = [], []
        for part in self.parts:
            start, n = self.border(part), self.border(part + 1) - self.border(part)
            place = torch.arange(self.n_batches * self.part_size)
            numbers.append(torch.where(place < n, start + place, min(self.border(self.parts.start), self.n_rows - 1)))
            counted.append(place < n)
        both = (torch.stack(values).unflatten(1, (self.n_batches, -1)) for values in (numbers, counted))
        first, second = (values.transpose(0, 1).flatten() for values in both)
        return first, second


class Resident(Batches):
    """All rows on the device, in batches of one size.

    Batches are of equal size, at most `batch_size`; where N leaves a rest, the last batch is padded with rows
    of weight 0, so that shapes stay the same and every row counts.

    Parameters
    ----------
    rows : Batch
        All rows.
    batch_size : int
        Upper limit of a batch.
    part : tuple of (int, int), default=(0, 1)
        Which of how many equal parts of every batch is yielded: several processes, each with all rows, then go
        through the same batches.
    multiple : int, default=1
        What the size of a part is a multiple of; rows of weight 0 fill it up.

    Examples
    --------
    >>> rows = Batch(torch.arange(5.0).reshape(5, 1), torch.ones(5))
    >>> [batch.weight.tolist() for batch in Resident(rows, 2)]
    [[1.0, 1.0], [1.0, 1.0], [1.0, 0.0]]
    """

    def __init__(self, rows: Batch, batch_size: int, part: tuple[int, int] = (0, 1), multiple: int = 1) -> None:
        self.rows = rows
        super().__init__(len(rows.x), batch_size, part, multiple)

    def __iter__(self) -> Iterator[Batch]:
        """Yield all rows in their own order."""
        yield from self._cut(torch.arange(self.n_rows, device=self.rows.x.device))

    def shuffled(self, seed: int, start: int = 0) -> Iterator[Batch]:
        """Yield the rows in an order that depends on `seed` alone, from the batch numbered `start` on."""
        device = self.rows.x.device
        generator = torch.Generator(device).manual_seed(seed)
        order = torch.randperm(self.n_rows, generator=generator, device=device)
        yield from self._cut(order[start * self.batch_size :])

    def _cut(self, order: torch.Tensor) -> Iterator[Batch]:
        for rows in torch.split(order, self.batch_size):
            if not len(rows):  # what `split` makes of nothing
                return
            own = rows[self.own]
            short = self.own.stop - self.own.start - len(own)
            batch = self.rows.take(torch.nn.functional.pad(own, (0, short)) if short else own)
            if short:
                batch.weight[-short:] = 0
            yield batch
