"""An assessment agrees with the metrics it is made of, and names what is unreliable."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.neighbors import KNeighborsClassifier

from isthmus import VAE, Autoencoder, ConditionalVAE
from isthmus.assessment import assess
from isthmus.assessment._context import column_scales
from isthmus.assessment._results import Mean
from isthmus.evaluation import Annealing, ais
from isthmus.likelihoods import Gaussian
from models import put_linear, rotation

X, Y = load_iris(return_X_y=True)
TRAIN, TEST, LABELS = X[::2], X[1::2], Y[1::2]
QUICK = {"hidden_layer_sizes": (16,), "max_epochs": 30, "random_state": 0}


@pytest.fixture(scope="module")
def vae():
    return VAE(2, **QUICK).fit(TRAIN)


@pytest.fixture(scope="module")
def found(vae):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ais, "Annealing", lambda: Annealing(30))  # the default takes many seconds
        return assess(vae, TEST, labels=LABELS, n_draws=200, ais=3, impute=0.3)


@pytest.fixture(scope="module")
def ppca():
    """The assessment of a VAE that is probabilistic PCA, with one unused unit of three, on samples of that model."""
    W = rotation(6, seed=2)[:, :3] * [2.0, 1.0, 0.0]
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(1500, 3)) @ W.T + 0.6 * rng.normal(size=(1500, 6))
    model = VAE(3, hidden_layer_sizes=(), likelihood=Gaussian(scale=0.6), scaling="none", max_epochs=1)
    model.set_params(trainer__precision="float64", random_state=0, n_draws=1000).fit(rows)
    covariance = np.linalg.inv(W.T @ W / 0.36 + np.eye(3))
    weight = np.concatenate([covariance @ W.T / 0.36, np.zeros((3, 6))])
    bias = np.concatenate([np.zeros(3), 8 * np.arctanh(0.5 * np.log(np.diag(covariance)) / 8)])
    put_linear(model.model_, weight, bias, W, np.zeros(6))
    return assess(model, rows, n_draws=50, impute=0.3)


def test_likelihood(vae, found):
    part, estimate, bound = found.likelihood, vae.score_samples_estimate(TEST, n_draws=200), vae.elbo(TEST)
    assert part.log_px == pytest.approx((estimate.value.mean(), estimate.value.std(ddof=1) / math.sqrt(75)))
    assert (part.distortion, part.rate) == pytest.approx((bound.reconstruction.mean(), bound.kl.mean()))
    assert part.elbo.mean == pytest.approx(-part.distortion - part.rate)
    assert part.unreliable == estimate.unreliable().tolist()
    assert part.quantity == "log p(x)"


def test_annealing_agrees_with_importance_sampling_on_an_easy_model(found):
    assert len(found.annealing.indices) == 3
    assert abs(found.annealing.difference.mean) < 0.1
    assert abs(found.annealing.bound_gap.mean) < 0.1


def test_reconstruction(vae, found):
    nll, reconstructed = vae.feature_errors(TEST), vae.reconstruct(TEST)
    part = found.reconstruction
    assert part.score.mean == pytest.approx(-nll.sum(axis=1).mean())
    assert part.mse == pytest.approx(np.mean((reconstructed - TEST) ** 2))
    assert part.explained_variance == pytest.approx(
        1 - np.sum((reconstructed - TEST) ** 2) / np.sum((TEST - TEST.mean(0)) ** 2)
    )
    order = np.argsort(-nll.mean(axis=0))
    assert [column.name for column in part.columns] == [f"column {d}" for d in order]
    assert part.columns[0].baseline == pytest.approx(TEST[:, order[0]].std())
    assert part.columns[0].error == pytest.approx(np.sqrt(np.mean((reconstructed - TEST)[:, order[0]] ** 2)))


def test_codes(vae, found):
    codes, right = vae.transform(TEST), 0
    for a, b in ((slice(0, None, 2), slice(1, None, 2)), (slice(1, None, 2), slice(0, None, 2))):
        classifier = KNeighborsClassifier(5).fit(codes[a], LABELS[a])
        right += (classifier.predict(codes[b]) == LABELS[b]).sum()
    assert found.codes.neighbour_accuracy == pytest.approx(right / 75)
    assert found.codes.trustworthiness > 0.9


def test_metrics_of_the_true_model_have_their_known_values(ppca):
    found = ppca
    posterior = 0.36 / (0.36 + np.array([4.0, 1.0, 0.0]))
    assert (found.latent.active_units, found.latent.n_units) == (2, 3)
    assert "Inactive: 2." in found.latent.report
    rate = -0.5 * np.log(posterior)  # on average over the model's own rows
    np.testing.assert_allclose(found.latent.kl_per_unit, rate, atol=0.06)
    assert found.likelihood.rate == pytest.approx(rate.sum(), abs=0.06)
    assert found.latent.mutual_information < rate.sum() + 0.1 < found.latent.mutual_information_upper + 0.2
    assert abs(found.latent.aggregate_mmd) < 0.003
    assert found.likelihood.log_px.mean == pytest.approx(found.likelihood.elbo.mean, abs=0.03)
    assert len(found.likelihood.unreliable) < 5
    samples = found.samples
    assert 0.2 < samples.frechet_distance / samples.frechet_reference < 4
    assert abs(samples.mmd) < 0.003
    assert 0.45 < samples.two_sample_accuracy < 0.55
    assert min(samples.precision, samples.recall) > 0.8
    imputed = found.imputation
    assert 0.46 < imputed.coverage_50 < 0.54  # short of it by how poor q is where cells are missing
    assert 0.86 < imputed.coverage_90 < 0.92
    assert imputed.crps < imputed.rmse < imputed.rmse_of_column_means
    assert imputed.rmse_of_column_means == pytest.approx(1, abs=0.03)


def test_the_same_seed_gives_the_same_numbers(vae, found):
    again = assess(vae, TEST, labels=LABELS, n_draws=200, impute=0.3)
    assert again == found._replace(annealing=None)
    other = assess(vae, TEST, n_draws=200, impute=0.3, seed=1)
    assert other.samples != found.samples
    assert other.imputation != found.imputation
    assert other.codes.neighbour_accuracy is None


def test_progress_names_each_metric(vae):
    names = []
    assess(vae, TEST[:20], n_draws=20, progress=names.append)
    assert names == ["likelihood", "annealing", "latent", "reconstruction", "samples", "codes", "imputation"]


def test_deterministic_models_have_no_likelihood():
    model = Autoencoder(2, **QUICK).fit(TRAIN)
    found = assess(model, TEST, labels=LABELS, impute=0.2)
    assert found.likelihood is found.latent is found.samples is found.annealing is None
    assert found.reconstruction.score.mean == pytest.approx(model.score(TEST))
    assert found.codes.neighbour_accuracy > 0.6
    assert found.imputation.rmse < found.imputation.rmse_of_column_means
    assert found.imputation.crps is found.imputation.coverage_90 is None
    with pytest.raises(ValueError, match="annealing needs a VAE"):
        assess(model, TEST, ais=2)


def test_conditional(monkeypatch):
    monkeypatch.setattr(ais, "Annealing", lambda: Annealing(30))  # the default takes seconds
    model = ConditionalVAE(2, **QUICK).fit(TRAIN, Y[::2])
    given = assess(model, TEST, LABELS, n_draws=100, ais=2, impute=0.2)
    assert given.likelihood.quantity == "log p(x|y)"
    assert given.likelihood.log_px.mean == pytest.approx(
        model.score_samples_estimate(TEST, LABELS, n_draws=100).value.mean()
    )
    marginal = assess(model, TEST, n_draws=100, impute=0.2)
    assert marginal.likelihood.quantity == "log p(x)"
    assert marginal.likelihood.log_px.mean == pytest.approx(
        model.score_samples_estimate(TEST, n_draws=100).value.mean()
    )
    assert given.imputation.rmse != marginal.imputation.rmse
    with pytest.raises(ValueError, match="or a ConditionalVAE with y; ConditionalVAE has"):
        assess(model, TEST, ais=2)


def test_missing_cells_and_few_rows(vae):
    holes = TEST.copy()
    holes[::3, 1] = np.nan
    found = assess(vae, holes, labels=LABELS, n_draws=50, impute=0.2)
    assert (found.n_samples, found.codes.n_samples, found.samples.n_samples) == (75, 50, 50)
    assert found.imputation.n_hidden < 0.25 * 275
    assert all(math.isfinite(column.negative_log_likelihood) for column in found.reconstruction.columns)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one = assess(vae, TEST[:1], n_draws=50)
    assert one.latent is one.samples is one.codes is None
    assert math.isnan(one.likelihood.log_px.standard_error)


def test_a_column_without_any_observed_cell(vae):
    """It has no error, so that it is not listed; warnings are errors here."""
    holes = TEST.copy()
    holes[:, 2] = np.nan
    found = assess(vae, holes, n_draws=50, impute=0.2)
    assert len(found.reconstruction.columns) == 3
    assert math.isfinite(found.reconstruction.mse)
    assert math.isfinite(found.imputation.rmse)
    assert found.samples is found.codes is None


def test_hidden_cells_are_not_passed_to_impute(vae, monkeypatch):
    shown, impute = [], vae.impute
    monkeypatch.setattr(vae, "impute", lambda X: shown.append(X) or impute(X))
    found = assess(vae, TEST, n_draws=50, impute=0.4)
    holes = np.isnan(shown[0])
    assert holes.sum() == found.imputation.n_hidden
    assert 0.3 < holes.mean() < 0.5
    np.testing.assert_array_equal(shown[0][~holes], TEST[~holes])
    error = (impute(shown[0]) - TEST)[holes] / column_scales(TEST)[np.nonzero(holes)[1]]
    assert found.imputation.rmse == pytest.approx(np.sqrt(np.mean(error**2)))


@pytest.mark.parametrize(
    ("options", "words"),
    [({"impute": 1.0}, "impute=1.0 must be a share"), ({"impute": 1e-9}, "impute=1e-09 hides none of the 300 cells")],
)
def test_shares_out_of_range_are_errors(vae, options, words):
    with pytest.raises(ValueError, match=words):
        assess(vae, TEST, n_draws=50, **options)


def test_column_scales():
    assert column_scales(np.array([[0.0, 0.0], [2.0, 2000.0]])).tolist() == [1.0, 1000.0]
    assert column_scales(np.array([[0.0, 0.0], [2.0, 4.0]])).tolist() == pytest.approx([math.sqrt(2.5)] * 2)


def test_a_mean_of_one_value_has_no_standard_error():
    assert Mean.of(np.array([1.0, 3.0])) == (2.0, 1.0)
    assert math.isnan(Mean.of(np.array([1.0])).standard_error)


@pytest.fixture(scope="module")
def table():
    """A model of a table of every kind of column, its assessment, and the held-out rows."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=400)
    rows = pd.DataFrame(
        {
            "size": np.exp(z + 0.1 * rng.normal(size=400)).round(3),
            "paid": np.where(rng.random(400) < 0.4, 0.0, rng.lognormal(size=400)),
            "kind": np.where(z > 0, "large", np.where(z > -1, "middle", "small")),
            "tall": z > 0.5,
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta((30 * z).round(), unit="D"),
            "same": 1.0,
        }
    )
    rows.loc[rng.random(400) < 0.1, ["kind", "size"]] = None
    model = VAE(2, hidden_layer_sizes=(16,), max_epochs=60, random_state=0).fit(rows[:250])
    held_out = rows[250:]
    return model, held_out, assess(model, held_out, labels=held_out["tall"].to_numpy(), n_draws=100, impute=0.3)


