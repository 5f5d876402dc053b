"""A linear regression: the smallest loss that the engine can train, and what several of its tests share."""

from typing import NamedTuple

import torch
from torch import nn

from isthmus._batch import Batch
from isthmus.engine import TrainingLoop
from isthmus.engine.adam import FusedAdam
from isthmus.engine.schedules import constant
from models import normal

N, D = 50, 3
TRUTH = torch.tensor([1.0, -2.0, 0.5]).double()


class Named(NamedTuple):
    values: dict

    def total(self):
        return sum(self.values.values())


class Regression(nn.Module):
    """Squared error of a linear map plus a ridge, with noise on the inputs; it keeps the batches that it was given."""

    def __init__(self, noise=0.0, ridge=0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(D, dtype=torch.float64))
        self.bias = nn.Parameter(torch.zeros(1, dtype=torch.float64))
        self.noise, self.ridge = noise, ridge
        self.seen, self.progress = [], []

    def weights(self, progress):
        self.progress.append(progress)
        return [progress]

    def forward(self, batch, weights):
        self.seen.append(batch)
        x = batch.x + self.noise * torch.randn_like(batch.x)
        error = (batch.c[:, 0] - x @ self.weight - self.bias).square()
        return Named({"error": error, "ridge": self.ridge * self.weight.square().sum().expand(len(x))})


def rows(n=N, weight=None, seed=0):
    """Return rows (N, D) whose first column says which row it is, and targets."""
    x = normal(n, D, seed=seed)
    y = x @ TRUTH + 3.0 + 0.1 * normal(n, seed=seed + 1)
    return Batch(x, torch.ones(n).double() if weight is None else weight, y[:, None])


def training_loop(
    objective,
    *,
    learning_rate=0.05,
    schedule=constant,
    weight_decay=0.0,
    lr_multipliers=None,
    gradient_clip=None,
    **fields,
):
    return TrainingLoop(
        objective,
        optimizer=lambda parameters: FusedAdam(
            parameters, weight_decay, lr_multipliers=lr_multipliers, gradient_clip=gradient_clip
        ),
        learning_rate=lambda progress: learning_rate * schedule(progress),
        **{"seed": 0} | fields,
    )


def fit(objective, source, n_epochs=3, first_epoch=0, more=None, **fields):
    history = training_loop(objective, **fields).fit(source, first_epoch=first_epoch, n_epochs=n_epochs, **(more or {}))
    return history, [p.detach().clone() for p in objective.parameters()]


def same(one, other):
    """Return whether two lists of tensors are equal to the bit."""
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
