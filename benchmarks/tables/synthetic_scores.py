"""How much synthetic rows differ from real ones: by a classifier, by column, by pairs of columns, and by copies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, normalized_mutual_info_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import NearestNeighbors

__all__ = ["is_number", "leaks", "scores"]

_BINS, _FOLDS = 10, 3
_MAX_ROWS = 4000  # whose nearest neighbours are looked for

Array = np.ndarray


def is_number(column: pd.Series) -> bool:
    return column.dtype.kind in "if"


def encoded(real: pd.DataFrame, *tables: pd.DataFrame) -> list[Array]:
    """Return tables as arrays: numbers as they are, categories one-hot by the levels of the first one; NaN stays."""
    results = []
    for table in tables:
        blocks = []
        for name in real:
            if is_number(real[name]):
                blocks.append(table[name].to_numpy(float)[:, None])
            else:
                cells = table[name].astype(object)
                levels = sorted(real[name].dropna().unique(), key=str)
                one_hot = np.stack([(cells == level).to_numpy(float) for level in levels], axis=1)
                blocks.append(np.where(cells.isna().to_numpy()[:, None], np.nan, one_hot))
        results.append(np.hstack(blocks))
    return results


def _classifier() -> Any:
    from xgboost import XGBClassifier  # the tests of this file do without it

    return XGBClassifier(eval_metric="logloss", random_state=0, n_jobs=1)


def c2st(real: pd.DataFrame, synthetic: pd.DataFrame, seed: int) -> float:
    """Return 1 - mean of (2 AUC - 1), at most 1, of XGBoost telling rows apart in three folds (as in SDMetrics)."""
    a, b = encoded(real, real, synthetic)
    X, y = np.vstack([a, b]), np.repeat([1, 0], [len(a), len(b)])
    found = []
    for train, test in StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(X, y):
        model = _classifier().fit(X[train], y[train])
        found.append(max(0.5, roc_auc_score(y[test], model.predict_proba(X[test])[:, 1])))
    return float(2 - 2 * np.mean(found))


def efficacy(train: pd.DataFrame, test: pd.DataFrame, target: str, like: pd.DataFrame) -> dict[str, float]:
    """Return accuracy and AUROC on `test` of XGBoost trained on `train`; several classes one against the rest."""
    levels = sorted(like[target].unique(), key=str)
    a, b = encoded(like.drop(columns=target), train.drop(columns=target), test.drop(columns=target))
    known = [level for level in levels if (train[target] == level).any()]
    labels = train[target].map({level: i for i, level in enumerate(known)})
    truth = test[target].map({level: i for i, level in enumerate(levels)}).to_numpy()
    share = np.zeros((len(test), len(levels)))
    places = [levels.index(level) for level in known]
    if len(known) < 2:
        share[:, places] = 1.0
    else:
        kept = labels.notna().to_numpy()
        share[:, places] = _classifier().fit(a[kept], labels[kept].astype(int)).predict_proba(b)
    present = [i for i in range(len(levels)) if 0 < (truth == i).sum() < len(truth)]
    each = [roc_auc_score(truth == i, share[:, i]) for i in (present[-1:] if len(levels) == 2 else present)]
    return {"accuracy": float(accuracy_score(truth, share.argmax(1))), "auroc": float(np.mean(each))}


def shape(real: pd.DataFrame, synthetic: pd.DataFrame) -> float:
    """Return 1 - the mean over columns of the Kolmogorov-Smirnov, or total variation, distance."""
    found = []
    for name in real:
        a, b = real[name].dropna(), synthetic[name].dropna()
        if not len(b):
            found.append(1.0)
        elif is_number(real[name]):
            values = np.sort(np.concatenate([a, b]).astype(float))
            below = [np.searchsorted(np.sort(c.to_numpy(float)), values, side="right") / len(c) for c in (a, b)]
            found.append(abs(below[0] - below[1]).max())
        else:
            shares = [c.astype(object).value_counts(normalize=True) for c in (a, b)]
            found.append(0.5 * shares[0].sub(shares[1], fill_value=0.0).abs().sum())
    return float(1 - np.mean(found))


def information_error(real: pd.DataFrame, synthetic: pd.DataFrame) -> float:
    """Return the mean error of normalised mutual information of pairs of columns, weighted by the information.

    Numbers are in ten bins of equal width in the real rows; a missing cell is a bin of its own.
    """
    a, b = (_binned(real, table) for table in (real, synthetic))
    pairs = [(i, j) for i in range(a.shape[1]) for j in range(i)]
    found = np.array([[normalized_mutual_info_score(t[:, i], t[:, j]) for i, j in pairs] for t in (a, b)])
    weight = found.sum(0)
    return float((weight * abs(found[0] - found[1])).sum() / weight.sum())


def _binned(real: pd.DataFrame, table: pd.DataFrame) -> Array:
    columns = []
    for name in real:
        if is_number(real[name]):
            inner = np.histogram_bin_edges(real[name].dropna().astype(float), _BINS)[1:-1]
            codes = np.digitize(table[name].to_numpy(float), inner)
            columns.append(np.where(table[name].isna(), -1, codes))
        else:
            levels = {level: i for i, level in enumerate(real[name].dropna().unique())}
            columns.append(table[name].astype(object).map(levels).fillna(-1).astype(int).to_numpy())
    return np.column_stack(columns)


def missing(real: pd.DataFrame, synthetic: pd.DataFrame) -> float | None:
    """Return the largest difference of a column's missing rate in its standard errors; None if no cell is missing."""
    gone = real.isna().mean()
    if not gone.any():
        return None
    error = np.sqrt(gone * (1 - gone) * (1 / len(real) + 1 / len(synthetic)))
    return float(((synthetic.isna().mean() - gone).abs() / error.where(error > 0, 1 / len(real))).max())