def test_a_table_of_any_columns(table):
    model, rows, found = table
    assert found.likelihood.log_px.mean == pytest.approx(model.score_samples_estimate(rows, n_draws=100).value.mean())
    columns = {column.name: column for column in found.reconstruction.columns}
    assert columns.keys() == {"size", "paid", "kind", "tall", "day"}  # nothing is to be learned of the constant
    rebuilt = model.reconstruct(rows)
    assert columns["kind"].kind == "category"
    seen = rows["kind"].notna()
    assert columns["kind"].error == pytest.approx((rebuilt["kind"] != rows["kind"])[seen].mean())
    assert columns["kind"].baseline == pytest.approx(1 - rows["kind"].value_counts(normalize=True).iloc[0])
    days = (rebuilt["day"] - rows["day"]).dt.total_seconds() / 86400
    assert columns["day"].error == pytest.approx(np.sqrt((days**2).mean()))
    assert columns["day"].baseline == pytest.approx(
        (rows["day"] - rows["day"].mean()).dt.total_seconds().std(ddof=0) / 86400
    )
    assert columns["size"].negative_log_likelihood == pytest.approx(np.nanmean(model.feature_errors(rows)["size"]))
    assert columns["paid"].explained < 0.2 < 0.5 * columns["size"].explained
    assert found.reconstruction.mse is None
    assert found.codes.neighbour_accuracy > 0.8
    assert found.samples.n_samples == 150
    assert 0.4 < found.samples.two_sample_accuracy < 0.75
    imputed = found.imputation
    assert imputed.rmse < imputed.rmse_of_column_means
    assert imputed.accuracy > imputed.accuracy_of_most_frequent
    assert 0.6 < imputed.coverage_90 <= 1
    assert imputed.n_levels < imputed.n_hidden


def test_tables_of_any_library_give_the_same(table):
    model, rows, found = table
    pl = pytest.importorskip("polars")
    again = assess(model, pl.from_pandas(rows.reset_index(drop=True)), n_draws=100, impute=0.3)
    assert again.likelihood == found.likelihood
    assert again.imputation.rmse == pytest.approx(found.imputation.rmse)


def test_a_mixture_as_prior_has_divergences_of_its_marginals(vae):
    found = assess(vae, TEST, n_draws=20).latent
    assert type(vae.model_.prior).__name__ == "MixtureOfNormals"
    assert len(found.kl_per_unit) == len(found.activity) == 2
    assert min(found.kl_per_unit) > 0
    assert found.mutual_information_upper <= vae.elbo(TEST).kl.mean() + 1
