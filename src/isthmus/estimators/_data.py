"""The training data: checked and summarised once, then passed on unchanged."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from isthmus._random import Stream, derive
from isthmus.data.sources import RowSource
from isthmus.engine.distributed import Processes
from isthmus.estimators._chunking import as_tensor, read_chunks
from isthmus.estimators._summary import DataSummary
from isthmus.estimators._validate import check_support
from isthmus.model import Model
from isthmus.scaling import Scaling

__all__ = ["Split", "TrainingData"]

# Size of the sample that likelihoods, priors and corruptions are initialised from.
_SAMPLE_ROWS, _SAMPLE_NUMBERS = 100_000, 1 << 22

_HELD_OUT = 1 << 27  # bytes of a source's rows, at most, that early stopping keeps in memory
_CHECKED = 1 << 20  # numbers per chunk while the support is checked


class Split(NamedTuple):
    """Indices of the samples to train on, and of those that are held out."""

    train: np.ndarray
    held_out: np.ndarray


class TrainingData(NamedTuple):
    """The training data of a model.

    Attributes
    ----------
    X : ndarray or RowSource of shape (N, D)
        Samples, NaN where a cell is missing.
    weight : ndarray of shape (N,)
        Sample weights.
    condition : ndarray of shape (N, C) or None
        What the model is conditioned on.
    names : sequence or None
        Names of the columns, for errors.
    summary : DataSummary
        Summary statistics of X.
    processes : Processes
        The processes that train together.
    """

    X: np.ndarray | RowSource
    weight: np.ndarray
    condition: np.ndarray | None
    names: Sequence[object] | None
    summary: DataSummary
    processes: Processes

    @property
    def is_whole(self) -> bool:
        """Whether all samples are in the memory of one process."""
        return self.processes.world_size == 1 and not isinstance(self.X, RowSource)

    def split(self, fraction: float, seed: int) -> Split:
        """Return the indices of the samples to train on, and of those that early stopping holds out.

        Held-out samples of a source fit into memory.

        Raises
        ------
        ValueError
            If no sample is left to train on.
        """
        n_samples = len(self.X)
        if not fraction:
            return Split(np.arange(n_samples), np.empty(0, dtype=int))
        held = max(1, round(fraction * n_samples))
        if held >= n_samples:
            raise ValueError(f"early_stopping leaves no row to train on: {held} of {n_samples} would be held out.")
        rng = np.random.default_rng(derive(seed, Stream.HELD_OUT))
        if not isinstance(self.X, RowSource):
            order = rng.permutation(n_samples)
            return Split(order[held:], order[:held])
        held = min(held, max(1, _HELD_OUT // (self.X.n_features * self.X.dtype.itemsize)))
        index = np.sort(rng.choice(n_samples, held, replace=False))
        return Split(np.setdiff1d(np.arange(n_samples), index), index)

    def sample(self, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray]:
        """Return samples (n, D), their weights (n,), conditions (n, C) and indices (n,).

        They are all samples, or a draw where there are too many: at most 100,000 rows and 2**22 numbers are drawn,
        without replacement.
        """
        n_samples, n_features = self.X.shape
        n = min(_SAMPLE_ROWS, max(1, _SAMPLE_NUMBERS // n_features))
        index: Any = slice(None)
        if n < n_samples:
            index = np.sort(np.random.default_rng(derive(seed, Stream.SUMMARY)).choice(n_samples, n, replace=False))
        condition = None if self.condition is None else self.condition[index]
        X = self._take(self.X, index) if isinstance(self.X, RowSource) else self.X[index]
        return X, self.weight[index], condition, np.arange(n_samples)[index]

    def _take(self, X: RowSource, index: Any) -> np.ndarray:
        """Return the rows at some indices, or in a slice, in every process; each process reads its share of them."""
        every = isinstance(index, slice)
        own = self.processes.rank_slice(len(X) if every else len(index))
        rows = self.processes.on_all_ranks(lambda: X[own] if every else X.take(index[own]))
        if self.processes.world_size == 1:
            return rows
        return torch.cat(self.processes.gather(as_tensor(rows).flatten())).reshape(-1, X.n_features).numpy()

    def extremes(self, scaling: Scaling) -> Tensor:
        """Return each column's smallest and largest value in the model's units, (2, D)."""
        return scaling(torch.stack([self.summary.low, self.summary.high]).to(scaling.shift.device))

    def check_support(self, model: Model) -> None:
        """Raise a ValueError that names the first cell outside the likelihood's support."""
        likelihood = model.likelihood
        if likelihood.interval_support and bool(likelihood.supports(self.extremes(model.scaling)).all()):
            return
        X = self.X
        if isinstance(X, RowSource) and 1 < self.processes.world_size <= len(X):
            own = self.processes.rank_slice(len(X))
            X = X.part(own.start, own.stop)

        def check() -> None:
            for part, values in read_chunks(X, X.shape[1], _CHECKED):
                x, mask = model.scaling.to_model_units(as_tensor(values), torch.float64)
                check_support(likelihood, values, x, mask, self.names, getattr(X, "first_row", 0) + part.start)

        self.processes.on_all_ranks(check)

    def digest(self) -> str:
        """Return a hash of the samples, weights and conditions."""
        digest = hashlib.blake2b(str(self.summary.digest).encode(), digest_size=8)
        for array in (self.weight, self.condition):
            if array is not None:
                digest.update(np.ascontiguousarray(array).view(np.uint8).data)
        return digest.hexdigest()
