"""The map to normal scores: smooth, increasing, with exact derivative and inverse; linear where it can be."""

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import trapezoid

from isthmus.tables._spline import NormalScores

SHAPES = {
    "lognormal": stats.lognorm(1.0),
    "uniform": stats.uniform(),
    "exponential": stats.expon(),
    "student_t": stats.t(3),
    "far_from_0": stats.gamma(2.0, loc=1e6),
}


@pytest.fixture(params=SHAPES)
def shape(request):
    return SHAPES[request.param]


def sample(shape, n, seed=0):
    return shape.rvs(n, random_state=np.random.default_rng(seed))


def test_the_inverse_undoes_the_map(shape):
    scores = NormalScores.fit(sample(shape, 1000))
    x = sample(shape, 5000, seed=1)
    np.testing.assert_allclose(scores.inverse(scores.forward(x)[0]), x, rtol=1e-12, atol=1e-9)


def test_the_log_derivative_is_that_of_the_map(shape):
    scores = NormalScores.fit(sample(shape, 1000))
    low, high = scores.x[0], scores.x[-1]
    x = np.linspace(low - (high - low), 2 * high - low, 1001)
    h = 1e-6 * (high - low)
    slope = (scores.forward(x + h)[0] - scores.forward(x - h)[0]) / (2 * h)
    np.testing.assert_allclose(np.exp(scores.forward(x)[1]), slope, rtol=1e-4)


def test_the_derivative_is_continuous_at_the_knots(shape):
    scores = NormalScores.fit(sample(shape, 1000))
    knots = np.array(scores.x)
    h = 1e-9 * (knots[-1] - knots[0])
    np.testing.assert_allclose(scores.forward(knots - h)[1], scores.forward(knots + h)[1], atol=1e-4)


def test_the_density_integrates_to_one_and_is_near_the_true_one(shape):
    scores = NormalScores.fit(sample(shape, 20_000))
    x = scores.inverse(np.linspace(-8, 8, 200_001))
    density = np.exp(scores.log_density(x))
    assert trapezoid(density, x) == pytest.approx(1, abs=1e-3)
    test = sample(shape, 20_000, seed=1)
    assert scores.log_density(test).mean() == pytest.approx(shape.logpdf(test).mean(), abs=0.06)


@pytest.mark.parametrize("n", [50, 1000, 20_000])
def test_a_normal_column_is_standardised(n):
    x = np.random.default_rng(0).normal(3.0, 2.0, n)
    y, log_slope = NormalScores.fit(x).forward(x)
    np.testing.assert_allclose(y, (x - x.mean()) / x.std(), atol=1e-12)
    np.testing.assert_allclose(log_slope, -np.log(x.std()), atol=1e-12)


def test_values_that_hardly_differ_do_not_break_it():
    for x in (np.array([1.0, 1.0]), np.r_[np.zeros(50), 1e-12], np.r_[np.zeros(500), np.ones(3)], np.full(9, 1e9)):
        scores = NormalScores.fit(x)
        y, log_slope = scores.forward(x)
        assert np.isfinite(y).all()
        assert np.isfinite(log_slope).all()
        np.testing.assert_allclose(scores.inverse(y), x, atol=1e-9)
