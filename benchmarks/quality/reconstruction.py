"""Codes of 8 units: squared error plus KL divergence, the Fashion-MNIST VAE of DeepOBS.

The loss of a test image is the sum of squared errors over its pixels in [0, 1], in expectation over the posterior,
plus the KL divergence of the posterior from N(0, I): the negative ELBO of a Gaussian likelihood with sigma^2 = 1/2,
without its constant. DeepOBS (Schneider, Balles & Hennig, 2019) reports 23.07 for a convolutional VAE after 100
epochs. The best linear VAE is known in closed form: pPCA with this sigma, whose posterior is exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from _common import Array, Bar, Benchmark, Entry, Found, Options, Run, fitted, images, main, stopwatch
from _settings import FIXED_VAE

from isthmus import VAE
from isthmus.likelihoods import Gaussian
from isthmus.networks import MLP, Conv

K = 8
TASK = "squared error + KL, z = 8"
LINEAR = "best linear VAE, closed form"
DENSE_VAE = "VAE, MLP"
CONV = "VAE, convolutional"
BASE: dict[str, Any] = FIXED_VAE | {
    "n_components": K,
    "likelihood": Gaussian(scale=math.sqrt(0.5)),
    "scaling": "none",
    "n_draws": 10,
}
DENSE = BASE | {"hidden_layer_sizes": (512, 256), "network": MLP(activation="relu", skip=False), "learning_rate": 2e-3}
CANDIDATES: dict[str, dict[str, Any]] = {
    "784-512-256, ReLU, rate 2e-3": DENSE,
    "784-512-256, ELU, rate 2e-3": DENSE | {"network": MLP(activation="elu", skip=False)},
    "784-512-256, SiLU, rate 2e-3": DENSE | {"network": MLP(activation="silu", skip=False)},
    "784-512-256, ReLU, rate 4e-3": DENSE | {"learning_rate": 4e-3},
}


def linear(X: Array, test: Array) -> Run:
    """Return squared error plus KL of the linear VAE with sigma^2 = 1/2 that is optimal for the training rows."""
    with stopwatch() as seconds:
        mean = X.mean(0, dtype=np.float64)
        eigenvalues, vectors = np.linalg.eigh(np.cov(X.T.astype(np.float64), bias=True))
        lam, U = eigenvalues[-K:], vectors[:, -K:]
        lam, U = lam[lam > 0.5], U[:, lam > 0.5]  # the other units stay at the prior
    scores = (test - mean) @ U
    m, v = scores * np.sqrt(lam - 0.5) / lam, 0.5 / lam  # posterior N(m, v); decoder U sqrt(lam - 1/2)
    error = np.sum((test - mean) ** 2, 1) - np.sum(scores**2, 1)
    error = error + np.sum((scores - m * np.sqrt(lam - 0.5)) ** 2, 1) + np.sum((lam - 0.5) * v)
    kl = 0.5 * np.sum(m**2 + v - 1 - np.log(v), 1)
    values = {"loss": float(np.mean(error + kl)), "squared error": float(error.mean()), "KL": float(kl.mean())}
    return Run(values, seconds[0], U.size + mean.size)


def ours(X: Array, test: Array, seed: int, fields: dict[str, Any], epochs: int) -> Run:
    model, seconds, parameters = fitted(VAE(max_epochs=epochs, random_state=seed, **fields), X)
    parts = model.elbo(test)
    error = float(np.mean(parts.reconstruction)) - test.shape[1] * 0.5 * math.log(math.pi)
    kl = float(np.mean(parts.kl))
    return Run({"loss": error + kl, "squared error": error, "KL": kl}, seconds, parameters)


def measure(options: Options) -> Iterator[Entry]:
    data = images(options)
    X, _ = data.everything()
    yield Entry.of(TASK, LINEAR, "limit", [linear(X, data.test)])
    epochs = options.pick(quick=3, short=12, full=100)
    yield Entry.of(TASK, DENSE_VAE, "ours", [ours(X, data.test, s, DENSE, epochs) for s in options.seeds])
    if options.form != "short":
        conv = BASE | {"network": Conv(image_shape=data.shape, channels=(32, 64), hidden_layer_sizes=(256,))}
        yield Entry.of(TASK, CONV, "ours", [ours(X, data.test, s, conv, epochs) for s in options.seeds])


def tune(options: Options) -> Iterator[Entry]:
    data = images(options).tuning()
    epochs = options.pick(quick=1, short=3, full=20)
    for model, fields in CANDIDATES.items():
        runs = [ours(data.train, data.test, s, fields, epochs) for s in options.seeds[:1]]
        yield Entry.of(f"{TASK}, {epochs} epochs", model, "tried", runs)


def judge(found: Found) -> list[Bar]:
    bars = [Bar("MLP: 25.0", DENSE_VAE, found.mean(TASK, DENSE_VAE, "loss"), 25.0)]
    if any(entry.model == CONV for entry in found.entries):
        bars.append(Bar("convolutional: DeepOBS' 23.07", CONV, found.mean(TASK, CONV, "loss"), 23.07))
    return bars


BENCHMARK = Benchmark("reconstruction", measure, judge, tune)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
