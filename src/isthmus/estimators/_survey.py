"""The training rows looked at once, chunk by chunk, before anything is built."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from isthmus._torch import chunks, derive
from isthmus.data.sources import RowSource
from isthmus.engine.distributed import Processes
from isthmus.estimators._rows import read_chunks, tensor
from isthmus.estimators._validate import check_finite, check_observed
from isthmus.scaling import Moments

__all__ = ["Survey", "sample", "survey"]

_READ = 1 << 22  # numbers that are read at once
_MEASURED = 1 << 18  # numbers that are measured at once: in float64 they stay in the processor's cache

# What likelihoods, priors and corruptions may look at: a draw of rows where there are more.
_SAMPLE_ROWS, _SAMPLE_NUMBERS = 100_000, 1 << 22


class Survey(NamedTuple):
    """What is known of the training rows.

    Attributes
    ----------
    moments : Moments
        For the scaling.
    low, high : Tensor of shape (D,)
        Smallest and largest value of each column, over all rows, whatever their weight.
    missing : bool
        Whether any cell is NaN.
    digest : str or None
        Hash of all rows, if it was asked for.
    """

    moments: Moments
    low: Tensor
    high: Tensor
    missing: bool
    digest: str | None


def survey(estimator: Any, X: np.ndarray | RowSource, weight: np.ndarray, *, reset: bool, digest: bool) -> Survey:
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
    moments, missing = None, False
    low, high = np.full(X.shape[1], np.nan), np.full(X.shape[1], np.nan)
    hashed = hashlib.blake2b(digest_size=8) if digest else None
    for part, raw in read_chunks(X, X.shape[1], _READ):
        if isinstance(X, RowSource):
            check_finite(estimator, raw, X.first_row + part.start)
        if hashed:
            hashed.update(np.ascontiguousarray(raw).view(np.uint8).data)
        low, high = (np.fmin(low, np.fmin.reduce(raw, axis=0)), np.fmax(high, np.fmax.reduce(raw, axis=0)))
        missing |= bool(np.isnan(raw).any())
        measured = _moments(raw, weight[part])
        moments = measured if moments is None else moments.merge(measured)
    if reset and isinstance(X, RowSource):
        check_observed(estimator, ~np.isnan(low))
    assert moments is not None  # there is a row at least
    text = hashed.hexdigest() if hashed else None
    return Survey(moments, torch.from_numpy(low), torch.from_numpy(high), missing, text)


def check_same_rows(processes: Processes, found: Survey) -> None:
    """Raise a ValueError where this process was given other rows than process 0.

    Each computes its parts of the same batches, so each needs all rows.
    """
    if processes.world == 1:
        return
    own = int(str(found.digest), 16) >> 1
    if processes.same(own) != own:
        raise ValueError(
            f"process {processes.rank} of {processes.world} was given other rows than process 0: give all of them X, "
            "and each takes its part of every batch."
        )


def _moments(X: np.ndarray, weight: np.ndarray) -> Moments:
    parts = [
        Moments.of(tensor(X[part]).double(), torch.from_numpy(weight[part]))
        for part in chunks(len(X), X.shape[1], _MEASURED)
    ]
    moments = parts[0]
    for part in parts[1:]:
        moments = moments.merge(part)
    return moments


def sample(X: np.ndarray | RowSource, seed: int) -> tuple[np.ndarray, slice | np.ndarray]:
    """Return rows (n, D) and where in X they are: all of them, or a draw without replacement where there are too many.

    At most 100,000 rows and 2**22 numbers are drawn.
    """
    n = min(_SAMPLE_ROWS, max(1, _SAMPLE_NUMBERS // X.shape[1]))
    if len(X) <= n:
        return X[:], slice(None)
    index = np.sort(np.random.default_rng(derive(seed, 8)).choice(len(X), n, replace=False))
    return (X.take(index) if isinstance(X, RowSource) else X[index]), index
