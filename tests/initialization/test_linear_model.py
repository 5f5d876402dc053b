"""The linear model from which training starts, against scikit-learn and closed forms."""

import pickle

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.decomposition import FactorAnalysis as Reference

from isthmus import VAE, Autoencoder, ConditionalVAE, load
from isthmus.initialization import FactorAnalysis, NormalMixture, fit_linear_model
from isthmus.initialization.factor_analysis import complete, moments
from isthmus.likelihoods import Gaussian
from isthmus.networks import MLP
from isthmus.tables import TableCodec

START = {"max_epochs": 1, "learning_rate": 1e-12, "random_state": 0, "network": MLP(skip=True)}


def standardized(loader):
    X = loader(return_X_y=True)[0]
    return (X - X.mean(0)) / X.std(0)


@pytest.mark.parametrize("n_factors", [1, 3])
def test_factor_analysis_is_as_likely_as_that_of_scikit_learn(n_factors):
    X = standardized(load_wine)
    reference = Reference(n_factors, tol=1e-8, max_iter=5000).fit(X)
    found = FactorAnalysis.fit(*moments(X, np.ones(len(X))), n_factors)
    assert found.log_prob(X).mean() == pytest.approx(reference.score(X), abs=2e-3)
    precision = found.loadings.T @ (found.loadings / found.noise_variance[:, None])
    np.testing.assert_allclose(precision, np.diag(found.signal_to_noise), atol=1e-8)


def test_isotropic_factor_analysis_is_probabilistic_pca():
    X = standardized(load_wine)
    found = FactorAnalysis.fit(*moments(X, np.ones(len(X))), 4, isotropic=True)
    n = len(X)
    reference = PCA(4).fit(X).score(X * np.sqrt((n - 1) / n))  # PCA divides by n - 1
    assert found.log_prob(X).mean() == pytest.approx(reference, abs=0.1)


def test_as_many_factors_as_features_are_a_full_covariance():
    X = standardized(load_diabetes)
    mean, covariance = moments(X, np.ones(len(X)))
    found = FactorAnalysis.fit(mean, covariance, X.shape[1])
    implied = found.loadings @ found.loadings.T + np.diag(found.noise_variance)
    np.testing.assert_allclose(implied, covariance, atol=1e-3)


def test_many_features_are_fitted_by_em():
    rng = np.random.default_rng(0)
    loadings = rng.standard_normal((250, 3))
    X = rng.standard_normal((2000, 3)) @ loadings.T + rng.standard_normal((2000, 250))
    found = FactorAnalysis.fit(*moments(X, np.ones(2000)), 3)
    np.testing.assert_allclose(found.noise_variance, 1, atol=0.25)


def test_missing_cells_are_drawn_from_their_conditional_distribution():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((3000, 1))
    X = z @ np.array([[1.0, 2.0, -1.0]]) + 0.3 * rng.standard_normal((3000, 3))
    holes = np.where(rng.random(X.shape) < 0.3, np.nan, X)
    full = complete(holes, np.ones(3000), 1, rng)
    np.testing.assert_array_equal(full[~np.isnan(holes)], X[~np.isnan(holes)])
    np.testing.assert_allclose(np.cov(full.T), np.cov(X.T), atol=0.15)


def test_weights_count_copies():
    X = standardized(load_iris)
    weight = np.random.default_rng(0).integers(1, 4, len(X))
    a = FactorAnalysis.fit(*moments(X, weight.astype(float)), 2)
    b = FactorAnalysis.fit(*moments(np.repeat(X, weight, axis=0), np.ones(weight.sum())), 2)
    np.testing.assert_allclose(a.noise_variance, b.noise_variance, rtol=1e-6)


