"""Read samples in chunks, and join the results of chunks: no more than a chunk is computed at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus._chunks import chunks
from isthmus.data.loaders import prefetch
from isthmus.data.sources import RowSource
from isthmus.engine.memory import raise_malloc_threshold

__all__ = ["as_tensor", "chunk_budget", "concat_chunks", "empty_result", "read_chunks", "row_chunks"]

_CHUNK = 1 << 21  # numbers in the widest tensor of a chunk: 8 MiB of float32, which a processor's cache holds
_DEVICE_CHUNK = 1 << 25  # the same on a GPU, which needs more rows at a time to be busy


def as_tensor(X: np.ndarray) -> Tensor:
    """Return a tensor that shares the memory of X, or a copy if X is read-only or runs backwards, as X[::-1] does."""
    return torch.from_numpy(X if X.flags.writeable and min(X.strides, default=0) >= 0 else X.copy())


def row_chunks(n_rows: int, width: int, budget: int | None = None) -> Iterator[slice]:
    """Yield slices of rows whose widest tensor, of `width` numbers per row, fits a `budget` of numbers.

    The bits of a result may depend on the chunks.
    """
    return chunks(n_rows, width, budget or _CHUNK)


def chunk_budget(device: torch.device) -> int:
    """Return how many numbers the widest tensor of a chunk may hold on a device."""
    return _CHUNK if device.type == "cpu" else _DEVICE_CHUNK


def read_chunks(X: np.ndarray | RowSource, width: int, budget: int | None = None) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the slices of :func:`row_chunks` with their rows of X; those of a source are read in the background."""
    parts = list(chunks(len(X), width, budget or _CHUNK))
    read = prefetch(X.__getitem__, parts) if isinstance(X, RowSource) else (X[part] for part in parts)
    yield from zip(parts, read, strict=True)


def concat_chunks(results: Iterable[tuple[slice, Tensor]], n_rows: int, dtype: Any, axis: int = 0) -> np.ndarray:
    """Return the results of all slices of rows in one array of a numpy type, joined along `axis`."""
    whole: Tensor | None = None
    for part, values in results:
        if whole is None:
            whole = empty_result((*values.shape[:axis], n_rows, *values.shape[axis + 1 :]), dtype)
        whole.narrow(axis, part.start, part.stop - part.start).copy_(values)
    assert whole is not None  # there is at least one row
    return whole.numpy()


def empty_result(shape: tuple[int, ...], dtype: Any) -> Tensor:
    """Return uninitialised memory for a result of a numpy type.

    torch allocates it: numpy asks for huge pages, whose first use can take four times as long.
    """
    raise_malloc_threshold()
    return torch.from_numpy(np.empty(0, dtype)).new_empty(shape)
