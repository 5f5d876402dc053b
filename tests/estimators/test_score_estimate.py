"""log p(x) with its error, as the estimators give it: exact where the posterior is, and honest where it is not."""

import warnings

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.datasets import load_iris

from isthmus import VAE, ConditionalVAE
from isthmus.estimators._variational import LogLikelihoodEstimate
from isthmus.likelihoods import Gaussian
from isthmus.training import Trainer
from models import put_linear, rotation

X, Y = load_iris(return_X_y=True)
W = rotation(6, seed=2)[:, :3] * [2.0, 1.0, 0.3]
MU = np.random.default_rng(1).normal(size=6)
SIGMA = 0.6
ROWS = np.random.default_rng(0).multivariate_normal(MU, W @ W.T + SIGMA**2 * np.eye(6), size=40)

unreliable_is_fine = pytest.mark.filterwarnings("ignore:log p.x. is unreliable")  # not what the test is about
LOG_P = multivariate_normal.logpdf(ROWS, MU, W @ W.T + SIGMA**2 * np.eye(6))


@pytest.fixture(scope="module")
def exact():
    """A VAE that is probabilistic PCA with orthogonal loadings, and its true posterior; rows are scaled inside."""
    model = VAE(
        3,
        likelihood=Gaussian(scale=1.0),
        prior="standard_normal",
        hidden_layer_sizes=(),
        scaling="standard",
        max_epochs=1,
        random_state=0,
        trainer=Trainer(precision="float64"),
    ).fit(ROWS)
    scaling = model.model_.scaling
    scaling.shift.copy_(torch.from_numpy(MU))
    scaling.scale.fill_(SIGMA)  # in the model's units the noise has scale 1
    loadings = W / SIGMA
    covariance = np.linalg.inv(loadings.T @ loadings + np.eye(3))
    log_scale = 0.5 * np.log(np.diag(covariance))
    weight = np.concatenate([covariance @ loadings.T, np.zeros((3, 6))])
    bias = np.concatenate([np.zeros(3), 8 * np.arctanh(log_scale / 8)])
    put_linear(model.model_, weight, bias, loadings, np.zeros(6))
    return model


@pytest.fixture(scope="module")
def iris():
    return VAE(2, max_epochs=20, random_state=0).fit(X)


@pytest.fixture(scope="module")
def labelled():
    return ConditionalVAE(2, max_epochs=20, random_state=0).fit(X, Y)


@pytest.mark.parametrize("n_draws", [12, 300])
def test_exact_in_the_units_of_the_data(exact, n_draws):
    estimate = exact.score_samples_estimate(ROWS, n_draws=n_draws, proposal_scale=1.0)
    np.testing.assert_allclose(estimate.value, LOG_P, rtol=0, atol=1e-10)
    np.testing.assert_allclose(estimate.standard_error, 0, atol=1e-10)
    np.testing.assert_allclose(estimate.effective_sample_size, n_draws, rtol=1e-10)
    assert len(estimate.unreliable()) == 0


def test_the_error_is_right_with_a_wider_proposal(exact):
    estimate = exact.score_samples_estimate(ROWS, n_draws=2000)
    off = (estimate.value - LOG_P) / estimate.standard_error
    assert 0.7 < np.sqrt(np.mean(off**2)) < 1.3
    assert (estimate.standard_error < 0.05).all()


@unreliable_is_fine
def test_missing_cells_are_integrated_out(exact):
    holes = ROWS.copy()
    holes[:, 4:] = np.nan
    seen = multivariate_normal.logpdf(ROWS[:, :4], MU[:4], (W @ W.T + SIGMA**2 * np.eye(6))[:4, :4])
    estimate = exact.score_samples_estimate(holes, n_draws=4000, proposal_scale=2.0)
    assert (np.abs(estimate.value - seen) < 5 * estimate.standard_error + 0.02).all()


