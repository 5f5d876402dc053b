"""The numbers of a report agree with what they are made of."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

from isthmus import VAE, Autoencoder
from isthmus.assessment._columns import _cramers_v, _marginal, dependencies, marginals, unit_effects
from isthmus.assessment._context import Context
from isthmus.assessment._examine import _affordable
from isthmus.assessment._membership import Membership
from isthmus.assessment._odd import cell_scores, odd_rows, why_at_code
from isthmus.assessment._references import density_references, folds, independent_columns, linear_reconstruction
from isthmus.tables import TableCodec

QUICK = {"hidden_layer_sizes": (), "max_epochs": 5, "random_state": 0}


def rows(n=200, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 1))
    return np.concatenate([z + 0.1 * rng.normal(size=(n, 2)), rng.normal(size=(n, 1))], axis=1)


@pytest.fixture(scope="module")
def context():
    return Context.of(VAE(1, **QUICK).fit(rows()), rows(150, 1), None, 0)


@pytest.fixture(scope="module")
def training(context):
    return Context.of(context.estimator, rows(), None, 0)


def test_folds_score_each_row_once_without_having_seen_it():
    parts = list(folds(20, 0))
    assert sorted(np.concatenate([score for _, score in parts])) == list(range(20))
    assert all(not set(own) & set(score) for own, score in parts)


def test_membership_is_the_area_under_the_curve():
    rng = np.random.default_rng(0)
    training, others = rng.normal(0.5, 1, 300).round(1), rng.normal(0, 1, 200).round(1)
    found = Membership.of(training, others)
    assert found.auc == pytest.approx(roc_auc_score([1] * 300 + [0] * 200, np.r_[training, others]))
    draws = [Membership.of(rng.normal(size=30), rng.normal(size=20)) for _ in range(500)]
    assert np.std([draw.auc for draw in draws]) == pytest.approx(draws[0].chance, rel=0.1)
    assert Membership.of(np.ones(3), np.ones(2)).auc == 0.5


def test_simple_models_are_those_of_scikit_learn(context, training):
    found = {reference.name: reference for reference in density_references(context, training, 1)}
    assert found.keys() == {"PCA", "FactorAnalysis", "GaussianMixture"}
    np.testing.assert_allclose(found["PCA"].scores, PCA(1, random_state=0).fit(rows()).score_samples(context.X))
    crossed = {reference.name: reference for reference in density_references(context, None, 1)}
    own, score = next(iter(folds(150, 0)))
    expected = PCA(1, random_state=0).fit(context.X[own]).score_samples(context.X[score])
    np.testing.assert_allclose(crossed["PCA"].scores[score], expected)


def test_independent_columns_are_normal(context, training):
    expected = stats.norm(rows().mean(axis=0), rows().std(axis=0)).logpdf(context.X).sum(axis=1)
    np.testing.assert_allclose(independent_columns(context, training).scores, expected)


def test_independent_columns_of_a_table_are_in_its_units():
    """Of a table with levels and missing cells, by hand: frequencies, and densities of the codec's normal scores."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"size": np.exp(rng.normal(size=300)), "kind": rng.choice(["a", "b"], 300, p=[0.9, 0.1])})
    table.loc[:9, "size"] = np.nan
    model = VAE(1, **QUICK).fit(table)
    own = Context.of(model, table, None, 0)
    found = independent_columns(own, own).scores
    codec = TableCodec().fit(table)
    matrix, gain = codec.encode(table), codec.log_det(codec.encode(table))
    size = stats.norm(np.nanmean(matrix[:, 0]), np.nanstd(matrix[:, 0])).logpdf(matrix[:, 0]) + gain[:, 0]
    count = (table["kind"] == "b").sum()
    kind = np.where(table["kind"] == "b", np.log((count + 0.5) / 301), np.log((300 - count + 0.5) / 301))
    np.testing.assert_allclose(found, np.nan_to_num(size) + kind)


@pytest.mark.parametrize(
    ("X", "options", "reason"),
    [
        (np.round(10 * rows()), {}, "whole numbers"),
        (np.where(np.arange(3) == 2, 1.5, rows()), {}, "a column is constant"),
        (np.where(np.arange(600).reshape(200, 3) % 7 == 0, np.nan, rows()), {}, "cells are missing"),
        ((rows() > 0).astype(float), {"likelihood": "bernoulli"}, "probabilities of levels or counts"),
    ],
)
def test_models_that_cannot_be_compared_have_a_reason(X, options, reason):
    own = Context.of(VAE(1, **QUICK, **options).fit(X), X, None, 0)
    with pytest.raises(ValueError, match=reason):
        density_references(own, None, 1)


