"""How like the data samples are, without any downloaded network: distances between two sets of rows.

What is compared are rows of features: the data themselves, PCA scores, or any representation. They are taken as they
are, unscaled: where columns have different units, divide both sets by the data's standard deviations first.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from isthmus.evaluation._neighbours import as_rows, distances, nearest, same_width

__all__ = [
    "PrecisionRecall",
    "TwoSample",
    "frechet_distance",
    "frechet_normals",
    "mmd",
    "nearest_neighbour_test",
    "precision_recall",
]

_MEDIAN_ROWS = 500  # of each set, for the median distance


class PrecisionRecall(NamedTuple):
    """Shares of rows, 0 to 1.

    Attributes
    ----------
    precision : float
        Of generated rows that lie where real ones are: fidelity.
    recall : float
        Of real rows that lie where generated ones are: variety.
    """

    precision: float
    recall: float


class TwoSample(NamedTuple):
    """Shares of rows whose nearest neighbour is of their own kind, 0 to 1; 1/2 if the kinds cannot be told apart.

    Attributes
    ----------
    accuracy : float
        Of all rows.
    real, generated : float
        Of each kind. Real low and generated high: generated rows crowd together (lost variety). Both far below 1/2:
        every row sits on one of the other kind, as copies do.
    """

    accuracy: float
    real: float
    generated: float


def frechet_distance(real: Any, generated: Any) -> float:
    r"""Return the Frechet distance between the normals with the two sets' means and covariances, in squared units.

    .. math:: |\mu_1 - \mu_2|^2 + \mathrm{tr}\big(\Sigma_1 + \Sigma_2 - 2 (\Sigma_1\Sigma_2)^{1/2}\big)

    With Inception features it is the FID. A finite number of rows biases it upwards, by about tr(Sigma) (F + 5) / (4 n)
    for each set where columns are alike: compare sets of one size, and real rows held out with real rows.

    Parameters
    ----------
    real, generated : array-like of shape (N, F) and (M, F)
        Features of data and of samples, at least two rows each.

    References
    ----------
    Dowson & Landau (1982), The Frechet Distance between Multivariate Normal Distributions; Heusel et al. (2017), GANs
    Trained by a Two Time-Scale Update Rule.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(1000, 2))
    >>> round(frechet_distance(X, X + 3.0), 6)
    18.0
    """
    a, b = as_rows(real, "real", 2).numpy(), as_rows(generated, "generated", 2).numpy()
    same_width(torch.from_numpy(a), torch.from_numpy(b), "real and generated")
    moments = [m for rows in (a, b) for m in (rows.mean(axis=0), np.atleast_2d(np.cov(rows, rowvar=False)))]
    return frechet_normals(*moments)


def frechet_normals(mean_a: Any, covariance_a: Any, mean_b: Any, covariance_b: Any) -> float:
    r"""Return the Frechet (2-Wasserstein) distance between two normals, squared.

    The trace of (Sigma_1 Sigma_2)^(1/2) is the sum of the singular values of Sigma_1^(1/2) Sigma_2^(1/2), each root by
    eigenvalues of a symmetric matrix: real and exact to rounding also for singular covariances, where the root of the
    product is neither.

    Parameters
    ----------
    mean_a, mean_b : array-like of shape (F,)
        Means.
    covariance_a, covariance_b : array-like of shape (F, F)
        Covariances.

    Examples
    --------
    >>> frechet_normals([0.0], [[4.0]], [1.0], [[9.0]])
    2.0
    """
    roots = []
    for covariance in (covariance_a, covariance_b):
        values, vectors = np.linalg.eigh(np.asarray(covariance, dtype=np.float64))
        values[values < len(values) * np.finfo(float).eps * values.max(initial=0)] = 0  # rounding, not variance
        roots.append(vectors * np.sqrt(values))  # R with R R' = covariance serves as well as the root
    cross = np.linalg.svd(roots[0].T @ roots[1], compute_uv=False).sum()
    shift = np.square(np.subtract(mean_a, mean_b)).sum()
    return float(max(0.0, shift + sum(np.square(root).sum() for root in roots) - 2 * cross))


def precision_recall(real: Any, generated: Any, k: int = 3) -> PrecisionRecall:
    """Return improved precision and recall: shares of one set that lie in balls around the rows of the other.

    The ball around a row reaches to its k-th nearest neighbour of its own set.

    Parameters
    ----------
    real, generated : array-like of shape (N, F) and (M, F)
        Features of data and of samples, more than k rows each.
    k : int, default=3
        Which neighbour.

    References
    ----------
    Kynkäänniemi, Karras, Laine, Lehtinen & Aila (2019), Improved Precision and Recall Metric for Assessing Generative
    Models, equations 1 to 3.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 2))
    >>> precision_recall(X, 0.1 * X).recall < 0.1 < 0.9 < precision_recall(X, 0.1 * X).precision
    True
    """
    if k < 1:
        raise ValueError(f"k={k!r} must be at least 1: which neighbour a ball reaches to.")
    a, b = as_rows(real, "real", k + 1), as_rows(generated, "generated", k + 1)
    same_width(a, b, "real and generated")
    return PrecisionRecall(_covered(b, a, k), _covered(a, b, k))


def _covered(rows: Tensor, centres: Tensor, k: int) -> float:
    """Return the share of rows within a ball around any centre."""
    radius = torch.cat([block.kthvalue(k, dim=1).values for _, block in distances(centres)])
    inside = sum(int((block <= radius).any(dim=1).sum()) for _, block in distances(rows, centres))
    return inside / len(rows)


def mmd(a: Any, b: Any, bandwidth: float | None = None) -> float:
    r"""Return the squared maximum mean discrepancy with a Gaussian kernel, without bias: 0 on average for equal laws.

    .. math:: \frac{\sum_{i\ne j} k(a_i, a_j)}{n(n-1)} + \frac{\sum_{i\ne j} k(b_i, b_j)}{m(m-1)}
        - \frac{2 \sum_{ij} k(a_i, b_j)}{nm}, \qquad k(u, v) = e^{-|u-v|^2 / (2 h^2)}

    Parameters
    ----------
    a, b : array-like of shape (N, F) and (M, F)
        Two sets of at least two rows.
    bandwidth : float, optional
        h. Default: the median distance between rows, of both sets together (of 500 evenly spaced rows of each).

    References
    ----------
    Gretton, Borgwardt, Rasch, Schölkopf & Smola (2012), A Kernel Two-Sample Test, JMLR 13, equation 3.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X, Y = rng.normal(size=(2, 500, 2))
    >>> abs(mmd(X, Y)) < 0.01 < 0.1 < mmd(X, Y + 1.0)
    True
    """
    rows, others = as_rows(a, "a", 2), as_rows(b, "b", 2)
    same_width(rows, others, "a and b")
    h = _median_distance(rows, others) if bandwidth is None else bandwidth
    if not h > 0:
        raise ValueError(f"bandwidth={h!r} must be positive (the median distance is 0 where most rows are equal).")
    return _similarity(rows, None, h) + _similarity(others, None, h) - 2 * _similarity(rows, others, h)


def _similarity(a: Tensor, b: Tensor | None, h: float) -> float:
    """Return the mean kernel between rows of `a` and of `b`, or between different rows of `a`."""
    total = sum(float((-0.5 * (block / h).square()).exp().sum()) for _, block in distances(a, b))
    return total / (len(a) * (len(a) - 1 if b is None else len(b)))


def _median_distance(a: Tensor, b: Tensor) -> float:
    some = torch.cat([rows[:: max(1, len(rows) // _MEDIAN_ROWS)][:_MEDIAN_ROWS] for rows in (a, b)])
    return float(torch.nn.functional.pdist(some).median())


def nearest_neighbour_test(real: Any, generated: Any) -> TwoSample:
    """Return how often a row's nearest neighbour, among all others, is of its own kind (leave one out).

    The larger set is cut to the first rows of the smaller one's number, for with unequal numbers chance is not 1/2.

    Parameters
    ----------
    real, generated : array-like of shape (N, F) and (M, F)
        Features of data and of samples, in no particular order.

    References
    ----------
    Lopez-Paz & Oquab (2017), Revisiting Classifier Two-Sample Tests; Xu et al. (2018), An empirical study on evaluation
    metrics of generative adversarial networks, for what the two halves tell.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X, Y = rng.normal(size=(2, 500, 2))
    >>> nearest_neighbour_test(X, Y + 10.0).accuracy
    1.0
    >>> nearest_neighbour_test(X, X).accuracy  # copies: the nearest is always the copy
    0.0
    """
    a, b = as_rows(real, "real", 2), as_rows(generated, "generated", 2)
    same_width(a, b, "real and generated")
    n = min(len(a), len(b))
    found = nearest(torch.cat([a[:n], b[:n]]), None, 1).squeeze(1) < n
    own_real, own_generated = float(found[:n].double().mean()), float((~found[n:]).double().mean())
    return TwoSample((own_real + own_generated) / 2, own_real, own_generated)
