"""``VAE.sample(given=...)``: conditional distributions that are known, tables, and bad input."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from isthmus import VAE
from isthmus.priors import MixtureOfNormals

LOADINGS = np.array([[1.0, 0.5, -1.0, 0.2], [0.3, -1.0, 0.5, 1.0]])


@pytest.fixture(scope="module")
def factors():
    rng = np.random.default_rng(0)
    return rng.normal(size=(2000, 2)) @ LOADINGS + 0.3 * rng.normal(size=(2000, 4))


@pytest.fixture(scope="module")
def linear(factors):
    return VAE(2, hidden_layer_sizes=(), prior="standard_normal", max_epochs=5, random_state=0).fit(factors)


def animals(n=600):
    rng = np.random.default_rng(0)
    kind = rng.choice(["cat", "dog", "bird"], n, p=[0.5, 0.4, 0.1])
    weight = pd.Series(kind).map({"cat": 4.0, "dog": 20.0, "bird": 0.1}) * rng.lognormal(0, 0.2, n)
    day = rng.choice(pd.bdate_range("2024-01-01", periods=250), n)
    return pd.DataFrame({"kind": kind, "weight": weight.round(2), "legs": rng.integers(30, 90, n), "day": day})


@pytest.fixture(scope="module")
def model():
    return VAE(3, max_epochs=25, random_state=0).fit(animals())


def test_the_conditional_distribution_of_a_normal_one(factors, linear):
    given, rest = [0, 2], [1, 3]
    drawn = linear.sample(20_000, given={0: 1.5, 2: -1.0}, random_state=0)
    assert (drawn[:, given] == [1.5, -1.0]).all()
    assert 1000 < linear.effective_sample_size_ < 80_000
    covariance, mean = np.cov(factors.T), factors.mean(axis=0)
    slope = np.linalg.solve(covariance[np.ix_(given, given)], covariance[np.ix_(given, rest)]).T
    np.testing.assert_allclose(drawn[:, rest].mean(0), mean[rest] + slope @ ([1.5, -1.0] - mean[given]), atol=0.05)
    left = covariance[np.ix_(rest, rest)] - slope @ covariance[np.ix_(given, rest)]
    np.testing.assert_allclose(np.cov(drawn[:, rest].T), left, atol=0.04)


def test_both_modes_are_drawn_from():
    """Two clusters that share x_0: given x_0, x_1 is in either."""
    rng = np.random.default_rng(0)
    side = rng.choice([-1.0, 1.0], 300)
    X = np.column_stack([rng.normal(size=300), 4 * side + 0.3 * rng.normal(size=300)])
    model = VAE(2, prior=MixtureOfNormals(2), max_epochs=40, random_state=0).fit(X)
    drawn = model.sample(2000, given={0: 0.0}, random_state=0)
    assert (drawn[:, 1] > 0).mean() == pytest.approx((side > 0).mean(), abs=0.12)
    assert np.abs(drawn[:, 1]).mean() == pytest.approx(4, abs=0.5)


def test_the_same_call_gives_the_same_samples(linear):
    first = linear.sample(5, given={1: 0.5}, random_state=3)
    assert np.array_equal(first, linear.sample(5, given={1: 0.5}, random_state=3))
    assert not np.array_equal(first, linear.sample(5, given={1: 0.5}, random_state=4))


def test_a_value_for_each_sample(linear):
    x0 = np.linspace(-2, 2, 200)
    drawn = linear.sample(200, given={0: x0, 1: 0.0}, random_state=0)
    assert np.array_equal(drawn[:, 0], x0)
    assert (drawn[:, 1] == 0).all()
    assert np.corrcoef(drawn[:, 2], x0)[0, 1] < -0.8


def test_tables(model):
    dogs = model.sample(300, given={"kind": "dog"}, random_state=0)
    assert dogs.dtypes.equals(animals().dtypes)
    assert (dogs["kind"] == "dog").all()
    assert 15 < dogs["weight"].median() < 25
    light = model.sample(300, given={"weight": 4.0, "legs": 40}, random_state=0)
    assert (light["weight"] == 4.0).all()
    assert (light["legs"] == 40).all()
    assert (light["kind"] == "cat").mean() > 0.8
    mixed = model.sample(2, given={"kind": ["bird", "dog"], "day": "2024-03-04"}, random_state=0)
    assert mixed["kind"].tolist() == ["bird", "dog"]
    assert (mixed["day"] == pd.Timestamp("2024-03-04")).all()


def test_numbers_beyond_the_training_data_are_kept(model):
    heavy = model.sample(3, given={"kind": "bird", "weight": 500.0}, random_state=0)
    assert (heavy["weight"] == 500.0).all()


def test_a_warning_of_few_effective_draws(linear, monkeypatch):
    monkeypatch.setattr("isthmus.estimators._given._MIN_EFFECTIVE", 990.0)
    with pytest.warns(UserWarning, match=r"come from [\d.]+ effective draws of 1,000: what is given is rare"):
        linear.sample(3, given={0: 1.5}, random_state=0)
    assert 1 < linear.effective_sample_size_ < 990


def test_polars_and_tables_of_numbers():
    table = pl.DataFrame({"kind": ["a", "b"] * 50, "n": list(range(99, -1, -1))})
    drawn = VAE(1, max_epochs=2, random_state=0).fit(table).sample(3, given={"kind": "b"}, random_state=0)
    assert isinstance(drawn, pl.DataFrame)
    assert drawn["kind"].to_list() == ["b"] * 3
    numbers = pd.DataFrame({"a": np.arange(100), "b": np.arange(100) / 7})
    drawn = VAE(1, max_epochs=2, random_state=0).fit(numbers).sample(3, given={"a": 7}, random_state=0)
    assert drawn["a"].tolist() == [7] * 3
    assert drawn.dtypes.equals(numbers.dtypes)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (
            {"kynd": "dog"},
            ValueError,
            "column 'kynd', which the training data did not have. Did you mean 'kind'",
        ),
        ({"kind": "yeti"}, ValueError, "column 'kind' has the level 'yeti', which the training data did not have"),
        ({"weight": None}, ValueError, r"given\['weight'\] has a missing value: leave that column out"),
        ({"weight": "heavy"}, ValueError, "column 'weight' was one of kind 'number' in fit, and now holds levels"),
        ({"legs": 40.5}, ValueError, r"given\['legs'\] is 40.5, and that column has whole numbers"),
        ({"kind": ["cat", "dog"]}, ValueError, "given has 2 values of 'kind' for 3 samples"),
        ({}, ValueError, "given is empty: name at least one column"),
        ("dog", TypeError, "must be a dictionary of values by column"),
    ],
)
def test_bad_input(model, given, error, message):
    with pytest.raises(error, match=message):
        model.sample(3, given=given)


def test_bad_input_of_arrays(linear):
    with pytest.raises(ValueError, match=r"given\[0\] must be numbers, and is 'x'"):
        linear.sample(3, given={0: "x"})
    with pytest.raises(ValueError, match=r"given\[0\] has a value that is missing or infinite"):
        linear.sample(3, given={0: np.inf})
