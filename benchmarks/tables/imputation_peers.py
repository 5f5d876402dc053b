"""Imputation of mixed tables by means, neighbours, regressions and the EM algorithm for a normal distribution."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer

__all__ = ["PEERS"]

Array = np.ndarray


def mean(X: Array) -> Array:
    return np.where(np.isnan(X), np.nanmean(X, axis=0), X)


def knn(X: Array) -> Array:
    return KNNImputer().fit_transform(X)


def iterative(X: Array) -> Array:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # ten rounds are its default
        return IterativeImputer(random_state=0).fit_transform(X)


def em(X: Array, n_iterations: int = 50, ridge: float = 1e-2) -> Array:
    """Return conditional means under a normal distribution with a full covariance, fitted by the EM algorithm."""
    seen = ~np.isnan(X)
    patterns, which = np.unique(seen, axis=0, return_inverse=True)
    filled = mean(X)
    mu, cov = filled.mean(axis=0), np.cov(filled.T) + ridge * np.eye(X.shape[1])
    for _ in range(n_iterations):
        extra = np.zeros_like(cov)
        for k, o in enumerate(patterns):
            rows, m = np.flatnonzero(which.ravel() == k), ~o
            if not m.any():
                continue
            if not o.any():
                filled[rows], extra = mu, extra + len(rows) * cov
                continue
            slope = np.linalg.solve(cov[np.ix_(o, o)], cov[np.ix_(o, m)])
            filled[np.ix_(rows, m)] = mu[m] + (X[np.ix_(rows, o)] - mu[o]) @ slope
            extra[np.ix_(m, m)] += len(rows) * (cov[np.ix_(m, m)] - cov[np.ix_(m, o)] @ slope)
        mu = filled.mean(axis=0)
        cov = ((filled - mu).T @ (filled - mu) + extra) / len(X) + ridge * np.eye(X.shape[1])
    return filled


def _on_table(impute: Callable[[Array], Array], *, all_levels: bool = True) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Return the imputation of a table by that of its standardised numbers and one-hot encoded categories.

    Without `all_levels` the first level has no column: regressions on columns that sum to 1 stay where they start.
    """

    def completed(table: pd.DataFrame) -> pd.DataFrame:
        blocks, names = [], []
        for name in table:
            cells = table[name]
            if cells.dtype.kind == "f":
                blocks.append(((cells - cells.mean()) / (cells.std() or 1.0)).to_numpy()[:, None])
                names.append(None)
            else:
                levels = sorted(cells.dropna().unique())
                coded = np.array(levels if all_levels else levels[1:], dtype=object)
                one_hot = (cells.to_numpy()[:, None] == coded).astype(float)
                blocks.append(np.where(cells.isna().to_numpy()[:, None], np.nan, one_hot))
                names.append(levels)
        matrix = np.column_stack(blocks)
        varies = np.nanstd(matrix, axis=0) > 0
        found = np.where(np.isnan(matrix), 0.0, matrix)
        found[:, varies] = impute(matrix[:, varies])
        result, at = table.copy(), 0
        for name, levels in zip(table, names, strict=True):
            width = 1 if levels is None else len(levels) - (not all_levels)
            part, gone = found[:, at : at + width], table[name].isna()
            at += width
            if levels is None:
                result.loc[gone, name] = (part[:, 0] * (table[name].std() or 1.0) + table[name].mean())[gone]
            else:
                share = part if all_levels else np.column_stack([1 - part.sum(axis=1), part])
                result.loc[gone, name] = np.array(levels, dtype=object)[share.argmax(axis=1)][gone]
        return result

    return completed


PEERS = {
    "mean or mode": _on_table(mean),
    "KNNImputer": _on_table(knn),
    "IterativeImputer": _on_table(iterative, all_levels=False),
    "EM, normal": _on_table(em),
}
