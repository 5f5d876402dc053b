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
from isthmus.estimators._validate import check_finite
from isthmus.scaling import ColumnMoments

__all__ = ["DataSummary", "summarize", "summarize_jointly"]

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
    *,
    hashed: bool,
) -> DataSummary:
    """Summarise X in one pass.

    Parameters
    ----------
    X : ndarray or RowSource of shape (N, D)
        Samples.
    weight : ndarray of shape (N,)
        Sample weights.
    names : sequence, optional
        Names of the columns, for errors.
    hashed : bool
        Whether to hash X.

    Raises
    ------
    ValueError
        If a cell is infinite.
    """
    digest = hashlib.blake2b(digest_size=8) if hashed else None
    blocks: list[DataSummary] = []
    for block, values in read_chunks(X, X.shape[1], _READ):
        parts = []
        for part in chunks(len(values), X.shape[1], _MEASURED):
            rows = values[part]
            x = as_tensor(rows).double()
            finite = bool(x.sum().isfinite())  # far quicker than testing every cell
            if not finite and np.isinf(rows).any():
                if isinstance(X, RowSource):
                    check_finite(rows, names, X.first_row + block.start + part.start)
                else:
                    check_finite(X, names)
            if digest:
                digest.update(np.ascontiguousarray(rows).view(np.uint8).data)
            missing = not finite and bool(np.isnan(rows).any())
            own = weight[block][part]
            moments = ColumnMoments.of(x, torch.from_numpy(own))
            low, high = moments.low, moments.high
            if missing or not (own > 0).all():  # the moments' extremes are those of samples that count
                low, high = (torch.from_numpy(f.reduce(rows, axis=0).astype(np.float64)) for f in (np.fmin, np.fmax))
            parts.append(DataSummary(moments, low, high, missing, None))
        blocks.append(functools.reduce(DataSummary.merge, parts))
    return functools.reduce(DataSummary.merge, blocks)._replace(digest=digest.hexdigest() if digest else None)


def summarize_jointly(
    X: np.ndarray | RowSource, weight: np.ndarray, names: Sequence[object] | None, processes: Processes
) -> DataSummary:
    """Summarise X in several processes, which all return the same summary with a hash.

    Each computes its parts of the same batches, so each needs all of X. Of a source, each reads its share here.

    Raises
    ------
    ValueError
        If a cell is infinite, or processes were given different data.
    """
    if isinstance(X, RowSource):
        rows = np.unique(np.linspace(0, len(X) - 1, _COMPARED).round().astype(np.int64))
        some = processes.on_all_ranks(lambda: X.take(rows))
        description = f"{X.shape} {X.dtype} {X.columns}".encode()  # first, what is cheap to read
        _check_same(processes, hashlib.blake2b(description + some.tobytes(), digest_size=8).hexdigest())
    if isinstance(X, RowSource) and len(X) >= processes.world_size:
        summary = _summarize_shares(processes, X, weight, names)
    else:
        summary = processes.on_all_ranks(lambda: summarize(X, weight, names, hashed=True))
    _check_same(processes, str(summary.digest))
    return summary


def _summarize_shares(
    processes: Processes, X: RowSource, weight: np.ndarray, names: Sequence[object] | None
) -> DataSummary:
    """Summarise this process' share of X, and merge the summaries of all by rank: the same in every process.

    Moments differ from those of one process by rounding alone; the hash is one of hashes.
    """
    own = processes.rank_slice(len(X))
    share = processes.on_all_ranks(lambda: summarize(X.part(own.start, own.stop), weight[own], names, hashed=True))
    packed = torch.cat([*share.moments, share.low, share.high, torch.tensor([float(share.missing)])])
    text = torch.tensor(list(str(share.digest).encode()), dtype=torch.uint8)
    shares = []
    for numbers in processes.gather(packed):
        *moments, low, high = numbers[:-1].unflatten(0, (7, -1)).unbind()
        shares.append(DataSummary(ColumnMoments(*moments), low, high, bool(numbers[-1]), None))
    digests = torch.cat(processes.gather(text)).numpy().tobytes()
    merged = functools.reduce(DataSummary.merge, shares)
    return merged._replace(digest=hashlib.blake2b(digests, digest_size=8).hexdigest())


def _check_same(processes: Processes, digest: str) -> None:
    """Raise a ValueError in every process if a 64-bit hash differs from that of process 0 in any of them."""
    own = int(digest, 16) >> 1
    first = processes.broadcast(own)

    def check() -> None:
        if first != own:
            raise ValueError(
                f"process {processes.rank} of {processes.world_size} received different data than process 0: pass the "
                "full X to every process; each trains on its part of every batch."
            )

    processes.on_all_ranks(check)
