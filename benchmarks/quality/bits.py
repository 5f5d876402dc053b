"""Grey images: bits per dimension, compared with linear Gaussian models.

Pixels are dequantised once for all methods, (level + u) / 256 with uniform u. Bits per dimension are -log2 p(x) / D +
8, so that uniform pixels have 8. log p(x) of the VAEs is importance-weighted with 50 draws and is a lower bound on
average. Sigma is a single number, one per pixel, or a function of the code for each pixel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from _common import Array, Bar, Benchmark, Entry, Found, Images, Options, Run, fitted, images, main, stopwatch
from _settings import FIXED_VAE
from scipy.linalg import cho_factor, cho_solve
from sklearn.decomposition import PCA

from isthmus import VAE
from isthmus.likelihoods import Gaussian
from isthmus.networks import MLP

TASK = "dequantised pixels"
FULL_GAUSSIAN = "Gaussian, full covariance"
DENSE: dict[str, Any] = FIXED_VAE | {
    "hidden_layer_sizes": (512, 256),
    "network": MLP(activation="relu", skip=False),
    "learning_rate": 2e-3,
    "n_draws": 50,
}
FEATURE = DENSE | {"likelihood": Gaussian(scale="feature")}
SHALLOW = FEATURE | {"network": MLP(activation="silu", skip=False), "hidden_layer_sizes": (1024,)}
SIGMAS = {"one sigma": "shared", "a sigma for every pixel": "feature", "sigma(z) per pixel": "decoder"}
CANDIDATES: dict[str, dict[str, Any]] = {
    "one sigma, ReLU": DENSE,
    "one sigma, ELU": DENSE | {"network": MLP(activation="elu", skip=False)},
    "sigma per pixel, ReLU": FEATURE,
    "sigma per pixel, ReLU, z = 64": FEATURE | {"n_components": 64},
    "sigma per pixel, ReLU, z = 128": FEATURE | {"n_components": 128},
    "sigma per pixel, SiLU, z = 64": FEATURE | {"n_components": 64, "network": MLP(activation="silu", skip=False)},
    "sigma per pixel, SiLU, z = 64, 784-1024, one hidden layer": SHALLOW | {"n_components": 64},
    "sigma per pixel, ReLU, z = 64, 784-1024-512": FEATURE | {"n_components": 64, "hidden_layer_sizes": (1024, 512)},
    "sigma(z), ReLU, rate 2e-3": DENSE | {"likelihood": Gaussian(scale="decoder")},
    "sigma(z), ReLU, rate 1e-3": DENSE | {"likelihood": Gaussian(scale="decoder"), "learning_rate": 1e-3},
}


def dequantised(X: Array, levels: int, seed: int) -> Array:
    """Return (level + u) / levels with uniform u, of rows in [0, 1], as float32."""
    u = np.random.default_rng(seed).random(X.shape, dtype=np.float32)
    return (np.round(X * (levels - 1)) + u) / levels


def bits(log_p: Array, D: int, levels: int) -> float:
    """Convert nats per image to bits per dimension."""
    return float(-np.mean(log_p, dtype=np.float64) / (D * math.log(2)) + math.log2(levels))


def gaussian(X: Array, test: Array) -> tuple[Array, float, int]:
    """Return log p of the test rows under a Gaussian with mean and covariance of the training rows."""
    with stopwatch() as seconds:
        mean, C = X.mean(0, dtype=np.float64), np.cov(X.T.astype(np.float64), bias=True)
        factor = cho_factor(C, lower=True)
    centred = (test - mean).T
    log_det = 2 * np.log(np.diag(factor[0])).sum()
    log_p = -0.5 * ((centred * cho_solve(factor, centred)).sum(0) + log_det + len(C) * math.log(2 * math.pi))
    return log_p, seconds[0], len(C) * (len(C) + 3) // 2


def ppca(k: int, X: Array, test: Array) -> tuple[Array, float, int]:
    with stopwatch() as seconds:
        model = PCA(k, svd_solver="covariance_eigh").fit(X.astype(np.float64))
    D = X.shape[1]
    return model.score_samples(test.astype(np.float64)), seconds[0], D + 1 + D * k - k * (k - 1) // 2


def ours(k: int, X: Array, test: Array, seed: int, fields: dict[str, Any], epochs: int) -> tuple[Array, float, int]:
    fields = {"n_components": k, "max_epochs": epochs, "random_state": seed} | fields
    model, seconds, parameters = fitted(VAE(**fields), X)
    return model.score_samples(test), seconds, parameters


def run(result: tuple[Array, float, int], D: int, levels: int) -> Run:
    log_p, seconds, parameters = result
    return Run({"bits": bits(log_p, D, levels)}, seconds, parameters)


def rows(data: Images, options: Options, seed: int) -> tuple[Array, Array, int, int]:
    """Return dequantised training and test rows, D and the number of levels."""
    levels = options.pick(quick=17, short=256, full=256)
    X, test = data.everything()[0], data.test[: options.pick(quick=50, short=2000, full=10_000)]
    return dequantised(X, levels, seed), dequantised(test, levels, seed + 1000), X.shape[1], levels


def measure(options: Options) -> Iterator[Entry]:
    data = images(options)
    X, test, D, levels = rows(data, options, 0)
    for k in options.pick(quick=(4, 8), short=(32, 64, 128, 256), full=(32, 64, 128, 256)):
        if not options.wants(f"pPCA-{k}"):
            continue
        yield Entry.of(TASK, f"pPCA-{k}", "peer", [run(ppca(k, X, test), D, levels)])
    if options.wants(FULL_GAUSSIAN):
        yield Entry.of(TASK, FULL_GAUSSIAN, "peer", [run(gaussian(X, test), D, levels)])
    k, epochs = options.pick(quick=4, short=32, full=32), options.pick(quick=3, short=5, full=60)
    models = {f"VAE-{k}, {name}": DENSE | {"likelihood": Gaussian(scale=scale)} for name, scale in SIGMAS.items()}
    longer = {"n_components": 2 * k, "max_epochs": 2 * epochs}
    models[f"VAE-{2 * k}, a sigma per pixel, one hidden layer, {2 * epochs} epochs"] = SHALLOW | longer
    for name in filter(options.wants, models):
        runs = [run(ours(k, X, test, s, models[name], epochs), D, levels) for s in options.seeds]
        yield Entry.of(TASK, name, "ours", runs)


def tune(options: Options) -> Iterator[Entry]:
    X, test, D, levels = rows(images(options).tuning(), options, 0)
    epochs = options.pick(quick=1, short=2, full=20)
    part = options.pick(quick="", short="sigma for every pixel", full="")
    for model, fields in CANDIDATES.items():
        if part not in model or not options.wants(model):
            continue
        result = run(ours(32, X, test, 0, fields, epochs), D, levels)
        yield Entry.of(f"{TASK}, {epochs} epochs", model, "tried", [result])


def judge(found: Found) -> list[Bar]:
    (one, k), *_ = [(e.model, e.model.split(",")[0].split("-")[1]) for e in found.entries if "one sigma" in e.model]
    at_k, full = found.mean(TASK, f"pPCA-{k}", "bits"), found.mean(TASK, FULL_GAUSSIAN, "bits")
    rest = [e for e in found.entries if e.role == "ours" and e.model != one]
    return [
        Bar(f"one sigma, z = {k}: below pPCA-{k}", one, found.mean(TASK, one, "bits"), at_k),
        *(Bar(f"{e.model}: below the full Gaussian", e.model, e.mean("bits"), full) for e in rest),
    ]


BENCHMARK = Benchmark("bits", measure, judge, tune)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
