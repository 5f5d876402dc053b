"""Slices of samples whose intermediate results fit a memory budget."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["chunks"]


def chunks(n_rows: int, width: int, budget: int = 1 << 26) -> Iterator[slice]:
    """Yield slices of `n_rows` samples, whose largest intermediate tensor stays within a budget.

    Parameters
    ----------
    n_rows : int
        N, the number of samples.
    width : int
        Numbers per sample in the largest tensor (S * D for S draws of D features).
    budget : int
        Numbers that this tensor may have; the default, 2**26, is 256 MiB of float32.

    Examples
    --------
    >>> [(s.start, s.stop) for s in chunks(5, width=4, budget=8)]
    [(0, 2), (2, 4), (4, 5)]
    """
    step = max(1, budget // max(1, width))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))
