"""Slices of samples whose intermediate results fit a memory budget, and smaller ones where memory is short."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from typing import TypeVar

__all__ = ["chunks", "halved_if_needed", "is_out_of_memory"]

_T = TypeVar("_T")
# torch raises RuntimeError where Python raises MemoryError.
_TORCH_OUT_OF_MEMORY = re.compile(r"(can't allocate memory|out of memory|Storage size calculation overflowed)")


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


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception of Python or torch says that memory could not be allocated."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and _TORCH_OUT_OF_MEMORY.search(str(error)) is not None
    )


def halved_if_needed(function: Callable[[slice], _T], rows: slice) -> Iterator[tuple[slice, _T]]:
    """Yield slices of `rows` and what a function returns for them: all at once, or halves if memory does not suffice.

    Raises
    ------
    MemoryError or RuntimeError
        That of the function, if memory does not suffice for a single row.

    Examples
    --------
    >>> [(s.start, s.stop, n) for s, n in halved_if_needed(lambda s: s.stop - s.start, slice(2, 5))]
    [(2, 5, 3)]
    """
    n = rows.stop - rows.start
    try:
        result = function(rows)
    except (MemoryError, RuntimeError) as error:
        if n < 2 or not is_out_of_memory(error):
            raise
    else:
        yield rows, result
        return
    # Here the exception, and with it what the function had in memory, is gone.
    warnings.warn(f"not enough memory for {n} rows at once: they are computed in halves.", RuntimeWarning, stacklevel=2)
    middle = rows.start + n // 2
    yield from halved_if_needed(function, slice(rows.start, middle))
    yield from halved_if_needed(function, slice(middle, rows.stop))
