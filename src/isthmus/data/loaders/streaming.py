"""Batches of rows that are not in memory: shuffle blocks, then the rows within pools of blocks, and read ahead."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from isthmus._batch import Batch
from isthmus._random import derive
from isthmus.data.loaders.partition import BatchPartition
from isthmus.data.loaders.prefetch import prefetch
from isthmus.data.loaders.spans import BlockRows, skip_rows, split_into_pools
from isthmus.data.sources import RowSource

__all__ = ["POOL", "StreamingLoader"]

POOL = 1 << 26  # bytes of rows that are shuffled together; two pools are in memory, one of them being read


class StreamingLoader:
    """Load batches from a source, shuffled while no more than two pools of rows are in memory.

    In each epoch, the blocks of the source are put into random order and read into pools of `pool_bytes`; the rows of a
    pool are put into random order and divided into batches, and the rows left over begin the next batch. A source that
    is smaller than a pool is permuted as a whole. As with :class:`InMemoryLoader`, batches are of equal size, at most
    `batch_size`, and padded with rows of weight 0.

    If a batch has P parts (for several processes, or computed one after the other), the blocks in their random order
    are divided into P shares of N / P rows. Each part reads its own share, through pools of `pool_bytes` / P, and has
    1 / P of the rows of every batch, so that no row is read twice. A block on the border of two shares is divided, so
    that shares differ by at most one row however few blocks there are.

    Parameters
    ----------
    rows : RowSource
        The rows.
    batch_size : int
        Maximum number of rows per batch, over all processes.
    batch : callable
        Returns the :class:`Batch` of rows (n, D) and their indices in the source (n,), tensors on `device`: it scales
        them, and adds weights and conditions.
    keep : bool ndarray of shape (N,), optional
        Which rows are used; all by default.
    device : torch.device or str
        Where the rows of a pool are permuted and divided.
    pool_bytes : int, optional
        Bytes of the pools of all parts together, 64 MiB by default.
    process : tuple of (int, int), default=(0, 1)
        Rank of this process and number of processes. Only the rows of this process are read.
    parts_per_process : int, default=1
        Number of parts per process, computed one after the other.

    Examples
    --------
    >>> from isthmus.data.sources import ArrayRows
    >>> source = ArrayRows(np.arange(5.0)[:, None])
    >>> loader = StreamingLoader(source, 2, lambda x, indices: Batch(x, torch.ones(len(x))))
    >>> [batch.x.flatten().tolist() for batch in loader]
    [[0.0, 1.0], [2.0, 3.0], [4.0, 4.0]]
    """

    def __init__(
        self,
        rows: RowSource,
        batch_size: int,
        batch: Callable[[Tensor, Tensor], Batch],
        *,
        keep: NDArray[np.bool_] | None = None,
        device: torch.device | str = "cpu",
        pool_bytes: int | None = None,
        process: tuple[int, int] = (0, 1),
        parts_per_process: int = 1,
    ) -> None:
        self.rows, self.batch, self.keep, self.device = rows, batch, keep, torch.device(device)
        self._blocks = BlockRows(rows.edges(), keep)
        self._reading = threading.Lock()  # sources are read by one call at a time, and every part prefetches
        self.n_rows = int(self._blocks.counts.sum())
        self.partition = BatchPartition(self.n_rows, batch_size, process, parts_per_process)
        bytes_per_row = rows.n_features * rows.dtype.itemsize
        self._pool_rows = max(1, (pool_bytes or POOL) // self.partition.n_parts // bytes_per_row)

    def __len__(self) -> int:
        return self.partition.n_batches

    def __iter__(self) -> Iterator[Batch]:
        """Yield all rows in their own order; with several parts, each has its share of them in order."""
        yield from self._batches(np.arange(len(self._blocks.counts)), None, 0)

    def shuffled(self, seed: int, start: int = 0) -> Iterator[Batch]:
        """Yield the rows in an order that depends on `seed` only, from batch number `start`.

        Pools before that batch are not read.
        """
        blocks = np.random.default_rng(derive(seed, 0)).permutation(len(self._blocks.counts))
        yield from self._batches(blocks, seed, start)

    def _batches(self, blocks: NDArray[np.int64], seed: int | None, start: int) -> Iterator[Batch]:
        """Yield the parts of this process of the batches from number `start`, given the order of the blocks."""
        if start >= len(self):
            return
        blocks = blocks[self._blocks.counts[blocks] > 0]
        parts = [self._part(part, blocks, seed, start) for part in self.partition.parts]
        for slices in zip(*parts, strict=True):
            yield self._join(slices)

    def _part(self, part: int, blocks: NDArray[np.int64], seed: int | None, start: int) -> Iterator[_Slice]:
        """Yield the rows of a part in each batch from number `start`."""
        share = self.partition.part_start(part), self.partition.part_start(part + 1)
        pools = split_into_pools(self._blocks.spans(blocks, *share), self._pool_rows)
        first, skipped = skip_rows(pools, self.partition.rows_before(part, start))

        def load(number: int) -> _Pool:
            pool = self._load(pools[number], None if seed is None else derive(seed, 1 + part, number))
            return pool._replace(order=pool.order[skipped:]) if number == first else pool

        rows = _Rows(prefetch(load, range(first, len(pools))), self._any_row, self.device)
        for batch in range(start, len(self)):
            n = self.partition.rows_before(part, batch + 1) - self.partition.rows_before(part, batch)
            yield rows.take(n, self.partition.part_size)

    def _load(self, spans: NDArray[np.int64], seed: int | None) -> _Pool:
        """Read a pool, and put its rows into the order that depends on `seed`, or leave them in their own order."""
        indices = np.concatenate([np.arange(start, stop) for start, stop, _ in spans.tolist()])
        rows = np.empty((len(indices), self.rows.n_features), self.rows.dtype)
        filled = 0
        with self._reading:
            for start, stop, _ in spans.tolist():
                rows[filled : filled + stop - start] = self.rows[start:stop]
                filled += stop - start
        order = np.arange(len(indices)) if self.keep is None else np.flatnonzero(self.keep[indices])
        if seed is not None:
            order = np.random.default_rng(seed).permutation(order)
        return _Pool(rows, indices, order)

    def _any_row(self) -> _Pool:
        """Return a used row in a pool whose order is empty, for a part that has no row of its own."""
        row = 0 if self.keep is None else int(np.argmax(self.keep))
        with self._reading:
            return _Pool(self.rows[row : row + 1], np.array([row]), np.empty(0, dtype=np.int64))

    def _join(self, slices: Sequence[_Slice]) -> Batch:
        """Return the parts of this process as one batch; rows that only pad them get weight 0."""
        batch = self.batch(*_concatenate([(part.rows, part.indices) for part in slices]))
        size = self.partition.part_size
        for i, part in enumerate(slices):
            batch.weight[i * size + part.n_rows : (i + 1) * size] = 0
        return batch


class _Pool(NamedTuple):
    """Some blocks in memory."""

    rows: NDArray[Any]  # (n, D)
    indices: NDArray[np.int64]  # (n,), of the rows in the source
    order: NDArray[np.int64]  # positions in the pool of the rows that are used, in the order in which they are used


class _Slice(NamedTuple):
    """The rows of a part in one batch."""

    rows: Tensor  # (part_size, D)
    indices: Tensor  # (part_size,), of the rows in the source
    n_rows: int  # number of rows that count; the others are padding


class _Rows:
    """Take rows one after the other from an iterator of pools."""

    def __init__(self, pools: Iterator[_Pool], any_row: Callable[[], _Pool], device: torch.device) -> None:
        self._pools, self._device = pools, device
        self._open(next(pools, None) or any_row())

    def _open(self, pool: _Pool) -> None:
        self._rows, self._indices, self._order = (torch.from_numpy(array).to(self._device) for array in pool)

    def take(self, n: int, size: int) -> _Slice:
        """Return the next n rows, padded to `size` rows."""
        pieces: list[tuple[Tensor, Tensor]] = []
        missing = n
        while missing:
            if not len(self._order):
                self._open(next(self._pools))
            picked, self._order = self._order[:missing], self._order[missing:]
            pieces.append((self._rows.index_select(0, picked), self._indices.index_select(0, picked)))
            missing -= len(picked)
        if n < size:
            rows, indices = pieces[0] if pieces else (self._rows, self._indices)
            pieces.append((rows[:1].expand(size - n, -1), indices[:1].expand(size - n)))
        return _Slice(*_concatenate(pieces), n)


def _concatenate(pieces: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Return rows and their indices one after the other; a single piece is not copied."""
    if len(pieces) == 1:
        return pieces[0]
    return torch.cat([rows for rows, _ in pieces]), torch.cat([indices for _, indices in pieces])
