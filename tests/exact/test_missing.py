"""Missing cells are integrated out, and imputation uses the conditional distribution."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.datasets import load_digits, load_iris

import isthmus
from isthmus import VAE, ConditionalVAE, DenoisingAutoencoder, estimators
from isthmus._batch import Batch
from isthmus._random import seeded
from isthmus.corruptions import Masking
from isthmus.likelihoods import Gaussian
from isthmus.networks import MLP
from isthmus.objectives import PenalizedLikelihood, TrainingLoss
from isthmus.penalties import Contraction
from isthmus.posteriors import Point
from isthmus.training import Trainer
from models import build, normal

X, Y = load_iris(return_X_y=True)
ESTIMATORS = [getattr(estimators, name) for name in estimators.__all__]


def with_missing(X, share, seed=0):
    mask = np.random.default_rng(seed).random(X.shape) < share
    return np.where(mask, np.nan, X)


def linear_vae(W, mu, scale):
    """Probabilistic PCA by hand: x = mu + W z + scale e, with the prior for a posterior."""
    d, k = W.shape
    rows = np.random.default_rng(0).standard_normal((20, d))
    model = VAE(
        k, hidden_layer_sizes=(), scaling="none", likelihood=Gaussian(scale=scale), n_draws=20_000,
        max_epochs=1, random_state=0, trainer=Trainer(precision="float64"),
    ).fit(rows)  # fmt: skip
    net = model.model_.network
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        net.decoder[0].weight.copy_(torch.from_numpy(W))
        net.decoder[0].bias.copy_(torch.from_numpy(mu))
    return model  # q(z|x) = N(0, I), the prior: the weights do all the work


RNG = np.random.default_rng(1)
W, MU, SCALE = RNG.standard_normal((5, 2)), RNG.standard_normal(5), 0.8
COVARIANCE = W @ W.T + SCALE**2 * np.eye(5)


def conditional(x):
    """Mean and covariance of the missing cells of one row given the others."""
    m, o = np.isnan(x), ~np.isnan(x)
    gain = COVARIANCE[np.ix_(m, o)] @ np.linalg.inv(COVARIANCE[np.ix_(o, o)])
    return MU[m] + gain @ (x[o] - MU[o]), COVARIANCE[np.ix_(m, m)] - gain @ COVARIANCE[np.ix_(o, m)]


@pytest.fixture(scope="module")
def gaussian():
    rows = RNG.multivariate_normal(MU, COVARIANCE, size=6)
    rows[0, [1, 3]] = rows[1, [0]] = rows[2, [2, 3, 4]] = rows[3, :4] = np.nan
    return linear_vae(W, MU, SCALE), rows


def test_log_px_of_the_observed_cells_is_the_marginal(gaussian):
    model, rows = gaussian
    for row, value in zip(rows, model.score_samples(rows), strict=True):
        o = ~np.isnan(row)
        exact = multivariate_normal(MU[o], COVARIANCE[np.ix_(o, o)]).logpdf(row[o])
        assert value == pytest.approx(exact, abs=0.05)  # 20,000 draws from the prior


def test_impute_is_the_conditional_mean(gaussian):
    model, rows = gaussian
    filled = model.impute(rows)
    assert (filled[~np.isnan(rows)] == rows[~np.isnan(rows)]).all()
    for row, full in zip(rows[:4], filled, strict=False):
        np.testing.assert_allclose(full[np.isnan(row)], conditional(row)[0], atol=0.06)


def test_multiple_imputations_have_the_conditional_covariance(gaussian):
    model, rows = gaussian
    draws = model.sample_imputations(rows, 5000, random_state=0)
    assert draws.shape == (5000, 6, 5)
    assert (draws[:, ~np.isnan(rows)] == rows[~np.isnan(rows)]).all()
    for i in range(4):
        m = np.isnan(rows[i])
        mean, covariance = conditional(rows[i])
        np.testing.assert_allclose(draws[:, i, m].mean(0), mean, atol=0.1)
        np.testing.assert_allclose(np.atleast_2d(np.cov(draws[:, i, m].T)), covariance, atol=0.15)


def test_more_draws_are_more_accurate(gaussian):
    model, rows = gaussian
    exact = np.concatenate([conditional(row)[0] for row in rows[:4]])
    error = []
    for n in (10, 20_000):
        filled = model.set_params(n_draws=n).impute(rows[:4])
        error.append(np.abs(filled[np.isnan(rows[:4])] - exact).mean())
    assert error[1] < 0.3 * error[0]


def test_rows_without_observed_cells(gaussian):
    model, _ = gaussian
    nothing = np.full((1, 5), np.nan)
    assert model.score_samples(nothing) == 0
    np.testing.assert_allclose(model.impute(nothing)[0], MU, atol=0.06)


@pytest.mark.parametrize("cls", ESTIMATORS, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("missing_in_training", [False, True])
def test_every_estimator_takes_missing_cells(cls, missing_in_training):
    data = with_missing(X, 0.2)
    draws = {"n_draws": 10} if hasattr(cls, "n_draws") else {}
    model = cls(2, max_epochs=5, random_state=0, **draws).fit(data if missing_in_training else X, Y)
    filled = model.impute(data)
    assert np.isfinite(filled).all()
    assert (filled[~np.isnan(data)] == data[~np.isnan(data)]).all()
    assert np.isfinite(model.transform(data)).all()
    assert np.isfinite(model.score(data))
    assert (np.isnan(model.feature_errors(data)) == np.isnan(data)).all()
    assert (model.impute(X) == X).all()


def test_the_filler_has_no_effect_and_complete_rows_need_no_mask():
    model = VAE(2, max_epochs=3, random_state=0).fit(with_missing(X, 0.2))
    seen = torch.from_numpy((X - model.model_.scaling.shift.numpy()) / model.model_.scaling.scale.numpy()).float()
    mask = torch.from_numpy(~np.isnan(with_missing(X, 0.3, seed=1))).float()
    a, b = (model.model_.q(torch.where(mask == 1, seen, filler), None, mask).mean for filler in (0.0, 7.0))
    assert (a == b).all()
    plain = VAE(2, max_epochs=3, random_state=0).fit(X)
    assert not plain.model_.network.sizes.masked
    masked = plain.model_.q(seen, None, torch.ones_like(seen)).mean
    assert (masked == plain.model_.q(seen).mean).all()


def test_imputation_beats_the_column_mean():
    data = with_missing(X, 0.3)
    missing = np.isnan(data)
    mean_error = ((X - np.nanmean(data, axis=0))[missing] ** 2).mean()
    for model in (
        VAE(2, max_epochs=40, random_state=0),
        ConditionalVAE(2, max_epochs=40, random_state=0),
        DenoisingAutoencoder(corruption="masking", max_epochs=40, random_state=0),
    ):
        filled = model.fit(data, Y).impute(data)
        assert ((X - filled)[missing] ** 2).mean() < 0.5 * mean_error


# ---- the encoder sees the mask of the corruption --------------------------------------------------------------------


class Watched(MLP):
    """A network that records the first input of its encoder."""

    given = None

    def encode(self, x, c=None, mask=None):
        self.given = self.given or (x.detach(), mask)
        return super().encode(x, c, mask)


def terms_and_inputs(batch, corruption, *penalties):
    """Return the terms of a batch in training, and the inputs of the encoder."""
    model = build(4, 3, network=Watched(()), posterior=Point())
    model.network.build(model.network.sizes._replace(masked=True))
    model.double()
    formula = TrainingLoss(model, PenalizedLikelihood(), corruption, penalties)
    with seeded(0):
        terms = formula.train()(batch)
    return terms.values, *model.network.given, model


@pytest.mark.parametrize("has_missing", [False, True])
def test_the_encoder_sees_the_mask_and_the_loss_counts_masked_cells(has_missing):
    x = 1 + normal(6, 4).abs()
    observed = (normal(6, 4, seed=1) > -0.5).double()
    batch = Batch(x, torch.ones(6).double(), mask=observed if has_missing else None)
    terms, seen, mask, model = terms_and_inputs(batch, Masking(0.5, input_mask=True))
    with seeded(0):
        _, kept = Masking(0.5, input_mask=True).corrupt(x)
    observed = observed if has_missing else torch.ones_like(x)
    assert 0 < kept.sum() < kept.numel()
    assert torch.equal(mask, observed * kept)
    assert torch.equal(seen, x * observed * kept)
    cells = model.likelihood.log_prob(model.decode(model.q(seen, None, mask).mean), x)
    torch.testing.assert_close(terms["reconstruction"], -(cells * observed).sum(-1))


def test_without_input_mask_the_encoder_sees_no_mask():
    batch = Batch(1 + normal(6, 4).abs(), torch.ones(6).double())
    _, seen, mask, _ = terms_and_inputs(batch, Masking(0.5))
    assert mask is None
    assert (seen == 0).any()


def test_penalties_use_the_mask_that_the_encoder_sees():
    batch = Batch(1 + normal(6, 4).abs(), torch.ones(6).double())
    terms, _, mask, model = terms_and_inputs(batch, Masking(0.5, input_mask=True), Contraction(method="exact"))
    weight = model.network.encoder[0].weight[:, :4]
    slopes = weight.square().sum(0)  # of a linear encoder; a masked cell has none
    torch.testing.assert_close(terms["contraction"], mask @ slopes)


DIGITS = load_digits().data
SMALL = {"hidden_layer_sizes": (128,), "scaling": "none", "max_epochs": 40, "random_state": 0, "device": "cpu"}


def filled_digits(corruption, train=DIGITS[:1500]):
    """Return a denoiser, and the mean squared error of its guesses of the missing half of other digits' pixels."""
    gaps = with_missing(DIGITS[1500:], 0.5, seed=3)
    model = DenoisingAutoencoder(64, corruption=corruption, **SMALL).fit(train)
    guess, missing = model.impute(gaps), np.isnan(gaps)
    return model, ((guess - DIGITS[1500:])[missing] ** 2).mean()


