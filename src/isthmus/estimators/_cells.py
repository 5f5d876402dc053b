"""log p of single cells given the other cells of their sample."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["score_cells"]


def score_cells(
    X: np.ndarray, columns: list[list[int]], log_likelihood: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Return log p(x_c | other cells) of each cell of valid samples, (N, C), NaN where it is missing.

    It is log p(x) minus log p of the sample in which that cell is missing.

    Parameters
    ----------
    X : ndarray of shape (N, D)
        Samples, NaN where missing.
    columns : list of list of int
        The features that each of the C cells consists of.
    log_likelihood : callable
        Returns log p(x) of samples, (N,), missing features integrated out.
    """
    whole = log_likelihood(X)
    scores = np.full((len(whole), len(columns)), np.nan)
    for i, own in enumerate(columns):
        seen = ~np.isnan(X[:, own]).all(axis=1)
        if seen.any():
            others = np.array(X[seen], copy=True)
            others[:, own] = np.nan
            scores[seen, i] = whole[seen] - log_likelihood(others)
    return scores.astype(whole.dtype)
