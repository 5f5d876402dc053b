"""What a model is trained on: rows that are in memory, or a stream of those that are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from isthmus._batch import Batch
from isthmus._chunks import chunks
from isthmus._random import Stream, derive
from isthmus.data.loaders import BatchPartition, InMemoryLoader, StreamingLoader
from isthmus.data.sources import RowSource
from isthmus.engine.distributed import Processes
from isthmus.estimators._inference import as_tensor, to_model_units, to_model_units_into
from isthmus.estimators._summary import DataSummary, sample_rows
from isthmus.model import Model

if TYPE_CHECKING:
    from isthmus.estimators._base import BaseAutoencoder

__all__ = ["Rest", "extremes", "sources"]

_HELD_OUT = 1 << 27  # bytes of rows of a source, at most, that early stopping keeps in memory


class Rest:
    """What there is of the training data beside X.

    Parameters
    ----------
    weight : ndarray of shape (N,)
        Sample weights.
    condition : ndarray of shape (N, C) or None
        What the model is conditioned on.
    """

    def __init__(self, weight: np.ndarray, condition: np.ndarray | None) -> None:
        self.weight, self.condition = weight, condition
        self.width = 0 if condition is None else condition.shape[1]


def extremes(model: Model, summary: DataSummary) -> Tensor:
    """Return each column's smallest and largest value in the model's units, (2, D)."""
    return model.scaling(torch.stack([summary.low, summary.high]).to(model.scaling.shift.device))


def sources(
    estimator: BaseAutoencoder,
    model: Model,
    X: np.ndarray | RowSource,
    rest: Rest,
    summary: DataSummary,
    dtype: torch.dtype,
    processes: Processes,
) -> tuple[InMemoryLoader | StreamingLoader, InMemoryLoader | None, Tensor]:
    """Return what is trained on, what early stopping looks at, and the rows that a corruption is built on."""
    device = model.scaling.shift.device
    if isinstance(X, RowSource):
        batch = _batches(model, rest, dtype, masked=summary.missing)
        return *_streams(estimator, X, batch, device, processes), _seen(estimator, model, X, summary, dtype)
    rows = _resident(model, X, rest, summary, dtype).to(device, dtype)
    return *_split(estimator, rows, processes), rows.x


def _resident(model: Model, X: np.ndarray, rest: Rest, summary: DataSummary, dtype: torch.dtype) -> Batch:
    """Return scaled rows, chunk by chunk: no float64 copy of the whole matrix is made, and none where X is them."""
    device = model.scaling.shift.device
    condition = None if rest.condition is None else torch.from_numpy(rest.condition)
    weight = torch.from_numpy(rest.weight)
    if model.scaling.identity and not summary.missing and X.flags.c_contiguous and as_tensor(X[:1]).dtype == dtype:
        return Batch(as_tensor(X), weight, condition)
    x = torch.empty(X.shape, dtype=dtype, device=device)
    mask = torch.empty(X.shape, dtype=dtype, device=device) if summary.missing else None
    for part in chunks(len(X), X.shape[1]):
        to_model_units_into(x[part], model, as_tensor(X[part]).to(device))
        if mask is not None:
            missing = x[part].isnan()
            mask[part] = ~missing
            x[part].masked_fill_(missing, 0.0)
    return Batch(x, weight, condition, mask)


def _split(
    estimator: BaseAutoencoder, rows: Batch, processes: Processes
) -> tuple[InMemoryLoader, InMemoryLoader | None]:
    """Return what is trained on, and what early stopping looks at."""
    cut = _cut(estimator, processes)
    if not estimator.early_stopping:
        return InMemoryLoader(rows, **cut), None
    n = len(rows.x)
    held = _n_held_out(estimator, n)
    order = np.random.default_rng(derive(estimator.seed_, Stream.HELD_OUT)).permutation(n)
    index = torch.from_numpy(order).to(rows.x.device)
    return InMemoryLoader(rows.take(index[held:]), **cut), InMemoryLoader(rows.take(index[:held]), **cut)


def _cut(estimator: BaseAutoencoder, processes: Processes) -> dict[str, Any]:
    """Return how rows are cut into this process' parts of batches."""
    return {
        "batch_size": estimator.batch_size,
        "part": (processes.rank, processes.world_size),
        "multiple": estimator.gradient_accumulation,
    }


