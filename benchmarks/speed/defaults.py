"""Fit with no option but what the data are, in an interpreter of its own."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from rows import cut

from isthmus import VAE

__all__ = ["images", "table"]


def images(data: str, fields: dict[str, Any], seed: int) -> dict[str, float]:
    """Fit ``VAE(**fields)`` to images; return the seconds, the negative ELBO of test images, and the epochs."""
    train, test = cut(data)
    model = VAE(**fields, random_state=seed, device="cpu")
    start = time.perf_counter()
    model.fit(train)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "negative_elbo": -float(model.elbo(test).elbo.mean()), "epochs": model.n_iter_}


def table(n_rows: int, n_features: int, seed: int) -> dict[str, float]:
    """Fit ``VAE()`` to the samples of a nonlinear function of five numbers, and noise; return the seconds."""
    rng = np.random.default_rng(0)
    first, last = rng.normal(size=(5, 16)), rng.normal(size=(16, n_features)) / 4
    rows = np.random.default_rng(seed).normal(size=(n_rows, 5))
    X = np.tanh(rows @ first) @ last + 0.1 * rng.normal(size=(n_rows, n_features))
    start = time.perf_counter()
    model = VAE(random_state=seed, device="cpu").fit(X.astype(np.float32))
    return {"seconds": time.perf_counter() - start, "epochs": model.n_iter_}