def test_a_mixture_of_normals_finds_clusters():
    rng = np.random.default_rng(0)
    centres = np.array([[-3.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    codes = centres[rng.integers(0, 3, 900)] + 0.5 * rng.standard_normal((900, 2))
    found = NormalMixture.fit(codes, np.ones(900), 3, 5.0, 0)
    order = np.argsort(found.means[:, 0])
    np.testing.assert_allclose(found.means[order], centres[[0, 2, 1]], atol=0.15)
    np.testing.assert_allclose(found.covariances, np.tile(0.25 * np.eye(2), (3, 1, 1)), atol=0.06)


def test_held_out_samples_choose_the_mixture():
    rng = np.random.default_rng(0)
    normal = rng.standard_normal((500, 4))
    clusters = normal * 0.3 + 4 * rng.integers(0, 2, (500, 1))
    options = {"n_components": None, "mixture": True, "isotropic": False, "seed": 0}
    assert fit_linear_model(normal, np.ones(500), **options).mixture is None
    assert fit_linear_model(clusters, np.ones(500), **options).mixture is not None


@pytest.mark.parametrize("n_components", [2, None])
def test_the_same_samples_give_the_same_bits(n_components):
    """The other tests rely on it: they keep what was fitted (see tests/conftest.py)."""
    X, state = standardized(load_iris), np.random.get_state()[1].copy()  # noqa: NPY002 - it must not be used
    options = {"n_components": n_components, "mixture": True, "isotropic": False, "seed": 3}
    first, second = (fit_linear_model(X, np.ones(150), **options) for _ in range(2))
    assert pickle.dumps(first) == pickle.dumps(second)
    assert first.mixture is not None
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


# ---- the estimators ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("posterior", ["diagonal_normal", "full_normal"])
@pytest.mark.parametrize("scale", ["feature", "decoder"])
@pytest.mark.parametrize("hidden", [(), (16,)])
def test_a_vae_starts_as_factor_analysis(posterior, scale, hidden):
    X = standardized(load_wine)
    model = VAE(
        3,
        likelihood=Gaussian(scale=scale),
        posterior=posterior,
        hidden_layer_sizes=hidden,
        prior="standard_normal",
        **START,
    ).fit(X)
    reference = FactorAnalysis.fit(*moments(X, np.ones(len(X))), 3)
    np.testing.assert_allclose(model.score_samples(X), reference.log_prob(X), atol=2e-3)  # every draw is the posterior
    np.testing.assert_allclose(model.elbo(X).elbo, reference.log_prob(X), atol=1.0)
    assert model.elbo(X).elbo.mean() == pytest.approx(reference.log_prob(X).mean(), abs=0.05)


def test_units_of_a_mixture_have_the_scale_of_the_data():
    """A step along any unit changes x by the same length, and the density is that of the linear model."""
    X = standardized(load_iris)
    model = VAE(2, likelihood=Gaussian(scale="feature"), prior="auto", **START).fit(X)
    assert model.model_.prior.covariance == "full"
    steps = model.inverse_transform(np.eye(2)) - model.inverse_transform(np.zeros((2, 2)))
    np.testing.assert_allclose(*np.linalg.norm(steps, axis=1), rtol=0.02)
    linear = {"n_components": 2, "mixture": True, "isotropic": False, "seed": 0}
    reference = fit_linear_model(X, np.ones(150), **linear)
    assert model.score(X) == pytest.approx(reference.elbo(X, np.random.default_rng(0)).mean(), abs=0.1)


def test_an_autoencoder_starts_as_pca():
    X = load_wine().data
    X = (X - X.mean(0)) / X.std(0)
    model = Autoencoder(4, **START).fit(X)
    pca = PCA(4).fit(X)
    error = ((X - pca.inverse_transform(pca.transform(X))) ** 2).mean()
    assert ((X - model.reconstruct(X)) ** 2).mean() == pytest.approx(error, rel=1e-3)
    codes, scores = model.transform(X), pca.transform(X)
    slopes = (codes * scores).sum(0) / (scores**2).sum(0)
    np.testing.assert_allclose(codes - codes.mean(0), scores * slopes, atol=0.02)
    np.testing.assert_allclose(np.abs(slopes), np.abs(slopes[0]), rtol=1e-2)  # not whitened
    assert 1.0 <= codes.var(0).mean() < 1.5


def test_a_conditional_vae_starts_at_the_means_of_the_classes():
    X, y = load_iris(return_X_y=True)
    model = ConditionalVAE(1, likelihood=Gaussian(scale="feature"), **START).fit(X, y)
    for label in range(3):
        means = model.sample(20_000, y=label, random_state=0).mean(0)
        np.testing.assert_allclose(means, X[y == label].mean(0), atol=0.03)


def test_sizes_and_prior_are_chosen_and_saved(tmp_path):
    X = load_iris().data
    model = VAE(None, prior="auto", likelihood=Gaussian(scale="feature"), **START).fit(X)
    assert 1 <= model.n_components_ <= 4
    assert model.transform(X).shape == (150, model.n_components_)
    assert model.model_.prior.covariance == "full"
    model.save(tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(again.score_samples(X), model.score_samples(X))
    plain = VAE(model.n_components_, prior="standard_normal", likelihood=Gaussian(scale="feature"), **START).fit(X)
    assert model.score(X) > plain.score(X)


def test_more_units_than_features_and_missing_cells():
    X = load_iris().data.copy()
    X[::7, 1] = np.nan
    model = VAE(6, prior="auto", **START).fit(X)
    assert np.isfinite(model.score_samples(X)).all()


def test_early_stopping_may_end_at_the_start():
    X = load_iris().data
    model = VAE(2, max_epochs=3, learning_rate=3.0, early_stopping=True, random_state=0, network=MLP(skip=True)).fit(X)
    start = VAE(2, **(START | {"early_stopping": True})).fit(X)
    np.testing.assert_allclose(model.score_samples(X), start.score_samples(X), atol=1e-5)


@pytest.fixture(scope="module")
def mixed():
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    group = rng.integers(0, 2, 600)
    x = 4.0 * group + rng.standard_normal(600)
    kind = np.where(rng.random(600) < 0.7, "b", "a")
    return pandas.DataFrame({"x": x, "kind": kind, "y": 0.5 * x + rng.standard_normal(600)}), group


def test_a_mixed_table_starts_from_its_numbers(mixed):
    table, _ = mixed
    model = VAE(scaling=TableCodec(kinds={"kind": "category"}), **START).fit(table)
    drawn = model.sample(5000, random_state=0)
    numbers = ["x", "y"]
    np.testing.assert_allclose(drawn[numbers].cov(), table[numbers].cov(), rtol=0.15)
    assert (drawn["kind"] == "b").mean() == pytest.approx((table["kind"] == "b").mean(), abs=0.03)
    assert model.n_components_ == 3  # one of them for the category
    assert model.model_.prior.covariance == "full"


def test_a_binary_column_starts_as_a_number_with_normal_noise(mixed):
    table, group = mixed
    model = VAE(**START).fit(table[["x", "y"]].assign(group=group == 1))
    drawn = model.sample(5000, random_state=0)
    assert drawn["group"].mean() == pytest.approx(group.mean(), abs=0.03)
    difference = drawn["x"][drawn["group"]].mean() - drawn["x"][~drawn["group"]].mean()
    assert difference == pytest.approx(4.0, abs=0.4)


def test_few_missing_cells_leave_all_samples_to_the_linear_model():
    X = np.random.default_rng(0).standard_normal((3000, 3))
    X[0, 0] = np.nan
    found = fit_linear_model(X, np.ones(3000), n_components=1, mixture=False, isotropic=False, seed=0)
    np.testing.assert_allclose(found.factors.mean, np.nanmean(X, axis=0), atol=2e-3)


def test_a_conditional_vae_of_a_mixed_table_starts_at_the_means_of_the_classes(mixed):
    table, group = mixed
    model = ConditionalVAE(2, prior="standard_normal", **START).fit(table, group)
    for label in (0, 1):
        found = model.sample(4000, y=label, random_state=0)[["x", "y"]].mean()
        np.testing.assert_allclose(found, table[group == label][["x", "y"]].mean(), atol=0.4)
