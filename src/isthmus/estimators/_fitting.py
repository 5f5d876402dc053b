"""Steps of a fit: build the model and the training loop, identify the run, explain a loss that is not finite."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import nn

from isthmus._batch import Batch
from isthmus._random import Stream, derive, seeded
from isthmus.engine import Checkpoints, TrainingLoop, find_schedule
from isthmus.engine.adam import FusedAdam
from isthmus.engine.distributed import Processes, world_size
from isthmus.estimators._chunking import as_tensor
from isthmus.estimators._data import TrainingData
from isthmus.estimators._inference import Chunk, feature_errors
from isthmus.estimators._linear_start import LinearStart
from isthmus.estimators._memory import check_memory
from isthmus.estimators._saving import without_local_settings
from isthmus.estimators._validate import column_name
from isthmus.initialization import MAX_FACTORS
from isthmus.model import Model
from isthmus.objectives import TrainingLoss
from isthmus.optimizers import Adam
from isthmus.serialization import encode
from isthmus.training import Trainer

__all__ = ["ModelOptions", "build_model", "make_checkpoints", "make_loop", "may_have_full_rank", "worst_columns"]

# Fields that may differ between a run and the one that resumes it: none of them changes a parameter.
_NOT_IDENTITY = ("device", "n_draws", "verbose", "warm_start")


_LINEAR_RATE = 0.1  # learning rate of a linear model from which training starts
_DEFAULT_COMPONENTS = 16  # if n_components is None and training starts from random weights
_MIN_PIXELS = 32
_MAX_LINEAR_FEATURES = 2048  # with more features, the covariance matrix takes too long


class ModelOptions(NamedTuple):
    """The parameters of an estimator that determine the model.

    Attributes
    ----------
    n_components : int or None
        K, number of latent units; None chooses it.
    any_prior : bool
        Whether the prior may become a mixture of normal distributions, if held-out samples are more likely then.
    has_density : bool
        Whether the model is to be a density, whose noise may differ between features and samples.
    seed : int
        Seed of the weights, and of the sample that they are initialised from.
    """

    n_components: int | None
    any_prior: bool
    has_density: bool
    seed: int


def build_model(
    loss: TrainingLoss,
    data: TrainingData,
    held_out: np.ndarray,
    options: ModelOptions,
    device: torch.device,
    *,
    full_rank: bool = False,
) -> int:
    """Set the scaling, build all tensors, initialise them from the data, and return the number of latent units.

    The likelihood and the prior see all samples, or a sample of them with the columns' extremes. If the model can be
    linear, it starts as factor analysis of the sample.

    Parameters
    ----------
    loss : TrainingLoss
        The unbuilt loss of the unbuilt model.
    data : TrainingData
        The training data.
    held_out : ndarray of int
        Indices of the samples that early stopping holds out; the linear model does not see them.
    options : ModelOptions
        What the estimator says about the model.
    device : torch.device
        Where it will be trained.
    full_rank : bool, default=False
        Whether the linear model has as many factors as there are features.

    Raises
    ------
    ValueError
        If a cell lies outside the likelihood's support, or the model does not fit in the memory of the machine.
    """
    model, n_features, (n_components, any_prior, has_density, seed) = loss.model, data.X.shape[1], options
    scaling = model.scaling
    scaling.build(n_features)
    scaling.set_from_moments(data.summary.moments)
    if model.likelihood.get_params(deep=False).get("scale") == "auto":
        model.likelihood.set_params(scale="decoder" if has_density and not _are_pixels(model, data) else "shared")
    sample, weights, condition, index = data.sample(seed)
    x, weight = scaling(as_tensor(sample).double()), as_tensor(weights)
    if len(x) == len(data.X):
        model.likelihood.set_from_data(x, weight)
    else:  # two samples of weight 0 with the columns' extremes
        extremes = data.extremes(scaling)
        model.likelihood.set_from_data(torch.cat([x, extremes]), torch.cat([weight, weight.new_zeros(2)]))
    start = None
    if model.starts_linear and n_features <= _MAX_LINEAR_FEATURES:
        kept = weight * torch.from_numpy(~np.isin(index, held_out))
        some = n_components is None and has_other_columns(model, n_features)
        full_rank = full_rank or (some and may_have_full_rank(model, any_prior=any_prior))
        shape = {"any_prior": any_prior, "full_rank": full_rank}
        start = LinearStart.fit(x, kept, condition, model, n_components, seed, **shape)
        model.prior = start.prior(model.prior)
    if n_components is None:
        n_components = start.n_components if start else min(n_features, _DEFAULT_COMPONENTS)
    n_conditions = 0 if data.condition is None else data.condition.shape[1]
    masked = data.summary.missing or loss.corruption.input_mask
    check_memory(model.tensor_shapes(n_features, int(n_components), n_conditions, masked=masked), device)
    with seeded(seed):
        model.build(n_features, n_components, n_conditions, masked=masked)
        model.init_from_data(x.nan_to_num(0.0), scaling(data.summary.moments.mean))
    if start:
        start.apply(model, n_components)
    scaling.set_constant(data.summary.moments, model.likelihood.density_columns())
    data.check_support(model)
    return n_components


def _are_pixels(model: Model, data: TrainingData) -> bool:
    """Return whether features look like the pixels of an image: many in one unit, which have not been standardised."""
    variance = data.summary.moments.variance
    variance = variance[variance > 0]
    one_unit = bool((model.scaling.scale == model.scaling.scale[0]).all())
    return one_unit and len(variance) >= _MIN_PIXELS and bool(variance.max() > 2 * variance.min())


def has_other_columns(model: Model, n_features: int) -> bool:
    """Return whether there are other columns than numbers, if training starts from a linear model."""
    columns = model.likelihood.linear_columns(n_features)
    return bool(columns) and (len(columns) < n_features or bool(model.likelihood.binary_columns(n_features)))


def may_have_full_rank(model: Model, *, any_prior: bool) -> bool:
    """Return whether a linear model with as many factors as features could be better than the trained model."""
    isotropic = getattr(model.likelihood, "scale", None) == "shared"
    n_columns = len(model.likelihood.linear_columns(len(model.scaling.scale)))
    return any_prior and model.starts_linear and not isotropic and n_columns <= MAX_FACTORS


def make_loop(
    loss: TrainingLoss,
    sample: torch.Tensor,
    optimizer: Adam,
    trainer: Trainer,
    learning_rate: float,
    seed: int,
    processes: Processes,
) -> TrainingLoop:
    """Build the loss on a sample of the data, and return the training loop that minimises it."""
    model, chosen = loss.model, cast("Any", optimizer)  # nothing in it is "auto" any more
    with seeded(derive(seed, Stream.LOSS), model.scaling.shift.device):
        loss.build(sample)
    schedule = find_schedule(chosen.schedule)
    adam = partial(
        FusedAdam,
        weight_decay=chosen.weight_decay,
        betas=chosen.betas,
        lr_multipliers=_lr_multipliers(model, loss, chosen.encoder_learning_rate, learning_rate),
        gradient_clip=chosen.gradient_clip,
    )
    return TrainingLoop(
        loss,
        optimizer=adam,
        learning_rate=lambda progress: learning_rate * schedule(progress),
        seed=seed,
        bf16_parameters=list(model.network.parameters()) if trainer.precision == "bf16" else [],
        gradient_accumulation=trainer.gradient_accumulation,
        capture=trainer.compile,
        processes=processes,
    )


def _lr_multipliers(model: Model, loss: nn.Module, encoder_rate: float | None, rate: float) -> list[float]:
    """Return the learning-rate multiplier of each trained parameter.

    The parameters of the linear model from which training started are near their best values: they have a tenth of the
    rate, while the layers between them are trained.

    Raises
    ------
    ValueError
        If the encoder has a rate of its own, but no parameters of its own.
    """
    parameters = [p for p in loss.parameters() if p.requires_grad]
    multipliers = [1.0] * len(parameters)
    if model.starts_linear:
        slow = {id(p) for part in (model.prior, model.likelihood) for p in part.parameters()}
        slow |= {id(p) for p in model.network.skip_parameters()}
        multipliers = [_LINEAR_RATE if id(p) in slow else 1.0 for p in parameters]
    if encoder_rate is None:
        return multipliers
    encoder = {id(p) for p in model.network.encoder_parameters()}
    if not encoder:
        raise ValueError(
            f"encoder_learning_rate={encoder_rate!r}: {model.network!r} has no parameters that only its encoder uses; "
            "leave it out."
        )
    return [m * encoder_rate / rate if id(p) in encoder else m for m, p in zip(multipliers, parameters, strict=True)]


def make_checkpoints(trainer: Trainer, name: str, fields: dict[str, Any], data: TrainingData) -> Checkpoints:
    """Return the checkpoints of a run, which resumes only those of the same estimator, fields, data and processes."""
    assert trainer.checkpoint_dir
    fields = fields | {"trainer": without_local_settings(fields["trainer"])}
    run = {field: encode(value) for field, value in fields.items() if field not in _NOT_IDENTITY}
    if not isinstance(fields["random_state"], (int, np.integer)):
        run["random_state"] = None
    run |= {
        "estimator": name,
        "processes": world_size(),
        "rows": len(data.X),
        "columns": data.X.shape[1],
        "data": data.digest(),
    }
    return Checkpoints(trainer.checkpoint_dir, run, every=trainer.checkpoint_seconds)


def worst_columns(model: Model, batch: Batch, names: Any) -> str:
    """Return the three columns whose cells have the lowest likelihood in a batch, as text for an error."""
    with torch.no_grad():
        errors = feature_errors(model, Chunk(batch.x, batch.x, batch.c, batch.mask))
    if batch.mask is not None:
        errors = errors.masked_fill(batch.mask == 0, 0.0)
    worst = errors.nan_to_num(nan=torch.inf, posinf=torch.inf).amax(0).cpu().numpy()
    largest = batch.x.abs().amax(0).cpu().numpy()  # one extreme cell makes every output of its sample infinite
    return ", ".join(column_name(names, int(i)) for i in np.lexsort((-largest, -worst))[:3])
