"""The training rows looked at once, chunk by chunk, before anything is built."""

from __future__ import annotations

import functools
import hashlib
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from isthmus._chunks import chunks
from isthmus._device import check_device
from isthmus._random import Stream, derive
from isthmus.data.sources import RowSource
from isthmus.engine.distributed import Processes, find_processes
from isthmus.estimators._inference import as_tensor, read_chunks
from isthmus.estimators._validate import all_finite, check_finite, check_observed
from isthmus.scaling import ColumnMoments

__all__ = ["DataSummary", "sample_rows", "summarize"]

_READ = 1 << 22  # numbers that are read at once
_MEASURED = 1 << 18  # numbers that are measured at once: in float64 they stay in the processor's cache

# What likelihoods, priors and corruptions may look at: a draw of rows where there are more.
_SAMPLE_ROWS, _SAMPLE_NUMBERS = 100_000, 1 << 22

_COMPARED = 8  # rows of a source that processes compare before each reads rows that no other does


class DataSummary(NamedTuple):
    """What is known of the training rows.

    Attributes
    ----------
    moments : ColumnMoments
        For the scaling.
    low, high : Tensor of shape (D,)
        Smallest and largest value of each column, over all rows, whatever their weight.
    missing : bool
        Whether any cell is NaN.
    digest : str or None
        Hash of all rows, if it was asked for.
    """

    moments: ColumnMoments
    low: Tensor
    high: Tensor
    missing: bool
    digest: str | None


def summarize(
    estimator: Any, X: np.ndarray | RowSource, weight: np.ndarray, *, reset: bool, digest: bool
) -> DataSummary:
    """Look at every row once.

    Parameters
    ----------
    estimator : BaseAutoencoder
        Whose names of columns go into errors.
    X : ndarray or RowSource of shape (N, D)
        Rows; those of a source are checked on the way, those of an array were before.
    weight : ndarray of shape (N,)
        Sample weights.
    reset : bool
        Whether every column needs an observed cell.
    digest : bool
        Whether to hash the rows.

    Raises
    ------
    ValueError
        If a source has an infinite cell, or a column that was never observed.
    """
    processes = find_processes(check_device(estimator.device))
    if processes.world_size == 1 or not isinstance(X, RowSource):
        summary = _look(estimator, X, weight, digest=digest)
    else:
        _check_same_source(processes, X)
        summary = _look_together(processes, estimator, X, weight, digest=digest)
    if reset and isinstance(X, RowSource):
        check_observed(~np.isnan(summary.low.numpy()), getattr(estimator, "feature_names_in_", None))
    return summary


def _look(estimator: Any, X: np.ndarray | RowSource, weight: np.ndarray, *, digest: bool) -> DataSummary:
    """Look at every row, in this process alone."""
    moments, missing = None, False
    low, high = np.full(X.shape[1], np.nan), np.full(X.shape[1], np.nan)
    hashed = hashlib.blake2b(digest_size=8) if digest else None
    for part, raw in read_chunks(X, X.shape[1], _READ):
        if isinstance(X, RowSource):
            complete = check_finite(raw, getattr(estimator, "feature_names_in_", None), X.first_row + part.start)
        else:
            complete = all_finite(raw)
        if hashed:
            hashed.update(np.ascontiguousarray(raw).view(np.uint8).data)
        holes = not complete and bool(np.isnan(raw).any())
        measured = _moments(raw, weight[part])
        moments = measured if moments is None else moments.merge(measured)
        missing |= holes
        if holes or not (weight[part] > 0).all():  # the moments' extremes are of what counts
            lowest, highest = np.fmin.reduce(raw, axis=0), np.fmax.reduce(raw, axis=0)
        else:
            lowest, highest = measured.low.numpy(), measured.high.numpy()
        low, high = np.fmin(low, lowest), np.fmax(high, highest)
    assert moments is not None  # there is a row at least
    text = hashed.hexdigest() if hashed else None
    return DataSummary(moments, torch.from_numpy(low), torch.from_numpy(high), missing, text)


