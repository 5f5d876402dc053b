"""Outlier detectors of scikit-learn and PyOD, with their usual settings, on standardised and one-hot encoded tables."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import OneClassSVM

__all__ = ["PEERS", "PYOD", "encoded"]

Array = np.ndarray
Peer = Callable[[Array, Array, int], Array]


def encoded(train: pd.DataFrame, test: pd.DataFrame) -> tuple[Array, Array]:
    """Return both tables as arrays: numbers standardised, categories one-hot, by the training rows."""
    numbers = [c for c in train if train[c].dtype.kind == "f"]
    other = [c for c in train if c not in numbers]
    encoder = make_column_transformer(
        (StandardScaler(), numbers),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), other),
    )
    return encoder.fit_transform(train), encoder.transform(test)


def knn(train: Array, test: Array, seed: int) -> Array:  # noqa: ARG001
    """Return the distance to the 5th neighbour, the row itself left out where it was in training."""
    neighbours = NearestNeighbors(n_neighbors=min(5, len(train) - 1)).fit(train)
    return neighbours.kneighbors(None if test is train else test)[0][:, -1]


def lof(train: Array, test: Array, seed: int) -> Array:  # noqa: ARG001
    if test is train:
        return -LocalOutlierFactor(20).fit(train).negative_outlier_factor_
    return -LocalOutlierFactor(20, novelty=True).fit(train).score_samples(test)


def isolation_forest(train: Array, test: Array, seed: int) -> Array:
    return -IsolationForest(random_state=seed).fit(train).score_samples(test)


def gaussian_mixture(train: Array, test: Array, seed: int) -> Array:
    """The number of components, 1 to 8, is chosen by BIC."""
    tried = [GaussianMixture(m, reg_covar=1e-2, random_state=seed).fit(train) for m in (1, 2, 4, 8)]
    return -min(tried, key=lambda model: model.bic(train)).score_samples(test)


def pca(train: Array, test: Array, seed: int) -> Array:  # noqa: ARG001
    """As in PyOD: squared scores on all components, divided by their variances."""
    model = PCA().fit(train)
    kept = model.explained_variance_ > 1e-9
    return (model.transform(test)[:, kept] ** 2 / model.explained_variance_[kept]).sum(axis=1)


def one_class_svm(train: Array, test: Array, seed: int) -> Array:  # noqa: ARG001
    return -OneClassSVM().fit(train).score_samples(test)


def _pyod(module: str, name: str, fields: Callable[[Array, int], dict[str, Any]] | None = None) -> Peer:
    def detect(train: Array, test: Array, seed: int) -> Array:
        make = getattr(importlib.import_module(f"pyod.models.{module}"), name)
        model: Any = make(**(fields(train, seed) if fields else {})).fit(train)
        return model.decision_scores_ if test is train else model.decision_function(test)

    return detect


def _seeded(train: Array, seed: int) -> dict[str, Any]:  # noqa: ARG001
    return {"random_state": seed, "verbose": 0, "preprocessing": False}  # it is standardised already


def _with_divergence(train: Array, seed: int) -> dict[str, Any]:
    """By default ``capacity=0`` switches the KL divergence off, and errors are means over columns, not sums."""
    return _seeded(train, seed) | {"capacity": 1e9, "beta": 1 / train.shape[1]}


def _longer(train: Array, seed: int) -> dict[str, Any]:
    """Tables are small: by default 500 rows are 480 steps, and the code has two units."""
    return _with_divergence(train, seed) | {"latent_dim": 8, "epoch_num": 100}


PYOD = (
    "ECOD",
    "COPOD",
    "PyOD AutoEncoder",
    "PyOD VAE",
    "PyOD VAE, with KL divergence",
    "PyOD VAE, 8 units, 100 epochs",
)
PEERS: dict[str, Peer] = {
    "kNN": knn,
    "LOF": lof,
    "IsolationForest": isolation_forest,
    "GaussianMixture": gaussian_mixture,
    "PCA": pca,
    "OneClassSVM": one_class_svm,
    "ECOD": _pyod("ecod", "ECOD"),
    "COPOD": _pyod("copod", "COPOD"),
    "PyOD AutoEncoder": _pyod("auto_encoder", "AutoEncoder", _seeded),
    "PyOD VAE": _pyod("vae", "VAE", _seeded),
    "PyOD VAE, with KL divergence": _pyod("vae", "VAE", _with_divergence),
    "PyOD VAE, 8 units, 100 epochs": _pyod("vae", "VAE", _longer),
}