@pytest.fixture(scope="module")
def input_masked():
    return filled_digits(Masking(0.5, input_mask=True))


def test_input_mask_improves_imputation(input_masked):
    """Without scaling and without the mask, a masked pixel looks black: seeds 0 and 1 gave 9.6 against 11.6."""
    _, error = input_masked
    assert error < 0.9 * filled_digits(Masking(0.5))[1]


def test_with_input_mask_imputation_takes_one_pass(input_masked):
    model, _ = input_masked
    gaps = with_missing(DIGITS[1500:], 0.5, seed=3)
    filled = model.impute(gaps)
    missing = np.isnan(gaps)
    np.testing.assert_array_equal(filled[missing], model.reconstruct(gaps)[missing])
    assert not np.isnan(filled).any()


def test_input_mask_is_saved_and_training_continues(input_masked, tmp_path):
    model, _ = input_masked
    gaps = with_missing(DIGITS[1500:], 0.5, seed=3)
    model.save(tmp_path / "model.safetensors")
    again = isthmus.load(tmp_path / "model.safetensors")
    assert again.corruption == Masking(0.5, input_mask=True)
    assert again.model_.network.sizes.masked
    np.testing.assert_array_equal(again.impute(gaps), model.impute(gaps))
    np.testing.assert_array_equal(again.transform(DIGITS[:9]), model.transform(DIGITS[:9]))
    before = again.impute(gaps)
    again.partial_fit(with_missing(DIGITS[:300], 0.2))  # missing cells in the data, besides those of the corruption
    again.set_params(warm_start=True, max_epochs=1).fit(DIGITS[:300])
    assert np.isfinite(again.impute(gaps)).all()
    assert (again.impute(gaps) != before).any()


