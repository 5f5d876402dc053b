"""AutoencoderImputer: tables of any form, observed cells, draws, indicators, and the conventions of scikit-learn."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from isthmus import VAE, Autoencoder, AutoencoderImputer, ConditionalVAE, load, serialization
from mixed_tables import every_dtype

SMALL = VAE(2, max_epochs=3, n_draws=20)


@parametrize_with_checks(
    [
        AutoencoderImputer(SMALL, sample_posterior=True, add_indicator=True),
        AutoencoderImputer(Autoencoder(2, max_epochs=3)),
    ]
)
def test_sklearn_check(estimator, check):
    check(estimator)


def animals(n=200, missing=0.3):
    rng = np.random.default_rng(0)
    kind = rng.choice(["cat", "dog"], n)
    weight = np.where(kind == "cat", 4.0, 20.0) * rng.lognormal(0, 0.1, n)
    table = pd.DataFrame({"kind": kind, "weight": weight.round(2), "legs": pd.array(rng.integers(3, 5, n), "Int64")})
    for name in table:
        table.loc[rng.random(n) < missing, name] = None
    return table


@pytest.fixture(scope="module")
def table():
    return animals()


@pytest.fixture(scope="module")
def imputer(table):
    return AutoencoderImputer(VAE(2, max_epochs=40), add_indicator=True, random_state=0).fit(table)


def test_the_default_is_a_vae_of_the_same_seed():
    X = load_iris().data[::8].copy()
    X[::3, 1] = np.nan
    imputer = AutoencoderImputer(random_state=0).fit(X)
    assert isinstance(imputer.estimator_, VAE)
    assert np.array_equal(imputer.transform(X), VAE(random_state=0).fit(X).impute(X))


def test_every_dtype_comes_back_with_its_observed_cells():
    table = every_dtype()
    imputer = AutoencoderImputer(VAE(2, max_epochs=2), random_state=0).fit(table)
    completed = imputer.transform(table)
    assert completed.dtypes.equals(table.dtypes)
    assert not completed.isna().any(axis=None)
    for name in table:
        seen = table[name].notna()
        assert completed[name][seen].equals(table[name][seen]), name


def test_missing_cells_follow_from_the_others(table, imputer):
    new = pd.DataFrame({"kind": [None, "dog"], "weight": [4.1, None], "legs": pd.array([4, None], "Int64")})
    completed = imputer.transform(new)
    assert completed["kind"].tolist() == ["cat", "dog"]
    assert 15 < completed["weight"][1] < 25
    assert completed["legs"].dtype == "Int64"


def test_columns_are_found_by_name(table, imputer):
    other_order = imputer.transform(table[["weight", "legs", "kind"]])
    pd.testing.assert_frame_equal(other_order, imputer.transform(table))
    with pytest.raises(ValueError, match="X lacks 'legs'"):
        imputer.transform(table[["weight", "kind"]])
    with pytest.raises(ValueError, match="has 'age', which fit did not see"):
        imputer.transform(table.assign(age=1))


def test_whole_numbers_in_another_order():
    table = pd.DataFrame({"a": pd.array([1, 2, None, 4] * 20, "Int64"), "b": [1.0, None, 5, 4] * 20})
    imputer = AutoencoderImputer(SMALL, random_state=0).fit(table)
    pd.testing.assert_frame_equal(imputer.transform(table[["b", "a"]]), imputer.transform(table))


def test_floats_in_another_order_are_an_error_as_in_scikit_learn():
    table = pd.DataFrame(load_iris().data / 3, columns=list("abcd"))  # rounded floats may come in any order
    with pytest.raises(ValueError, match="must be in the same order"):
        AutoencoderImputer(SMALL).fit(table).transform(table[list("dcba")])


def test_unseen_levels_are_returned(imputer):
    new = pd.DataFrame({"kind": ["bird"], "weight": [None], "legs": pd.array([4], "Int64")}).astype({"weight": float})
    with pytest.warns(UserWarning, match="level 'bird'"):
        completed = imputer.transform(new)
    assert completed.loc[0, "kind"] == "bird"
    assert completed.loc[0, "weight"] > 0


def to_dicts(table):
    return table.astype(object).where(table.notna(), None).to_dict("records")


@pytest.mark.parametrize("library", ["polars", "pyarrow", "dicts"])
def test_each_library(table, library):
    make = {"polars": pl.from_pandas, "pyarrow": lambda t: pa.Table.from_pandas(t, preserve_index=False)}
    X = make.get(library, to_dicts)(table)
    imputer = AutoencoderImputer(SMALL, add_indicator=True, random_state=0).fit(X)
    completed = imputer.transform(X)
    assert type(completed) is type(X)
    back = pd.DataFrame(completed) if library == "dicts" else completed.to_pandas()
    assert (
        list(back) == [*table, *(f"missingindicator_{name}" for name in table)] == list(imputer.get_feature_names_out())
    )
    assert not back.isna().any(axis=None)
    for name in table:
        assert back[f"missingindicator_{name}"].tolist() == table[name].isna().tolist()
        assert back[name][table[name].notna()].tolist() == table[name].dropna().tolist()
    other = [dict(reversed(row.items())) for row in X] if library == "dicts" else X.select(list(table)[::-1])
    again = imputer.transform(other)
    assert again == completed if library == "dicts" else again.equals(completed)


def test_polars_nan_and_null_are_both_missing():
    X = pl.DataFrame({"a": [1.0, float("nan"), None, 2.5] * 10, "b": ["x", "y", "x", None] * 10}, strict=False)
    completed = AutoencoderImputer(SMALL, add_indicator=True, random_state=0).fit_transform(X)
    assert np.isfinite(completed["a"].to_numpy()).all()
    assert completed["missingindicator_a"].to_list() == [False, True, True, False] * 10


def test_draws(table, imputer):
    copies = imputer.sample_imputations(table)
    assert len(copies) == imputer.n_imputations == 5
    again = imputer.sample_imputations(table, 2)
    assert imputer.sample_imputations(table, 2)[1].equals(again[1])  # the same call, the same numbers
    assert not imputer.sample_imputations(table, 2, random_state=1)[1].equals(again[1])
    gone = table["weight"].isna() & table["kind"].isna()
    assert (copies[0]["weight"] != copies[1]["weight"])[gone].any()
    assert (copies[0]["weight"] == copies[1]["weight"])[table["weight"].notna()].all()
    drawn = AutoencoderImputer(FrozenEstimator(imputer.estimator_), sample_posterior=True, random_state=0).fit(table)
    assert drawn.transform(table).equals(drawn.transform(table))
    assert not drawn.transform(table).equals(imputer.transform(table)[list(table)])
    assert drawn.transform(table).equals(drawn.sample_imputations(table, 1)[0])


def test_draws_of_arrays_and_float_frames():
    X = load_iris().data.copy()
    X[::3, 1] = np.nan
    imputer = AutoencoderImputer(SMALL, random_state=0).fit(X)
    copies = imputer.sample_imputations(X, 3)
    assert [copy.shape for copy in copies] == [X.shape] * 3
    assert np.array_equal(copies[0][~np.isnan(X)], X[~np.isnan(X)])
    frame = pd.DataFrame(X, columns=list("abcd"), index=range(5, 155))
    copy = AutoencoderImputer(SMALL, random_state=0).fit(frame).sample_imputations(frame, 1)[0]
    assert copy.index.equals(frame.index)
    assert not copy.isna().any(axis=None)


def test_set_output_and_a_pipeline(table, imputer):
    framed = clone(imputer).set_params(estimator=FrozenEstimator(imputer.estimator_)).fit(table)
    assert isinstance(framed.set_output(transform="polars").transform(table), pl.DataFrame)
    pd.testing.assert_frame_equal(framed.set_output(transform="pandas").transform(table), imputer.transform(table))
    X, y = load_iris(return_X_y=True)
    X[::4, 2] = np.nan
    named = AutoencoderImputer(SMALL, add_indicator=True).set_output(transform="pandas").fit_transform(X)
    assert list(named) == ["x0", "x1", "x2", "x3", "missingindicator_x2"]
    pipeline = make_pipeline(AutoencoderImputer(SMALL, random_state=0), LogisticRegression(max_iter=1000))
    search = GridSearchCV(pipeline, {"autoencoderimputer__estimator__n_components": [1, 2]}, cv=2).fit(X, y)
    assert search.best_score_ > 0.8


def test_a_saved_autoencoder_serves_again(table, imputer, tmp_path):
    imputer.estimator_.save(tmp_path / "model.safetensors")
    frozen = FrozenEstimator(load(tmp_path / "model.safetensors"))
    again = AutoencoderImputer(frozen, add_indicator=True).fit(table)
    pd.testing.assert_frame_equal(again.transform(table), imputer.transform(table))


def test_a_saved_imputer_is_the_same(table, imputer, tmp_path):
    frozen = AutoencoderImputer(FrozenEstimator(imputer.estimator_), sample_posterior=True, random_state=3).fit(table)
    for own in (imputer, frozen):
        own.save(tmp_path / "imputer.safetensors")
        again = load(tmp_path / "imputer.safetensors")
        pd.testing.assert_frame_equal(again.transform(table), own.transform(table))
        assert all(map(pd.DataFrame.equals, again.sample_imputations(table, 2), own.sample_imputations(table, 2)))
        assert list(again.get_feature_names_out()) == list(own.get_feature_names_out())
    assert isinstance(again.estimator, FrozenEstimator)


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("state", {"seed": -1, "indicator_features": []}),
        ("state", {"seed": 0, "indicator_features": [3]}),
        ("state", {"seed": 0, "indicator_features": [1, 0]}),
        ("fields", {"sample_posterior": 1, "n_imputations": 5, "add_indicator": True, "random_state": 0}),
        ("fields", {"sample_posterior": True, "n_imputations": 0, "add_indicator": True, "random_state": 0}),
    ],
)
def test_a_file_that_says_what_no_imputer_has(imputer, tmp_path, entry, value):
    path = tmp_path / "imputer.safetensors"
    imputer.save(path)
    description, tensors = serialization.read(path)
    serialization.write(path, description | {entry: value}, tensors, kind="meta_estimator")
    with pytest.raises(serialization.FileError, match="its description has no valid"):
        load(path)


def test_labels_reach_a_conditional_vae():
    X, y = load_iris(return_X_y=True)
    X[::4, 2] = np.nan
    imputer = AutoencoderImputer(ConditionalVAE(2, max_epochs=3), random_state=0).fit(X, y)
    assert not np.isnan(imputer.transform(X)).any()


def test_refit_forgets_names(table):
    imputer = AutoencoderImputer(SMALL, add_indicator=True).fit(table)
    imputer.fit(load_iris().data)
    assert not hasattr(imputer, "feature_names_in_")
    assert imputer.transform(load_iris().data).shape == (150, 4)


@pytest.mark.parametrize(
    ("imputer", "error", "message"),
    [
        (AutoencoderImputer(3), TypeError, r"estimator=3 has no method impute: pass an estimator of isthmus"),
        (AutoencoderImputer(LogisticRegression()), TypeError, "has no method impute"),
        (AutoencoderImputer(Autoencoder(), sample_posterior=True), TypeError, "has no method sample_imputations"),
        (AutoencoderImputer(n_imputations=0), ValueError, "n_imputations=0 must be a whole number of at least 1"),
    ],
)
def test_bad_parameters(imputer, error, message):
    with pytest.raises(error, match=message):
        imputer.fit(load_iris().data)


def test_a_deterministic_autoencoder_has_nothing_to_draw_from():
    X = load_iris().data
    imputer = AutoencoderImputer(Autoencoder(2, max_epochs=2)).fit(X)
    with pytest.raises(TypeError, match=r"has no p\(x\) to draw missing values from: use a VAE"):
        imputer.sample_imputations(X)
