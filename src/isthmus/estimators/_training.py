"""Fitting: from valid rows to a trained model, by the engine."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from isthmus._batch import Batch
from isthmus._device import check_device
from isthmus._random import Stream, derive, seeded
from isthmus.data.sources import RowSource
from isthmus.engine import Checkpoints, NonFiniteError, Record, Trainer
from isthmus.engine.capture import Capture, choose_capture
from isthmus.engine.distributed import Processes, find_processes, launched
from isthmus.engine.precision import parameter_dtype
from isthmus.engine.progress_bar import ProgressBar
from isthmus.estimators._callbacks import Epochs, logged
from isthmus.estimators._inference import Chunk, as_tensor, check_cells, feature_errors, read_chunks, to_model_units
from isthmus.estimators._sources import Rest, extremes, sources
from isthmus.estimators._summary import DataSummary, sample_rows
from isthmus.estimators._validate import column_name
from isthmus.model import Model
from isthmus.objectives import TrainingLoss
from isthmus.serialization import encode

if TYPE_CHECKING:
    from isthmus.estimators._base import BaseAutoencoder

__all__ = ["build", "checkpoints_of", "train"]

# What may differ between a run and the one that goes on with it: none of them changes a parameter.
_FREE = ("callbacks", "loggers", "checkpoint_dir", "device", "n_draws", "verbose", "warm_start")

_CHECKED = 1 << 20  # numbers of a chunk whose support is checked


def build(
    estimator: BaseAutoencoder, model: Model, X: np.ndarray | RowSource, rest: Rest, summary: DataSummary
) -> None:
    """Measure the scaling, build all tensors by the estimator's seed, and start from the columns' means.

    The likelihood and the prior look at all rows, or at a sample of them with the columns' extremes.
    """
    model.scaling.build(X.shape[1])
    model.scaling.set_from_moments(summary.moments)
    rows, where = sample_rows(X, estimator.seed_)
    x, mask = to_model_units(model, as_tensor(rows), torch.float64)
    seen, weights = x if mask is None else x.masked_fill(mask == 0, torch.nan), torch.from_numpy(rest.weight[where])
    if len(rows) < len(X):  # two rows that do not count, but say how far the columns go
        seen, weights = torch.cat([seen, extremes(model, summary)]), torch.cat([weights, weights.new_zeros(2)])
    model.likelihood.set_from_data(seen, weights)
    with seeded(estimator.seed_):
        masked = summary.missing or estimator._corruption().input_mask
        model.build(X.shape[1], estimator.n_components, rest.width, masked=masked)
        model.prior.init_from_data(x)
    model.init_from_mean(model.scaling(summary.moments.mean))
    _check_all_supported(estimator, model, X, summary)
    model.to(parameter_dtype(estimator.precision))


def _check_all_supported(
    estimator: BaseAutoencoder, model: Model, X: np.ndarray | RowSource, summary: DataSummary
) -> None:
    """Raise a ValueError that names the first cell outside the likelihood's support."""
    if model.likelihood.interval_support and bool(model.likelihood.supports(extremes(model, summary)).all()):
        return
    processes = find_processes()
    if isinstance(X, RowSource) and 1 < processes.world_size <= len(X):
        own = processes.rank_slice(len(X))
        X = X.part(own.start, own.stop)

    def check() -> None:
        for part, values in read_chunks(X, X.shape[1], _CHECKED):
            x, mask = to_model_units(model, as_tensor(values), torch.float64)
            names = getattr(estimator, "feature_names_in_", None)
            check_cells(model, values, x, mask, names, getattr(X, "first_row", 0) + part.start)

    processes.on_all_ranks(check)