def test_reconstructions_by_pca(context, training):
    found = linear_reconstruction(context, training, 1)
    scale = np.sqrt(np.mean(context.X.var(axis=0)))  # one, as the ranges are similar
    pca = PCA(1).fit((rows() - context.X.mean(axis=0)) / scale)
    points = (context.X - context.X.mean(axis=0)) / scale
    rebuilt = pca.inverse_transform(pca.transform(points))
    assert found.explained == pytest.approx(1 - np.square(points - rebuilt).sum() / np.square(points).sum())
    error = np.square(context.X - context.estimator.reconstruct(context.X)).sum()
    assert found.explained_by_model == pytest.approx(
        1 - error / np.square(context.X - context.X.mean(axis=0)).sum(), abs=1e-6
    )


def test_effects_of_a_linear_decoder_are_its_weights():
    """When a unit goes from its 10 % to its 90 % quantile, each column changes by the weight times the difference."""
    model = Autoencoder(1, **QUICK).fit(rows())
    own = Context.of(model, rows(150, 1), None, 0)
    codes = model.transform(own.X)
    low, high = np.quantile(codes, [0.1, 0.9])
    change = (model.inverse_transform([[high]]) - model.inverse_transform([[low]]))[0]
    found = unit_effects(own, codes)
    np.testing.assert_allclose(found.values[0], change / own.X.std(axis=0), rtol=1e-5)
    assert (found.units, found.columns) == ([0], ["column 0", "column 1", "column 2"])


def test_dependence_is_0_of_independent_and_1_of_equal_columns():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 4, size=(2, 2000)).astype(float)
    assert _cramers_v(a, a) == pytest.approx(1)
    assert _cramers_v(a, 3 - a) == pytest.approx(1)
    assert _cramers_v(a, b) < 0.05
    assert _cramers_v(a, np.full(2000, np.nan)) == _cramers_v(a, np.zeros(2000)) == 0


def test_dependencies_and_distributions_of_samples(context):
    found = dependencies(context, context.X[::-1])
    assert found.rows == pytest.approx(np.array(found.samples))
    assert found.difference == pytest.approx(0)
    assert found.rows[0][1] > 0.7
    assert found.rows[0][2] < 0.2
    shuffled = np.column_stack([context.X[:, 0], context.X[::-1, 1], context.X[:, 2]])
    assert dependencies(context, shuffled).samples[0][1] < 0.2
    moved = marginals(context, np.add(context.X, [0.0, 100.0, 0.0]))
    assert [column.name for column in moved] == ["column 1", "column 0", "column 2"]
    assert moved[0].distance == pytest.approx(1, abs=0.1)
    assert moved[1].distance == 0


def test_rare_levels_are_joined():
    levels = [f"level {k}" for k in range(20)]
    column = np.repeat(np.arange(20.0), np.arange(20, 0, -1))
    found = _marginal("kind", column, column, levels)
    assert (len(found.levels), found.levels[0], found.levels[-1]) == (12, "level 0", "9 others")
    assert sum(found.rows) == pytest.approx(1)
    assert found.distance == 0


def test_odd_cells_are_those_that_were_made_odd(context):
    X = context.X.copy()
    X[7, 1] += 5
    own = Context.of(context.estimator, X, None, 0)
    found = odd_rows(own, context.estimator.score_samples(X), np.arange(150) + 1000)
    assert found[0].row == 1007
    assert found[0].cells[0].column in ("column 0", "column 1")  # they differ, and either could be the odd one
    assert found[0].cells[0].nats < -3
    assert found[0].score == pytest.approx(context.estimator.score_samples(X)[7])


def test_with_many_units_cells_are_scored_at_the_code(context, monkeypatch):
    assert why_at_code(context) is None
    monkeypatch.setattr("isthmus.assessment._odd._MAX_COST", 2)
    assert why_at_code(context) == "log p(x) without each of 3 cells takes too long with 1 latent units"
    _, found = cell_scores(context, np.arange(5))
    np.testing.assert_allclose(found, -context.estimator.feature_errors(context.X[:5]))


def test_fewer_rows_of_models_with_many_units_are_used():
    rows = [_affordable(SimpleNamespace(has_density=True, n_components_=k)) for k in (2, 100, 158, 512, 2000)]
    assert rows == [100_000, 2500, 1001, 100, 100]
    assert _affordable(SimpleNamespace(has_density=False, n_components_=512)) == 100_000
