"""Fits with every likelihood, and mixed likelihoods of tables."""

import json

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.datasets import load_iris

import isthmus
from isthmus import VAE, ContractiveAutoencoder, DenoisingAutoencoder, serialization
from isthmus.likelihoods import (
    Bernoulli,
    Categorical,
    DiscretizedLogistic,
    Gaussian,
    Laplace,
    Mixed,
    Poisson,
    ZeroInflatedNegativeBinomial,
)
from isthmus.networks import MLP
from isthmus.scaling import NoScaling, PerColumn, Standard
from isthmus.training import Trainer
from models import build, build_part, normal


def with_missing(X, share=0.2, seed=1):
    return np.where(np.random.default_rng(seed).random(X.shape) < share, np.nan, X)


# ---- mixed columns ------------------------------------------------------------------------------------------------

KINDS = Mixed(
    (Gaussian("feature"), "bernoulli", Categorical(), "poisson"),
    ((4, 0), (1,), (2, 5), (3,)),
)


def table(n=200, unit=1.0, seed=0):
    """Return two numbers, a flag, a count and two categories, all dependent; columns 0 and 4 in the given unit."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 3, n)
    z = rng.standard_normal(n)
    return np.column_stack(
        [
            unit * (50 + 10 * z + rng.standard_normal(n)),
            group == 1,
            group,
            rng.poisson(np.exp(1 + z)),
            unit * (3 * z + group + 0.3 * rng.standard_normal(n)),
            (group + (rng.random(n) < 0.1)) % 2,
        ]
    ).astype(float)


def test_mixed_is_the_sum_of_its_parts():
    p = KINDS.clone()
    x = torch.from_numpy(table())
    p.set_from_data(x)
    assert p.parts == (Gaussian("feature"), Bernoulli(), Categorical((3, 2)), Poisson())
    p = build_part(p, 6)
    h = normal(200, p.n_outputs)
    assert p.n_outputs == 2 + 1 + 5 + 1
    value, done = p.log_prob(h, x), 0
    for part, columns in zip(p.members, p.columns, strict=True):
        mine = h[:, done : done + part.n_outputs]
        done += part.n_outputs
        index = list(columns)
        torch.testing.assert_close(value[:, index], part.log_prob(mine, x[:, index]))
        torch.testing.assert_close(p.mean(h)[:, index], part.mean(mine))
        weight = torch.full((5, 40), 0.2).double()
        average = p.mixture_mean(h.reshape(5, 40, -1), weight)[:, index]
        torch.testing.assert_close(average, part.mixture_mean(mine.reshape(5, 40, -1), weight))
    assert p.supports(p.sample(h)).all()
    assert p.density_columns().tolist() == [True, False, False, False, True, False]
    assert not p.density
    assert p.for_column(5) is p.members[2]
    start = p.initial_output(x.mean(0))
    torch.testing.assert_close(p.mean(start)[[0, 1, 3, 4]], x.mean(0)[[0, 1, 3, 4]], rtol=1e-5, atol=1e-5)


def test_mixed_by_column():
    shared, own = Gaussian(), Gaussian()
    p = Mixed.by_column(["poisson", shared, own, "poisson", shared])
    assert p == Mixed(("poisson", shared, own), ((0, 3), (1, 4), (2,)))
    decoded = serialization.decode(json.loads(json.dumps(serialization.encode(p))))
    assert decoded == p == p.clone()
    assert decoded != Mixed(("poisson", Laplace(), own), p.columns)
    assert eval(repr(p)) == p
    assert p.clone().parts[1] is not shared


def test_mixed_scales_each_column_as_its_likelihood_does():
    scaling = KINDS.default_scaling
    assert scaling == PerColumn(("standard", "min_max", "none", "none"), KINDS.columns)
    x = torch.from_numpy(table())
    scaling.build(6)
    scaling.set_from_data(x, torch.ones(200))
    own = Standard()
    own.build(2)
    own.set_from_data(x[:, [4, 0]], torch.ones(200))
    torch.testing.assert_close(scaling(x)[:, [4, 0]], own(x[:, [4, 0]]))
    torch.testing.assert_close(scaling(x)[:, [1, 2, 3, 5]], x[:, [1, 2, 3, 5]])
    likelihood = Mixed(("poisson", "gaussian"), ((0,), (1, 2)))
    model = build(3, likelihood=likelihood, scaling=PerColumn((Standard(), NoScaling()), ((0, 1), (2,))))
    model.scaling.set_from_data(5 * normal(20, 3), torch.ones(20))
    log_det = model.scaling.log_det()
    assert (log_det != 0).tolist() == [True, True, False]
    torch.testing.assert_close(model.log_det(), torch.tensor([0.0, float(log_det[1]), 0.0]).double())


# ---- whole fits ---------------------------------------------------------------------------------------------------


def check_fit(model, X, tmp_path):
    """Check scores, samples, imputations and saving of a fit; return the imputation of every fifth cell."""
    model.fit(X)
    score, drawn, incomplete = model.score_samples(X[:60]), model.sample(300, random_state=0), with_missing(X)
    support = model.model_.likelihood.supports(model.model_.scaling(torch.from_numpy(drawn)))
    assert np.isfinite(score).all()
    assert support.all()
    filled = model.impute(incomplete)
    assert np.isfinite(filled).all()
    assert (filled[~np.isnan(incomplete)] == X[~np.isnan(incomplete)]).all()
    assert np.isfinite(model.sample_imputations(incomplete[:60], 2, random_state=0)).all()
    assert (np.isnan(model.feature_errors(incomplete)) == np.isnan(incomplete)).all()
    model.save(tmp_path / "m.safetensors")
    again = isthmus.load(tmp_path / "m.safetensors")
    assert again.likelihood == model.likelihood
    assert (again.score_samples(incomplete[:60]) == model.score_samples(incomplete[:60])).all()
    assert (again.sample(3, random_state=0) == model.sample(3, random_state=0)).all()
    return filled


def error(guess, X, columns=slice(None)):
    """Return the error of imputed cells, in standard deviations of their columns: about 1 for the means."""
    cells = ((guess - X) / X.std(0))[:, columns]
    return np.sqrt((cells[np.isnan(with_missing(X))[:, columns]] ** 2).mean())


@pytest.mark.filterwarnings("ignore:Imputations of")  # of a few rows, with four units and short training
@pytest.mark.parametrize(
    "likelihood",
    [
        "poisson",
        "negative_binomial",
        "zero_inflated_poisson",
        ZeroInflatedNegativeBinomial("decoder"),
        "discretized_logistic",
        "laplace",
        "student_t",
    ],
    ids=str,
)
def test_digits(likelihood, digits, tmp_path):
    X = digits[:, digits.std(0) > 1]
    steps = {"max_epochs": 40, "batch_size": 128, "learning_rate": 3e-3}
    model = VAE(4, likelihood=likelihood, **steps, random_state=0, n_draws=20)
    filled = check_fit(model, X, tmp_path)
    assert error(filled, X) < 0.9 * error(X.mean(0), X)
    if likelihood == "discretized_logistic":
        assert model.model_.likelihood.n_levels == 17
        assert model.likelihood == "discretized_logistic"
        # p(x) is a probability: at most 1, and better than a uniform one over the levels
        assert -X.shape[1] * np.log(17) < model.score(X) < 0


@pytest.mark.parametrize("dispersion", [0.0, 0.5])
def test_log_p_of_held_out_counts_is_near_the_truth(dispersion):
    """The counts are drawn from a known model, which gives the log-probability of the test rows."""
    rng = np.random.default_rng(0)
    weight, bias = np.array([[0.5, -0.5, 0.3, 0.2]]), np.array([[0.5, 1.0, 2.0, 5.0]])
    rate = np.exp(bias + rng.standard_normal((1500, 1)) * weight)
    if dispersion:
        rate = rate * rng.gamma(1 / dispersion, dispersion, rate.shape)
    X = rng.poisson(rate).astype(float)
    train, test = X[:1000], X[1000:]

    def log_px(z):
        rate = np.exp(bias + z * weight)
        if dispersion:
            return stats.nbinom.logpmf(test, 1 / dispersion, 1 / (1 + dispersion * rate)).sum(1)
        return stats.poisson.logpmf(test, rate).sum(1)

    nodes = stats.norm.ppf((np.arange(400) + 0.5) / 400)
    truth = np.log(np.mean([np.exp(log_px(z)) for z in nodes], axis=0)).mean()
    likelihood = "negative_binomial" if dispersion else "poisson"
    model = VAE(1, likelihood=likelihood, max_epochs=15, random_state=0).fit(train)
    assert truth - 0.1 < model.score(test) < truth + 0.02
    if dispersion:
        poisson = VAE(1, likelihood="poisson", max_epochs=5, random_state=0).fit(train)
        assert poisson.score(test) < truth - 1, "another family is told by its log-probability"


def test_student_t_is_robust_to_an_outlier():
    X = load_iris().data.copy()
    X[7, 1] = 300.0
    clean = np.ones(X.shape, bool)
    clean[7, 1] = False
    errors = {}
    for name in ("gaussian", "student_t"):
        model = VAE(
            2,
            likelihood=name,
            network=MLP(activation="elu", skip=False),
            max_epochs=80,
            batch_size=128,
            learning_rate=3e-3,
            random_state=0,
        ).fit(X)
        errors[name] = np.abs(model.reconstruct(X) - X)[clean].mean()
    assert errors["student_t"] < 0.8 * errors["gaussian"]
    assert model.feature_errors(X).argmax() == 7 * 4 + 1


def test_mixed_table(tmp_path):
    X = table()
    model = VAE(2, likelihood=KINDS, max_epochs=50, random_state=0, n_draws=50)
    filled = check_fit(model, X, tmp_path)
    assert model.likelihood == KINDS, "what the user passed is never changed"
    assert model.model_.likelihood.parts[2] == Categorical((3, 2))
    categories = np.isnan(with_missing(X)) & np.isin(np.arange(6), (2, 5))
    assert (filled == X)[categories].mean() > 0.7  # 0.5 for the most frequent level
    assert error(filled, X, [0, 4]) < 0.8
    drawn = model.sample(2000, random_state=0)
    assert (np.abs(drawn.mean(0) - X.mean(0)) < 0.25 * X.std(0)).all()
    assert set(drawn[:, 2]) == {0, 1, 2}
    assert ((drawn[:, 2] == 1) == drawn[:, 1]).mean() > 0.8, "the group decides the flag, and a draw knows it"


def test_mixed_table_with_missing_cells():
    X, incomplete = table(), with_missing(table())
    model = VAE(2, likelihood=KINDS, max_epochs=50, random_state=0, n_draws=20).fit(incomplete)
    filled = model.impute(incomplete)
    assert np.isfinite(model.score_samples(incomplete)).all()
    categories = np.isnan(incomplete) & np.isin(np.arange(6), (2, 5))
    assert (filled == X)[categories].mean() > 0.6  # 0.5 for the most frequent level
    assert error(filled, X, [0, 4]) < 0.5
    assert set(filled[:, 2]) == {0, 1, 2}
    assert (filled[:, 3] >= 0).all()


def test_units_of_a_table_change_log_p_by_their_logarithm():
    errors, histories = [], []
    for unit in (1.0, 1024.0):
        X = table(unit=unit)
        model = VAE(2, likelihood=KINDS, max_epochs=3, random_state=0, trainer=Trainer(precision="float64")).fit(X)
        errors.append(model.feature_errors(X))
        histories.append([record["loss"] for record in model.history_])
    assert histories[0] == histories[1]
    shift = np.broadcast_to(np.log(1024) * np.array([1, 0, 0, 0, 1, 0]), X.shape)
    np.testing.assert_allclose(errors[1] - errors[0], shift, atol=1e-9)


def test_other_estimators_take_counts():
    X = np.random.default_rng(0).poisson(np.exp(3 * np.random.default_rng(1).random((60, 5)))).astype(float)
    for model in (
        DenoisingAutoencoder(2, likelihood="poisson", max_epochs=2, random_state=0),
        ContractiveAutoencoder(2, likelihood="negative_binomial", max_epochs=2, random_state=0),
    ):
        assert np.isfinite(model.fit(X).score(X))
        assert np.isfinite(model.impute(with_missing(X))).all()
    model = VAE(2, likelihood="negative_binomial", max_epochs=2, random_state=0).fit(np.append(X, 1e6 * X, axis=0))
    assert np.isfinite(model.score_samples(1e6 * X)).all()


@pytest.mark.parametrize(
    ("likelihood", "value", "message"),
    [
        ("poisson", 1.5, r"Poisson\(\) takes only values that are whole numbers of at least 0"),
        ("negative_binomial", -1.0, "whole numbers of at least 0.*'gaussian' takes any number"),
        (DiscretizedLogistic(n_levels=9), 9.0, "that are whole numbers from 0 to n_levels - 1"),
        (Mixed(("gaussian", "poisson"), ((0, 1), (2, 3))), 1.5, "column 2, and likelihood"),
    ],
)
def test_cells_outside_the_support(likelihood, value, message):
    X = np.random.default_rng(0).integers(0, 9, (30, 4)).astype(float)
    model = VAE(2, likelihood=likelihood, max_epochs=1, random_state=0).fit(X)
    X[3, 2] = value
    with pytest.raises(ValueError, match=message):
        model.score_samples(X)
    with pytest.raises(ValueError, match=f"X has {value:g} in row 3, column 2.*"):
        VAE(2, likelihood=likelihood, max_epochs=1).fit(X)


def test_columns_that_are_not_in_the_table():
    likelihood = Mixed.by_column(["gaussian", "poisson"])
    with pytest.raises(ValueError, match="each of the 3 columns"):
        VAE(2, likelihood=likelihood, max_epochs=1).fit(np.ones((5, 3)))
