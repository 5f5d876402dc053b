"""What the demo measures: plain functions of rows and fitted models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from isthmus.demo.digits import Array

__all__ = [
    "Density",
    "activity",
    "factor_analysis",
    "jacobians",
    "kept_variance",
    "mixture",
    "mse",
    "pca_reconstruction",
    "share_as_asked",
]


def mse(a: Array, b: Array) -> float:
    """Return the mean squared difference of a cell.

    Examples
    --------
    >>> mse(np.zeros((2, 2)), np.full((2, 2), 3.0))
    9.0
    """
    return float(np.mean(np.square(np.asarray(a) - b)))


def kept_variance(restored: Array, X: Array, train: Array) -> float:
    """Return the share of the rows' variance about the training mean that is left after a reconstruction."""
    return 1 - mse(restored, X) / mse(np.broadcast_to(train.mean(axis=0), X.shape), X)


def pca_reconstruction(n_components: int, train: Array, X: Array) -> Array:
    """Return what PCA with so many components, fitted to `train`, restores of X."""
    from sklearn.decomposition import PCA

    pca = PCA(min(n_components, *train.shape), random_state=0).fit(train)
    return np.asarray(pca.inverse_transform(pca.transform(X)))


def activity(model: Any, train: Array, X: Array) -> tuple[float, int]:
    """Return the mean number of units that are not 0 for a row of X, and how many are 0 for every row of `train`."""
    active = (model.transform(X) != 0).sum(axis=1).mean()
    dead = (~(model.transform(train) != 0).any(axis=0)).sum()
    return float(active), int(dead)


def jacobians(model: Any, X: Array, step: float = 1e-3) -> Array:
    """Return df/dx of the code at every row, (N, K, D), by central differences through ``transform``.

    In units of the code's own spread, the root of its total variance over the rows: a network that only shrinks its
    codes gains nothing. The error is of order step^2, 1e-7 here; what is measured is the model as its user has it, not
    a formula for it.
    """
    X = np.asarray(X, dtype=np.float64)
    spread = np.sqrt(model.transform(X).var(axis=0).sum())
    steps = step * np.eye(X.shape[1])
    ahead, behind = (model.transform((X[:, None] + side).reshape(-1, X.shape[1])) for side in (steps, -steps))
    slopes = (ahead - behind).reshape(*X.shape, -1) / (2 * step)  # (N, D, K)
    return np.asarray(slopes.transpose(0, 2, 1) / spread)


class Density(NamedTuple):
    """A density that the VAE is compared with: its log p(x) of every test row, and how it was chosen."""

    name: str
    log_p: Array
    choice: str


def factor_analysis(
    train: Array, test: Array, random_state: int, sizes: Sequence[int] = (8, 16, 24, 32, 40, 48, 56)
) -> Density:
    """Return FactorAnalysis with the number of factors, of `sizes`, that is best on held-out training rows."""
    from sklearn.decomposition import FactorAnalysis

    models = {f"{k} factors": FactorAnalysis(k, random_state=random_state) for k in sizes}
    return _best("FactorAnalysis", models, train, test, random_state)


def mixture(
    train: Array, test: Array, random_state: int, sizes: Sequence[int] = (1, 2, 3, 4, 5, 6, 8, 10, 12)
) -> Density:
    """Return the GaussianMixture (full covariances) of one of the `sizes` that is best on held-out training rows."""
    from sklearn.mixture import GaussianMixture

    models = {
        f"{k} components, reg_covar={floor:g}": GaussianMixture(
            k, reg_covar=floor, n_init=3, max_iter=500, random_state=random_state
        )
        for k in sizes
        for floor in (0.03, 0.1, 0.3)
    }
    return _best("GaussianMixture", models, train, test, random_state)


def _best(name: str, models: dict[str, Any], train: Array, test: Array, random_state: int) -> Density:
    """Return the model that is best on a quarter of `train`, fitted again to all of it."""
    from sklearn.model_selection import train_test_split

    inner, held = train_test_split(train, test_size=0.25, random_state=random_state)
    choice = max(models, key=lambda key: float(models[key].fit(inner).score(held)))
    return Density(name, np.asarray(models[choice].fit(train).score_samples(test)), choice)


def share_as_asked(model: Any, judge: Any, n_each: int, random_state: int) -> float:
    """Return the share of rows drawn given a class that a classifier, trained on real rows, takes for that class."""
    asked = np.repeat(model.classes_, n_each)
    return float(np.mean(judge.predict(model.sample(len(asked), y=asked, random_state=random_state)) == asked))
