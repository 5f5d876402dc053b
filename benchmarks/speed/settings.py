"""Compare options of isthmus: time and test ELBO of one network on several data sets."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from recipes import OPTION_DATA, OPTIONS
from rows import cut

from isthmus import VAE

__all__ = ["fit"]


def _rows(data: str) -> tuple[np.ndarray, np.ndarray]:
    if data != "breast_cancer":
        return cut(data)
    from sklearn.datasets import load_breast_cancer

    X = load_breast_cancer().data.astype(np.float32)
    order = np.random.default_rng(0).permutation(len(X))
    return X[order[150:]], X[order[:150]]


def fit(data: str, option: str, seed: int, max_epochs: int | None = None) -> dict[str, Any]:
    """Fit; return the seconds, the seconds at the pace of the median epoch, and the negative ELBO of test rows."""
    train, test = _rows(data)
    fields = OPTION_DATA[data] | OPTIONS[option] | ({} if max_epochs is None else {"max_epochs": max_epochs})
    model = VAE(random_state=seed, device="cpu").set_params(**fields)
    start = time.perf_counter()
    try:
        model.fit(train)
    except ValueError as error:  # bf16 on a processor without bf16 arithmetic
        return {"skipped": str(error)}
    seconds = time.perf_counter() - start
    pace = float(np.median([record["seconds"] for record in model.history_])) * fields["max_epochs"]
    return {"seconds": seconds, "warm_seconds": pace, "negative_elbo": -float(model.elbo(test).elbo.mean())}
