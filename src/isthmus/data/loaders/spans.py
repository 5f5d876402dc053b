"""Determine which rows of a source are read for a part of the batches: spans of blocks, in pools of limited size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["BlockRows", "skip_rows", "split_into_pools"]

_Ints = NDArray[np.int64]


class BlockRows:
    """The rows of a source that are used, block by block.

    Parameters
    ----------
    edges : int ndarray of shape (B + 1,)
        Where the B blocks of the source begin, and its number of rows.
    keep : bool ndarray of shape (N,), optional
        Which rows are used; all by default.

    Attributes
    ----------
    counts : int ndarray of shape (B,)
        Number of used rows in each block.

    Examples
    --------
    >>> rows = BlockRows(np.array([0, 3, 6, 8]))
    >>> rows.spans(np.array([2, 0, 1]), 1, 6).tolist()  # of rows 6 7, 0 1 2, 3 4 5
    [[7, 8, 1], [0, 3, 3], [3, 4, 1]]
    """

    def __init__(self, edges: _Ints, keep: NDArray[np.bool_] | None = None) -> None:
        self.edges, self.keep = edges, keep
        self.counts = np.diff(edges) if keep is None else np.add.reduceat(keep, edges[:-1], dtype=np.int64)

    def spans(self, blocks: _Ints, start: int, stop: int) -> _Ints:
        """Return the spans of the source that hold some of the used rows of `blocks`, and no other used rows.

        Parameters
        ----------
        blocks : int ndarray
            Numbers of blocks in the order of reading, each with at least one used row.
        start, stop : int
            Which rows: positions among the used rows of these blocks, in that order. The first and the last block may
            be divided.

        Returns
        -------
        int ndarray of shape (m, 3)
            First row, last row + 1, and number of used rows of each span.
        """
        if start == stop:
            return np.empty((0, 3), dtype=np.int64)
        ends = np.cumsum(self.counts[blocks])
        touched = slice(np.searchsorted(ends, start, side="right"), np.searchsorted(ends, stop, side="left") + 1)
        blocks, ends = blocks[touched], ends[touched]
        begins = ends - self.counts[blocks]
        first, last = np.maximum(start - begins, 0), np.minimum(ends, stop) - begins  # positions inside each block
        spans = np.stack([self.edges[blocks], self.edges[blocks + 1], last - first], axis=1)
        spans[0, 0] = self._row(int(blocks[0]), int(first[0]))
        spans[-1, 1] = self._row(int(blocks[-1]), int(last[-1]))
        return spans

    def _row(self, block: int, position: int) -> int:
        """Return the row of the source at a position among the used rows of a block, or the end of the block."""
        start, stop = self.edges[block], self.edges[block + 1]
        if position == self.counts[block]:
            return int(stop)
        if self.keep is None or position == 0:
            return int(start) + position
        return int(start + np.flatnonzero(self.keep[start:stop])[position])


def split_into_pools(spans: _Ints, pool_rows: int) -> list[_Ints]:
    """Divide consecutive spans into pools of about `pool_rows` rows; sort each pool, as disks read best in order.

    Examples
    --------
    >>> [pool.tolist() for pool in split_into_pools(np.array([[7, 8, 1], [0, 3, 3], [3, 4, 1]]), 4)]
    [[[0, 3, 3], [7, 8, 1]], [[3, 4, 1]]]
    """
    sizes = spans[:, 1] - spans[:, 0]
    before = np.cumsum(sizes) - sizes
    pools = np.split(spans, np.flatnonzero(np.diff(before // pool_rows)) + 1)
    return [pool[np.argsort(pool[:, 0])] for pool in pools]


def skip_rows(pools: list[_Ints], n: int) -> tuple[int, int]:
    """Return the pool that holds the used row number `n`, and how many used rows of that pool come before it.

    Examples
    --------
    >>> skip_rows([np.array([[0, 3, 3], [7, 8, 1]]), np.array([[3, 6, 2]])], 5)
    (1, 1)
    """
    ends = np.cumsum([pool[:, 2].sum() for pool in pools])
    pool = int(np.searchsorted(ends, n, side="right"))
    return pool, n - (int(ends[pool - 1]) if pool else 0)
