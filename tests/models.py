"""Models put together by hand, without an estimator: what the exact tests need."""

from __future__ import annotations

import math

import numpy as np
import torch

from isthmus._random import seeded
from isthmus.likelihoods import Gaussian
from isthmus.model import Model
from isthmus.networks import MLP
from isthmus.posteriors import DiagonalNormal
from isthmus.priors import StandardNormal
from isthmus.scaling import NoScaling


def normal(*shape, seed=0):
    """Return float64 standard normal draws that depend on the seed alone."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def build(n_features=4, n_components=3, *, seed=0, n_conditions=0, **parts):
    """Return a built float64 model; parts that are not named make the linear Gaussian VAE."""
    parts = {
        "network": MLP(()),
        "posterior": DiagonalNormal(),
        "likelihood": Gaussian(scale=0.5),
        "prior": StandardNormal(),
        "scaling": NoScaling(),
    } | parts
    model = Model(**{name: part.clone() for name, part in parts.items()})
    with seeded(seed):
        model.build(n_features, n_components, n_conditions)
    return model.double()


def build_part(part, n_features, dtype=torch.float64):
    """Return a built copy of a part."""
    return build_in_place(part.clone(), n_features, dtype)


def build_in_place(part, n_features, dtype=torch.float64):
    """Build a part itself, with what it has from data, and return it."""
    part.build(n_features)
    return part.to(dtype)


def sigma_points(n_components):
    """Return noise (2K, K) of mean 0 and covariance I: averages of a quadratic over it are exact expectations."""
    points = math.sqrt(n_components) * torch.eye(n_components, dtype=torch.float64)
    return torch.cat([points, -points])


def rows_with_covariance(covariance, n_rows, mean=0.0, seed=0):
    """Return rows (N, D), float64 numpy, whose mean and covariance (divided by N) are exactly those given."""
    covariance = np.asarray(covariance)
    raw = np.random.default_rng(seed).normal(size=(n_rows, len(covariance)))
    raw -= raw.mean(0)
    white = raw @ np.linalg.inv(np.linalg.cholesky(raw.T @ raw / n_rows)).T
    return white @ np.linalg.cholesky(covariance).T + mean


def rotation(n, seed=0):
    """Return a random orthogonal matrix."""
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))[0]


def put_linear(model, encoder, encoder_bias, decoder, decoder_bias):
    """Write weights into the two layers of a linear model, and return it."""
    layers = [(model.network.encoder[0], encoder, encoder_bias), (model.network.decoder[0], decoder, decoder_bias)]
    with torch.no_grad():
        for layer, weight, bias in layers:
            layer.weight.copy_(torch.as_tensor(weight))
            layer.bias.copy_(torch.as_tensor(bias))
    return model


def minimise(loss, parameters, tolerance=1e-9):
    """Minimise a deterministic loss by L-BFGS until it falls no more, and return its value."""
    optimizer = torch.optim.LBFGS(
        parameters, max_iter=60, tolerance_grad=0, tolerance_change=0, history_size=30, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    before = math.inf
    for _ in range(20):
        optimizer.step(closure)
        after = float(loss().detach())
        if not after < before - tolerance:
            break
        before = after
    return after
