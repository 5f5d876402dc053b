"""What a model with default settings does for held-out samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _data import DEBIAN, fashion_mnist
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

import isthmus

__all__ = ["DATA", "MODELS", "measure"]

K = 8
SPARSE_UNITS = 64  # of which K are active on average
NOISE = 0.5  # standard deviation of the noise, in standard deviations of the data
MISSING = 0.3
REPLACED = 0.1  # share of the cells of an odd row that are those of other rows
NUDGE = 0.05  # as NOISE, for the change of codes

DATA = ("breast cancer", "digits", "fashion_mnist")
MODELS = (
    "PCA",
    "Autoencoder",
    "SparseAutoencoder",
    "DenoisingAutoencoder",
    "ContractiveAutoencoder",
    "VAE",
    "ConditionalVAE",
)


class Split(NamedTuple):
    """Training and test samples with their labels."""

    train: np.ndarray
    test: np.ndarray
    y: np.ndarray
    y_test: np.ndarray


def split(name: str, seed: int) -> Split:
    """Return a random split of a data set; 10,000 and 2,000 images of Fashion-MNIST."""
    rng = np.random.default_rng(seed)
    if name == "fashion_mnist":
        images = fashion_mnist(Path(DEBIAN))
        train, test = rng.permutation(len(images.train))[:10_000], rng.permutation(len(images.test))[:2000]
        return Split(images.train[train], images.test[test], images.y_train[train], images.y_test[test])
    X, y = load_digits(return_X_y=True) if name == "digits" else load_breast_cancer(return_X_y=True)
    order = rng.permutation(len(X))
    train, test = np.split(order, [2 * len(X) // 3])
    if name == "digits":
        return Split(X[train] / 16, X[test] / 16, y[train], y[test])
    scaler = StandardScaler().fit(X[train])  # so that all columns count alike in the errors
    return Split(scaler.transform(X[train]), scaler.transform(X[test]), y[train], y[test])


class Principal:
    """PCA, with the methods of the estimators that are measured."""

    def fit(self, X: np.ndarray) -> Principal:
        """Fit PCA."""
        self.pca = PCA(K).fit(X)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return scores."""
        return self.pca.transform(X)

    def reconstruct(self, X: np.ndarray) -> np.ndarray:
        """Return projections."""
        return self.pca.inverse_transform(self.pca.transform(X))

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        """Return log p(x)."""
        return self.pca.score_samples(X)

    def impute(self, X: np.ndarray) -> np.ndarray:
        """Return X with the conditional means of its missing values."""
        covariance, mean, filled = self.pca.get_covariance(), self.pca.mean_, X.copy()
        for row in filled:
            missing = np.isnan(row)
            weights = np.linalg.solve(covariance[np.ix_(~missing, ~missing)], (row - mean)[~missing])
            row[missing] = mean[missing] + covariance[np.ix_(missing, ~missing)] @ weights
        return filled


def measure(data: str, name: str, seed: int) -> dict[str, float]:
    """Return the measures of one model on the test samples of one split."""
    rows, rng = split(data, seed), np.random.default_rng(1000 + seed)
    model = _fitted(name, rows, seed)
    test, given = rows.test, ((rows.y_test,) if name == "ConditionalVAE" else ())
    spread = rows.train.std(axis=0) if data == "breast cancer" else rows.train.std()
    variance = ((test - rows.train.mean(axis=0)) ** 2).mean()
    noise = (spread * rng.normal(size=test.shape)).astype(test.dtype)
    missing = rng.random(test.shape) < MISSING
    other = test[rng.permutation(len(test))]
    odd = np.where(rng.random(test.shape) < REPLACED, other, test)

    def error(found: np.ndarray, cells: Any = slice(None)) -> float:
        return float(((found - test)[cells] ** 2).mean() / variance)

    codes, nudged = model.transform(test, *given), model.transform(test + NUDGE * noise, *given)
    neighbours = KNeighborsClassifier(5).fit(model.transform(rows.train, *((rows.y,) if given else ())), rows.y)
    score = _score(name, model)
    found = {
        "reconstruction": error(model.reconstruct(test, *given)),
        "denoising": error(model.reconstruct(test + NOISE * noise, *given)),
        "imputation": error(model.impute(np.where(missing, np.nan, test), *given), missing),
        "accuracy": float(neighbours.score(codes, rows.y_test)),
        "change": float(np.sqrt(((nudged - codes) ** 2).sum(1).mean() / (2 * codes.var(axis=0).sum()))),
        "active": float((codes != 0).sum(1).mean()),
        "odd": float(
            roc_auc_score(np.repeat([1, 0], len(test)), np.concatenate([score(test, *given), score(odd, *given)]))
        ),
    }
    if name in ("PCA", "VAE", "ConditionalVAE"):
        found["log_likelihood"] = float(score(test, *given).mean())
    if given:
        found["accuracy"] = float((model.predict(test) == rows.y_test).mean())  # its codes leave the label out
    return found


def _fitted(name: str, rows: Split, seed: int) -> Any:
    if name == "PCA":
        return Principal().fit(rows.train)
    model = getattr(isthmus, name)(K, random_state=seed)
    if name == "SparseAutoencoder":
        model.set_params(n_components=SPARSE_UNITS, k=K)
    return model.fit(rows.train, rows.y) if name == "ConditionalVAE" else model.fit(rows.train)


def _score(name: str, model: Any) -> Any:
    """Return the function that is lower for odd samples: log p(x), or minus the squared error."""
    if name in ("PCA", "VAE", "ConditionalVAE"):
        return model.score_samples
    return lambda X: -((model.reconstruct(X) - X) ** 2).sum(axis=1)
