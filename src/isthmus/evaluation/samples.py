"""Comparison of generated samples with data, without any pretrained network.

The functions compare two sets of features: the data themselves, their principal components, or any representation.
Features are not scaled: if their units differ, divide both sets by the standard deviations of the data first.
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

_MEDIAN_ROWS = 500  # how many samples of each set the median distance is computed from


class PrecisionRecall(NamedTuple):
    """Improved precision and recall, between 0 and 1.

    Attributes
    ----------
    precision : float
        Fraction of generated samples in the support of the data: fidelity.
    recall : float
        Fraction of the data in the support of the generated samples: diversity.
    """

    precision: float
    recall: float


class TwoSample(NamedTuple):
    """Accuracy of a leave-one-out nearest-neighbour classifier of data against generated samples; 1/2 if they agree.

    Attributes
    ----------
    accuracy : float
        Accuracy on all samples.
    real, generated : float
        Accuracy on each set. If it is low on real and high on generated samples, the generated ones lack diversity. If
        both are far below 1/2, generated samples are copies of the data.
    """

    accuracy: float
    real: float
    generated: float


def frechet_distance(real: Any, generated: Any) -> float:
    r"""Return the squared Frechet distance between normal distributions fitted to two sets of features.

    .. math:: |\mu_1 - \mu_2|^2 + \mathrm{tr}\big(\Sigma_1 + \Sigma_2 - 2 (\Sigma_1\Sigma_2)^{1/2}\big)

    With Inception features it is the FID. It is biased upwards, by about tr(Sigma) (F + 5) / (4 n) for each set of n
    samples whose features are alike: compare sets of equal size, and include the distance between two sets of data.

    Parameters
    ----------
    real, generated : array-like of shape (N, F) and (M, F)
        Features of data and of generated samples, at least two samples each.

    Returns
    -------
    float
        In squared units of the features.

    Raises
    ------
    ValueError
        If a set has fewer than two samples or a value that is not finite, or the numbers of features differ.

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
    r"""Return the squared Frechet (2-Wasserstein) distance between two normal distributions.

    .. math:: |\mu_1 - \mu_2|^2 + \mathrm{tr}\big(\Sigma_1 + \Sigma_2 - 2 (\Sigma_1\Sigma_2)^{1/2}\big)

    The trace of (Sigma_1 Sigma_2)^(1/2) is the sum of the singular values of Sigma_1^(1/2) Sigma_2^(1/2), whose factors
    are computed from eigenvalues. Unlike a matrix square root of the product, this is real and accurate for singular
    covariances too.

    Parameters
    ----------
    mean_a, mean_b : array-like of shape (F,)
        Means.
    covariance_a, covariance_b : array-like of shape (F, F)
        Covariances.

    Returns
    -------
    float
        In squared units.

    References
    ----------
    Dowson & Landau (1982), The Frechet Distance between Multivariate Normal Distributions.

    Examples
    --------
    >>> frechet_normals([0.0], [[4.0]], [1.0], [[9.0]])
    2.0
    """
    roots = []
    for covariance in (covariance_a, covariance_b):
        values, vectors = np.linalg.eigh(np.asarray(covariance, dtype=np.float64))
        values[values < len(values) * np.finfo(float).eps * values.max(initial=0)] = 0  # rounding errors
        roots.append(vectors * np.sqrt(values))  # any R with R R' = covariance will do
    cross = np.linalg.svd(roots[0].T @ roots[1], compute_uv=False).sum()
    shift = np.square(np.subtract(mean_a, mean_b)).sum()
    return float(max(0.0, shift + sum(np.square(root).sum() for root in roots) - 2 * cross))