def copies(train: pd.DataFrame, held: pd.DataFrame, synthetic: pd.DataFrame, seed: int) -> dict[str, float]:
    """Return the copying check, and how well the nearest synthetic row tells training rows from held-out ones.

    The check is the median distance of a synthetic row to the nearest training row, divided by that of a held-out row:
    far below 1 are copies. Distances are between standardised numbers and one-hot encoded categories.
    """
    a, b, c = encoded(train, train, held, synthetic)
    numbers = np.array([number for name in train for number in _width(train[name])])
    mean, spread = np.nanmean(a, axis=0), np.nanstd(a, axis=0)
    scale = np.where(numbers & (spread > 0), spread, np.sqrt(2))  # two levels are 1 apart
    a, b, c = (np.nan_to_num((x - mean) / scale) for x in (a, b, c))
    rng = np.random.default_rng(seed)
    some = rng.permutation(len(c))[:_MAX_ROWS]
    nearest = NearestNeighbors(n_neighbors=1).fit(a)
    own, usual = nearest.kneighbors(c[some])[0], nearest.kneighbors(b)[0]
    nearest = NearestNeighbors(n_neighbors=1).fit(c)
    members = a[rng.permutation(len(a))[: max(len(b), 1000)]]
    distance = -np.concatenate([nearest.kneighbors(members)[0], nearest.kneighbors(b)[0]]).ravel()
    return {
        "copying": float(np.median(own) / max(np.median(usual), 1e-9)),
        "membership_by_distance": float(roc_auc_score(np.repeat([1, 0], [len(members), len(b)]), distance)),
    }


def _width(column: pd.Series) -> list[bool]:
    """Return whether each of the columns that a column is encoded as holds numbers."""
    return [True] if is_number(column) else [False] * column.dropna().nunique()


def leaks(train: Array, held: Array) -> float:
    """Return the AUROC with which log p(x) tells training rows (N,) from held-out rows (M,); 0.5 tells nothing."""
    members = np.repeat([1, 0], [len(train), len(held)])
    return float(roc_auc_score(members, np.nan_to_num(np.concatenate([train, held]), neginf=-1e300)))


def scores(train: pd.DataFrame, held: pd.DataFrame, synthetic: pd.DataFrame, target: str, seed: int) -> dict[str, Any]:
    """Return all figures of synthetic rows."""
    return {
        "c2st": c2st(train, synthetic, seed),
        **efficacy(synthetic, held, target, train),
        "information_error": information_error(train, synthetic),
        "shape": shape(train, synthetic),
        "missing": missing(train, synthetic),
        **copies(train, held, synthetic, seed),
    }
