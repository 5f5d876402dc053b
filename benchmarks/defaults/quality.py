"""What the defaults give: held-out log p(x), a Gaussian's truth, reconstruction, and codes."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from peers import factor_analysis, mixture
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

import isthmus
from tables import halves

__all__ = ["codes", "density", "reconstruction", "truth"]

WIDTHS = (2, 4, 8, 16, 32)
ESTIMATORS = (
    "Autoencoder",
    "DenoisingAutoencoder",
    "ContractiveAutoencoder",
    "SparseAutoencoder",
    "VAE",
    "ConditionalVAE",
)


def density(name: str, seed: int) -> dict[str, Any]:
    """Return mean log p(x) of the held-out half of a table, in nats of standardised columns."""
    A, B, _, _ = halves(name, seed)
    found: dict[str, Any] = {"rows": len(A), "columns": A.shape[1]}
    peers: dict[str, Callable[[np.ndarray], Any]] = {"factor analysis": factor_analysis, "mixture": mixture}
    fits = peers | {"VAE": isthmus.VAE(random_state=seed).fit}
    for side, fit in fits.items():
        start = time.perf_counter()
        model = fit(A)
        seconds = time.perf_counter() - start
        found[side] = {"log_likelihood": float(np.mean(model.score_samples(B))), "seconds": seconds}
    found["chosen"] = {
        name: getattr(model, name) for name in ("n_components_", "batch_size_", "max_epochs_", "n_iter_")
    }
    found["chosen"]["prior"] = repr(model.model_.prior)
    return found


def truth(seed: int, n_rows: int = 20_000) -> dict[str, float]:
    """Return how far the held-out log p(x) of data from a factor model lies below that of the true distribution."""
    rng = np.random.default_rng(seed)
    loadings, noise = rng.normal(size=(10, 3)), rng.uniform(0.3, 1.0, size=10)
    covariance = loadings @ loadings.T + np.diag(noise**2)
    X = rng.multivariate_normal(np.zeros(10), covariance, size=n_rows + 5000)
    exact = -0.5 * (
        np.einsum("nd,de,ne->n", X, np.linalg.inv(covariance), X)
        + np.linalg.slogdet(covariance)[1]
        + 10 * np.log(2 * np.pi)
    )
    model = isthmus.VAE(random_state=seed).fit(X[:n_rows])
    return {"truth": float(exact[n_rows:].mean()), "VAE": float(model.score_samples(X[n_rows:]).mean())}


def _digits(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(X))
    train, test = order[:1200], order[1200:]
    return X[train] / 16, X[test] / 16, y[train], y[test]


@cache  # both parts look at the same models
def _fitted(name: str, k: int, seed: int) -> Any:
    A, _, y, _ = _digits(seed)
    model = getattr(isthmus, name)(k, random_state=seed)
    if name == "SparseAutoencoder":
        model.set_params(n_components=64, k=k)
    return model.fit(A, y) if name == "ConditionalVAE" else model.fit(A)


def reconstruction(name: str, k: int, seed: int) -> dict[str, float]:
    """Return the mean squared error of reconstructions of test digits, and that of PCA with as many units."""
    A, B, _, y_test = _digits(seed)
    pca = PCA(k).fit(A)
    model = _fitted(name, k, seed)
    given = (y_test,) if name == "ConditionalVAE" else ()
    back = pca.inverse_transform(pca.transform(B))
    found = {"PCA": float(((back - B) ** 2).sum(1).mean())}
    found["error"] = float(((model.reconstruct(B, *given) - B) ** 2).sum(1).mean())
    if name == "SparseAutoencoder":
        found["active"] = float((model.transform(B) != 0).sum(1).mean())
    return found


def codes(name: str, k: int, seed: int) -> dict[str, float]:
    """Return the accuracy of five nearest neighbours on codes of test digits, and on PCA's scores, whitened too."""
    A, B, y, y_test = _digits(seed)
    pca, model = PCA(k).fit(A), _fitted(name, k, seed)

    def accuracy(code: Callable[[np.ndarray], np.ndarray]) -> float:
        return float(KNeighborsClassifier(5).fit(code(A), y).score(code(B), y_test))

    whitened = PCA(k, whiten=True).fit(A)
    return {
        "PCA": accuracy(pca.transform),
        "PCA, whitened": accuracy(whitened.transform),
        "accuracy": accuracy(model.transform),
    }
