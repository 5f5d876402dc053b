"""Denoising images, compared with the best linear filter.

Pixels lie in [0, 1]. Gaussian noise of standard deviation sigma is added, or a share of the pixels is set to 0. Every
method knows the corruption and receives the same corrupted test rows. Its output is clamped to [0, 1] and compared
with the clean rows over all pixels. The Wiener filter mu + C (C + sigma^2 I)^-1 (x~ - mu), with C the covariance of
the training rows, is the exact optimum among linear maps; the optimal linear map for masked pixels is derived
likewise.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from _common import Array, Bar, Benchmark, Entry, Found, Images, Options, Run, fitted, images, main, mse, stopwatch
from _settings import FIXED

from isthmus import DenoisingAutoencoder
from isthmus.corruptions import GaussianNoise, Masking
from isthmus.networks import MLP

SHORT = {"sigma .25": GaussianNoise(0.25), "sigma .5": GaussianNoise(0.5), "keep 50 %": Masking(0.5)}
FULL = {
    "sigma .1": GaussianNoise(0.1),
    **SHORT,
    "sigma 1": GaussianNoise(1.0),
    "keep 75 %": Masking(0.25),
    "keep 25 %": Masking(0.75),
}
WIENER = "best linear map (Wiener filter)"
OURS = "DenoisingAutoencoder"
BASE: dict[str, Any] = FIXED | {
    "n_components": 256,
    "hidden_layer_sizes": (512,),
    "network": MLP(activation="silu", skip=False),
    "code_activation": "silu",
    "scaling": "none",
}
ELU = BASE | {"network": MLP(activation="elu", skip=False), "code_activation": "elu"}
CANDIDATES: dict[str, dict[str, Any]] = {
    "784-512-256, ELU": ELU,
    "784-512-256, ReLU, linear code": BASE
    | {"network": MLP(activation="relu", skip=False), "code_activation": "identity"},
    "784-512-256, SiLU": BASE,
    "784-512-256, ELU, batch 256, rate 4e-3": ELU | {"batch_size": 256, "learning_rate": 4e-3},
    "784-512-256, ELU, standard scaling (noise of .5 standard deviations)": ELU | {"scaling": "standard"},
    "784-1024, ReLU": BASE | {"n_components": 1024, "hidden_layer_sizes": (), "code_activation": "relu"},
}


def corrupted(X: Array, corruption: Any, seed: int) -> Array:
    """Return the rows with noise, or with masked pixels at 0."""
    rng = np.random.default_rng(seed)
    if isinstance(corruption, GaussianNoise):
        return (X + corruption.scale * rng.normal(size=X.shape)).astype(np.float32)
    return X * (rng.random(X.shape) >= corruption.probability)


def linear(X: Array, corruption: Any) -> tuple[Array, Array]:
    """Return weights (D, D) and bias (D,) of the linear map from corrupted to clean rows with the least squared error.

    cov(x, x~) cov(x~)^-1: with noise, C and C + sigma^2 I; where pixels are kept with probability k, k C and
    k^2 C + k (1 - k) diag(C_ii + mu_i^2).
    """
    mean, C = X.mean(0, dtype=np.float64), np.cov(X.T.astype(np.float64), bias=True)
    if isinstance(corruption, GaussianNoise):
        weight = np.linalg.solve(C + corruption.scale**2 * np.eye(len(C)), C).T
        return weight, mean - weight @ mean
    keep = 1 - corruption.probability
    own = keep**2 * C + np.diag(keep * (1 - keep) * (np.diag(C) + mean**2))
    weight = keep * np.linalg.solve(own + 1e-9 * np.eye(len(C)), C).T
    return weight, mean - keep * weight @ mean


def wiener(X: Array, test: Array, corruption: Any, seed: int) -> Run:
    with stopwatch() as seconds:
        weight, bias = linear(X, corruption)
    restored = corrupted(test, corruption, seed) @ weight.T + bias
    return Run({"mse": mse(np.clip(restored, 0, 1), test)}, seconds[0], weight.size + bias.size)


def ours(X: Array, test: Array, corruption: Any, seed: int, fields: dict[str, Any], epochs: int) -> Run:
    model, seconds, parameters = fitted(
        DenoisingAutoencoder(corruption=corruption, max_epochs=epochs, random_state=seed, **fields), X
    )
    restored = np.clip(model.reconstruct(corrupted(test, corruption, seed)), 0, 1)
    return Run({"mse": mse(restored, test)}, seconds, parameters)


def measure(options: Options) -> Iterator[Entry]:
    data = images(options)
    X, _ = data.everything()
    epochs = options.pick(quick=2, short=10, full=50)
    for task, corruption in options.pick(quick=SHORT, short=SHORT, full=FULL).items():
        noisy = [Run({"mse": mse(corrupted(data.test, corruption, s), data.test)}, 0.0, 0) for s in options.seeds]
        yield Entry.of(task, "no denoising", "limit", noisy)
        yield Entry.of(task, WIENER, "peer", [wiener(X, data.test, corruption, s) for s in options.seeds])
        runs = [ours(X, data.test, corruption, s, BASE, epochs) for s in options.seeds]
        yield Entry.of(task, OURS, "ours", runs)


def tune(options: Options) -> Iterator[Entry]:
    data: Images = images(options).tuning()
    epochs = options.pick(quick=1, short=3, full=10)
    for task in options.pick(quick=("sigma .5",), short=("sigma .5",), full=("sigma .5", "keep 50 %")):
        for model, fields in CANDIDATES.items():
            run = ours(data.train, data.test, FULL[task], 0, fields, epochs)
            yield Entry.of(f"{task}, {epochs} epochs", model, "tried", [run])


def judge(found: Found) -> list[Bar]:
    bars = []
    for task in ("sigma .25", "sigma .5"):
        limit = 0.85 * found.mean(task, WIENER, "mse")
        bars.append(Bar(f"{task}: 15 % below the Wiener filter", OURS, found.mean(task, OURS, "mse"), limit))
    for task, aim in (("sigma .25", 0.0065), ("sigma .5", 0.0115), ("keep 50 %", 0.0120)):
        bars.append(Bar(f"{task}: aim", OURS, found.mean(task, OURS, "mse"), aim, aim=True))
    return bars


BENCHMARK = Benchmark("denoising", measure, judge, tune, first_seed=1)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