@unreliable_is_fine
def test_agrees_with_score_samples(iris):
    estimate = iris.score_samples_estimate(X[:20], n_draws=iris.n_draws, proposal_scale=1.0)
    np.testing.assert_allclose(estimate.value, iris.score_samples(X[:20]), rtol=0, atol=1e-12)
    again = iris.score_samples_estimate(X[5:9], n_draws=iris.n_draws, proposal_scale=1.0)
    for part, whole in zip(again, estimate, strict=True):
        np.testing.assert_allclose(part, whole[5:9], rtol=1e-10)


def test_float32_stays_float32(iris):
    assert {column.dtype for column in iris.score_samples_estimate(X[:3].astype("f4"))} == {np.dtype("f4")}


@unreliable_is_fine
@pytest.mark.parametrize("y", [None, Y])
def test_conditional(labelled, y):
    estimate = labelled.score_samples_estimate(X, y, n_draws=100, proposal_scale=1.0)
    np.testing.assert_allclose(estimate.value, labelled.score_samples(X, y), rtol=0, atol=1e-12)
    assert (estimate.standard_error > 0).all()
    assert ((estimate.effective_sample_size > 1) & (estimate.effective_sample_size <= 100)).all()


def test_the_error_of_a_sum_over_labels_covers_the_spread_over_seeds(labelled):
    """Over 30 sets of draws the values' spread is no more than the error that each claims."""
    values, errors = [], []
    for seed in range(30):
        labelled.seed_ = 1000 + seed
        found = labelled.score_samples_estimate(X[::10], n_draws=100)
        values.append(found.value)
        errors.append(found.standard_error)
    spread, claimed = np.std(values, axis=0), np.mean(errors, axis=0)
    assert np.mean(spread) < 1.15 * np.mean(claimed)
    assert np.mean(spread) > 0.3 * np.mean(claimed)


def test_a_sum_over_labels_by_hand():
    parts = [
        LogLikelihoodEstimate(*(np.array([v, v]) for v in (-1.0, 0.1, 90.0, 0.2))),
        LogLikelihoodEstimate(*(np.array([v, v]) for v in (-3.0, 0.3, 50.0, 0.9))),
        LogLikelihoodEstimate(*(np.array([v, v]) for v in (-90.0, 9.0, 1.0, 5.0))),  # no share of p(x)
    ]
    log_share = np.log([0.25, 0.5, 0.25])
    total = LogLikelihoodEstimate.sum_over_labels(log_share, parts, 100)
    joint = log_share + np.array([-1.0, -3.0, -90.0])
    value = logsumexp(joint)
    share = np.exp(joint - value)
    error = share @ [0.1, 0.3, 9.0]
    expected = [value, error, 100 / (1 + 99 * error**2), 0.9]
    for column, number in zip(total, expected, strict=True):
        np.testing.assert_allclose(column, number, rtol=1e-12)


def test_numbers_as_conditions_must_be_given():
    model = ConditionalVAE(1, max_epochs=1, random_state=0).fit(X[:, :2], X[:, 2:])
    with pytest.raises(ValueError, match="y was continuous in fit, so p\\(x\\) cannot be summed over it: pass y"):
        model.score_samples_estimate(X[:, :2])
    assert np.isfinite(model.score_samples_estimate(X[:9, :2], X[:9, 2:]).value).all()


def test_a_warning_names_unreliable_rows(exact):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimate = exact.score_samples_estimate(ROWS, n_draws=9)  # fewer than ten draws are not ten effective ones
    bad = estimate.unreliable()
    assert len(bad) > 10
    assert [w.category for w in caught] == [UserWarning]
    text = str(caught[0].message)
    assert f"in {len(bad)} of 40 rows" in text
    assert f"rows {', '.join(map(str, bad[:10]))} and {len(bad) - 10} more" in text
    assert "annealed_estimate" in text
    assert "n_draws" in text
    assert caught[0].filename == __file__
    few = exact.score_samples_estimate(ROWS, n_draws=100, proposal_scale=1.0)  # no warning: an error in this suite
    assert len(few.unreliable()) == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [({"n_draws": 0}, "n_draws=0 must be at least 1"), ({"proposal_scale": 0.0}, "proposal_scale=0.0 must be")],
)
def test_bad_arguments(iris, options, words):
    with pytest.raises(ValueError, match=words):
        iris.score_samples_estimate(X, **options)
