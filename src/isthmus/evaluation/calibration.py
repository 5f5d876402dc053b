"""Calibration of multiple imputations: CRPS, and coverage of central intervals.

Imputations are arrays (n, N, D), as ``sample_imputations`` returns them; only cells in the mask `missing` count.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Coverage", "crps", "interval_coverage"]

Array = np.ndarray


class Coverage(NamedTuple):
    """Coverage and width of intervals, for each column.

    Attributes
    ----------
    coverage : ndarray of shape (D,)
        Fraction of missing cells whose interval contains the truth; NaN for a column without missing cells.
    width : ndarray of shape (D,)
        Mean width of the intervals, in the column's units; NaN for a column without missing cells.
    n_cells : ndarray of shape (D,)
        Number of missing cells.
    """

    coverage: Array
    width: Array
    n_cells: Array

    def overall(self) -> float:
        """Return the coverage over all missing cells."""
        return float(np.nansum(self.coverage * self.n_cells) / self.n_cells.sum())


def crps(draws: Any, truth: Any, missing: Any) -> Array:
    r"""Return the continuous ranked probability score of each missing cell; lower is better.

    .. math:: \frac1n \sum_i |x_i - y| - \frac{1}{2 n (n-1)} \sum_{i,j} |x_i - x_j|

    It is an unbiased estimate of the integral of (F(t) - 1{t >= y})^2, in the column's units, and for a point forecast
    the absolute error. It can be averaged over the cells of one column.

    Parameters
    ----------
    draws : array-like of shape (n, N, D)
        Imputations, n >= 2.
    truth : array-like of shape (N, D)
        True values.
    missing : array-like of bool, of shape (N, D)
        Which cells were imputed.

    Returns
    -------
    ndarray of shape (N, D)
        Scores; NaN where no cell was missing.

    Raises
    ------
    ValueError
        If shapes do not fit, no cell is missing, there are too few draws, or a value of a missing cell is not finite.

    References
    ----------
    Gneiting & Raftery (2007), Strictly Proper Scoring Rules, equation 21; Zamo & Naveau (2018), Estimation of the
    Continuous Ranked Probability Score with Limited Information, for the unbiased form.

    Examples
    --------
    >>> crps([[[1.0, 5.0]], [[3.0, 5.0]]], [[2.0, 5.0]], [[True, False]])
    array([[ 0., nan]])
    """
    x, y, cells = _cells(draws, truth, missing, 2)
    n = len(x)
    order = np.sort(x, axis=0)
    rank = 2 * np.arange(1, n + 1) - n - 1  # sum_{i<j} |x_i - x_j| = sum_i (2 i - n - 1) x_(i)
    spread = np.tensordot(rank, order, axes=1) / (n * (n - 1))
    score = np.full(cells.shape, np.nan)
    score[cells] = np.abs(x - y).mean(axis=0) - spread
    return score


def interval_coverage(draws: Any, truth: Any, missing: Any, level: float = 0.9) -> Coverage:
    r"""Return coverage and width of central intervals of the imputations.

    The ends are the quantiles of the draws at rank p (n + 1), p = (1 -+ level) / 2. If the draws have the true
    distribution, the expected coverage is then `level` for any n.

    Parameters
    ----------
    draws, truth, missing
        As for :func:`crps`; n must be at least 2 / (1 - level) - 1, because the interval would otherwise extend beyond
        all draws.
    level : float, default=0.9
        Nominal coverage.

    Returns
    -------
    Coverage

    Raises
    ------
    ValueError
        As for :func:`crps`, or if `level` is not between 0 and 1.

    References
    ----------
    Rubin (1987), Multiple Imputation for Nonresponse in Surveys; Hyndman & Fan (1996), Sample Quantiles in Statistical
    Packages, type 6.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> draws, truth = rng.normal(size=(99, 1000, 1)), rng.normal(size=(1000, 1))
    >>> 0.87 < interval_coverage(draws, truth, np.ones((1000, 1), bool)).overall() < 0.93
    True
    """
    if not 0 < level < 1:
        raise ValueError(f"level={level!r} must lie between 0 and 1.")
    x, y, cells = _cells(draws, truth, missing, math.ceil(2 / (1 - level) - 1 - 1e-9))
    low, high = np.quantile(x, [(1 - level) / 2, (1 + level) / 2], axis=0, method="weibull")
    inside, width = (np.full(cells.shape, 0.0) for _ in range(2))
    inside[cells], width[cells] = (low <= y) & (y <= high), high - low
    n_cells = cells.sum(axis=0)
    coverage, width = (
        np.divide(v.sum(axis=0), n_cells, out=np.full(len(n_cells), np.nan), where=n_cells > 0) for v in (inside, width)
    )
    return Coverage(coverage, width, n_cells)


def _cells(draws: Any, truth: Any, missing: Any, at_least: int) -> tuple[Array, Array, Array]:
    """Return draws (n, cells) and truth (cells,) of the missing cells, and the mask (N, D)."""
    x, y, cells = (
        np.asarray(draws, dtype=np.float64),
        np.asarray(truth, dtype=np.float64),
        np.asarray(missing, dtype=bool),
    )
    if x.ndim != 3 or not x.shape[1:] == y.shape == cells.shape:
        raise ValueError(
            f"draws must be (n, N, D), truth and missing (N, D); their shapes are {x.shape}, {y.shape}, {cells.shape}."
        )
    if len(x) < at_least:
        raise ValueError(f"draws has {len(x)} imputation(s), and at least {at_least} are needed.")
    if not cells.any():
        raise ValueError("missing has no cell that is True: there is nothing to score.")
    if not (np.isfinite(x[:, cells]).all() and np.isfinite(y[cells]).all()):
        raise ValueError("draws and truth must be finite where `missing` is True.")
    return x[:, cells], y[cells], cells
