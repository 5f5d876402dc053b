"""Tables of any columns in estimators: they come back in the form in which they came, and their densities are right."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.integrate import trapezoid
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from isthmus import VAE, Autoencoder, ConditionalVAE, load
from isthmus.likelihoods import EmbeddedCategorical, Gaussian
from isthmus.tables import TableCodec
from mixed_tables import every_dtype

QUICK = {"hidden_layer_sizes": (32,), "max_epochs": 3, "random_state": 0}


def wine_table(n=178):
    """Return wine with a class in words, a whole number, holes, and a date."""
    wine = load_wine(as_frame=True)
    r = np.random.default_rng(0)
    table = wine.data.iloc[:, :5].assign(
        kind=wine.target.map({0: "red", 1: "white", 2: "rose"}),
        proline=wine.data.proline.astype(int),
        tasted=r.choice(pd.date_range("2024-01-01", periods=300), 178),
        sold=r.random(178) < 0.5,
    )
    table.loc[r.random(178) < 0.2, "kind"] = None
    table.loc[r.random(178) < 0.1, "ash"] = None
    return table.iloc[r.permutation(178)[:n]]


@pytest.fixture(scope="module")
def table():
    return wine_table()


@pytest.fixture(scope="module")
def model(table):
    return VAE(3, max_epochs=30, random_state=0).fit(table)


def assert_observed_unchanged(result, given):
    for name in given:
        observed = given[name].notna()
        assert (result[name][observed] == given[name][observed]).all(), name


# ---- there and back -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["reconstruct", "impute"])
def test_rows_come_back_as_they_came(model, table, method):
    result = getattr(model, method)(table)
    assert result.index.equals(table.index)
    pd.testing.assert_series_equal(result.dtypes, table.dtypes)
    assert not result.isna().any().any()
    if method == "impute":
        assert_observed_unchanged(result, table)


def test_samples_look_like_the_table(model, table):
    sample = model.sample(2000, random_state=0)
    pd.testing.assert_series_equal(sample.dtypes, table.dtypes)
    assert not sample.isna().any().any()
    share = table.kind.value_counts(normalize=True)
    drawn = sample.kind.value_counts(normalize=True)
    assert (drawn - share).abs().max() < 0.12
    assert sample.tasted.between(table.tasted.min(), table.tasted.max()).all()
    assert (sample.alcohol == sample.alcohol.round(2)).all()
    assert sample.proline.between(table.proline.min(), table.proline.max()).all()


def test_imputations_are_tables_that_differ_where_cells_are_missing(model, table):
    first, second = model.sample_imputations(table, 2, random_state=0)
    for copy in (first, second):
        assert_observed_unchanged(copy, table)
        assert not copy.isna().any().any()
    assert (first.kind != second.kind).any()
    assert (first.drop(columns=["kind", "ash"]) == second.drop(columns=["kind", "ash"])).all().all()


def test_codes_decode_to_a_table(model, table):
    decoded = model.inverse_transform(model.transform(table))
    pd.testing.assert_frame_equal(decoded, model.reconstruct(table).reset_index(drop=True))
    codes = model.set_output(transform="pandas").transform(table)
    model.set_output(transform="default")
    assert list(codes.columns) == list(model.get_feature_names_out()) == ["vae0", "vae1", "vae2"]
    assert codes.index.equals(table.index)
    assert model.inverse_transform(codes).index.equals(table.index)


def test_a_saved_model_gives_the_same_tables(model, table, tmp_path):
    model.save(tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    assert again.n_features_in_ == model.n_features_in_ == table.shape[1]
    assert list(again.feature_names_in_) == list(table.columns)
    np.testing.assert_array_equal(again.score_samples(table), model.score_samples(table))
    pd.testing.assert_frame_equal(again.sample(50, random_state=0), model.sample(50, random_state=0))
    pd.testing.assert_frame_equal(again.impute(table), model.impute(table))


@pytest.mark.parametrize("library", ["polars", "pyarrow", "dicts"])
def test_other_libraries(table, library):
    if library == "dicts":
        given = table.astype(object).where(table.notna(), None).to_dict("records")
    else:
        given = pytest.importorskip("pyarrow").Table.from_pandas(table, preserve_index=False)
        given = pytest.importorskip("polars").from_arrow(given) if library == "polars" else given
    model = VAE(2, **QUICK).fit(given)
    for result in (model.impute(given), model.reconstruct(given), model.sample(4, random_state=0)):
        assert type(result) is type(given)
        if library != "dicts":
            assert result.schema == given.schema
    assert model.transform(given).shape == (178, 2)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_tables_of_numbers_train_the_model_of_their_array(library):
    r = np.random.default_rng(0)
    frame = pd.DataFrame({"n": r.poisson(30, 100), "x": r.normal(size=100)})
    array = VAE(2, **QUICK).fit(frame.to_numpy())
    given = frame
    if library != "pandas":
        given = pytest.importorskip("pyarrow").Table.from_pandas(frame, preserve_index=False)
        given = pytest.importorskip("polars").from_arrow(given) if library == "polars" else given
    model = VAE(2, **QUICK).fit(given)
    np.testing.assert_array_equal(model.score_samples(given), array.score_samples(frame.to_numpy()))
    sample = model.sample(20, random_state=0)
    assert type(sample) is type(given)
    expected = array.sample(20, random_state=0)
    np.testing.assert_array_equal(np.asarray(sample)[:, 1], expected[:, 1])
    whole = np.clip(expected[:, 0].round(), frame.n.min(), frame.n.max())
    np.testing.assert_array_equal(np.asarray(sample)[:, 0], whole)


def test_whole_numbers_stay_whole(tmp_path):
    r = np.random.default_rng(0)
    frame = pd.DataFrame({"n": r.integers(0, 50, 90), "k": pd.array([1, 2, pd.NA] * 30, dtype="Int64")})
    model = VAE(2, **QUICK).fit(frame)
    model.save(tmp_path / "m.safetensors")
    for each in (model, load(tmp_path / "m.safetensors")):
        for result in (each.sample(10, random_state=0), each.impute(frame), each.reconstruct(frame)):
            assert result.dtypes.astype(str).tolist() == ["int64", "Int64"]


# ---- densities ------------------------------------------------------------------------------------------------------


def test_errors_by_column_add_up(model, table):
    errors = model.feature_errors(table)
    assert list(errors.columns) == list(table.columns)
    np.testing.assert_array_equal(errors.isna(), table.isna())
    np.testing.assert_allclose(errors.sum(axis=1), model.reconstruction_error(table))


def test_a_density_of_numbers_agrees_with_that_of_the_plain_model():
    """Normal columns beside a category that says nothing: log p is that of an array, plus log p of the category."""
    r = np.random.default_rng(0)
    X = r.multivariate_normal([3, -5], [[4, 3], [3, 4]], 1000)
    table = pd.DataFrame(X, columns=["a", "b"]).assign(c=r.choice(["u", "v"], 1000))
    settings = {"max_epochs": 5, "random_state": 0, "likelihood": "gaussian"}
    plain = VAE(1, **settings).fit(X).score(X)
    assert VAE(2, **settings).fit(table).score(table) == pytest.approx(plain - np.log(2), abs=0.1)


def test_a_density_follows_the_units():
    """Numbers in other units shift log p by the logarithm of their ratio, for a column that needs normal scores."""
    r = np.random.default_rng(0)
    table = pd.DataFrame({"x": r.lognormal(size=500), "c": r.choice(["u", "v"], 500)})
    model = VAE(1, **QUICK).fit(table)
    other = VAE(1, **QUICK).fit(table.assign(x=1024 * table.x))  # a power of 2: the scores are the same bits
    shift = model.score_samples(table) - other.score_samples(table.assign(x=1024 * table.x))
    np.testing.assert_allclose(shift, np.log(1024), rtol=1e-9)
    elbo = model.elbo(table)
    np.testing.assert_allclose(elbo.elbo, -elbo.reconstruction - elbo.kl)
    assert (elbo.elbo <= model.score_samples(table) + 0.5).mean() > 0.9
    shift = model.elbo(table).elbo - other.elbo(table.assign(x=1024 * table.x)).elbo
    np.testing.assert_allclose(shift, np.log(1024), rtol=1e-9)


def test_the_density_of_a_table_integrates_to_one():
    r = np.random.default_rng(0)
    x = np.where(r.random(500) < 0.3, 0.0, r.lognormal(size=500))
    table = pd.DataFrame({"x": x, "c": r.choice(["u", "v"], 500)})
    model = VAE(1, max_epochs=5, random_state=0).fit(table)
    grid = np.linspace(-5, 60, 2001)
    total = 0.0
    for level in ("u", "v"):
        total += np.exp(model.score_samples(pd.DataFrame({"x": [0.0], "c": level})))[0]  # a probability
        density = np.exp(model.score_samples(pd.DataFrame({"x": grid + 1e-5, "c": level})))
        total += trapezoid(density, grid)
    assert total == pytest.approx(1, abs=0.03)


def test_missing_cells_are_integrated_out():
    r = np.random.default_rng(0)
    table = pd.DataFrame({"x": r.lognormal(size=300), "c": r.choice(["u", "v"], 300)})
    table.loc[::7, "x"] = None
    model = VAE(1, **QUICK).fit(table)
    nothing = pd.DataFrame({"x": [np.nan], "c": [None]})
    assert model.score_samples(nothing)[0] == pytest.approx(0, abs=1e-9)


def test_samples_have_missing_cells_if_asked(table):
    model = VAE(2, scaling=TableCodec(sample_missing=True), max_epochs=30, random_state=0).fit(table)
    n = 4000
    missing = model.sample(n, random_state=0).isna().mean()
    share = table.isna().mean()
    error = np.sqrt(share * (1 - share) * (1 / len(table) + 1 / n))
    assert ((missing - share).abs() <= 2 * error).all()
    assert not model.impute(table).isna().any().any()


# ---- what can be chosen ---------------------------------------------------------------------------------------------


def test_likelihoods_by_column(table):
    model = VAE(2, likelihood={"proline": "negative_binomial", "ash": "student_t"}, **QUICK).fit(table)
    parts = [type(part).__name__ for part in model.model_.likelihood.parts]
    assert {"NegativeBinomial", "StudentT", "Gaussian", "Categorical"} <= set(parts)
    sample = model.sample(50, random_state=0)
    assert sample.proline.dtype == table.proline.dtype
    again = clone(model)
    assert again.likelihood == model.likelihood
    np.testing.assert_array_equal(again.fit(table).transform(table), model.transform(table))


def test_one_likelihood_is_that_of_all_numbers(table):
    model = VAE(2, likelihood=Gaussian(scale="feature"), **QUICK).fit(table)
    columns = {column.name: column for column in model._table.columns}
    assert columns["alcohol"].likelihood == columns["proline"].likelihood == Gaussian(scale="feature")
    assert columns["kind"].likelihood is None


def test_a_fitted_codec_is_used_as_it_is(table):
    codec = TableCodec(kinds={"sold": "left out"}).fit(table)
    model = VAE(2, scaling=codec, **QUICK).fit(table[:50])
    assert model._table == codec
    assert (model.reconstruct(table).sold == table.sold).all()


def test_a_codec_encodes_floats_if_asked(table):
    floats = table[["alcohol", "ash"]]
    model = VAE(2, scaling=TableCodec(), **QUICK).fit(floats)
    assert (model.sample(30, random_state=0).alcohol * 100 % 1).round(6).isin([0, 1]).all()


# ---- in scikit-learn ------------------------------------------------------------------------------------------------


def test_either_side_of_a_pipeline(table):
    target = table.alcohol > table.alcohol.median()
    after = make_pipeline(VAE(3, **QUICK), LogisticRegression()).fit(table, target)
    assert after.predict(table).shape == (178,)
    before = make_pipeline(
        ColumnTransformer([("n", StandardScaler(), ["alcohol"])], remainder="passthrough").set_output(
            transform="pandas"
        ),
        VAE(3, **QUICK),
    )
    assert before.fit_transform(table).shape == (178, 3)


def test_grid_search(table):
    search = GridSearchCV(VAE(2, **QUICK), {"n_components": [1, 2]}, cv=2).fit(table)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_parameters_of_the_codec_are_those_of_a_part(table, tmp_path):
    fitted = TableCodec(kinds={"sold": "left out"}).fit(table)
    for codec in (TableCodec(unseen="other"), fitted):
        model = clone(VAE(2, scaling=codec, **QUICK))
        assert model.scaling == codec
        assert model.get_params()["scaling__unseen"] == codec.unseen
        model.fit(table).save(tmp_path / "m.safetensors")
        assert load(tmp_path / "m.safetensors").scaling == codec
    grid = {"scaling__within_support": [True, False]}
    search = GridSearchCV(VAE(2, scaling=TableCodec(), **QUICK), grid, cv=2).fit(table)
    assert search.best_estimator_._table.within_support == search.best_params_["scaling__within_support"]


@pytest.mark.parametrize("make", [lambda: Autoencoder(2, **QUICK), lambda: VAE(2, **QUICK)])
def test_every_dtype(make):
    table = every_dtype()
    model = make().fit(table)
    filled = model.impute(table)
    pd.testing.assert_series_equal(filled.dtypes, table.dtypes)
    assert_observed_unchanged(filled, table)
    assert np.isfinite(model.reconstruction_error(table)).all()


def test_conditions_of_a_conditional_model(table):
    y = np.where(table.sold, "yes", "no")
    model = ConditionalVAE(2, **QUICK).fit(table.drop(columns="sold"), y)
    sample = model.sample(20, y="yes", random_state=0)
    assert list(sample.columns) == list(table.columns.drop("sold"))
    filled = model.impute(table.drop(columns="sold"), y)
    assert_observed_unchanged(filled, table.drop(columns="sold"))
    assert len(model.sample_imputations(table.drop(columns="sold"), 2, y=y, random_state=0)) == 2
    assert model.feature_errors(table.drop(columns="sold"), y).shape == (178, 8)


def test_levels_are_not_averaged_over_labels():
    """Of levels 0 and 2, as probable as each other, the mean is no 1."""
    r = np.random.default_rng(0)
    y = r.choice(["first", "second"], 200)
    table = pd.DataFrame({"c": np.where(y == "first", "a", "c"), "x": r.normal(size=200)})
    table.loc[:10, "c"] = "b"  # rare, and between the others
    model = ConditionalVAE(1, max_epochs=20, random_state=0).fit(table, y)
    hidden = table.assign(c=None)
    for result in (model.impute(hidden), model.reconstruct(hidden), model.inverse_transform(model.transform(table))):
        assert set(result.c) <= {"a", "c"}


def test_further_training(table):
    model = VAE(2, **QUICK).partial_fit(table)
    model.partial_fit(table[::-1])
    assert model.n_iter_ == 2
    assert model.transform(table[table.columns[::-1]]).shape == (178, 2)


def test_fit_forgets_an_earlier_table(table):
    X = np.random.default_rng(0).normal(size=(30, 3))
    model = VAE(2, **QUICK).fit(table).fit(X)
    assert not hasattr(model, "feature_names_in_")
    np.testing.assert_array_equal(model.transform(X), VAE(2, **QUICK).fit(X).transform(X))
    assert isinstance(model.sample(2), np.ndarray)


# ---- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda t: VAE(2, scaling="standard").fit(t), "scaling='standard': X is a table, which its codec scales"),
        (lambda t: VAE(2, likelihood={"kined": "categorical"}).fit(t), "likelihoods names the column 'kined'.*'kind'"),
        (lambda t: VAE(2, likelihood={"kind": "poisson"}).fit(t), "column 'kind' holds levels"),
        (lambda t: VAE(2, **QUICK).fit(t[:1]), "X has 1 row, and VAE learns from at least 2"),
        (lambda t: VAE(2, **QUICK).fit(t.assign(kind=None)[["kind"]]), "X has no column of which anything"),
        (lambda t: VAE(2, **QUICK).fit(t).transform(t.drop(columns=["kind", "ash"])), "X lacks 'ash', 'kind'"),
        (lambda t: VAE(2, **QUICK).fit(t).transform(t[:0]), "X has no rows"),
        (lambda t: VAE(2, **QUICK).fit(t).score(t.assign(b=1)), "X has 'b', which fit did not see"),
        (lambda t: VAE(2, **QUICK).fit(t).impute(t.assign(ash="x")), "column 'ash' was one of kind 'number'"),
    ],
)
def test_bad_tables_are_one_clear_error(table, use, message):
    with pytest.raises(ValueError, match=message):
        use(table)


def test_a_codec_needs_a_table():
    with pytest.raises(TypeError, match="a table is a DataFrame"):
        VAE(2, scaling=TableCodec()).fit(np.zeros((5, 2)))


def test_new_levels_count_as_missing(model, table):
    new = table[:3].assign(kind=["orange", "red", None])
    with pytest.warns(UserWarning, match="column 'kind' has the level 'orange'"):
        filled = model.impute(new)
    assert filled.kind.iloc[0] == "orange"


def test_many_levels_have_learned_vectors(tmp_path):
    r = np.random.default_rng(0)
    place = r.choice([f"place {i}" for i in range(300)], 3000, p=r.dirichlet(np.full(300, 0.3)))
    north = pd.Series(place).str.len() % 2 == 0
    table = pd.DataFrame({"place": place, "degrees": np.where(north, -5.0, 25.0) + r.normal(size=3000)})
    table.loc[::10, "place"] = None
    model = VAE(2, max_epochs=30, random_state=0).fit(table)
    assert EmbeddedCategorical(n_levels=(table.place.nunique(),)) in model.model_.likelihood.parts
    sample = model.sample(3000, random_state=0)
    assert set(sample.place) <= set(place)
    both = pd.concat([table.place.value_counts(normalize=True), sample.place.value_counts(normalize=True)], axis=1)
    assert both.fillna(0).diff(axis=1).iloc[:, 1].abs().sum() < 0.35  # total variation of 0.17; samples alone have 0.13
    warm = sample.degrees > 10
    assert ((sample.place.str.len() % 2 == 0) == ~warm).mean() > 0.8
    model.save(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(
        load(tmp_path / "m.safetensors").score_samples(table[:50]), model.score_samples(table[:50])
    )
    filled = model.impute(table[:50])
    assert filled.place.notna().all()


# ---- which cell is odd ----------------------------------------------------------------------------------------------


def test_scores_of_features_are_conditional_densities():
    """Of a normal distribution: log p(x_1 | x_2), for which the density of each is known."""
    r = np.random.default_rng(0)
    X = r.multivariate_normal([3, -5], [[4, 3], [3, 4]], 2000)
    model = VAE(1, max_epochs=10, random_state=0).fit(X)
    scores = model.score_features(X[:500])
    residual = X[:500, 0] - 3 - 0.75 * (X[:500, 1] + 5)
    expected = stats.norm(0, np.sqrt(4 - 9 / 4)).logpdf(residual)
    assert np.abs(scores[:, 0] - expected).mean() < 0.15


def test_the_odd_cell_is_the_one_that_scores_least():
    r = np.random.default_rng(0)
    kind = r.choice(["ant", "cat", "cow"], 600)
    size = pd.Series(kind).map({"ant": 1.0, "cat": 40.0, "cow": 150.0}) * r.lognormal(0, 0.1, 600)
    table = pd.DataFrame(
        {"kind": kind, "size": size, "legs": np.where(kind == "ant", 6, 4), "note": r.normal(size=600)}
    )
    model = VAE(2, max_epochs=40, random_state=0).fit(table)
    odd = table[:4].assign(kind="ant", size=[1.0, 1.1, 150.0, np.nan], legs=[6, 4, 6, 6])
    scores = model.score_features(odd)
    assert list(scores.columns) == list(table.columns)
    assert scores.idxmin(axis=1)[1:3].tolist() == ["legs", "size"]
    assert np.isnan(scores["size"][3])
    assert scores.loc[0].min() > scores.loc[[1, 2]].min(axis=1).max()


def test_numbers_keep_their_decimals():
    """Samples of iris in a DataFrame have one decimal, and are in its range; longer numbers are not rounded."""
    table = pd.DataFrame(load_iris().data, columns=list("abcd")).assign(e=np.random.default_rng(0).normal(size=150))
    model = VAE(2, max_epochs=2, random_state=0).fit(table)
    found = pd.concat([model.sample(50, random_state=0), model.reconstruct(table)])
    assert (found[list("abcd")].round(1) == found[list("abcd")]).all(axis=None)
    assert (found["e"].round(6) != found["e"]).all()
    assert (found >= table.min()).all(axis=None)
    assert (found <= table.max()).all(axis=None)
    X = table.to_numpy()
    np.testing.assert_array_equal(model.transform(table), clone(model).fit(X).transform(X))
