"""The metrics of the demo, as functions of samples and fitted models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from isthmus.demo.digits import Array

__all__ = [
    "DensityBaseline",
    "active_units",
    "conditional_accuracy",
    "encoder_jacobians",
    "explained_variance",
    "factor_analysis",
    "gaussian_mixture",
    "mse",
    "pca_reconstruction",
]


def mse(a: Array, b: Array) -> float:
    """Return the mean squared error per pixel.

    Examples
    --------
    >>> mse(np.zeros((2, 2)), np.full((2, 2), 3.0))
    9.0
    """
    return float(np.mean(np.square(np.asarray(a) - b)))


def explained_variance(reconstructed: Array, X: Array, train: Array) -> float:
    """Return the share of the variance of X about the training mean that a reconstruction keeps."""
    return 1 - mse(reconstructed, X) / mse(np.broadcast_to(train.mean(axis=0), X.shape), X)


def pca_reconstruction(n_components: int, train: Array, X: Array) -> Array:
    """Return the reconstruction of X by PCA fitted to `train`."""
    from sklearn.decomposition import PCA

    pca = PCA(min(n_components, *train.shape), random_state=0).fit(train)
    return np.asarray(pca.inverse_transform(pca.transform(X)))


def active_units(model: Any, train: Array, X: Array) -> tuple[float, int]:
    """Return the mean number of nonzero units per sample of X, and the number of units that are 0 on all of `train`."""
    active = (model.transform(X) != 0).sum(axis=1).mean()
    unused = (~(model.transform(train) != 0).any(axis=0)).sum()
    return float(active), int(unused)


def encoder_jacobians(model: Any, X: Array, step: float = 1e-3) -> Array:
    """Return the Jacobian df/dx of the code at each sample, (N, K, D), by central differences.

    It is divided by the spread of the codes, the root of their total variance over X, so that a network
    cannot lower it by shrinking its codes. The error is of order step^2, 1e-7 here.
    """
    X = np.asarray(X, dtype=np.float64)
    spread = np.sqrt(model.transform(X).var(axis=0).sum())
    steps = step * np.eye(X.shape[1])
    above, below = (model.transform((X[:, None] + side).reshape(-1, X.shape[1])) for side in (steps, -steps))
    slopes = (above - below).reshape(*X.shape, -1) / (2 * step)  # (N, D, K)
    return np.asarray(slopes.transpose(0, 2, 1) / spread)


class DensityBaseline(NamedTuple):
    """A density model of scikit-learn: its log p(x) of each test sample, and the selected settings."""

    name: str
    log_p: Array
    settings: str


def factor_analysis(
    train: Array, test: Array, random_state: int, sizes: Sequence[int] = (8, 16, 24, 32, 40, 48, 56)
) -> DensityBaseline:
    """Return FactorAnalysis with the number of factors, from `sizes`, that scores best on held-out training samples."""
    from sklearn.decomposition import FactorAnalysis

    models = {f"{k} factors": FactorAnalysis(k, random_state=random_state) for k in sizes}
    return _select("FactorAnalysis", models, train, test, random_state)


def gaussian_mixture(
    train: Array, test: Array, random_state: int, sizes: Sequence[int] = (1, 2, 3, 4, 5, 6, 8, 10, 12)
) -> DensityBaseline:
    """Return the GaussianMixture with full covariances, of one of the `sizes`, that scores best on held-out samples."""
    from sklearn.mixture import GaussianMixture

    models = {
        f"{k} components, reg_covar={floor:g}": GaussianMixture(
            k, reg_covar=floor, n_init=3, max_iter=500, random_state=random_state
        )
        for k in sizes
        for floor in (0.03, 0.1, 0.3)
    }
    return _select("GaussianMixture", models, train, test, random_state)


def _select(name: str, models: dict[str, Any], train: Array, test: Array, random_state: int) -> DensityBaseline:
    """Return the model that scores best on a quarter of `train`, fitted again to all of it."""
    from sklearn.model_selection import train_test_split

    inner, validation = train_test_split(train, test_size=0.25, random_state=random_state)
    settings = max(models, key=lambda key: float(models[key].fit(inner).score(validation)))
    return DensityBaseline(name, np.asarray(models[settings].fit(train).score_samples(test)), settings)


def conditional_accuracy(model: Any, classifier: Any, n_per_class: int, random_state: int) -> float:
    """Return the share of generated samples that a classifier assigns to the class they were generated for."""
    labels = np.repeat(model.classes_, n_per_class)
    drawn = model.sample(len(labels), y=labels, random_state=random_state)
    return float(np.mean(classifier.predict(drawn) == labels))