def train(
    estimator: BaseAutoencoder,
    X: np.ndarray | RowSource,
    rest: Rest,
    summary: DataSummary,
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
    processes = find_processes(device)
    source, validation, seen = sources(estimator, model, X, rest, summary, dtype, processes)
    with seeded(derive(estimator.seed_, Stream.LOSS), device):
        formula = estimator._formula(model, seen)
    capture = choose_capture(formula, device) if estimator.compile else None
    lr_multipliers = _lr_multipliers(estimator, formula)
    progress = ProgressBar(
        type(estimator).__name__, n_epochs, source.n_rows, shown=estimator.verbose > 0 and processes.is_main
    )
    writer = checkpoints if checkpoints and processes.is_main else None
    with writer or nullcontext(), progress:
        try:
            trainer = _trainer(estimator, formula, lr_multipliers, capture, schedule, processes)
            if partial and estimator._moments is not None:
                trainer.optimizer.load_state(estimator._moments)
            history = trainer.fit(
                source,
                first_epoch=estimator.n_iter_,
                n_epochs=None if partial else n_epochs,
                validation=validation,
                patience=estimator.n_iter_no_change,
                callbacks=[progress, *map(logged, estimator.loggers), *estimator.callbacks, epochs],
                checkpoints=checkpoints,
                on_step=progress.update,
            )
        except NonFiniteError as error:
            raise FloatingPointError(f"{error} {_suspects(estimator, error.batch)}") from error
        finally:
            model.eval()
            model.to("cpu")
        if writer:
            writer.clear()
    estimator._moments = trainer.optimizer.state() if partial else None
    return history


def _trainer(
    estimator: BaseAutoencoder,
    loss: nn.Module,
    lr_multipliers: list[float] | None,
    capture: Capture | None,
    schedule: Callable[[float], float],
    processes: Processes,
) -> Trainer:
    """Return the engine as the estimator's fields set it."""
    bf16 = estimator.precision == "bf16"
    return Trainer(
        loss,
        learning_rate=estimator.learning_rate,
        schedule=schedule,
        weight_decay=estimator.weight_decay,
        betas=estimator.adam_betas,
        lr_multipliers=lr_multipliers,
        seed=estimator.seed_,
        bf16_parameters=list(estimator.model_.network.parameters()) if bf16 else [],
        gradient_accumulation=estimator.gradient_accumulation,
        capture=capture,
        processes=processes,
    )


def _lr_multipliers(estimator: BaseAutoencoder, formula: TrainingLoss) -> list[float] | None:
    """Return what each trained parameter's learning rate is multiplied by."""
    if estimator.encoder_learning_rate is None:
        return None
    encoding = {id(p) for p in estimator.model_.network.encoder_parameters()}
    if not encoding:
        raise ValueError(
            f"encoder_learning_rate={estimator.encoder_learning_rate!r}: {estimator.model_.network!r} has no "
            "parameters that are its encoder's alone; leave it out."
        )
    ratio = estimator.encoder_learning_rate / estimator.learning_rate
    return [ratio if id(p) in encoding else 1.0 for p in formula.parameters() if p.requires_grad]


def checkpoints_of(
    estimator: BaseAutoencoder, X: np.ndarray | RowSource, rest: Rest, summary: DataSummary
) -> Checkpoints:
    """Return the checkpoints of this run: what it is, so that another one is not taken for it."""
    run: dict[str, Any] = {
        name: encode(value) for name, value in estimator.get_params(deep=False).items() if name not in _FREE
    }
    if not isinstance(estimator.random_state, (int, np.integer)):
        run["random_state"] = None
    digest = hashlib.blake2b(str(summary.digest).encode(), digest_size=8)
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


def _suspects(estimator: BaseAutoencoder, batch: Batch) -> str:
    """Name the columns whose cells have the worst likelihood in the batch at which training broke."""
    with torch.no_grad():
        errors = feature_errors(estimator.model_, Chunk(batch.x, batch.x, batch.c, batch.mask))
    if batch.mask is not None:
        errors = errors.masked_fill(batch.mask == 0, 0.0)
    worst = errors.nan_to_num(nan=torch.inf, posinf=torch.inf).amax(0).cpu().numpy()
    largest = batch.x.abs().amax(0).cpu().numpy()  # one extreme cell makes every output of its row infinite
    columns = ", ".join(
        column_name(getattr(estimator, "feature_names_in_", None), int(i)) for i in np.lexsort((-largest, -worst))[:3]
    )
    return (
        f"Worst in that step: {columns}. The parameters are back at what they were before it. Look for extreme "
        f"values there, scale them, or lower learning_rate={estimator.learning_rate:g}."
    )
