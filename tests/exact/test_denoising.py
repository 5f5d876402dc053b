"""The best denoiser of Gaussian data is a ridge regression; of any data, Tweedie's formula."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from isthmus import DenoisingAutoencoder
from isthmus._batch import Batch
from isthmus._random import seeded
from isthmus.corruptions import Corruption, GaussianNoise, NoCorruption
from isthmus.likelihoods import Gaussian
from isthmus.networks import MLP
from isthmus.objectives import PenalizedLikelihood, TrainingLoss
from isthmus.posteriors import Point
from isthmus.training import Trainer
from models import build, minimise, normal, rotation, rows_with_covariance, sigma_points

D, S2 = 4, 0.5
MEAN = np.array([1.0, -2.0, 0.0, 5.0])


def covariance():
    Q = rotation(D)
    return Q * [4.0, 1.0, 0.5, 0.1] @ Q.T


def best(y):
    """Return mu + C (C + s2 I)^-1 (y - mu) for rows y."""
    C = covariance()
    return MEAN + (y - MEAN) @ np.linalg.solve(C + S2 * np.eye(D), C)


@dataclass(eq=False, repr=False)
class SigmaPoints(Corruption):
    """Each row is there once for each of 2D points, which stand for N(0, s2 I) where the loss is quadratic."""

    def forward(self, x):
        points = math.sqrt(S2) * sigma_points(D)
        return x + points.repeat(len(x) // len(points), 1)


def test_the_minimum_of_the_loss_is_the_ridge_solution():
    rows = torch.from_numpy(rows_with_covariance(covariance(), 16, mean=MEAN))
    batch = Batch(rows.repeat_interleave(2 * D, 0), torch.ones(16 * 2 * D).double())
    model = build(D, D, posterior=Point(), likelihood=Gaussian(scale=1.0))
    formula = TrainingLoss(model, PenalizedLikelihood(), SigmaPoints()).train()
    minimise(lambda: formula(batch).total().mean(), list(model.parameters()), tolerance=1e-13)
    y = 3 * normal(50, D)
    restored = model.likelihood.mean(model.decode(model.q(y).mean)).detach().numpy()
    np.testing.assert_allclose(restored, best(y.numpy()), atol=1e-4)


def test_a_trained_linear_denoiser_is_the_ridge_solution():
    X = rows_with_covariance(covariance(), 2000, mean=MEAN)
    model = DenoisingAutoencoder(
        D,
        hidden_layer_sizes=(),
        corruption=GaussianNoise(math.sqrt(S2)),
        scaling="none",
        trainer=Trainer(precision="float64"),
        max_epochs=40,
        batch_size=100,
        learning_rate=0.02,
        random_state=0,
        device="cpu",
    ).fit(X)
    y = X + np.random.default_rng(1).normal(size=X.shape) * math.sqrt(S2)
    # the noise of training's own draws: 2000 x 40 of them, of which the last rates average a part
    error = np.linalg.norm(model.reconstruct(y) - best(y)) / np.linalg.norm(best(y) - MEAN)
    assert error < 0.02
    # and it does denoise: nearly the least error that any map has, s2 tr(C (C + s2 I)^-1) a row
    C = covariance()
    least = S2 * np.trace(np.linalg.solve(C + S2 * np.eye(D), C))
    assert ((model.reconstruct(y) - X) ** 2).sum(1).mean() == pytest.approx(least, rel=0.05)


def test_validation_corrupts_too():
    """The loss of uncorrupted samples is lowest for the identity, which denoises nothing."""
    rows = Batch(normal(5, D), torch.ones(5).double())
    model = build(D, D, posterior=Point())
    losses = {}
    for name, corruption in (("noisy", GaussianNoise(1.0)), ("clean", NoCorruption())):
        formula = TrainingLoss(model, PenalizedLikelihood(), corruption).eval()
        with seeded(0):
            losses[name] = formula(rows).total()
    with seeded(0):
        again = TrainingLoss(model, PenalizedLikelihood(), GaussianNoise(1.0)).eval()(rows).total()
    assert torch.equal(losses["noisy"], again)
    assert not torch.equal(losses["noisy"], losses["clean"])


def test_tweedie_on_a_gaussian_mixture():
    """E[x | y] = y + s2 grad log p(y) within 2 % (root mean square over noisy rows, relative to the signal's)."""
    rng = np.random.default_rng(0)
    centres, scale, s = np.array([[-2.0, 0.0], [2.0, 1.0], [0.0, -2.0]]), 0.3, 0.7
    X = centres[rng.integers(3, size=6000)] + scale * rng.normal(size=(6000, 2))
    model = DenoisingAutoencoder(
        16,
        hidden_layer_sizes=(64, 32),
        network=MLP(activation="silu", skip=False),
        corruption=GaussianNoise(s),
        scaling="none",
        max_epochs=100,
        batch_size=1000,
        learning_rate=0.01,
        random_state=0,
        device="cpu",
    ).fit(X)
    y = X + s * rng.normal(size=X.shape)
    v = scale**2 + s**2
    log_weight = -((y[:, None] - centres) ** 2).sum(-1) / (2 * v)  # (N, 3)
    weight = np.exp(log_weight - log_weight.max(1, keepdims=True))
    weight /= weight.sum(1, keepdims=True)
    score = (weight[..., None] * (centres - y[:, None]) / v).sum(1)
    expected = y + s**2 * score
    error = np.sqrt(
        ((model.reconstruct(y) - expected) ** 2).sum(1).mean() / ((expected - X.mean(0)) ** 2).sum(1).mean()
    )
    assert error < 0.02
