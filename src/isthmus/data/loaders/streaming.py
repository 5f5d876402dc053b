"""Batches of rows that are not in memory: blocks shuffled across, rows within pools of blocks, read ahead."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from isthmus._batch import Batch
from isthmus._random import derive
from isthmus.data.loaders.partition import BatchPartition
from isthmus.data.loaders.prefetch import prefetch
from isthmus.data.sources import RowSource

__all__ = ["POOL", "StreamingLoader"]

POOL = 1 << 26  # bytes of rows that are mixed with one another; two pools are in memory, the one being read included

_Rows = tuple[Tensor, Tensor]  # rows (n, D), and the numbers (n,) that they have in the source


class _Pool(NamedTuple):
    """Some blocks in memory."""

    rows: NDArray[Any]  # (n, D)
    numbers: NDArray[np.int64]  # (n,), that the rows have in the source
    order: NDArray[np.int64]  # positions in the pool of the rows that are wanted, in the order that they are wanted in


class _Slice(NamedTuple):
    """A part's rows of a batch."""

    rows: Tensor  # (n, D)
    numbers: Tensor  # (n,), that they have in the source
    counted: int  # as many of them, the first, count; the others fill it up


class StreamingLoader:
    """Rows of a source, in batches of one size, shuffled without holding more than two pools of them.

    For an epoch, the order of the blocks is drawn; blocks are read into a pool until it has `pool_bytes`; the order of
    the rows in the pool is drawn, and batches are cut from it; what is left over begins the next batch. A source of
    less than a pool is permuted as a whole. As with :class:`InMemoryLoader`, batches are of equal size, at most
    `batch_size`, and rows of weight 0 fill up what is short.

    Where batches have P parts (of several processes, or of one that computes them one after the other), the blocks in
    their drawn order are cut into P shares of N / P rows; a part reads its own share, through pools of 1 / P of the
    bytes, and has 1 / P of the rows of every batch. No row is read by two. A block on the border of two shares is read
    in two pieces, so that shares are equal to within a row, however few blocks there are.

    Parameters
    ----------
    rows : RowSource
        The rows.
    batch_size : int
        Upper limit of a batch.
    batch : callable
        Makes a :class:`Batch` of rows (n, D) and their numbers (n,), tensors on `device`: units, weights, conditions.
    keep : bool ndarray of shape (N,), optional
        Which rows there are; all by default.
    device : torch.device or str
        Where the rows of a pool are permuted and cut.
    pool_bytes : int, optional
        Bytes of a pool of all parts together, 64 MiB by default.
    part : tuple of (int, int), default=(0, 1)
        Which of how many equal parts of every batch is yielded: those of this process, and no other rows are read.
    multiple : int, default=1
        Parts that a process computes one after the other: it yields so many of world * multiple.

    Examples
    --------
    >>> from isthmus.data.sources import ArrayRows
    >>> source = ArrayRows(np.arange(5.0)[:, None])
    >>> stream = StreamingLoader(source, 2, lambda x, rows: Batch(x, torch.ones(len(x))))
    >>> [batch.x.flatten().tolist() for batch in stream]
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
        part: tuple[int, int] = (0, 1),
        multiple: int = 1,
    ) -> None:
        self.rows, self.batch, self.keep, self.device = rows, batch, keep, torch.device(device)
        self._edges = rows.edges()
        sizes = np.diff(self._edges)
        self._kept = sizes if keep is None else np.add.reduceat(keep, self._edges[:-1], dtype=np.int64)
        self._reading = threading.Lock()  # sources are promised one call at a time, and every part reads ahead
        self.n_rows = int(self._kept.sum())
        self.partition = BatchPartition(self.n_rows, batch_size, part, multiple)
        bytes_of_row = rows.n_features * rows.dtype.itemsize
        self._pool_rows = max(1, (pool_bytes or POOL) // self.partition.n_parts // bytes_of_row)

    def __len__(self) -> int:
        return self.partition.n_batches

    def __iter__(self) -> Iterator[Batch]:
        """Yield all rows in their own order: of several parts, each its share in its own order."""
        yield from self._batches(np.arange(len(self._kept)), None, 0)

    def shuffled(self, seed: int, start: int = 0) -> Iterator[Batch]:
        """Yield the rows in an order that depends on `seed` alone, from the batch numbered `start` on.

        Pools before that batch are not read.
        """
        blocks = np.random.default_rng(derive(seed, 0)).permutation(len(self._kept))
        yield from self._batches(blocks, seed, start)

    def _batches(self, blocks: NDArray[np.int64], seed: int | None, start: int) -> Iterator[Batch]:
        """Yield this process' parts of the batches of the blocks in this order, from the one numbered `start` on."""
        if start >= self.partition.n_batches:
            return
        blocks = blocks[self._kept[blocks] > 0]
        slices = [self._slices(self._share(blocks, part), part, seed, start) for part in self.partition.parts]
        for own in zip(*slices, strict=True):
            yield self._joined(own)

    # ---- the rows of a part -------------------------------------------------------------------------------------

    def _share(self, blocks: NDArray[np.int64], part: int) -> NDArray[np.int64]:
        """Return a part's share of the blocks, (m, 3): first row, last row + 1, and how many of those are kept."""
        low, high = self.partition.part_start(part), self.partition.part_start(part + 1)
        if low == high:
            return np.empty((0, 3), dtype=np.int64)
        ends = np.cumsum(self._kept[blocks])
        mine = slice(int(np.searchsorted(ends, low, side="right")), int(np.searchsorted(ends, high, side="left")) + 1)
        blocks, ends = blocks[mine], ends[mine]
        begins = ends - self._kept[blocks]
        first, last = np.maximum(low - begins, 0), np.minimum(ends, high) - begins  # of a block's kept rows
        spans = np.stack([self._edges[blocks], self._edges[blocks + 1], last - first], axis=1)
        spans[0, 0], spans[-1, 1] = self._row(blocks[0], int(first[0])), self._row(blocks[-1], int(last[-1]))
        return spans

    def _row(self, block: np.int64, number: int) -> int:
        """Return the number that a block's kept row has in the source; the block's end for the one after the last."""
        start, stop = int(self._edges[block]), int(self._edges[block + 1])
        if number == self._kept[block]:
            return stop
        return start + (
            number if self.keep is None or not number else int(np.flatnonzero(self.keep[start:stop])[number])
        )

    def _pools(self, spans: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Return a share pool by pool; in a pool rows rise, as a disk likes it."""
        sizes = spans[:, 1] - spans[:, 0]
        before = np.cumsum(sizes) - sizes
        pools = np.split(spans, np.flatnonzero(np.diff(before // self._pool_rows)) + 1)
        return [pool[np.argsort(pool[:, 0])] for pool in pools]

    def _slices(self, spans: NDArray[np.int64], part: int, seed: int | None, start: int) -> Iterator[_Slice]:
        """Yield a part's rows of every batch, from the batch numbered `start` on."""
        pools, skip = self._pools(spans), self.partition.rows_before(part, start)
        ends = np.cumsum([pool[:, 2].sum() for pool in pools])
        first = int(np.searchsorted(ends, skip, side="right"))  # the pool with the first row of that batch
        skip -= int(ends[first - 1]) if first else 0

        def load(number: int) -> _Pool:
            pool = self._load(pools[number], None if seed is None else derive(seed, 1 + part, number))
            return pool._replace(order=pool.order[skip:]) if number == first else pool

        steps = range(start, self.partition.n_batches)
        sizes = (self.partition.rows_before(part, step + 1) - self.partition.rows_before(part, step) for step in steps)
        yield from self._cut(prefetch(load, range(first, len(pools))), sizes)

    def _load(self, pool: NDArray[np.int64], seed: int | None) -> _Pool:
        """Read a pool; its rows are in their own order without a seed."""
        spans = pool[:, :2].tolist()
        numbers = np.concatenate([np.arange(start, stop) for start, stop in spans])
        rows = np.empty((len(numbers), self.rows.n_features), self.rows.dtype)
        begin = 0
        with self._reading:
            for start, stop in spans:
                rows[begin : begin + stop - start] = self.rows[start:stop]
                begin += stop - start
        order = np.arange(len(numbers)) if self.keep is None else np.flatnonzero(self.keep[numbers])
        if seed is not None:
            order = np.random.default_rng(seed).permutation(order)
        return _Pool(rows, numbers, order)

    def _cut(self, pools: Iterator[_Pool], sizes: Iterable[int]) -> Iterator[_Slice]:
        """Cut pools into slices, of which so many rows count; what is left of a pool begins the next slice."""
        rows, numbers, order = self._moved(next(pools, None) or self._spare())
        for size in sizes:
            pieces: list[_Rows] = []
            short = size
            while short:
                if not len(order):
                    rows, numbers, order = self._moved(next(pools))
                picked, order = order[:short], order[short:]
                pieces.append((rows.index_select(0, picked), numbers.index_select(0, picked)))
                short -= len(picked)
            if size < self.partition.part_size:
                x, i = pieces[0] if pieces else (rows, numbers)
                pieces.append(
                    (x[:1].expand(self.partition.part_size - size, -1), i[:1].expand(self.partition.part_size - size))
                )
            yield _Slice(*_cat(pieces), size)

    def _moved(self, pool: _Pool) -> list[Tensor]:
        return [torch.from_numpy(array).to(self.device) for array in pool]

    def _spare(self) -> _Pool:
        """Return a pool for a part of which no row counts: where there are more parts than rows."""
        row = 0 if self.keep is None else int(np.argmax(self.keep))
        with self._reading:
            return _Pool(self.rows[row : row + 1], np.array([row]), np.empty(0, dtype=np.int64))

    def _joined(self, own: Sequence[_Slice]) -> Batch:
        """Return this process' parts as one batch; rows that fill them up get weight 0."""
        batch = self.batch(*_cat([(part.rows, part.numbers) for part in own]))
        for i, part in enumerate(own):
            batch.weight[i * self.partition.part_size + part.counted : (i + 1) * self.partition.part_size] = 0
        return batch


def _cat(pieces: Sequence[_Rows]) -> _Rows:
    """Return rows one after the other."""
    if len(pieces) == 1:
        return pieces[0]
    return torch.cat([x for x, _ in pieces]), torch.cat([i for _, i in pieces])
