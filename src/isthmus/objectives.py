r"""The formula: L(x) = E_{x~ ~ c(.|x)} E_{z ~ q(.|x~)} [-log p(x|z)] + sum_i w_i R_i(x, q, z), nats per row."""

from __future__ import annotations

import functools
import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from isthmus._batch import Batch
from isthmus._distributions import LatentDistribution
from isthmus._part import Part
from isthmus.corruptions import Corruption
from isthmus.model import Model
from isthmus.penalties import EncodedBatch, Penalty

__all__ = ["ImportanceWeighted", "Objective", "PenalizedLikelihood", "Terms", "TrainingLoss"]


class Terms(NamedTuple):
    """The terms of the loss, one number a row, and what each is multiplied by.

    Attributes
    ----------
    values : dict of str to Tensor of shape (N,)
        Unweighted, in nats, summed over columns.
    weights : dict of str to (float or Tensor of shape ())
        Weights; beta, say.
    """

    values: dict[str, Tensor]
    weights: dict[str, float | Tensor]

    def total(self) -> Tensor:
        """Return the weighted sum, (N,): the only place where weights are applied."""
        weighted = ((self.weights[name], value) for name, value in self.values.items())
        return functools.reduce(torch.add, (value if _is_one(weight) else weight * value for weight, value in weighted))


def _is_one(weight: float | Tensor) -> bool:
    return not isinstance(weight, Tensor) and weight == 1  # to ask a tensor is to wait for the device


class Objective(Part):
    """Base of the objectives: what is minimised for a batch."""

    n_draws: int

    @abstractmethod
    def forward(self, model: Model, batch: EncodedBatch, x: Tensor) -> dict[str, Tensor]:
        """Return the terms that belong to the objective itself, each (N,), for clean rows `x`."""


@dataclass(eq=False, repr=False)
class PenalizedLikelihood(Objective):
    r"""E_q[-log p(x|z)], to which the penalties are added; with ``KL`` it is the negative ELBO.

    Parameters
    ----------
    n_draws : int, default=1
        Draws from q(z|x~) for the expectation; the notes' approximation is one.

    References
    ----------
    Kingma & Welling (2014), Auto-Encoding Variational Bayes, equation 7.
    """

    n_draws: int = 1

    def forward(self, model: Model, batch: EncodedBatch, x: Tensor) -> dict[str, Tensor]:
        """Return the reconstruction term."""
        z = batch.z.squeeze(0)  # a single draw has no dimension: small networks pay for it in every operation
        log_px = model.log_likelihood(z, x, batch.c, batch.mask)  # (S, N), or (N,)
        return {"reconstruction": -(log_px if len(batch.z) == 1 else log_px.mean(0))}


@dataclass(eq=False, repr=False)
class ImportanceWeighted(Objective):
    r"""The IWAE bound, -log (1/S) sum_s p(x|z_s) p(z_s) / q(z_s|x), z_s ~ q: the bound itself is reported.

    Parameters
    ----------
    n_draws : int, default=5
        S; the bound rises with it to log p(x), and with 1 it is the ELBO. beta does not enter.

    References
    ----------
    Burda, Grosse & Salakhutdinov (2016), Importance Weighted Autoencoders, equation 8.
    """

    n_draws: int = 5

    def forward(self, model: Model, batch: EncodedBatch, x: Tensor) -> dict[str, Tensor]:
        """Return the negative bound."""
        log_w = model.log_joint_ratio(batch.q, batch.z, x, batch.c, batch.mask)
        return {"importance_weighted": math.log(self.n_draws) - torch.logsumexp(log_w, 0)}


class TrainingLoss(nn.Module):
    """A model with the four holes filled: maps a batch to the terms of its loss.

    Parameters
    ----------
    model : Model
        Posterior, likelihood and prior.
    objective : Objective
        How draws become a bound.
    corruption : Corruption
        c(x~|x); used in training mode only.
    penalties : sequence of Penalty
        R_i with their weights.
    """

    def __init__(
        self, model: Model, objective: Objective, corruption: Corruption, penalties: Sequence[Penalty] = ()
    ) -> None:
        super().__init__()
        self.model = model
        self.objective = objective
        self.corruption = corruption
        self.penalties = nn.ModuleList(penalties)

    def weights(self, progress: float) -> list[float]:
        """Return the weight of each penalty when the share `progress` of training is done."""
        return [penalty.weight_at(progress) for penalty in self._penalties()]

    def forward(self, batch: Batch, weights: Sequence[float | Tensor] | None = None) -> Terms:
        """Return the terms of a batch.

        Parameters
        ----------
        batch : Batch
            Samples in the model's units.
        weights : sequence of (float or Tensor of shape ()), optional
            Weight of each penalty, by default what it is at the end of training.
        """
        x = self.model.likelihood.sample_targets(batch.x)
        corrupted, input_mask = self.corruption.corrupt(x) if self.training else (x, None)
        if batch.mask is not None:
            corrupted = corrupted.masked_fill(batch.mask == 0, 0.0)
            input_mask = batch.mask if input_mask is None else batch.mask * input_mask
        q: LatentDistribution = self.model.q(corrupted, batch.c, input_mask)
        n_draws = self.objective.n_draws
        z = q.rsample((n_draws,)) if n_draws > 1 else q.rsample().unsqueeze(0)  # (S, N, K)
        encoded = EncodedBatch(self.model, corrupted, q, z, batch.weight, batch.c, batch.mask, input_mask)
        values = self.objective(self.model, encoded, x)  # every observed cell counts, the masked ones as well
        named: dict[str, float | Tensor] = dict.fromkeys(values, 1.0)
        for penalty, weight in zip(self._penalties(), self.weights(1.0) if weights is None else weights, strict=True):
            name = _free_name(penalty.name, values)
            values[name], named[name] = penalty(encoded), weight
        return Terms(values, named)

    def _penalties(self) -> list[Penalty]:
        return cast("list[Penalty]", list(self.penalties))  # a ModuleList forgets what it holds


def _free_name(name: str, taken: dict[str, Tensor]) -> str:
    """Return `name`, or name_2, name_3, ... where a penalty of that kind came before."""
    number = 2
    free = name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free
