"""Distances between sets of samples, compared with closed forms and explicit sums."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist
from scipy.stats import multivariate_normal

from isthmus.evaluation import (
    _neighbours,
    frechet_distance,
    frechet_normals,
    mmd,
    nearest_neighbour_test,
    precision_recall,
)
from models import rotation, rows_with_covariance

RNG = np.random.default_rng(0)


def covariance(n, rank=None, seed=0):
    factor = np.random.default_rng(seed).normal(size=(n, rank or n))
    return factor @ factor.T


# ---- Frechet ----------------------------------------------------------------------------------------------------


def test_frechet_in_one_dimension():
    """(m1 - m2)^2 + (s1 - s2)^2."""
    assert frechet_normals([1.0], [[4.0]], [-2.0], [[0.25]]) == pytest.approx(9 + 2.25)


def test_frechet_of_commuting_covariances():
    Q = rotation(5)
    a, b = np.array([1.0, 2.0, 0.5, 0.0, 3.0]), np.array([2.0, 0.0, 0.1, 0.0, 1.0])
    mean_a, mean_b = RNG.normal(size=(2, 5))
    exact = ((mean_a - mean_b) ** 2).sum() + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
    assert frechet_normals(mean_a, Q * a @ Q.T, mean_b, Q * b @ Q.T) == pytest.approx(exact, rel=1e-12)


def test_frechet_with_the_root_of_the_product():
    A, B = covariance(6, seed=1), covariance(6, seed=2)
    exact = np.trace(A + B - 2 * sqrtm(A @ B).real)
    assert frechet_normals(np.zeros(6), A, np.zeros(6), B) == pytest.approx(exact, rel=1e-9)


def test_frechet_of_singular_covariances():
    """For rank 2 of 50, on the same and on orthogonal planes, the root of the product fails."""
    A = covariance(50, rank=2)
    assert frechet_normals(np.zeros(50), A, np.zeros(50), A) == pytest.approx(0, abs=1e-10)
    Q = rotation(50)
    one, two = Q[:, :2] @ Q[:, :2].T, Q[:, 2:4] @ Q[:, 2:4].T
    assert frechet_normals(np.zeros(50), one, np.zeros(50), two) == pytest.approx(4.0)


def test_frechet_distance_of_samples():
    """The moments of the samples are exact, up to division by N instead of N - 1."""
    A, B = covariance(4, seed=1), covariance(4, seed=2)
    X, Y = rows_with_covariance(A, 100), rows_with_covariance(B, 200, mean=1.5, seed=1)
    exact = frechet_normals(np.zeros(4), A * 100 / 99, np.full(4, 1.5), B * 200 / 199)
    assert frechet_distance(X, Y) == pytest.approx(exact, rel=1e-10)
    assert frechet_distance(torch.from_numpy(X), Y) == frechet_distance(X, Y)
    assert frechet_distance(X[:, 0], Y[:, 0]) > 0


def test_bias_of_the_frechet_distance():
    """tr(Sigma) / n of the mean and tr(Sigma) (F + 1) / (4 n) of the covariance, for each of two sets of one normal."""
    n, f = 400, 10
    values = [frechet_distance(*np.random.default_rng(s).normal(size=(2, n, f))) for s in range(40)]
    assert np.mean(values) == pytest.approx(2 * f * (f + 5) / (4 * n), rel=0.05)


# ---- precision and recall ---------------------------------------------------------------------------------------


def slow_precision_recall(real, generated, k):
    def covered(rows, centres):
        radius = np.sort(cdist(centres, centres), axis=1)[:, k]
        return (cdist(rows, centres) <= radius).any(axis=1).mean()

    return covered(generated, real), covered(real, generated)


@pytest.mark.parametrize("k", [1, 3])
def test_precision_and_recall_equal_the_definition(k, monkeypatch):
    real, generated = RNG.normal(size=(120, 3)), 0.7 * RNG.normal(size=(90, 3)) + 0.5
    assert precision_recall(real, generated, k) == pytest.approx(slow_precision_recall(real, generated, k))
    small = _neighbours.distances.__defaults__
    monkeypatch.setattr(_neighbours.distances, "__defaults__", (None, 300))  # a few rows at a time
    assert precision_recall(real, generated, k) == pytest.approx(slow_precision_recall(real, generated, k))
    assert small == (None, 1 << 24)


def test_precision_measures_fidelity_and_recall_diversity():
    two = np.concatenate([RNG.normal(size=(200, 2)), RNG.normal(size=(200, 2)) + 20])
    dropped = precision_recall(two, RNG.normal(size=(400, 2)))  # one of two modes
    assert dropped.precision > 0.9
    assert dropped.recall == pytest.approx(0.5, abs=0.05)
    invented = precision_recall(RNG.normal(size=(400, 2)), two)
    assert invented.precision == pytest.approx(0.5, abs=0.05)
    assert invented.recall > 0.9
    assert precision_recall(two, two) == (1, 1)
    assert precision_recall(two, two + 1000) == (0, 0)


# ---- MMD --------------------------------------------------------------------------------------------------------


def test_mmd_equals_the_definition():
    a, b, h = RNG.normal(size=(30, 2)), RNG.normal(size=(40, 2)) + 1, 0.8

    def kernel(u, v):
        return np.exp(-(cdist(u, v) ** 2) / (2 * h**2))

    within = sum((kernel(x, x).sum() - len(x)) / (len(x) * (len(x) - 1)) for x in (a, b))
    assert mmd(a, b, h) == pytest.approx(within - 2 * kernel(a, b).mean(), rel=1e-12)


def test_mmd_is_unbiased():
    """Of two normals: k averaged over N(m, 2S) is (2 pi h^2)^(d/2) N(m; 0, 2S + h^2 I)."""
    h, shift = 1.0, np.array([0.7, 0.0])

    def kernel(mean):
        return 2 * math.pi * h**2 * multivariate_normal.pdf(mean, np.zeros(2), (2 + h**2) * np.eye(2))

    exact = 2 * kernel([0, 0]) - 2 * kernel(shift)
    rng = np.random.default_rng(1)
    values = [mmd(rng.normal(size=(20, 2)), rng.normal(size=(20, 2)) + shift, h) for _ in range(800)]
    assert np.mean(values) == pytest.approx(exact, abs=4 * np.std(values) / math.sqrt(800))
    equal = [mmd(rng.normal(size=(20, 2)), rng.normal(size=(20, 2)), h) for _ in range(800)]
    assert np.mean(equal) == pytest.approx(0, abs=4 * np.std(equal) / math.sqrt(800))
    assert min(equal) < 0


def test_the_median_bandwidth_does_not_depend_on_units():
    a, b = RNG.normal(size=(300, 3)), RNG.normal(size=(300, 3)) + 0.5
    assert mmd(1000 * a, 1000 * b) == pytest.approx(mmd(a, b), rel=1e-9)


@pytest.mark.parametrize("h", [0.0, -1.0])
def test_a_bandwidth_must_be_positive(h):
    with pytest.raises(ValueError, match="must be positive"):
        mmd(np.zeros((3, 1)), np.ones((3, 1)), h)


# ---- two samples ------------------------------------------------------------------------------------------------


def test_two_sample_accuracy_of_equal_distributions():
    rng = np.random.default_rng(2)
    result = nearest_neighbour_test(rng.normal(size=(1500, 4)), rng.normal(size=(1500, 4)))
    assert result.accuracy == pytest.approx(0.5, abs=0.04)
    assert result.accuracy == pytest.approx((result.real + result.generated) / 2)


def test_two_sample_accuracy_of_different_distributions():
    rng = np.random.default_rng(2)
    assert nearest_neighbour_test(rng.normal(size=(300, 4)), rng.normal(size=(300, 4)) + 8).accuracy == 1.0


def test_accuracy_per_set_shows_lost_diversity():
    rng = np.random.default_rng(2)
    result = nearest_neighbour_test(rng.normal(size=(500, 2)), 0.05 * rng.normal(size=(500, 2)))
    assert result.generated > 0.95
    assert result.real > 0.8  # few real rows are where the others crowd


def test_the_larger_set_is_subsampled():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(1000, 2)), rng.normal(size=(300, 2))
    assert nearest_neighbour_test(a, b) == nearest_neighbour_test(a[:300], b)


# ---- bad input --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [frechet_distance, precision_recall, mmd, nearest_neighbour_test])
def test_bad_samples_are_named(call):
    good = np.zeros((10, 3)) + np.arange(10)[:, None]
    with pytest.raises(ValueError, match="have 3 and 2 features"):
        call(good, good[:, :2])
    with pytest.raises(ValueError, match=r"has 1 sample\(s\), and at least"):
        call(good, good[:1])
    with pytest.raises(ValueError, match="not finite in sample 4"):
        call(np.where(np.arange(10)[:, None] == 4, np.nan, good), good)


def test_k_less_than_one_is_an_error():
    with pytest.raises(ValueError, match="k=0 must be at least 1"):
        precision_recall(np.zeros((5, 1)), np.zeros((5, 1)), 0)
