"""Imputation of mixed tables by means, neighbours, regressions, the EM algorithm and chains of trees.

A peer maps a table with holes to the completed table, and to the probabilities of the levels of each category.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer

__all__ = ["PEERS", "ROUNDED", "TREES", "Imputation", "Peer", "votes"]

Array = np.ndarray
Imputation = tuple[pd.DataFrame, Mapping[str, pd.DataFrame]]
Peer = Callable[[pd.DataFrame], Imputation]

ROUNDED = "mean, rounded"
_COPIES = 5  # of miceforest
_ROUNDS = 10  # of missForest, at most
_LEAST = 0.01  # probability of a level under a regression, whose values may be negative


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


def _on_table(impute: Callable[[Array], Array], *, all_levels: bool = True) -> Peer:
    """Return the imputation of a table by that of its standardised numbers and one-hot encoded categories.

    Without `all_levels` the first level has no column: regressions on columns that sum to 1 stay where they start.
    """

    def completed(table: pd.DataFrame) -> Imputation:
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
        result, at, shares = table.copy(), 0, {}
        for name, levels in zip(table, names, strict=True):
            width = 1 if levels is None else len(levels) - (not all_levels)
            part, gone = found[:, at : at + width], table[name].isna()
            at += width
            if levels is None:
                result.loc[gone, name] = (part[:, 0] * (table[name].std() or 1.0) + table[name].mean())[gone]
            else:
                share = part if all_levels else np.column_stack([1 - part.sum(axis=1), part])
                result.loc[gone, name] = np.array(levels, dtype=object)[share.argmax(axis=1)][gone]
                likely = np.maximum(share, _LEAST)
                shares[str(name)] = pd.DataFrame(likely / likely.sum(axis=1, keepdims=True), columns=levels)
        return result, shares

    return completed


def votes(copies: list[pd.DataFrame], table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the shares of the levels among completed copies, each level counted half a time more."""
    shares = {}
    for name in table:
        if table[name].dtype.kind != "f":
            levels = sorted(table[name].dropna().unique())
            counts = sum(
                (copy[name].astype(object).to_numpy()[:, None] == np.array(levels, dtype=object)) + 0.0
                for copy in copies
            )
            shares[str(name)] = pd.DataFrame((counts + 0.5) / (len(copies) + 0.5 * len(levels)), columns=levels)
    return shares


def miceforest(table: pd.DataFrame) -> Imputation:
    """Return the means, or the most frequent levels, of five copies.

    Its other ways to match categories fail where a level has the probability 1.
    """
    from miceforest import ImputationKernel

    names = {name: f"x{i}" for i, name in enumerate(table)}  # LightGBM takes no special characters
    renamed = table.rename(columns=names)
    coded = renamed.astype({c: "category" for c in renamed if renamed[c].dtype.kind != "f"})
    kernel = ImputationKernel(coded, num_datasets=_COPIES, random_state=0, mean_match_strategy="fast")
    kernel.mice(4, num_threads=1)
    back = {new: old for old, new in names.items()}
    copies = [kernel.complete_data(dataset=i).rename(columns=back) for i in range(_COPIES)]
    shares, result = votes(copies, table), table.copy()
    for name in table:
        gone = table[name].isna()
        if name in shares:
            result.loc[gone, name] = shares[name].idxmax(axis=1)[gone]
        else:
            result.loc[gone, name] = np.mean([copy[name].to_numpy(float) for copy in copies], axis=0)[gone]
    return result, shares


def missforest(table: pd.DataFrame, n_trees: int = 100) -> Imputation:
    """Return what chains of random forests give, with the defaults of the R package missForest.

    Each column is predicted from all others, in ten rounds at most, until they change the table more than the last one.

    References
    ----------
    Stekhoven & Buehlmann (2012), MissForest: non-parametric missing value imputation for mixed-type data.
    """
    numbers = [name for name in table if table[name].dtype.kind == "f"]
    other = [name for name in table if name not in numbers]
    gone = table.isna()
    n_gone = gone.sum()
    filled = table.fillna({c: table[c].mean() if c in numbers else table[c].mode()[0] for c in table})
    shares: dict[str, pd.DataFrame] = {}
    changes = [np.inf, np.inf]
    for _ in range(_ROUNDS):
        last, last_shares = filled.copy(), shares.copy()
        for name in n_gone[n_gone > 0].sort_values().index:
            X = pd.get_dummies(filled.drop(columns=name), dtype=float).to_numpy()
            forest = RandomForestRegressor if name in numbers else RandomForestClassifier
            n_least = 5 if name in numbers else 1  # rows of a leaf
            model = forest(n_trees, max_features="sqrt", min_samples_leaf=n_least, random_state=0, n_jobs=1)
            model.fit(X[~gone[name]], table.loc[~gone[name], name])
            if name in numbers:
                filled.loc[gone[name], name] = model.predict(X[gone[name]])
            else:
                likely = np.maximum(model.predict_proba(X), _LEAST)
                shares[name] = pd.DataFrame(likely / likely.sum(axis=1, keepdims=True), columns=model.classes_)
                filled.loc[gone[name], name] = model.classes_[likely.argmax(axis=1)][gone[name]]
        moved = ((filled[numbers] - last[numbers]) ** 2).sum().sum() / (filled[numbers] ** 2).sum().sum()
        changed = (filled[other] != last[other]).sum().sum()
        now = [change for change, kind in ((moved, numbers), (changed, other)) if kind]
        if all(new >= old for new, old in zip(now, changes, strict=False)):
            return last, last_shares
        changes = now
    return filled, shares


def _rounded(peer: Peer) -> Peer:
    """Return the imputation in which whole numbers stay whole: the observed number that is nearest to a mean."""

    def completed(table: pd.DataFrame) -> Imputation:
        result, shares = peer(table)
        for name in table:
            cells = table[name].dropna()
            if cells.dtype.kind == "f" and (cells % 1 == 0).all():
                levels, gone = np.sort(cells.unique()), table[name].isna()
                means = result.loc[gone, name].to_numpy()
                result.loc[gone, name] = levels[np.abs(means[:, None] - levels).argmin(axis=1)]
        return result, shares

    return completed


PEERS = {
    "mean or mode": _on_table(mean),
    ROUNDED: _rounded(_on_table(mean)),
    "KNNImputer": _on_table(knn),
    "IterativeImputer": _on_table(iterative, all_levels=False),
    "EM, normal": _on_table(em),
}
TREES = {"missForest": missforest, "miceforest": miceforest}
