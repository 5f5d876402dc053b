"""Factor analysis and a Gaussian mixture as a careful user fits them: sizes chosen on validation rows."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
from sklearn.decomposition import FactorAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

__all__ = ["factor_analysis", "mixture"]

FACTORS = range(1, 25)
COMPONENTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
TYPES, REGULARISATION = ("full", "diag"), (1e-3, 1e-2, 1e-1)
MIN_PER_COMPONENT = 5


def _validation(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.random.default_rng(0).permutation(len(X))
    held = max(20, len(X) // 5)
    return X[order[held:]], X[order[:held]]


def factor_analysis(X: np.ndarray) -> FactorAnalysis:
    """Return factor analysis of X, with the number of factors that is best on a fifth of the rows."""
    train, held = _validation(X)
    models = (FactorAnalysis(k, random_state=0) for k in FACTORS if k <= X.shape[1])
    best = max(models, key=lambda model: model.fit(train).score(held))
    return FactorAnalysis(best.n_components, random_state=0).fit(X)


def mixture(X: np.ndarray) -> GaussianMixture:
    """Return a mixture fitted to X, of the size, kind and regularisation that are best on a fifth of the rows."""
    train, held = _validation(X)
    grid = itertools.product(COMPONENTS, TYPES, REGULARISATION)
    tried: list[dict[str, Any]] = [
        {"n_components": m, "covariance_type": kind, "reg_covar": ridge, "random_state": 0}
        for m, kind, ridge in grid
        if m * MIN_PER_COMPONENT <= len(train)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        best = max(tried, key=lambda fields: GaussianMixture(**fields).fit(train).score(held))
        return GaussianMixture(**best).fit(X)
