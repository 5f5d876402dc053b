"""Summarise the training data in one pass, before anything is built."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from isthmus._chunks import chunks
from isthmus.data.sources import RowSource
from isthmus.engine.distributed import Processes
from isthmus.estimators._chunking import as_tensor, read_chunks
from isthmus.estimators._validate import all_finite, check_finite, check_observed
from isthmus.scaling import ColumnMoments

__all__ = ["DataSummary", "summarize"]

_READ = 1 << 22  # numbers that are read at once
_MEASURED = 1 << 18  # numbers that are summarised at once: in float64 they stay in the processor's cache

_COMPARED = 8  # rows of a source that processes compare before each reads rows that no other does


class DataSummary(NamedTuple):
    """Summary statistics of the training data.

    Attributes
    ----------
    moments : ColumnMoments
        Mean, variance and extremes of each column, weighted.
    low, high : Tensor of shape (D,)
        Smallest and largest value of each column, over all samples, whatever their weight.
    missing : bool
        Whether any cell is NaN.
    digest : str or None
        Hash of X, if requested.
    """

    moments: ColumnMoments
    low: Tensor
    high: Tensor
    missing: bool
    digest: str | None

    def merge(self, other: DataSummary) -> DataSummary:
        """Return the summary of the samples of both, without a hash."""
        return DataSummary(
            self.moments.merge(other.moments),
            self.low.fmin(other.low),
            self.high.fmax(other.high),
            self.missing or other.missing,
            None,
        )


def summarize(
    X: np.ndarray | RowSource,
    weight: np.ndarray,
    names: Sequence[object] | None,
    processes: Processes,
    *,
    all_observed: bool,
    hashed: bool,
) -> DataSummary:
    """Summarise X in one pass; several processes return the same summary.

    Parameters
    ----------
    X : ndarray or RowSource of shape (N, D)
        Samples. Of a source, each process reads its share.
    weight : ndarray of shape (N,)
        Sample weights.
    names : sequence, optional
        Names of the columns, for errors.
    processes : Processes
        The processes that train together.
    all_observed : bool
        Whether every column needs an observed cell.
    hashed : bool
        Whether to hash X.

    Raises
    ------
    ValueError
        If a cell is infinite, a column was never observed, or processes were given different data.
    """
    if processes.world_size == 1 or not isinstance(X, RowSource):
        summary = _summarize(X, weight, names, hashed=hashed)
    else:
        _check_same_source(processes, X)
        summary = _summarize_shares(processes, X, weight, names, hashed=hashed)
    if all_observed:
        check_observed(~np.isnan(summary.low.numpy()), names)
    if processes.world_size > 1:  # each computes its parts of the same batches, so each needs all of X
        _check_same(processes, int(str(summary.digest), 16))
    return summary


def _summarize(
    X: np.ndarray | RowSource, weight: np.ndarray, names: Sequence[object] | None, *, hashed: bool
) -> DataSummary:
    """Summarise X in this process alone."""
    digest = hashlib.blake2b(digest_size=8) if hashed else None
    blocks: list[DataSummary] = []
    for block, values in read_chunks(X, X.shape[1], _READ):
        parts = []
        for part in chunks(len(values), X.shape[1], _MEASURED):
            rows = values[part]
            finite = all_finite(rows)
            if not finite:
                _raise_if_infinite(X, rows, names, block.start + part.start)
            if digest:
                digest.update(np.ascontiguousarray(rows).view(np.uint8).data)
            missing = not finite and bool(np.isnan(rows).any())
            own = weight[block][part]
            moments = ColumnMoments.of(as_tensor(rows).double(), torch.from_numpy(own))
            low, high = moments.low, moments.high
            if missing or not (own > 0).all():  # the moments' extremes are those of samples that count
                low, high = (torch.from_numpy(f.reduce(rows, axis=0).astype(np.float64)) for f in (np.fmin, np.fmax))
            parts.append(DataSummary(moments, low, high, missing, None))
        blocks.append(functools.reduce(DataSummary.merge, parts))
    return functools.reduce(DataSummary.merge, blocks)._replace(digest=digest.hexdigest() if digest else None)


def _raise_if_infinite(X: np.ndarray | RowSource, rows: np.ndarray, names: Sequence[object] | None, first: int) -> None:
    """Raise a ValueError if X has infinite cells; their number is that in an array, or in a source's `rows`."""
    if isinstance(X, RowSource):
        check_finite(rows, names, X.first_row + first)
    elif np.isinf(rows).any():
        check_finite(X, names)


def _summarize_shares(
    processes: Processes, X: RowSource, weight: np.ndarray, names: Sequence[object] | None, *, hashed: bool
) -> DataSummary:
    """Summarise this process' share of X, and merge the summaries of all by rank: the same in every process.

    Moments differ from those of one process by rounding alone; the hash is one of hashes.
    """
    if len(X) < processes.world_size:  # no share for some of them
        return processes.on_all_ranks(lambda: _summarize(X, weight, names, hashed=hashed))
    own = processes.rank_slice(len(X))
    share = processes.on_all_ranks(lambda: _summarize(X.part(own.start, own.stop), weight[own], names, hashed=hashed))
    packed = torch.cat([*share.moments, share.low, share.high, torch.tensor([float(share.missing)])])
    text = torch.tensor(list((share.digest or "").encode()), dtype=torch.uint8)
    merged = functools.reduce(DataSummary.merge, map(_unpack, processes.gather(packed)))
    digests = torch.cat(processes.gather(text)).numpy().tobytes()
    return merged._replace(digest=hashlib.blake2b(digests, digest_size=8).hexdigest() if hashed else None)


def _unpack(packed: Tensor) -> DataSummary:
    columns = packed[:-1].unflatten(0, (7, -1)).unbind()
    return DataSummary(ColumnMoments(*columns[:5]), columns[5], columns[6], bool(packed[-1]), None)


def _check_same_source(processes: Processes, X: RowSource) -> None:
    """Compare what is cheap to read of a source: shape, dtype, names, and a few rows from its first to its last."""
    rows = np.unique(np.linspace(0, len(X) - 1, _COMPARED).round().astype(np.int64))
    some = processes.on_all_ranks(lambda: X.take(rows))
    description = f"{X.shape} {X.dtype} {X.columns}".encode()
    _check_same(processes, int.from_bytes(hashlib.blake2b(description + some.tobytes(), digest_size=8).digest()))


def _check_same(processes: Processes, digest: int) -> None:
    """Raise a ValueError in every process if a 64-bit hash differs from that of process 0 in any of them."""
    own = digest >> 1
    first = processes.broadcast(own)

    def check() -> None:
        if first != own:
            raise ValueError(
                f"process {processes.rank} of {processes.world_size} received different data than process 0: pass the "
                "full X to every process; each trains on its part of every batch."
            )

    processes.on_all_ranks(check)