def precision_recall(real: Any, generated: Any, k: int = 3) -> PrecisionRecall:
    """Return improved precision and recall.

    They are the fractions of one set that lie in a ball around any sample of the other. The radius of a ball is the
    distance to the k-th nearest neighbour in the same set.

    Parameters
    ----------
    real, generated : array-like of shape (N, F) and (M, F)
        Features of data and of generated samples, more than k samples each.
    k : int, default=3
        Which nearest neighbour determines the radius.

    Returns
    -------
    PrecisionRecall

    Raises
    ------
    ValueError
        If `k` is less than 1, a set has too few samples or a value that is not finite, or the numbers of features
        differ.

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
        raise ValueError(f"k={k!r} must be at least 1: the number of the neighbour on the surface of a ball.")
    a, b = as_rows(real, "real", k + 1), as_rows(generated, "generated", k + 1)
    same_width(a, b, "real and generated")
    return PrecisionRecall(_covered(b, a, k), _covered(a, b, k))


def _covered(rows: Tensor, centres: Tensor, k: int) -> float:
    """Return the fraction of rows within a ball around any centre."""
    radius = torch.cat([block.kthvalue(k, dim=1).values for _, block in distances(centres)])
    inside = sum(int((block <= radius).any(dim=1).sum()) for _, block in distances(rows, centres))
    return inside / len(rows)


def mmd(a: Any, b: Any, bandwidth: float | None = None) -> float:
    r"""Return an unbiased estimate of the squared maximum mean discrepancy with a Gaussian kernel.

    .. math:: \frac{\sum_{i\ne j} k(a_i, a_j)}{n(n-1)} + \frac{\sum_{i\ne j} k(b_i, b_j)}{m(m-1)}
        - \frac{2 \sum_{ij} k(a_i, b_j)}{nm}, \qquad k(u, v) = e^{-|u-v|^2 / (2 h^2)}

    It is 0 on average if both sets have the same distribution.

    Parameters
    ----------
    a, b : array-like of shape (N, F) and (M, F)
        Two sets of at least two samples.
    bandwidth : float, optional
        h. Default: the median distance between samples of both sets together (500 evenly spaced ones of each).

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the bandwidth is not positive, a set has fewer than two samples or a value that is not finite, or the
        numbers of features differ.

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
    if bandwidth is None:
        some = torch.cat([each[:: max(1, len(each) // _MEDIAN_ROWS)][:_MEDIAN_ROWS] for each in (rows, others)])
        h = float(torch.nn.functional.pdist(some).median())
    else:
        h = bandwidth
    if not h > 0:
        raise ValueError(f"bandwidth={h!r} must be positive (the median distance is 0 if most samples are equal).")
    return _similarity(rows, None, h) + _similarity(others, None, h) - 2 * _similarity(rows, others, h)


def _similarity(a: Tensor, b: Tensor | None, h: float) -> float:
    """Return the mean kernel between rows of `a` and of `b`, or between different rows of `a`."""
    total = sum(float((-0.5 * (block / h).square()).exp().sum()) for _, block in distances(a, b))
    return total / (len(a) * (len(a) - 1 if b is None else len(b)))


def nearest_neighbour_test(real: Any, generated: Any) -> TwoSample:
    """Return the leave-one-out accuracy of a 1-nearest-neighbour classifier of data against generated samples.

    The larger set is cut to the size of the smaller one, because chance is 1/2 for sets of equal size only.

    Parameters
    ----------
    real, generated : array-like of shape (N, F) and (M, F)
        Features of data and of generated samples, in random order.

    Returns
    -------
    TwoSample

    Raises
    ------
    ValueError
        If a set has fewer than two samples or a value that is not finite, or the numbers of features differ.

    References
    ----------
    Lopez-Paz & Oquab (2017), Revisiting Classifier Two-Sample Tests; Xu et al. (2018), An empirical study on evaluation
    metrics of generative adversarial networks, for the accuracy on each set.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X, Y = rng.normal(size=(2, 500, 2))
    >>> nearest_neighbour_test(X, Y + 10.0).accuracy
    1.0
    >>> nearest_neighbour_test(X, X).accuracy  # the nearest neighbour is the copy
    0.0
    """
    a, b = as_rows(real, "real", 2), as_rows(generated, "generated", 2)
    same_width(a, b, "real and generated")
    n = min(len(a), len(b))
    found = nearest(torch.cat([a[:n], b[:n]]), None, 1).squeeze(1) < n
    own_real, own_generated = float(found[:n].double().mean()), float((~found[n:]).double().mean())
    return TwoSample((own_real + own_generated) / 2, own_real, own_generated)