def _n_held_out(estimator: BaseAutoencoder, n_rows: int) -> int:
    """Return how many rows early stopping takes."""
    held = max(1, round(estimator.validation_fraction * n_rows))
    if held >= n_rows:
        raise ValueError(f"early_stopping leaves no row to train on: {held} of {n_rows} would be held out.")
    return held


# ---- rows that are not in memory ------------------------------------------------------------------------------------


def _seen(estimator: BaseAutoencoder, model: Model, X: RowSource, summary: DataSummary, dtype: torch.dtype) -> Tensor:
    """Return the rows that a corruption is built on: a sample, and the columns' extremes."""
    device = model.scaling.shift.device
    rows, _ = sample_rows(X, estimator.seed_)
    return torch.cat([to_model_units(model, as_tensor(rows).to(device), dtype)[0], extremes(model, summary).to(dtype)])


def _streams(
    estimator: BaseAutoencoder,
    X: RowSource,
    batch: Callable[[Tensor, Tensor], Batch],
    device: torch.device,
    processes: Processes,
) -> tuple[StreamingLoader, InMemoryLoader | None]:
    """Return what is trained on, and what early stopping looks at: rows drawn from all, that are kept in memory."""
    cut = _cut(estimator, processes)
    if not estimator.early_stopping:
        return StreamingLoader(X, batch=batch, device=device, **cut), None
    n_held = min(_n_held_out(estimator, len(X)), max(1, _HELD_OUT // (X.n_features * X.dtype.itemsize)))
    held = np.sort(
        np.random.default_rng(derive(estimator.seed_, Stream.HELD_OUT)).choice(len(X), n_held, replace=False)
    )
    keep = np.ones(len(X), dtype=bool)
    keep[held] = False
    return StreamingLoader(X, batch=batch, keep=keep, device=device, **cut), _held_out(X, held, batch, device, cut)


def _held_out(
    X: RowSource, held: np.ndarray, batch: Callable[[Tensor, Tensor], Batch], device: torch.device, cut: dict[str, Any]
) -> InMemoryLoader:
    """Return this process' parts of the rows of these numbers, reading no other: they follow one another in X."""
    whole = BatchPartition(len(held), **cut)
    places, counted = (values.to(device) for values in whole.row_indices())
    own = slice(int(places.min()), int(places.max()) + 1)
    rows = batch(as_tensor(X.take(held[own])).to(device), torch.from_numpy(held[own]).to(device)).take(
        places - own.start
    )
    rows.weight[~counted] = 0
    return InMemoryLoader(rows, len(places) // len(whole), multiple=cut["multiple"])


def _batches(model: Model, rest: Rest, dtype: torch.dtype, *, masked: bool) -> Callable[[Tensor, Tensor], Batch]:
    """Return what makes a batch of rows in the data's units and their numbers.

    A batch is scaled when it is cut, not with its pool: its float64 copy then stays in the processor's cache.
    """
    device = model.scaling.shift.device
    weight = torch.from_numpy(rest.weight).to(device, dtype)
    condition = None if rest.condition is None else torch.from_numpy(rest.condition).to(device, dtype)

    def batch(raw: Tensor, rows: Tensor) -> Batch:
        x = model.scaling(raw.double()).to(dtype)
        c = None if condition is None else condition.index_select(0, rows)
        if not masked:
            return Batch(x, weight.index_select(0, rows), c)
        missing = x.isnan()
        return Batch(x.masked_fill(missing, 0.0), weight.index_select(0, rows), c, (~missing).to(dtype))

    return batch
