"""Imputed cells of a table: the least-squares answer in the units of the table, not that of its normal scores."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import ndtr

from isthmus import VAE
from isthmus.likelihoods import Categorical, Gaussian, Mixed, StudentT
from isthmus.tables import CategoryColumn, NumberColumn, TableCodec


def column_of(values, **options):
    return TableCodec(**options).fit(pd.DataFrame({"x": values, "text": ["a", "b"] * (len(values) // 2)})).columns[0]


@pytest.fixture(scope="module")
def skewed():
    rng = np.random.default_rng(0)
    z = rng.normal(size=400)
    table = pd.DataFrame(
        {
            "income": np.exp(z + 0.8 * rng.normal(size=400)).round(3),
            "visits": rng.poisson(np.exp(0.4 * z + 3)),
            "claims": np.where(rng.random(400) < ndtr(-z), 0.0, np.exp(rng.normal(size=400) + 2).round(2)),
            "rooms": rng.choice([1, 2, 3, 9], p=[0.5, 0.2, 0.2, 0.1], size=400),
            "sex": rng.choice(["f", "m"], size=400),
        }
    ).astype({"visits": "Int64", "rooms": "Int64"})
    holes = table.mask(rng.random(table.shape) < 0.3)
    return table, holes, VAE(2, max_epochs=15, random_state=0, n_draws=300).fit(holes)


# ---- columns --------------------------------------------------------------------------------------------------------


def test_the_mean_of_a_skewed_column_is_that_of_its_numbers():
    column = column_of(np.exp(np.random.default_rng(0).normal(size=4000)))
    centre = np.array([[-1.0, 0.0, 1.5], [0.0, 0.0, -2.0]])
    weight = np.array([[0.5, 1.0, 0.75], [0.5, 0.0, 0.25]])
    matrix = column.score_of_mean(weight, centre, 0.5)
    assert matrix.shape == (3, 1)
    found = column.decode(matrix)
    draws = centre[..., None] + 0.5 * np.random.default_rng(1).normal(size=(2, 3, 200_000))
    numbers = column.decode(draws.reshape(-1, 1)).reshape(draws.shape).mean(axis=-1)
    np.testing.assert_allclose(found, (weight * numbers).sum(axis=0), rtol=0.01)
    assert found[1] > 1.1 * column.decode(np.zeros((1, 1)))[0]  # the median


def test_the_mean_of_a_normal_column_is_the_mean_of_its_scores():
    column = column_of(np.random.default_rng(0).normal(5, 2, size=500))
    centre = np.array([[-0.7, 0.2]])
    found = column.score_of_mean(np.ones((1, 2)), centre, 0.3)
    np.testing.assert_allclose(found[:, 0], centre[0], atol=1e-3)


def test_frequent_values_belong_to_the_mean():
    rng = np.random.default_rng(0)
    values = np.where(rng.random(1000) < 0.4, 0.0, rng.normal(50, 5, size=1000)).round(2)
    column = column_of(values)
    assert column.spikes == (0.0,)
    levels = np.array([[[0.25, 0.75], [1.0, 0.0]]])
    matrix = column.score_of_mean(np.ones((1, 2)), np.zeros((1, 2)), 0.5, levels)
    assert matrix[:, 0].tolist() == [0.0, 0.0]
    np.testing.assert_allclose(column.decode(matrix), [12.5, 50.0], rtol=0.02)


def test_means_stay_in_the_range_and_on_the_grid():
    column = column_of(np.random.default_rng(0).gamma(0.5, 20, size=1000).round())
    matrix = column.score_of_mean(np.ones((1, 3)), np.array([[-50.0, 0.3, 50.0]]), 0.5)
    low, middle, high = column.decode(matrix)
    assert (low, high) == (column.low, column.high)
    assert middle == round(middle)


def test_the_level_nearest_to_the_mean():
    column = column_of([1, 2, 3, 10] * 25)
    assert isinstance(column, CategoryColumn)
    share = np.array([[0.6, 0.2, 0.1, 0.1], [0.0, 0.0, 0.4, 0.6], [1.0, 0.0, 0.0, 0.0]])  # means 2.3, 7.2, 1
    assert column.level_of_mean(share).tolist() == [1.0, 3.0, 0.0]
    other = column_of([1, 2, 3, 10] * 25, unseen="other")
    assert other.level_of_mean(np.array([[0.3, 0.1, 0.05, 0.05, 0.5]])).tolist() == [1.0]


# ---- models ---------------------------------------------------------------------------------------------------------


def test_imputed_numbers_are_means_of_draws(skewed):
    _, holes, model = skewed
    holes = holes[:150]
    made = model.impute(holes)
    copies = model.sample_imputations(holes, 200, random_state=0)
    for name in ("income", "visits", "claims"):
        gone = holes[name].isna()
        draws = np.stack([copy[name][gone].astype(float) for copy in copies])
        error = (made[name][gone].astype(float) - draws.mean(axis=0)) / (draws.std(axis=0) / np.sqrt(200) + 0.5)
        assert abs(error.mean()) < 0.3
        assert np.abs(error).max() < 6
    assert set(made["rooms"]) <= {1, 2, 3, 9}
    assert made["visits"].dtype == "Int64"


def test_they_have_the_smaller_squared_error(skewed):
    table, holes, model = skewed
    made, median = model.impute(holes), model.reconstruct(holes)
    for name in ("income", "claims"):
        gone = holes[name].isna()
        error, other = (((x[name] - table[name])[gone] ** 2).mean() for x in (made, median))
        assert error < other
    assert made["income"][holes["income"].isna()].mean() > 1.1 * median["income"][holes["income"].isna()].mean()


def test_rows_do_not_depend_on_their_company(skewed):
    _, holes, model = skewed
    made = model.impute(holes)
    order = np.random.default_rng(1).permutation(len(holes))
    pd.testing.assert_frame_equal(model.impute(holes.iloc[order]), made.iloc[order])
    part = holes.iloc[5:9]
    pd.testing.assert_frame_equal(pd.concat([model.impute(part.iloc[[i]]) for i in range(4)]), made.iloc[5:9])


def test_columns_with_a_likelihood_of_their_own_keep_its_mean(skewed):
    _, holes, _ = skewed
    model = VAE(1, max_epochs=2, random_state=0, likelihood={"income": "student_t"}).fit(holes)
    made = model.impute(holes)
    assert made.notna().all().all()
    assert (made["income"] != model.reconstruct(holes)["income"])[holes["income"].isna()].any()


# ---- likelihoods ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "likelihood",
    [
        Gaussian(scale="feature"),
        Gaussian(scale="decoder"),
        Categorical(n_levels=(2, 3, 4)),
        Mixed((Categorical(n_levels=(2, 3)), Gaussian()), ((2, 0), (1,))),
    ],
)
def test_the_marginal_of_a_feature(likelihood):
    likelihood.build(3)
    h = torch.randn(5, 7, likelihood.n_outputs)
    x = torch.tensor([1.0, 0.5, 1.0]) if isinstance(likelihood, Mixed) else torch.ones(3)
    log_prob = likelihood.log_prob(h, x)
    for d in range(3):
        torch.testing.assert_close(likelihood.marginal(h, d).log_prob(x[d]), log_prob[..., d])


def test_a_likelihood_without_marginals_says_so():
    likelihood = StudentT()
    likelihood.build(2)
    with pytest.raises(NotImplementedError):
        likelihood.marginal(torch.zeros(1, 2), 0)


def test_columns_that_are_left_as_they_are_need_no_marginals():
    column = column_of(np.arange(50) ** 2.0, likelihoods={"x": "student_t"})
    assert isinstance(column, NumberColumn)
    assert not column.has_own_mean()
