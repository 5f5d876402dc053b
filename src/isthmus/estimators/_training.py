"""Fitting: from valid rows to a trained model, by the engine."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from isthmus._batch import Batch
from isthmus._torch import check_device, chunks, derive, seeded
from isthmus.data.arrays import Resident
from isthmus.data.sources import RowSource
from isthmus.data.stream import Stream
from isthmus.engine import Checkpoints, NonFiniteError, Record, Trainer
from isthmus.engine.distributed import Processes, find_processes, launched
from isthmus.engine.precision import parameter_dtype
from isthmus.engine.progress import Progress
from isthmus.estimators._callbacks import Epochs, logged
from isthmus.estimators._rows import Rows, cell_errors, read_chunks, scale, tensor
from isthmus.estimators._survey import Survey, sample
from isthmus.estimators._validate import check_support, column_name
from isthmus.files import encode
from isthmus.likelihoods import Likelihood
from isthmus.model import Model
from isthmus.objectives import Formula

if TYPE_CHECKING:
    from isthmus.estimators._base import BaseAutoencoder

__all__ = ["Rest", "build", "checkpoints_of", "train"]

# What may differ between a run and the one that goes on with it: none of them changes a parameter.
_FREE = ("callbacks", "loggers", "checkpoint_dir", "device", "n_draws", "verbose", "warm_start")

_CHECKED = 1 << 20  # numbers of a chunk whose support is checked
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


def build(estimator: BaseAutoencoder, model: Model, X: np.ndarray | RowSource, rest: Rest, found: Survey) -> None:
    """Measure the scaling, build all tensors by the estimator's seed, and start from the columns' means.

    The likelihood and the prior look at all rows, or at a sample of them with the columns' extremes.
    """
    model.scaling.build(X.shape[1])
    model.scaling.adopt(found.moments)
    rows, where = sample(X, estimator.seed_)
    x, mask = scale(model, tensor(rows), torch.float64)
    seen, weights = x if mask is None else x.masked_fill(mask == 0, torch.nan), torch.from_numpy(rest.weight[where])
    if len(rows) < len(X):  # two rows that do not count, but say how far the columns go
        seen, weights = torch.cat([seen, _extremes(model, found)]), torch.cat([weights, weights.new_zeros(2)])
    model.likelihood.infer(seen, weights)
    with seeded(estimator.seed_):
        model.build(X.shape[1], estimator.n_components, rest.width, masked=found.missing)
        model.prior.start(x)
    model.start_from(model.scaling(found.moments.mean))
    if type(model.likelihood).supports is not Likelihood.supports:  # which takes whatever is finite
        _check_all_supported(estimator, model, X)
    model.to(parameter_dtype(estimator.precision))


def _extremes(model: Model, found: Survey) -> Tensor:
    """Return each column's smallest and largest value in the model's units, (2, D)."""
    return model.scaling(torch.stack([found.low, found.high]).to(model.scaling.shift.device))


def _check_all_supported(estimator: BaseAutoencoder, model: Model, X: np.ndarray | RowSource) -> None:
    """Raise a ValueError that names the first cell outside the likelihood's support."""
    for part, values in read_chunks(X, X.shape[1], _CHECKED):
        x, mask = scale(model, tensor(values), torch.float64)
        inside = model.likelihood.supports(x)
        inside = inside if mask is None else inside | (mask == 0)
        first_row = getattr(X, "first_row", 0) + part.start
        check_support(estimator, inside.numpy(), values, model.likelihood, first_row)


def train(
    estimator: BaseAutoencoder,
    X: np.ndarray | RowSource,
    rest: Rest,
    found: Survey,
    *,
    n_epochs: int,
    schedule: Callable[[float], float],
    checkpoints: Checkpoints | None,
    epochs: Epochs,
    partial: bool,
) -> list[Record]:
    """Train the estimator's model in place, and return the record of every epoch.

    With `partial`, Adam goes on with the moments of the last call, and leaves them to the next.

    Raises
    ------
    FloatingPointError
        If a loss becomes infinite or NaN.
    """
    device, dtype = check_device(estimator.device), parameter_dtype(estimator.precision)
    model = estimator.model_.to(device=device, dtype=dtype)
    source: Resident | Stream
    processes = find_processes(device)
    if isinstance(X, RowSource):
        seen = _seen(estimator, model, X, found, dtype)
        batch = _batches(model, rest, dtype, masked=found.missing)
        source, validation = _streams(estimator, X, batch, device, processes)
    else:
        rows = _resident(model, X, rest, found, dtype).to(device, dtype)
        seen, (source, validation) = rows.x, _split(estimator, rows, processes)
    with seeded(derive(estimator.seed_, 3), device):
        formula = estimator._formula(model, seen)
    trainer = Trainer(
        cast("Formula", torch.compile(formula)) if estimator.compile else formula,
        learning_rate=estimator.learning_rate,
        schedule=schedule,
        weight_decay=estimator.weight_decay,
        seed=estimator.seed_,
        half=list(model.network.parameters()) if estimator.precision == "bf16" else [],
        accumulate=estimator.gradient_accumulation,
        processes=processes,
    )
    if partial and estimator._moments is not None:
        trainer.optimizer.set_moments(estimator._moments)
    progress = Progress(
        type(estimator).__name__, n_epochs, source.n_rows, shown=estimator.verbose > 0 and processes.main
    )
    writer = checkpoints if checkpoints and processes.main else None
    with writer or nullcontext(), progress:
        try:
            history = trainer.fit(
                source,
                first_epoch=estimator.n_iter_,
                n_epochs=None if partial else n_epochs,
                validation=validation,
                patience=estimator.n_iter_no_change,
                callbacks=[progress, *map(logged, estimator.loggers), *estimator.callbacks, epochs],
                checkpoints=checkpoints,
                tick=progress.tick,
            )
        except NonFiniteError as error:
            raise FloatingPointError(f"{error} {_suspects(estimator, error.batch)}") from error
        finally:
            model.eval()
            model.to("cpu")
        if writer:
            writer.clear()
    estimator._moments = trainer.optimizer.moments() if partial else None
    return history


