"""Conformal calibration: which rows to hold out, the threshold that they give, and p-values."""

from __future__ import annotations

import math
import warnings

import numpy as np

__all__ = ["held_out_rows", "p_values", "threshold"]

_ROUNDING = 1e-5  # relative; the products of a row alone and of many rows are rounded differently
_SHARE, _MOST_SHARE, _MOST_ROWS = 0.2, 0.5, 2000  # of rows that are held out


def held_out_rows(n_samples: int, rate: float, seed: int) -> np.ndarray:
    """Return the indices of the rows that are held out: about a fifth, at most 2,000, but enough for the rate.

    With m rows a threshold has a rate of k / (m + 1), for a whole number k: m is chosen so that one of these is `rate`.

    Raises
    ------
    ValueError
        If there are fewer than three rows.
    """
    if n_samples < 3:
        plural = "" if n_samples == 1 else "s"
        raise ValueError(
            f"X has {n_samples} sample{plural}, and at least 3 are needed: some to learn from, the others to set the "
            "threshold."
        )
    k = max(1, round(min(_SHARE * n_samples, _MOST_ROWS) * rate))
    m = max(1, min(math.ceil(k / rate - 1e-9) - 1, int(_MOST_SHARE * n_samples)))
    return np.sort(np.random.default_rng(seed).choice(n_samples, m, replace=False))


def threshold(scores: np.ndarray, rate: float) -> float:
    """Return the score below which the p-value of a row is at most `rate`, given the scores (m,) of held-out rows.

    If there are too few rows for this rate, a warning says which rate the lowest score gives.
    """
    k = math.floor(rate * (len(scores) + 1) + 1e-9)
    if k == 0:
        warnings.warn(
            f"false_alarm_rate={rate:g} needs at least {math.ceil(1 / rate) - 1} held-out rows, and there are "
            f"{len(scores)}: {1 / (len(scores) + 1):.2g} of normal rows will be called outliers, and no p-value is "
            "smaller. Give it more rows, or a larger false_alarm_rate.",
            stacklevel=3,
        )
        k = 1
    return float(_lowered(scores)[k - 1])


def p_values(scores: np.ndarray, calibration: np.ndarray) -> np.ndarray:
    """Return (1 + number of calibration scores that are at most as high) / (m + 1) of each score."""
    below = np.searchsorted(_lowered(calibration), scores, side="right")
    return (1 + below) / (1 + len(calibration))


def _lowered(scores: np.ndarray) -> np.ndarray:
    """Return sorted scores, a little lower, so that a row does not become an outlier by rounding."""
    scores = np.sort(np.asarray(scores, dtype=np.float64))
    return scores - _ROUNDING * np.maximum(np.abs(scores), 1.0)
