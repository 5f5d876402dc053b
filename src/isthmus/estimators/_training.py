"""Fitting: from valid rows to a trained model, by the engine."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from isthmus._batch import Batch
from isthmus._torch import check_device, chunks, derive, seeded
from isthmus.data.arrays import Resident
from isthmus.engine import Checkpoints, NonFiniteError, Record, Trainer
from isthmus.engine.precision import parameter_dtype
from isthmus.engine.progress import Progress
from isthmus.estimators._rows import Rows, cell_errors, scale, tensor
from isthmus.estimators._validate import check_support, column_name
from isthmus.files import encode
from isthmus.model import Model
from isthmus.objectives import Formula

if TYPE_CHECKING:
    from isthmus.estimators._base import BaseAutoencoder

__all__ = ["Rest", "build", "checkpoints_of", "train"]

# What may differ between a run and the one that goes on with it: none of them changes a parameter.
_FREE = ("callbacks", "checkpoint_dir", "device", "n_draws", "verbose", "warm_start")


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


def build(estimator: BaseAutoencoder, model: Model, X: np.ndarray, rest: Rest) -> None:
    """Measure the scaling, build all tensors by the estimator's seed, and start from the columns' means."""
    rows, weights = tensor(X).double(), torch.from_numpy(rest.weight)
    model.scaling.build(X.shape[1])
    model.scaling.measure(rows, weights)
    x, mask = scale(model, rows, torch.float64)
    observed = torch.ones_like(x) if mask is None else mask
    model.likelihood.infer(x.masked_fill(observed == 0, torch.nan), weights)
    with seeded(estimator.seed_):
        model.build(X.shape[1], estimator.n_components, rest.width, masked=mask is not None)
        model.prior.start(x)
    share = observed * weights.unsqueeze(-1)
    model.start_from((share * x).sum(0) / share.sum(0))
    check_support(estimator, (model.likelihood.supports(x) | (observed == 0)).numpy(), X, model.likelihood)
    model.to(parameter_dtype(estimator.precision))


def train(
    estimator: BaseAutoencoder,
    X: np.ndarray,
    rest: Rest,
    *,
    n_epochs: int,
    schedule: Callable[[float], float],
    checkpoints: Checkpoints | None,
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
    rows = _resident(model, X, rest, dtype).to(device, dtype)
    with seeded(derive(estimator.seed_, 3), device):
        formula = estimator._formula(model, rows.x)
    source, validation = _split(estimator, rows)
    trainer = Trainer(
        cast("Formula", torch.compile(formula)) if estimator.compile else formula,
        learning_rate=estimator.learning_rate,
        schedule=schedule,
        weight_decay=estimator.weight_decay,
        precision=estimator.precision,
        seed=estimator.seed_,
    )
    if partial and estimator._moments is not None:
        trainer.set_moments(estimator._moments)
    progress = Progress(type(estimator).__name__, n_epochs, source.n_rows, shown=estimator.verbose > 0)
    with checkpoints or nullcontext(), progress:
        try:
            history = trainer.fit(
                source,
                first_epoch=estimator.n_iter_,
                n_epochs=n_epochs,
                validation=validation,
                patience=estimator.n_iter_no_change,
                callbacks=[progress, *estimator.callbacks],
                checkpoints=checkpoints,
                tick=progress.tick,
            )
        except NonFiniteError as error:
            raise FloatingPointError(f"{error} {_suspects(estimator, error.batch)}") from error
        finally:
            model.eval()
            model.to("cpu")
        if checkpoints:
            checkpoints.clear()
    estimator._moments = trainer.moments() if partial else None
    return history


def checkpoints_of(estimator: BaseAutoencoder, X: np.ndarray, rest: Rest) -> Checkpoints:
    """Return the checkpoints of this run: what it is, so that another one is not taken for it."""
    run: dict[str, Any] = {
        name: encode(value) for name, value in estimator.get_params(deep=False).items() if name not in _FREE
    }
    if not isinstance(estimator.random_state, (int, np.integer)):
        run["random_state"] = None
    arrays = [a for a in (X, rest.weight, rest.condition) if a is not None]
    digest = hashlib.blake2b(digest_size=8)
    for array in arrays:
        for part in chunks(len(array), int(np.prod(array.shape[1:]))):
            digest.update(np.ascontiguousarray(array[part]).view(np.uint8).data)
    run |= {"estimator": type(estimator).__name__, "rows": len(X), "columns": X.shape[1], "data": digest.hexdigest()}
    assert estimator.checkpoint_dir is not None
    return Checkpoints(estimator.checkpoint_dir, run, every=estimator.checkpoint_seconds)


def _resident(model: Model, X: np.ndarray, rest: Rest, dtype: torch.dtype) -> Batch:
    """Return scaled rows, chunk by chunk: no float64 copy of the whole matrix is made."""
    x = torch.empty(X.shape, dtype=dtype)
    mask = torch.ones(X.shape, dtype=dtype) if np.isnan(X).any() else None
    for part in chunks(len(X), X.shape[1]):
        scaled, observed = scale(model, tensor(X[part]).to(model.scaling.shift.device), dtype)
        x[part] = scaled.cpu()
        if mask is not None and observed is not None:
            mask[part] = observed.cpu()
    condition = None if rest.condition is None else torch.from_numpy(rest.condition)
    return Batch(x, torch.from_numpy(rest.weight), condition, mask)


def _split(estimator: BaseAutoencoder, rows: Batch) -> tuple[Resident, Resident | None]:
    """Return what is trained on, and what early stopping looks at."""
    size = estimator.batch_size
    if not estimator.early_stopping:
        return Resident(rows, size), None
    n = len(rows.x)
    held = max(1, round(estimator.validation_fraction * n))
    if held >= n:
        raise ValueError(f"early_stopping leaves no row to train on: {held} of {n} would be held out.")
    order = np.random.default_rng(derive(estimator.seed_, 4)).permutation(n)
    index = torch.from_numpy(order).to(rows.x.device)
    return Resident(rows.take(index[held:]), size), Resident(rows.take(index[:held]), size)


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
