"""Batches to train on and to validate on, from data in memory or from a stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from isthmus._batch import Batch
from isthmus.data.loaders import BatchPartition, InMemoryLoader, StreamingLoader
from isthmus.data.sources import RowSource
from isthmus.engine.precision import parameter_dtype
from isthmus.estimators._chunking import as_tensor
from isthmus.estimators._data import Split, TrainingData
from isthmus.scaling import Scaling

__all__ = ["LoaderSettings", "Loaders", "make_loaders"]


class LoaderSettings(NamedTuple):
    """How the data are split and cut into batches.

    Attributes
    ----------
    batch_size : int
        Largest number of samples in a batch.
    gradient_accumulation : int
        Parts of each process' share of a batch.
    split : Split
        The samples to train on, and those that early stopping holds out.
    seed : int
        Seed of the sample.
    precision : str
        Precision of the trainer, which decides the dtype of the batches.
    """

    batch_size: int
    gradient_accumulation: int
    split: Split
    seed: int
    precision: str

    @property
    def dtype(self) -> torch.dtype:
        """Type of the batches."""
        return parameter_dtype(self.precision)


class Loaders(NamedTuple):
    """The loaders of a training run.

    Attributes
    ----------
    train : InMemoryLoader or StreamingLoader
        Batches to train on.
    validation : InMemoryLoader or None
        Batches of the samples that early stopping holds out.
    sample : Tensor of shape (n, D)
        Samples in the model's units that a corruption is built on.
    """

    train: InMemoryLoader | StreamingLoader
    validation: InMemoryLoader | None
    sample: Tensor


class _Partition(NamedTuple):
    """The arguments of a loader that determine the parts of batches of this process."""

    batch_size: int
    process: tuple[int, int]
    parts_per_process: int


def make_loaders(data: TrainingData, scaling: Scaling, settings: LoaderSettings) -> Loaders:
    """Return the loaders of a model with this scaling."""
    partition = _Partition(
        settings.batch_size, (data.processes.rank, data.processes.world_size), settings.gradient_accumulation
    )
    if isinstance(data.X, RowSource):
        return _stream(data, data.X, scaling, settings, partition)
    x, mask = scaling.to_model_units(as_tensor(data.X), settings.dtype)
    condition = None if data.condition is None else torch.from_numpy(data.condition).to(x)
    rows = Batch(x, torch.from_numpy(data.weight).to(x), condition, mask)
    if not len(settings.split.held_out):
        return Loaders(InMemoryLoader(rows, *partition), None, rows.x)
    train, validation = (rows.take(torch.from_numpy(index).to(x.device)) for index in settings.split)
    return Loaders(InMemoryLoader(train, *partition), InMemoryLoader(validation, *partition), rows.x)


# ---- data that are not in memory ------------------------------------------------------------------------------------


def _stream(
    data: TrainingData, X: RowSource, scaling: Scaling, settings: LoaderSettings, partition: _Partition
) -> Loaders:
    """Return loaders that read X as they go; held-out samples are drawn from all of X and kept in memory."""
    device = scaling.shift.device
    batch = _make_batch(data, scaling, settings.dtype)
    drawn, *_ = data.sample(settings.seed)
    sample = scaling(as_tensor(drawn).to(device).double()).nan_to_num(0.0)
    sample = torch.cat([sample, data.extremes(scaling)]).to(settings.dtype)
    held = settings.split.held_out
    if not len(held):
        return Loaders(StreamingLoader(X, **partition._asdict(), batch=batch, device=device), None, sample)
    keep = np.ones(len(X), dtype=bool)
    keep[held] = False
    train = StreamingLoader(X, **partition._asdict(), batch=batch, keep=keep, device=device)
    return Loaders(train, _held_out(X, held, batch, device, partition), sample)


def _held_out(
    X: RowSource,
    held: np.ndarray,
    batch: Callable[[Tensor, Tensor], Batch],
    device: torch.device,
    partition: _Partition,
) -> InMemoryLoader:
    """Return this process' parts of the rows at the indices `held`; only a contiguous slice of `held` is read."""
    whole = BatchPartition(len(held), *partition)
    places, counted = (values.to(device) for values in whole.row_indices())
    own = slice(int(places.min()), int(places.max()) + 1)
    raw, index = as_tensor(X.take(held[own])).to(device), torch.from_numpy(held[own]).to(device)
    rows = batch(raw, index).take(places - own.start)
    rows.weight[~counted] = 0
    return InMemoryLoader(rows, len(places) // len(whole), parts_per_process=partition.parts_per_process)


def _make_batch(data: TrainingData, scaling: Scaling, dtype: torch.dtype) -> Callable[[Tensor, Tensor], Batch]:
    """Return a function that makes a batch from rows in the data's units and their indices.

    Batches are scaled one by one, not as a pool, so that the float64 copy stays in the processor's cache.
    """
    device, missing = scaling.shift.device, data.summary.missing
    weight = torch.from_numpy(data.weight).to(device, dtype)
    condition = None if data.condition is None else torch.from_numpy(data.condition).to(device, dtype)

    def batch(raw: Tensor, index: Tensor) -> Batch:
        x = scaling(raw.double()).to(dtype)
        c = None if condition is None else condition.index_select(0, index)
        if not missing:
            return Batch(x, weight.index_select(0, index), c)
        is_missing = x.isnan()
        return Batch(x.masked_fill(is_missing, 0.0), weight.index_select(0, index), c, (~is_missing).to(dtype))

    return batch
