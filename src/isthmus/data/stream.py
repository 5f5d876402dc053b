"""Batches of rows that are not in memory: blocks shuffled across, rows within pools of blocks, read ahead."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from isthmus._batch import Batch
from isthmus._torch import derive
from isthmus.data.arrays import Batches
from isthmus.data.sources import RowSource

__all__ = ["POOL", "Stream", "ahead"]

POOL = 1 << 26  # bytes of rows that are mixed with one another; two pools are in memory, the one being read included

_A = TypeVar("_A")
_B = TypeVar("_B")


class _Later(Generic[_B]):
    """What a function returns, or raises, once a thread of its own has run it."""

    def __init__(self, function: Callable[[_A], _B], argument: _A) -> None:
        self._function, self._argument = function, argument
        self._value: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="isthmus-read-ahead", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value = self._function(self._argument)
        except BaseException as error:
            self._error = error

    def wait(self) -> None:
        self._thread.join()

    def result(self) -> _B:
        self.wait()
        if self._error is not None:
            raise self._error
        value: _B = self._value
        return value


def ahead(function: Callable[[_A], _B], items: Iterable[_A]) -> Iterator[_B]:
    """Yield ``function(item)`` for every item; the next one is made in the background while one is used.

    Every value has a thread of its own, that ends with it: whatever becomes of the iterator, no thread waits for it.
    What the function raises is raised here.

    Parameters
    ----------
    function : callable
        What to run in the background.
    items : iterable
        Its arguments, taken one ahead.

    Examples
    --------
    >>> list(ahead(str, range(3)))
    ['0', '1', '2']
    """
    later: _Later[_B] | None = None
    try:
        for item in items:
            if later is None:
                later = _Later(function, item)
                continue
            value = later.result()
            later = _Later(function, item)
            yield value
            del value  # no value is held that its user has done with
        if later is not None:
            yield later.result()
    finally:
        if later is not None:
            later.wait()


class _Pool(NamedTuple):
    """Some blocks in memory."""

    rows: NDArray[Any]  # (n, D)
    numbers: NDArray[np.int64]  # (n,), that the rows have in the source
    order: NDArray[np.int64]  # positions in the pool of the rows that are wanted, in the order that they are wanted in


class Stream(Batches):
    """Rows of a source, in batches of one size, shuffled without holding more than two pools of them.

    For an epoch, the order of the blocks is drawn; blocks are read into a pool until it has `pool_bytes`; the order of
    the rows in the pool is drawn, and batches are cut from it; what is left over begins the next batch. A source of
    less than a pool is permuted as a whole. As with :class:`Resident`, batches are of equal size, at most `batch_size`,
    and the last is padded with rows of weight 0.

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
        Bytes of a pool, 64 MiB by default.
    part : tuple of (int, int), default=(0, 1)
        Which of how many equal parts of every batch is yielded, as of :class:`Resident`. Every process reads all rows.
    multiple : int, default=1
        What the size of a part is a multiple of; rows of weight 0 fill it up.

    Examples
    --------
    >>> from isthmus.data.sources import ArrayRows
    >>> source = ArrayRows(np.arange(5.0)[:, None])
    >>> stream = Stream(source, 2, lambda x, rows: Batch(x, torch.ones(len(x))))
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
        self._pool_rows = max(1, (pool_bytes or POOL) // (rows.n_features * rows.dtype.itemsize))
        super().__init__(int(self._kept.sum()), batch_size, part, multiple)

    def __iter__(self) -> Iterator[Batch]:
        """Yield all rows in their own order."""
        yield from self._batches(np.arange(len(self._kept)), None, 0)

    def shuffled(self, seed: int, start: int = 0) -> Iterator[Batch]:
        """Yield the rows in an order that depends on `seed` alone, from the batch numbered `start` on.

        Pools before that batch are not read.
        """
        blocks = np.random.default_rng(derive(seed, 0)).permutation(len(self._kept))
        yield from self._batches(blocks, seed, start * self.batch_size)

    def _batches(self, blocks: NDArray[np.int64], seed: int | None, start: int) -> Iterator[Batch]:
        """Yield batches of the blocks in this order, from the row at position `start` on."""
        if start >= self.n_rows:
            return
        pools = self._pools(blocks)
        ends = np.cumsum([self._kept[pool].sum() for pool in pools])
        first = int(np.searchsorted(ends, start, side="right"))  # the pool with that row
        skip = start - (int(ends[first - 1]) if first else 0)

        def load(number: int) -> _Pool:
            pool = self._load(pools[number], None if seed is None else derive(seed, 1, number))
            return pool._replace(order=pool.order[skip:]) if number == first else pool

        yield from self._cut(ahead(load, range(first, len(pools))))

    def _pools(self, blocks: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Return the blocks pool by pool; in a pool they rise, as a disk likes it."""
        blocks = blocks[self._kept[blocks] > 0]
        sizes = np.diff(self._edges)[blocks]
        before = np.cumsum(sizes) - sizes
        return [np.sort(pool) for pool in np.split(blocks, np.flatnonzero(np.diff(before // self._pool_rows)) + 1)]

    def _load(self, pool: NDArray[np.int64], seed: int | None) -> _Pool:
        """Read a pool; its rows are in their own order without a seed."""
        spans = [(int(self._edges[b]), int(self._edges[b + 1])) for b in pool]
        numbers = np.concatenate([np.arange(start, stop) for start, stop in spans])
        rows = np.empty((len(numbers), self.rows.n_features), self.rows.dtype)
        begin = 0
        for start, stop in spans:
            rows[begin : begin + stop - start] = self.rows[start:stop]
            begin += stop - start
        order = np.arange(len(numbers)) if self.keep is None else np.flatnonzero(self.keep[numbers])
        if seed is not None:
            order = np.random.default_rng(seed).permutation(order)
        return _Pool(rows, numbers, order)

    def _cut(self, pools: Iterable[_Pool]) -> Iterator[Batch]:
        """Cut pools into batches; what is left of a pool begins the next one's first batch."""
        rest: tuple[Tensor, Tensor] | None = None
        for pool in pools:
            rows, numbers, order = (torch.from_numpy(array).to(self.device) for array in pool)
            for picked in _pieces(order, self.batch_size - (0 if rest is None else len(rest[1])), self.batch_size):
                x, i = rows.index_select(0, picked), numbers.index_select(0, picked)
                if rest is not None:
                    x, i, rest = torch.cat([rest[0], x]), torch.cat([rest[1], i]), None
                if len(i) < self.batch_size:
                    rest = x, i
                else:
                    yield self._own(x, i)
        if rest is not None:
            yield self._own(*rest)

    def _own(self, x: Tensor, i: Tensor) -> Batch:
        """Return this process' part of a batch, filled up with rows of weight 0."""
        own_x, own_i = x[self.own], i[self.own]
        short = self.own.stop - self.own.start - len(own_i)
        if not short:
            return self.batch(own_x, own_i)
        batch = self.batch(torch.cat([own_x, x[:1].expand(short, -1)]), torch.cat([own_i, i[:1].expand(short)]))
        batch.weight[-short:] = 0
        return batch


def _pieces(order: Tensor, first: int, size: int) -> list[Tensor]:
    """Split positions into a piece of `first` and pieces of `size`; the last may be shorter."""
    return [order[:first], *(order[first:].split(size) if len(order) > first else ())]
