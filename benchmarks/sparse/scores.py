"""How well units match known features: decoder directions, and when they are active."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment
from world import Array


def scores(directions: Array, codes: Array, features: Array, strengths: Array, error: float) -> dict[str, float]:
    """Return the scores of K units against F features, matched one to one so that the sum of cosines is largest.

    Parameters
    ----------
    directions : ndarray of shape (K, D)
        What each unit adds to a sample.
    codes : ndarray of shape (N, K)
        Codes of test samples.
    features : ndarray of shape (F, D)
        Unit vectors.
    strengths : ndarray of shape (N, F)
        Strengths of the features in the test samples.
    error : float
        Mean squared error of the reconstructions, summed over dimensions.
    """
    cosines = directions / np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-12) @ features.T
    units, known = linear_sum_assignment(-cosines)
    active, true = codes[:, units] > 0, strengths[:, known] > 0
    hits = (active & true).sum(0)
    f1 = 2 * hits / np.maximum(active.sum(0) + true.sum(0), 1)
    return {
        "cosine": float(cosines[units, known].mean()),
        "F1": float(f1.mean()),
        "active": float((codes > 0).sum(1).mean()),
        "dead": int((~(codes > 0).any(0)).sum()),
        "error": error,
    }