def checkpoints_of(estimator: BaseAutoencoder, X: np.ndarray | RowSource, rest: Rest, found: Survey) -> Checkpoints:
    """Return the checkpoints of this run: what it is, so that another one is not taken for it."""
    run: dict[str, Any] = {
        name: encode(value) for name, value in estimator.get_params(deep=False).items() if name not in _FREE
    }
    if not isinstance(estimator.random_state, (int, np.integer)):
        run["random_state"] = None
    digest = hashlib.blake2b(str(found.digest).encode(), digest_size=8)
    for array in (rest.weight, rest.condition):
        if array is not None:
            digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    run |= {
        "estimator": type(estimator).__name__,
        "processes": launched(),
        "rows": len(X),
        "columns": X.shape[1],
        "data": digest.hexdigest(),
    }
    assert estimator.checkpoint_dir is not None
    return Checkpoints(estimator.checkpoint_dir, run, every=estimator.checkpoint_seconds)


def _resident(model: Model, X: np.ndarray, rest: Rest, found: Survey, dtype: torch.dtype) -> Batch:
    """Return scaled rows, chunk by chunk: no float64 copy of the whole matrix is made."""
    x = torch.empty(X.shape, dtype=dtype)
    mask = torch.ones(X.shape, dtype=dtype) if found.missing else None
    for part in chunks(len(X), X.shape[1]):
        scaled, observed = scale(model, tensor(X[part]).to(model.scaling.shift.device), dtype)
        x[part] = scaled.cpu()
        if mask is not None and observed is not None:
            mask[part] = observed.cpu()
    condition = None if rest.condition is None else torch.from_numpy(rest.condition)
    return Batch(x, torch.from_numpy(rest.weight), condition, mask)


def _split(estimator: BaseAutoencoder, rows: Batch, processes: Processes) -> tuple[Resident, Resident | None]:
    """Return what is trained on, and what early stopping looks at."""
    cut = _cut(estimator, processes)
    if not estimator.early_stopping:
        return Resident(rows, **cut), None
    n = len(rows.x)
    held = _n_held_out(estimator, n)
    order = np.random.default_rng(derive(estimator.seed_, 4)).permutation(n)
    index = torch.from_numpy(order).to(rows.x.device)
    return Resident(rows.take(index[held:]), **cut), Resident(rows.take(index[:held]), **cut)


def _cut(estimator: BaseAutoencoder, processes: Processes) -> dict[str, Any]:
    """Return how rows are cut into this process' parts of batches."""
    return {
        "batch_size": estimator.batch_size,
        "part": (processes.rank, processes.world),
        "multiple": estimator.gradient_accumulation,
    }


def _n_held_out(estimator: BaseAutoencoder, n_rows: int) -> int:
    """Return how many rows early stopping takes."""
    held = max(1, round(estimator.validation_fraction * n_rows))
    if held >= n_rows:
        raise ValueError(f"early_stopping leaves no row to train on: {held} of {n_rows} would be held out.")
    return held


# ---- rows that are not in memory ------------------------------------------------------------------------------------


def _seen(estimator: BaseAutoencoder, model: Model, X: RowSource, found: Survey, dtype: torch.dtype) -> Tensor:
    """Return the rows that a corruption is built on: a sample, and the columns' extremes."""
    device = model.scaling.shift.device
    rows, _ = sample(X, estimator.seed_)
    return torch.cat([scale(model, tensor(rows).to(device), dtype)[0], _extremes(model, found).to(dtype)])


def _streams(
    estimator: BaseAutoencoder,
    X: RowSource,
    batch: Callable[[Tensor, Tensor], Batch],
    device: torch.device,
    processes: Processes,
) -> tuple[Stream, Resident | None]:
    """Return what is trained on, and what early stopping looks at: rows drawn from all, that are kept in memory."""
    cut = _cut(estimator, processes)
    if not estimator.early_stopping:
        return Stream(X, batch=batch, device=device, **cut), None
    n_held = min(_n_held_out(estimator, len(X)), max(1, _HELD_OUT // (X.n_features * X.dtype.itemsize)))
    held = np.sort(np.random.default_rng(derive(estimator.seed_, 4)).choice(len(X), n_held, replace=False))
    keep = np.ones(len(X), dtype=bool)
    keep[held] = False
    rows = batch(tensor(X.take(held)).to(device), torch.from_numpy(held).to(device))
    return Stream(X, batch=batch, keep=keep, device=device, **cut), Resident(rows, **cut)


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


def _suspects(estimator: BaseAutoencoder, batch: Batch) -> str:
    """Name the columns whose cells have the worst likelihood in the batch at which training broke."""
    with torch.no_grad():
        errors = cell_errors(estimator.model_, Rows(batch.x, batch.x, batch.c, batch.mask))
    if batch.mask is not None:
        errors = errors.masked_fill(batch.mask == 0, 0.0)
    worst = errors.nan_to_num(nan=torch.inf, posinf=torch.inf).amax(0).cpu().numpy()
    largest = batch.x.abs().amax(0).cpu().numpy()  # one extreme cell makes every output of its row infinite
    columns = ", ".join(column_name(estimator, int(i)) for i in np.lexsort((-largest, -worst))[:3])
    return (
        f"Worst in that step: {columns}. The parameters are back at what they were before it. Look for extreme "
        f"values there, scale them, or lower learning_rate={estimator.learning_rate:g}."
    )
