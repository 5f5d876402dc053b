"""CRPS and coverage of imputations, compared with closed forms for the normal distribution."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from isthmus.evaluation import crps, interval_coverage

RNG = np.random.default_rng(0)
ALL = np.ones((1, 1), dtype=bool)


def crps_normal(mean, sigma, y):
    """Return the negative of Gneiting & Raftery (2007), equation 20."""
    z = (y - mean) / sigma
    return sigma * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / math.sqrt(math.pi))


@pytest.mark.parametrize(("mean", "sigma", "y"), [(0.0, 1.0, 0.0), (2.0, 0.5, 3.0), (-1.0, 3.0, -9.0)])
def test_crps_of_many_draws_equals_the_closed_form(mean, sigma, y):
    draws = RNG.normal(mean, sigma, size=(200_000, 1, 1))
    assert crps(draws, [[y]], ALL) == pytest.approx(crps_normal(mean, sigma, y), abs=0.02 * sigma)


@pytest.mark.parametrize("n", [2, 3, 10])
def test_crps_is_unbiased_for_any_number_of_draws(n):
    cells = 60_000
    score = crps(RNG.normal(1.0, 2.0, size=(n, cells, 1)), np.zeros((cells, 1)), np.ones((cells, 1), dtype=bool))
    assert score.mean() == pytest.approx(crps_normal(1.0, 2.0, 0.0), abs=4 * score.std() / math.sqrt(cells))


def test_crps_equals_the_double_sum():
    draws, truth = RNG.normal(size=(7, 4, 3)), RNG.normal(size=(4, 3))
    missing = RNG.random((4, 3)) < 0.6
    pairs = np.abs(draws[:, None] - draws[None]).sum(axis=(0, 1)) / (2 * 7 * 6)
    expected = np.where(missing, np.abs(draws - truth).mean(axis=0) - pairs, np.nan)
    np.testing.assert_allclose(crps(draws, truth, missing), expected, rtol=1e-12)


def test_crps_of_equal_draws_is_the_absolute_error():
    assert crps(np.full((5, 1, 1), 2.0), [[3.5]], ALL) == pytest.approx(1.5)


def test_the_true_spread_has_the_lowest_crps():
    truth, cells = RNG.normal(size=(4000, 1)), np.ones((4000, 1), dtype=bool)
    scores = [crps(sigma * RNG.normal(size=(20, 4000, 1)), truth, cells).mean() for sigma in (0.3, 1.0, 3.0)]
    assert np.argmin(scores) == 1


@pytest.mark.parametrize(("n", "level"), [(19, 0.9), (20, 0.9), (50, 0.5), (2, 0.001), (99, 0.98)])
def test_coverage_is_nominal_for_any_number_of_draws(n, level):
    truth, draws = RNG.normal(size=(20_000, 2)), RNG.normal(size=(n, 20_000, 2))
    result = interval_coverage(draws, truth, np.ones((20_000, 2), dtype=bool), level)
    error = 4.5 * math.sqrt(level * (1 - level) / 20_000) + 1e-3
    np.testing.assert_allclose(result.coverage, level, atol=error)
    assert result.overall() == pytest.approx(result.coverage.mean())


def test_width_equals_the_closed_form():
    draws = RNG.normal(size=(999, 300, 1)) * 5
    result = interval_coverage(draws, np.zeros((300, 1)), np.ones((300, 1), dtype=bool), 0.9)
    assert result.width[0] == pytest.approx(2 * 1.645 * 5, rel=0.02)


def test_coverage_of_narrow_draws_is_too_low():
    truth, cells = RNG.normal(size=(5000, 1)), np.ones((5000, 1), dtype=bool)
    narrow = interval_coverage(0.5 * RNG.normal(size=(39, 5000, 1)), truth, cells, 0.9)
    assert narrow.overall() == pytest.approx(2 * norm.cdf(0.5 * 1.645) - 1, abs=0.03)


def test_only_missing_cells_count():
    """Observed cells may be NaN in the truth; a column without missing cells has no coverage."""
    draws, missing = RNG.normal(size=(30, 100, 3)), np.zeros((100, 3), dtype=bool)
    missing[:50, 0], missing[:10, 1] = True, True
    truth = np.where(missing, 0.0, np.nan)
    draws[:, ~missing] = np.nan
    result = interval_coverage(draws, truth, missing, 0.8)
    assert result.n_cells.tolist() == [50, 10, 0]
    assert np.isnan(result.coverage).tolist() == [False, False, True]
    assert np.isnan(result.width).tolist() == [False, False, True]
    assert result.overall() == pytest.approx((result.coverage[0] * 50 + result.coverage[1] * 10) / 60)
    assert (np.isnan(crps(draws, truth, missing)) == ~missing).all()


def test_bad_input():
    draws, truth, cells = np.zeros((18, 4, 2)), np.zeros((4, 2)), np.ones((4, 2), dtype=bool)
    with pytest.raises(ValueError, match=r"draws has 18 imputation\(s\), and at least 19 are needed"):
        interval_coverage(draws, truth, cells, 0.9)
    with pytest.raises(ValueError, match="level=1.5 must lie between 0 and 1"):
        interval_coverage(draws, truth, cells, 1.5)
    with pytest.raises(ValueError, match=r"draws has 1 imputation\(s\), and at least 2"):
        crps(draws[:1], truth, cells)
    with pytest.raises(ValueError, match=r"their shapes are \(18, 4, 2\), \(3, 2\), \(4, 2\)"):
        crps(draws, truth[:3], cells)
    with pytest.raises(ValueError, match="missing has no cell that is True"):
        crps(draws, truth, ~cells)
    with pytest.raises(ValueError, match="must be finite"):
        crps(draws, truth + np.nan, cells)
