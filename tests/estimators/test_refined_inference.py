"""Scores and imputations of samples for which q(z|x) is a poor proposal: new rows near a plane, and missing cells."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris

from isthmus import VAE, ConditionalVAE
from isthmus.estimators import _variational as variational
from isthmus.evaluation import _two_stages as two_stages
from isthmus.evaluation.imputation import Completion
from isthmus.likelihoods import Gaussian
from isthmus.networks import MLP

X, Y = load_iris(return_X_y=True)


def holes(X, share, seed=0):
    return np.where(np.random.default_rng(seed).random(X.shape) < share, np.nan, X)


@pytest.fixture(scope="module")
def sheet():
    """Return a VAE of data of rank 2 with little noise, and new rows."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(210, 2)) @ rng.normal(size=(2, 10)) + 1e-3 * rng.normal(size=(210, 10))
    model = VAE(
        2,
        likelihood=Gaussian(scale="shared"),
        prior="standard_normal",
        hidden_layer_sizes=(64, 32),
        network=MLP(activation="elu", skip=False),
        max_epochs=150,
        batch_size=128,
        learning_rate=3e-3,
        random_state=0,
    ).fit(rows[:150])
    return model, rows[150:]


def plainly(monkeypatch, function):
    """Return the result with draws from q(z|x) only."""
    with monkeypatch.context() as patch:
        patch.setattr(two_stages, "_MIN_SHARE", 0.0)
        return function()


def test_scores_of_new_rows(sheet, monkeypatch):
    model, rows = sheet
    score = model.score_samples(rows)
    plain = plainly(monkeypatch, lambda: model.score_samples(rows))
    estimate = model.score_samples_estimate(rows, n_draws=2000)  # no row is unreliable: a warning is an error here
    assert estimate.effective_sample_size.min() >= 500
    assert np.abs(score - estimate.value).max() < 0.3
    assert np.abs(plain - estimate.value).max() > 1


def test_imputations_of_new_rows(sheet):
    """Two units and eight observed cells leave no more error than the noise of the model."""
    model, rows = sheet
    incomplete = holes(rows, 0.2)
    missing = np.isnan(incomplete)
    sigma = float(model.model_.likelihood(torch.zeros(10)).scale[0].detach())
    error = np.sqrt((((model.impute(incomplete) - rows) / model.model_.scaling.scale.numpy())[missing] ** 2).mean())
    assert error < 1.5 * sigma
    draws = model.sample_imputations(incomplete, 200, random_state=0) / model.model_.scaling.scale.numpy()
    spread = draws.std(0)[missing].mean()
    assert sigma < spread < 1.6 * sigma


def test_a_row_scores_alone_as_in_company(sheet):
    model, rows = sheet
    incomplete = np.concatenate([rows[:10], holes(rows[:10], 0.3)])
    for method in (model.score_samples, model.impute):
        whole = method(incomplete)
        alone = np.concatenate([method(incomplete[[i]]) for i in range(20)])
        np.testing.assert_allclose(alone, whole, rtol=1e-7, atol=1e-7)
        np.testing.assert_allclose(method(incomplete[::-1]), whole[::-1], rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("cls", [VAE, ConditionalVAE])
def test_imputation_warns_of_few_effective_draws(cls, monkeypatch):
    model = cls(2, max_epochs=2, random_state=0).fit(X, Y)
    incomplete = X.copy()
    incomplete[3:20, 1] = np.nan
    monkeypatch.setattr(Completion, "effective_sample_size", lambda self: torch.full_like(self.log_w[0], 1.5))
    for method in (model.impute, lambda X: model.sample_imputations(X, 2, random_state=0)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            filled = method(incomplete)
        assert filled.shape[-2:] == X.shape
        assert [w.category for w in caught] == [UserWarning]
        text = str(caught[0].message)
        assert "Imputations of 17 of 150 rows are unreliable (fewer than 3 effective draws)" in text
        assert "rows 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 and 7 more" in text
        assert "n_draws" in text


def test_samples_with_few_effective_draws_get_more(monkeypatch):
    model = VAE(2, max_epochs=10, random_state=0, n_draws=20).fit(X)
    incomplete = np.where(np.random.default_rng(0).random(X.shape) < 0.3, np.nan, X)[:60]
    once, whole = model.impute(incomplete), Completion.effective_sample_size

    def few_at_first(self):
        return whole(self) * torch.where(self.log_w[0] > self.log_w[0].median(), 0.1, 1.0) ** (len(self.log_w) == 20)

    monkeypatch.setattr(Completion, "effective_sample_size", few_at_first)
    more = model.impute(incomplete)
    again = (more != once).any(axis=1)
    assert 10 < again.sum() < 50
    exact = model.set_params(n_draws=2000).impute(incomplete)
    assert np.square(more - exact)[again].sum() < 0.3 * np.square(once - exact)[again].sum()


def test_the_warning_points_at_the_caller(monkeypatch):
    model = VAE(2, max_epochs=1, random_state=0).fit(X)
    monkeypatch.setattr(variational, "_MIN_EFFECTIVE", 1e9)
    monkeypatch.setattr(Completion, "effective_sample_size", lambda self: self.log_w[0] * 0)
    with pytest.warns(UserWarning, match="row 0") as caught:
        model.impute(np.array([[5.0, np.nan, 1.4, 0.2]]))
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="row 0") as caught:
        model.sample_imputations(np.array([[5.0, np.nan, 1.4, 0.2]]), 2)
    assert caught[0].filename == __file__


def test_complete_rows_need_no_draws(monkeypatch):
    model = VAE(2, max_epochs=1, random_state=0).fit(X)
    seen = []
    of = Completion.of.__func__

    def counted(cls, model, x, *rest):
        seen.append(len(x))
        return of(cls, model, x, *rest)

    monkeypatch.setattr(Completion, "of", classmethod(counted))
    incomplete = X.copy()
    incomplete[[5, 80], 2] = np.nan
    filled = model.impute(incomplete)
    assert seen == [2]
    kept = ~np.isnan(incomplete)
    assert (filled[kept] == X[kept]).all()
    assert (model.sample_imputations(X, 2, random_state=0) == X).all()
    assert seen == [2]


def test_codes_of_incomplete_rows_are_the_posterior_mean_of_a_linear_model():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 2)) @ rng.normal(size=(2, 6)) + 0.3 * rng.normal(size=(200, 6))
    fields = {"hidden_layer_sizes": (), "scaling": "none", "likelihood": Gaussian(scale=0.3)}
    model = VAE(2, max_epochs=1, random_state=0, **fields).fit(rows)
    W = model.model_.network.decode(torch.eye(2)) - model.model_.network.decode(torch.zeros(2))
    W, mu = W.detach().double().numpy().T, model.model_.network.output_bias.detach().double().numpy()
    incomplete = holes(rows[:20], 0.4)
    codes = model.transform(incomplete)
    for row, code in zip(incomplete, codes, strict=True):
        o = ~np.isnan(row)
        if not o.all():
            exact = np.linalg.solve(W[o].T @ W[o] + 0.09 * np.eye(2), W[o].T @ (row[o] - mu[o]))
            np.testing.assert_allclose(code, exact, atol=1e-6)
    complete = ~np.isnan(incomplete).any(1)
    np.testing.assert_allclose(codes[complete], model.transform(rows[:20])[complete], atol=1e-12)
    np.testing.assert_allclose(model.reconstruct(incomplete), model.inverse_transform(codes), atol=1e-12)
