"""Checks of the terms of the loss: penalties and objectives."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from isthmus._part import Part
from isthmus._random import seeded
from isthmus.model import Model
from isthmus.objectives import Objective
from isthmus.penalties import EncodedBatch, Penalty
from isthmus.testing._parts import check_part
from isthmus.testing._tools import close, normal, require

__all__ = ["check_objective", "check_penalty"]


def _encoded(model: Model, x: Tensor, weight: Tensor, n_draws: int) -> EncodedBatch:
    q = model.q(x, weight=weight)
    noise = normal(n_draws, len(weight), q.mean.shape[-1], seed=5)[:, : len(x)]
    return EncodedBatch(model, x, q, q.from_noise(noise), weight)


def _check_terms(part: Part, model: Model, terms: Callable[[EncodedBatch], Tensor], n_draws: int) -> None:
    """Check one term of the loss: (N,), finite, differentiable, and independent of samples of weight 0."""
    x = normal(6, model.likelihood.n_features)
    with seeded(0):
        value = terms(_encoded(model, x, torch.ones(6).double(), n_draws))
    require(value.shape == (6,) and value.isfinite().all(), f"{part!r}: must be a finite number for each sample, (N,).")
    gradients = torch.autograd.grad(value.sum(), list(model.network.parameters()), allow_unused=True)
    require(any(g is not None and g.any() for g in gradients), f"{part!r}: no gradient reaches the network.")
    weight = torch.tensor([1.0, 2.0, 1.0, 0.0, 0.0, 0.0]).double()
    with seeded(0):
        padded = terms(_encoded(model, x, weight, n_draws))
    with seeded(0):
        other = terms(_encoded(model, torch.cat([x[:3], 3 * x[:3]]), weight, n_draws))
    close(weight @ padded, weight @ other, f"{part!r}: samples of weight 0 must not count.")


def check_penalty(penalty: Penalty, model: Model) -> None:
    """Check a penalty: finite, differentiable, (N,), and independent of samples of weight 0.

    Parameters
    ----------
    penalty : Penalty
        An unbuilt penalty.
    model : Model
        A built float64 model whose posterior suits the penalty.
    """
    check_part(penalty)
    own = penalty.clone()
    require(isinstance(own.name, str) and own.name.isidentifier(), f"{own!r}: name must be an identifier.")
    weights = [float(own.weight_at(progress)) for progress in (0.0, 0.5, 1.0)]
    require(np.isfinite(weights).all(), f"{own!r}: the weight must be finite throughout training.")
    _check_terms(own, model, own, 2)


def check_objective(objective: Objective, model: Model) -> None:
    """Check an objective: named terms that are finite, differentiable, (N,), and independent of samples of weight 0.

    Parameters
    ----------
    objective : Objective
        An unbuilt objective.
    model : Model
        A built float64 model whose posterior has a density.
    """
    check_part(objective)
    own = objective.clone()
    x = normal(6, model.likelihood.n_features)
    names = own(model, _encoded(model, x, torch.ones(6).double(), own.n_draws), x)
    require(names, f"{own!r}: forward must return at least one term.")
    for name in names:
        _check_terms(own, model, partial(_term, own, name), own.n_draws)


def _term(objective: Objective, name: str, batch: EncodedBatch) -> Tensor:
    value: Tensor = objective(batch.model, batch, batch.corrupted)[name]
    return value