def _look_together(
    processes: Processes, estimator: Any, X: RowSource, weight: np.ndarray, *, digest: bool
) -> DataSummary:
    """Look at this process' share of the rows, and put together what all found, by rank: the same in every process.

    Moments differ from those that one process finds by rounding alone, and the digest is one of digests.
    """
    if len(X) < processes.world_size:  # no share for some of them
        return processes.on_all_ranks(lambda: _look(estimator, X, weight, digest=digest))
    own = processes.rank_slice(len(X))
    summary = processes.on_all_ranks(lambda: _look(estimator, X.part(own.start, own.stop), weight[own], digest=digest))
    packed = torch.cat([*summary.moments, summary.low, summary.high, torch.tensor([float(summary.missing)])])
    text = torch.tensor(list((summary.digest or "").encode()), dtype=torch.uint8)
    merged = functools.reduce(_merge, map(_unpacked, processes.gather(packed)))
    digests = torch.cat(processes.gather(text)).numpy().tobytes()
    return merged._replace(digest=hashlib.blake2b(digests, digest_size=8).hexdigest() if digest else None)


def _unpacked(packed: Tensor) -> DataSummary:
    columns = packed[:-1].unflatten(0, (7, -1)).unbind()
    return DataSummary(ColumnMoments(*columns[:5]), columns[5], columns[6], bool(packed[-1]), None)


def _merge(a: DataSummary, b: DataSummary) -> DataSummary:
    return DataSummary(a.moments.merge(b.moments), a.low.fmin(b.low), a.high.fmax(b.high), a.missing or b.missing, None)


def check_same_rows(processes: Processes, summary: DataSummary) -> None:
    """Raise a ValueError in every process where one was given other rows than process 0.

    Each computes its parts of the same batches, so each needs all rows. Of a source, all have the same digest: those
    of the rows that each read. It was compared before, by :func:`summarize`.
    """
    if processes.world_size > 1:
        _check_same(processes, int(str(summary.digest), 16))


def _check_same_source(processes: Processes, X: RowSource) -> None:
    """Compare what is cheap to know of a source: size, type, names, and a few rows from its first to its last.

    All rows would have to be read in every process.
    """
    rows = np.unique(np.linspace(0, len(X) - 1, _COMPARED).round().astype(np.int64))
    seen = processes.on_all_ranks(lambda: X.take(rows))
    said = f"{X.shape} {X.dtype} {X.columns}".encode()
    _check_same(processes, int.from_bytes(hashlib.blake2b(said + seen.tobytes(), digest_size=8).digest()))


def _check_same(processes: Processes, digest: int) -> None:
    """Compare a number of 64 bits with process 0's."""
    own = digest >> 1
    first = processes.broadcast(own)

    def check() -> None:
        if first != own:
            raise ValueError(
                f"process {processes.rank} of {processes.world_size} was given other rows than process 0: give all of "
                "them X, and each takes its part of every batch."
            )

    processes.on_all_ranks(check)


def _moments(X: np.ndarray, weight: np.ndarray) -> ColumnMoments:
    parts = [
        ColumnMoments.of(as_tensor(X[part]).double(), torch.from_numpy(weight[part]))
        for part in chunks(len(X), X.shape[1], _MEASURED)
    ]
    moments = parts[0]
    for part in parts[1:]:
        moments = moments.merge(part)
    return moments


def sample_rows(X: np.ndarray | RowSource, seed: int) -> tuple[np.ndarray, slice | np.ndarray]:
    """Return rows (n, D) and where in X they are: all of them, or a draw without replacement where there are too many.

    At most 100,000 rows and 2**22 numbers are drawn.
    """
    n = min(_SAMPLE_ROWS, max(1, _SAMPLE_NUMBERS // X.shape[1]))
    if len(X) <= n:
        return (_read_together(X, None) if isinstance(X, RowSource) else X[:]), slice(None)
    index = np.sort(np.random.default_rng(derive(seed, Stream.SUMMARY)).choice(len(X), n, replace=False))
    return (_read_together(X, index) if isinstance(X, RowSource) else X[index]), index


def _read_together(X: RowSource, index: np.ndarray | None) -> np.ndarray:
    """Return the rows of these numbers, or all rows, in every process; each reads its share of them."""
    processes = find_processes()
    own = processes.rank_slice(len(X) if index is None else len(index))
    rows = processes.on_all_ranks(lambda: X[own] if index is None else X.take(index[own]))
    if processes.world_size == 1:
        return rows
    return torch.cat(processes.gather(as_tensor(rows).flatten())).reshape(-1, X.shape[1]).numpy()
