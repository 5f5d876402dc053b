"""The mixture that is fitted to the codes of a trained model."""

import numpy as np
import pytest

from isthmus.initialization import CodeMixture, NormalMixture, choose_code_mixture, fit_code_mixture
from isthmus.initialization.code_mixture import _FITS


def ring(n_samples, seed):
    """Return codes (1, N, 2) on a circle, which no single normal distribution describes."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, n_samples)
    return (np.column_stack([np.cos(angle), np.sin(angle)]) + 0.05 * rng.standard_normal((n_samples, 2)))[None]


def test_held_out_codes_choose_several_components_of_a_ring():
    codes, held = ring(400, 0), ring(200, 1)
    choice, found = choose_code_mixture(codes, np.ones(400), held, np.ones(200), -2.0, 0)
    assert choice.n_mixture > 4
    assert len(found.weights) == _FITS * choice.n_mixture
    assert found.log_prob(held[0]).mean() > -1.0


def test_a_prior_that_is_better_stays():
    codes, held = ring(400, 0), ring(200, 1)
    assert choose_code_mixture(codes, np.ones(400), held, np.ones(200), 0.0, 0) is None


def test_the_mean_of_fits_is_more_likely_than_each():
    codes, held, choice = ring(200, 0), ring(500, 1)[0], CodeMixture(8, 2.0)
    found = fit_code_mixture(codes, np.ones(200), choice, 0)
    each = [NormalMixture.fit(codes[0], np.ones(200), 8, 2.0, seed) for seed in range(_FITS)]
    mean = np.logaddexp.reduce([fit.log_prob(held) for fit in each], axis=0) - np.log(_FITS)
    np.testing.assert_allclose(found.log_prob(held), mean)
    assert mean.mean() > np.mean([fit.log_prob(held).mean() for fit in each])
    assert found.weights.sum() == pytest.approx(1)


def test_weights_count_copies():
    codes, weight = ring(60, 0), np.tile([1.0, 3.0], 30)
    one = fit_code_mixture(codes, weight, CodeMixture(1, 2.0), 0)
    other = fit_code_mixture(np.repeat(codes, weight.astype(int), axis=1), np.ones(120), CodeMixture(1, 2.0), 0)
    np.testing.assert_allclose(one.means, other.means)