def test_input_mask_with_missing_cells(input_masked):
    _, error = input_masked
    _, with_both = filled_digits(Masking(0.5, input_mask=True), with_missing(DIGITS[:1500], 0.2))
    assert error < with_both < 1.3 * error


def test_input_mask_cannot_be_added_by_warm_start():
    model = DenoisingAutoencoder(2, corruption=Masking(0.5), max_epochs=1, random_state=0, warm_start=True).fit(X)
    model.set_params(corruption=Masking(0.5, input_mask=True))
    message = (
        r"input_mask=True\) needs an encoder that sees which cells are masked, and this one was built without: "
        r"fit a new estimator, or set warm_start=False\."
    )
    with pytest.raises(ValueError, match=message):
        model.fit(X)
    model.set_params(warm_start=False).fit(X)
    assert model.model_.network.sizes.masked


@pytest.mark.parametrize("objective", ["penalized_likelihood", "importance_weighted"])
def test_a_vae_takes_input_mask(objective):
    data = with_missing(X, 0.2)
    corruption = Masking(0.3, input_mask=True)
    model = VAE(2, corruption=corruption, objective=objective, max_epochs=5, random_state=0).fit(data)
    assert np.isfinite(model.impute(data)).all()
    assert np.isfinite(model.score_samples(data)).all()
