"""The codec of tables: any dtype goes to numbers and back, in the form in which the table came."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
import torch

from isthmus import serialization
from isthmus.likelihoods import Categorical, Gaussian, StudentT
from isthmus.tables import Frame, NumberColumn, OmittedColumn, TableCodec
from isthmus.tables._date_texts import format_dates, format_of
from mixed_tables import every_dtype, only_pandas


def same(a, b):
    """Check that two pandas DataFrames are equal but for rounding of the last bits."""
    pd.testing.assert_frame_equal(a, b, check_exact=False, rtol=1e-12, check_categorical=True)


def by_name(codec):
    return {column.name: column for column in codec.columns}


# ---- there and back -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [every_dtype, only_pandas])
def test_decoding_undoes_encoding(make):
    table = make()
    codec = TableCodec().fit(table)
    objects = [name for name in table if table[name].dtype == object]
    table[objects] = table[objects].where(table[objects].notna(), None)  # pandas.NA comes back as None
    same(codec.decode(codec.encode(table)), table)


def test_noise_of_rounding_is_rounded_away():
    table = every_dtype()
    codec = TableCodec().fit(table)
    matrix = codec.encode(table, noise_seed=0)
    assert (matrix != codec.encode(table))[~np.isnan(matrix)].any()
    same(codec.decode(matrix), table)


@pytest.mark.parametrize("library", ["polars", "pyarrow", "dicts"])
def test_other_libraries_get_their_own_tables_back(library):
    table = every_dtype().drop(columns=["float16"])
    if library == "dicts":
        given = table.astype(object).where(table.notna(), None).to_dict("records")
    else:
        pa = pytest.importorskip("pyarrow")
        given = pa.Table.from_pandas(table, preserve_index=False)
    if library == "polars":
        pl = pytest.importorskip("polars")
        given = pl.from_pandas(table).with_columns(pl.col("texts").cast(pl.Enum(["c", "b", "a"])))
    codec = TableCodec().fit(given)
    back = codec.decode(codec.encode(given))
    assert type(back) is type(given)
    if library != "dicts":
        assert back.schema == given.schema
    rows = [
        t.to_pylist() if library == "pyarrow" else t.to_dicts() if library == "polars" else t for t in (back, given)
    ]
    for a, b in zip(*rows, strict=True):
        assert a == {k: pytest.approx(v) if isinstance(v, float) else v for k, v in b.items()}


def test_it_is_saved_as_json():
    table = pd.concat([every_dtype(), only_pandas()], axis=1)
    codec = TableCodec(likelihoods={"int64": "negative_binomial"}).fit(table)
    again = serialization.decode(json.loads(json.dumps(serialization.encode(codec))))
    assert again == codec
    assert repr(again) == repr(codec)
    np.testing.assert_array_equal(again.encode(table), codec.encode(table))
    pd.testing.assert_frame_equal(again.decode(codec.encode(table)), codec.decode(codec.encode(table)))


def test_complete_fills_missing_cells_alone():
    table = every_dtype()
    codec = TableCodec().fit(table)
    filled = codec.complete(table, np.nan_to_num(codec.encode(table)))
    assert not filled.isna().any().any()
    assert (filled.dtypes == table.dtypes).all()
    for name in table:
        observed = table[name].notna()
        assert (filled[name][observed] == table[name][observed]).all(), name


def test_complete_keeps_the_index_and_the_order_of_the_columns():
    table = every_dtype().set_index(pd.Index(range(1000, 1300), name="row"))[::-1]
    codec = TableCodec().fit(every_dtype())
    filled = codec.complete(table[table.columns[::-1]], np.nan_to_num(codec.encode(table)))
    assert filled.index.equals(table.index)
    assert list(filled.columns) == list(table.columns[::-1])


def test_whole_numbers_with_holes_stay_in_the_dtype_they_have_now():
    codec = TableCodec().fit(pd.DataFrame({"n": np.arange(5, 45), "s": "x"}))
    holed = pd.DataFrame({"n": [7.0, np.nan], "s": ["x", None]})
    filled = codec.complete(holed, np.zeros((2, 2)))
    assert filled.n.tolist() == [7.0, 24.0] or filled.n.tolist() == [7.0, 25.0]
    assert filled.s.tolist() == ["x", "x"]


# ---- what is learned of the columns ---------------------------------------------------------------------------------


def test_decoded_numbers_have_the_decimals_and_the_range_of_the_column():
    r = np.random.default_rng(0)
    table = pd.DataFrame({"price": (r.lognormal(3, 1, 500)).round(2), "year": r.integers(1950, 2020, 500)})
    matrix = r.normal(size=(2000, 2)) * 3
    decoded = TableCodec().fit(table).decode(matrix)
    assert (decoded.price == decoded.price.round(2)).all()
    assert decoded.year.dtype == np.int64
    for name in table:
        assert decoded[name].min() >= table[name].min()
        assert decoded[name].max() <= table[name].max()
    free = TableCodec(within_support=False).fit(table).decode(matrix)
    assert free.year.max() > table.year.max()


def test_steps_are_found():
    r = np.random.default_rng(0)
    table = pd.DataFrame({"quarter": r.integers(0, 400, 500) / 4, "thousands": 1000 * r.integers(20, 90, 500)})
    columns = by_name(TableCodec().fit(table))
    assert (columns["quarter"].step, columns["quarter"].decimals) == (0.25, 2)
    assert columns["thousands"].step == 1000


def test_numbers_that_are_not_rounded_have_no_step():
    r = np.random.default_rng(0)
    x = np.r_[r.lognormal(size=500), 1e-9, 1e5]
    columns = by_name(TableCodec().fit(pd.DataFrame({"x": x, "x32": x.astype("float32")})))
    for name in ("x", "x32"):
        assert (columns[name].step, columns[name].decimals) == (None, None)


@pytest.mark.parametrize("value", [0.0, 100.0, 37.5])
def test_a_value_ten_times_as_frequent_as_its_neighbours_is_a_level(value):
    """Zero inflation, censoring at the maximum, and a value in between."""
    r = np.random.default_rng(0)
    x = r.uniform(0, 100, 1000).round(1)
    x[:300] = value
    codec = TableCodec().fit(pd.DataFrame({"x": x, "s": "a"}))
    assert by_name(codec)["x"].spikes == (value,)
    matrix = codec.encode(pd.DataFrame({"x": x, "s": "a"}))
    level, score, _ = matrix.T
    np.testing.assert_array_equal(level, x == value)
    np.testing.assert_array_equal(np.isnan(score), x == value)
    assert (codec.log_det(matrix)[x == value] == 0).all()


def test_even_counts_have_no_spikes():
    r = np.random.default_rng(0)
    codec = TableCodec().fit(pd.DataFrame({"x": r.integers(0, 50, 1000), "n": r.normal(size=1000), "s": "a"}))
    assert by_name(codec)["x"].spikes == by_name(codec)["n"].spikes == ()


def test_the_density_of_a_normal_column_is_that_of_standardisation():
    x = np.random.default_rng(0).normal(3, 2, 500)
    table = pd.DataFrame({"x": x, "s": "a"})
    codec = TableCodec().fit(table)
    np.testing.assert_allclose(codec.encode(table)[:, 0], (x - x.mean()) / x.std(), atol=1e-12)
    np.testing.assert_allclose(
        codec.log_det(codec.encode(table)), np.c_[np.full(500, -np.log(x.std())), np.zeros(500)], atol=1e-12
    )


def test_the_probabilities_of_whole_numbers_sum_to_about_one():
    """Their density is one per unit, so that it is about the probability of each number."""
    x = np.random.default_rng(0).poisson(30, 5000)
    codec = TableCodec().fit(pd.DataFrame({"x": x, "s": "a"}))
    every = pd.DataFrame({"x": np.arange(5, 70), "s": "a"})
    score, log_slope = codec.encode(every)[:, 0], codec.log_det(codec.encode(every))[:, 0]
    p = np.exp(-0.5 * score**2 + log_slope) / np.sqrt(2 * np.pi)
    assert p.sum() == pytest.approx(1, abs=0.01)


def test_rare_and_unused_levels():
    table = pd.DataFrame({"c": pd.Categorical(["a"] * 999 + ["b"], categories=["z", "a", "b"])})
    codec = TableCodec().fit(table)
    assert by_name(codec)["c"].values == ("a", "b")
    assert codec.encode(table)[-1] == 1
    assert list(codec.decode(np.ones((1, 1))).c.cat.categories) == ["z", "a", "b"]


def test_dates_are_split_only_where_it_tells_something():
    r = np.random.default_rng(0)
    days = pd.date_range("2020-01-06", periods=700)
    working = days[days.day_of_week < 5]
    winter = pd.DatetimeIndex([d for d in pd.date_range("2015-01-01", "2023-12-31") if d.month in (12, 1, 2)])
    office = pd.Timestamp("2024-01-01") + pd.to_timedelta(
        r.integers(0, 10, 500) * 24 * 60 + r.integers(540, 1020, 500), "m"
    )
    table = pd.DataFrame(
        {
            "any": r.choice(days, 500),
            "working": r.choice(working, 500),
            "winter": r.choice(winter, 500),
            "office": office,
        }
    )
    codec = TableCodec().fit(table)
    columns = by_name(codec)
    assert columns["any"].elements == ("day",)
    assert columns["working"].elements == ("week", "weekday")
    assert columns["winter"].elements == ("year", "day of the year")
    assert columns["office"].elements == ("day", "time of day")
    same(codec.decode(codec.encode(table)), table)
    random = codec.decode(np.column_stack([r.normal(size=(400, m.shape[1])) for m in [codec.encode(table)]]))
    assert (random.office == random.office.dt.floor("min")).all()
    assert random.working.between(table.working.min(), table.working.max()).all()


def test_whole_numbers_become_dates_only_if_asked():
    r = np.random.default_rng(0)
    days = pd.date_range("2020-01-01", periods=400)
    table = pd.DataFrame({"day": r.choice(days.strftime("%Y%m%d").astype(int), 300), "s": "a"})
    assert by_name(TableCodec().fit(table))["day"].kind == "number"
    codec = TableCodec(kinds={"day": "time:%Y%m%d"}).fit(table)
    assert by_name(codec)["day"].kind == "time"
    same(codec.decode(codec.encode(table)), table)
    drawn = codec.decode(r.normal(size=(200, codec.encode(table).shape[1]))).day
    assert pd.to_datetime(drawn.astype(str), format="%Y%m%d").notna().all()


def test_a_density_of_dates_is_one_per_day():
    """The probabilities of the days of a split date sum to about one, as those of its elements do."""
    days = pd.date_range("2020-01-06", periods=700)
    working = days[days.day_of_week < 5]
    codec = TableCodec().fit(pd.DataFrame({"d": working}))
    matrix = codec.encode(pd.DataFrame({"d": working}))
    week, weekday = matrix.T
    p = np.exp(-0.5 * week**2 + codec.log_det(matrix).sum(axis=1)) / np.sqrt(2 * np.pi) / 5
    assert set(weekday) == {0, 1, 2, 3, 4}
    assert p.sum() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("frequency", ["MS", "ME", "QE", "YS"])
def test_days_on_which_months_begin_or_end(frequency):
    """Decoded dates are such days, too, and the density is one per day."""
    table = pd.DataFrame({"d": pd.date_range("1990-01-01", periods=60, freq=frequency), "s": ["a", "b"] * 30})
    codec = TableCodec().fit(table)
    same(codec.decode(codec.encode(table)), table)
    matrix = codec.encode(table)
    drawn = codec.decode(np.column_stack([np.random.default_rng(0).normal(size=50), np.zeros(50)])).d
    assert set(drawn) <= set(table.d)
    step = np.median(np.diff(table.d)) / np.timedelta64(1, "D")
    density = np.exp(-0.5 * matrix[:, 0] ** 2 + codec.log_det(matrix).sum(axis=1)) / np.sqrt(2 * np.pi)
    assert density.sum() * step == pytest.approx(1, abs=0.1)


TEXTS = (
    *("%d.%m.%Y", "%-d.%-m.%Y", "%-m/%-d/%Y", "%b %-d %Y", "%B %-d, %Y", "%d-%b-%Y", "%Y-%m", "%Y-%m-%d %H:%M"),
    *("%-m/%-d/%Y %-H:%M", "%Y-%m-%dT%H:%M:%SZ"),
)


@pytest.mark.parametrize("text_format", TEXTS)
def test_texts_that_are_dates(text_format):
    days = pd.Series(pd.date_range("2019-11-28 09:05", periods=60, freq="31D"))
    texts = format_dates(days, text_format)
    table = pd.DataFrame({"d": texts})
    [column] = TableCodec().fit(table).columns
    assert (column.kind, column.text_format) == ("time", text_format)
    same(TableCodec().fit(table).decode(TableCodec().fit(table).encode(table)), table)


@pytest.mark.parametrize(
    "texts", [["1234-12", "1300-11"], ["12/2000", "1/2001"], ["May", "Mar"], ["10.11.12", "1.2.3"]]
)
def test_texts_that_are_no_dates(texts):
    assert TableCodec().fit(pd.DataFrame({"d": texts * 40})).columns[0].kind == "category"


def test_dates_of_any_year():
    """9999-12-31, which stands for no end in many databases, is a date, wherever it is in the column."""
    assert format_of(np.array(["9999-12-31", "2024-03-31", "1234-05-06"] * 10, dtype=object)) == "%Y-%m-%d"


def test_fields_without_leading_zeros():
    [text] = format_dates(pd.Series(pd.to_datetime(["2024-03-01 09:05"])), "%-m/%-d/%Y %-H:%M")
    assert text == "3/1/2024 9:05"


# ---- what is left out -----------------------------------------------------------------------------------------------


def identifiers():
    r = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "id": 2**60 + np.arange(100),
            "Unnamed: 0": np.arange(100),
            "name": [f"person {i}" for i in range(100)],
            "list": [[i] for i in range(100)],
            "nothing": np.full(100, np.nan),
            "x": r.normal(size=100),
        }
    )


def test_identifiers_and_free_texts_are_left_out_with_one_warning_that_names_them():
    table = identifiers()
    with pytest.warns(UserWarning, match="Left out") as caught:
        codec = TableCodec().fit(table)
    assert len(caught) == 1
    text = str(caught[0].message)
    assert all(repr(name) in text for name in ("id", "Unnamed: 0", "name", "list"))
    assert "'x'" not in text
    assert codec.outputs() == ["x"]
    sample = codec.decode(np.zeros((3, 1)))
    assert sample.columns.equals(table.columns)
    assert sample.id.tolist() == [2**60, 2**60 + 1, 2**60 + 2]
    assert sample.name.isna().all()
    assert sample.nothing.isna().all()
    assert (sample.dtypes == table.dtypes).all()


def test_left_out_cells_come_back_as_they_are():
    table = identifiers()
    with pytest.warns(UserWarning, match="Left out"):
        codec = TableCodec().fit(table)
    table.loc[0, "x"] = np.nan
    filled = codec.complete(table, np.zeros((100, 1)))
    assert filled.drop(columns="x").equals(table.drop(columns="x"))


def test_what_the_user_leaves_out_needs_no_warning():
    table = identifiers()[["name", "x"]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        codec = TableCodec(kinds={"name": "left out"}).fit(table)
    assert isinstance(codec.columns[0], OmittedColumn)


def test_a_constant_that_is_broken_is_seen():
    table = pd.DataFrame({"c": ["x"] * 9, "n": [5.0] * 9, "d": pd.Timestamp("2020-01-01")})
    codec = TableCodec().fit(table)
    assert (codec.encode(table) == 0).all()
    broken = pd.DataFrame({"c": ["y", None], "n": [6.0, 5.0], "d": pd.to_datetime(["2020-01-02", None])})
    np.testing.assert_array_equal(codec.encode(broken), [[1, 1, 1], [np.nan, 0, np.nan]])
    same(codec.decode(np.zeros((9, 3))), table)


# ---- missing cells --------------------------------------------------------------------------------------------------


def test_missing_cells_can_be_learned():
    table = every_dtype()
    codec = TableCodec(sample_missing=True).fit(table)
    matrix = codec.encode(table)
    lacking = [name for name in table if table[name].isna().any()]
    assert codec.outputs()[-len(lacking) :] == [f"{name} (missing)" for name in lacking]
    np.testing.assert_array_equal(matrix[:, -len(lacking) :], table[lacking].isna())
    filled = np.nan_to_num(matrix)
    pd.testing.assert_frame_equal(codec.decode(filled).isna(), table.isna())
    assert not codec.decode(filled, missing=False).isna().any().any()


def test_columns_that_are_wholly_missing_now():
    table = every_dtype()
    codec = TableCodec().fit(table)
    empty = pd.DataFrame({name: [None, None] for name in table}, dtype=object)
    assert np.isnan(codec.encode(empty)).all()
    assert (codec.log_det(codec.encode(empty)) == 0).all()
    filled = codec.complete(empty, np.zeros((2, len(codec.outputs()))))
    assert (filled.dtypes == table.dtypes).all()


# ---- unseen levels --------------------------------------------------------------------------------------------------


COLOURS = pd.DataFrame({"colour": ["red", "blue", "red", "green"] * 5})


def test_an_unseen_level_counts_as_missing_after_a_warning():
    codec = TableCodec().fit(COLOURS)
    with pytest.warns(UserWarning, match="column 'colour' has the level 'pink'.*1 cell counts as missing"):
        matrix = codec.encode(pd.DataFrame({"colour": ["pink", "red"]}))
    np.testing.assert_array_equal(matrix, [[np.nan], [2]])


def test_unseen_levels_can_be_one_more_level():
    codec = TableCodec(unseen="other").fit(COLOURS)
    assert codec.encode(pd.DataFrame({"colour": ["pink", "red"]})).tolist() == [[3], [2]]
    assert codec.likelihood().parts[0].n_levels == (4,)
    assert codec.decode(np.array([[3.0], [2.0]])).colour.tolist()[1] == "red"


def test_unseen_levels_can_be_an_error():
    codec = TableCodec(unseen="error").fit(COLOURS)
    with pytest.raises(ValueError, match="column 'colour' has the level 'pink'.*; it had 3 others"):
        codec.encode(pd.DataFrame({"colour": ["pink"]}))


# ---- likelihoods ----------------------------------------------------------------------------------------------------


def test_the_likelihood_follows_from_the_kinds():
    table = every_dtype()[["float64", "inflated", "bool", "str", "int8"]]
    codec = TableCodec().fit(table)
    assert codec.outputs() == ["float64", "inflated (frequent value)", "inflated", "bool", "str", "int8"]
    likelihood = codec.likelihood()
    categories = Categorical(n_levels=(2, 3, 5), ordered=(False, False, True))
    assert likelihood.parts == (Gaussian(scale="feature"), categories, "bernoulli")
    assert likelihood.columns == ((0, 2), (1, 4, 5), (3,))


def test_a_column_with_a_likelihood_of_its_own_is_passed_on_as_it_is():
    table = every_dtype()[["int64", "inflated", "int8", "str"]]
    codec = TableCodec(likelihoods={"int64": "negative_binomial", "inflated": StudentT(), "int8": "poisson"}).fit(table)
    np.testing.assert_array_equal(codec.encode(table, noise_seed=0)[:, :3], table[["int64", "inflated", "int8"]])
    assert (codec.log_det(codec.encode(table)) == 0).all()
    assert codec.likelihood().parts == ("negative_binomial", StudentT(), "poisson", Categorical(n_levels=(3,)))


def test_every_cell_is_in_the_support():
    table = pd.concat([every_dtype(), only_pandas()], axis=1)
    codec = TableCodec(sample_missing=True, likelihoods={"int64": "poisson"}).fit(table)
    matrix = torch.from_numpy(codec.encode(table, noise_seed=0))
    likelihood = codec.likelihood()
    likelihood.set_from_data(matrix)
    likelihood.build(matrix.shape[1])
    assert (likelihood.supports(matrix) | matrix.isnan()).all()


# ---- sums by column, and the table that is shown --------------------------------------------------------------------


def test_only_changed_parameters_are_shown():
    assert repr(TableCodec(unseen="error")) == "TableCodec(unseen='error')"


def test_values_of_the_matrix_are_summed_by_column():
    table = every_dtype()[["float64", "inflated", "bool"]]
    codec = TableCodec(sample_missing=True).fit(table)
    assert len(codec.outputs()) == 6
    values = np.array([[1.0, 2.0, 4.0, 8.0, 16.0, 32.0], [np.nan, np.nan, np.nan, 8.0, np.nan, np.nan]])
    expected = np.array([[17, 38, 8], [np.nan, np.nan, 8]])
    np.testing.assert_array_equal(codec.sum_by_column(values), expected)
    np.testing.assert_array_equal(codec.sum_by_column(values[:, None]), expected[:, None])


def test_it_is_shown_as_a_table():
    codec = TableCodec().fit(every_dtype()[["float64", "inflated", "ordered", "constant"]])
    assert codec._repr_html_().count("<tr>") == 5
    assert TableCodec()._repr_html_() is None
    shown = repr(codec)
    head, *rows = shown.splitlines()
    assert head.split() == ["column", "kind", "likelihood", "missing", "levels"]
    assert [row.split()[:2] for row in rows] == [
        ["float64", "number"],
        ["inflated", "number"],
        ["ordered", "category"],
        ["constant", "constant"],
    ]
    assert "often 0" in rows[1]
    assert "2: lo, hi" in rows[2]
    assert repr(TableCodec(unseen="other")) == "TableCodec(unseen='other')"


# ---- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda t: TableCodec(unseen="drop").fit(t), "unseen='drop' must be one of 'missing', 'other', 'error'"),
        (lambda t: TableCodec(kinds={"flaot64": "number"}).fit(t), "kinds names the column 'flaot64'.*'float64'"),
        (lambda t: TableCodec(likelihoods={"z": "poisson"}).fit(t), "likelihoods names the column 'z'"),
        (lambda t: TableCodec(kinds={"str": "numbr"}).fit(t), "unknown kind of column 'str' 'numbr'.*'number'"),
        (
            lambda t: TableCodec(kinds={"str": "number"}).fit(t),
            "column 'str' holds levels .(str|object).*kind 'number'",
        ),
        (lambda t: TableCodec(likelihoods={"str": "poisson"}).fit(t), "column 'str' holds levels"),
        (
            lambda t: TableCodec(kinds={"str": "time:%Y"}).fit(t),
            "column 'str' has .* in row 0, not a date in the format '%Y'",
        ),
        (lambda t: TableCodec().fit(t[:0]), "X has no rows"),
        (lambda t: TableCodec().fit(pd.concat([t, t[["str"]]], axis=1)), "two columns .* same name: 'str'"),
        (lambda t: TableCodec().fit(t.assign(float32=np.inf)), "column 'float32' has infinity .inf. in row 0"),
        (lambda t: TableCodec().encode(t), "call fit first"),
        (lambda t: TableCodec().fit(t).encode(t.drop(columns=["str", "date"])), "X lacks 'str', 'date'"),
        (lambda t: TableCodec().fit(t).encode(t.assign(new=1)), "X has 'new', which fit did not see"),
        (
            lambda t: TableCodec().fit(t).encode(t.assign(float64="a")),
            "column 'float64' was one of kind 'number'.*levels",
        ),
        (lambda t: TableCodec().fit(t).encode(t.to_numpy()[:, 1:]), "X has 23 columns, but 24 in fit"),
    ],
)
def test_bad_input_is_one_clear_error(make, message):
    with pytest.raises(ValueError, match=message):
        make(every_dtype())


def test_what_is_no_table_is_an_error():
    with pytest.raises(TypeError, match="a table is a DataFrame"):
        Frame.of(np.zeros((2, 2)))


def test_array_rows_are_taken_in_order():
    table = every_dtype()[["float64", "int64"]]
    codec = TableCodec().fit(table)
    np.testing.assert_array_equal(codec.encode(table.to_numpy()), codec.encode(table))


def test_names_of_any_type():
    table = pd.DataFrame({1960: [1.5, 2.0], ("a", 1): ["x", "y"]})
    table.columns = pd.Index([1960, ("a", 1)], tupleize_cols=False)
    codec = TableCodec().fit(table)
    again = serialization.decode(json.loads(json.dumps(serialization.encode(codec))))
    assert again.names == [1960, ("a", 1)]
    wide = pd.DataFrame([[1.0, "x"], [2.0, "y"]], columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)]))
    same(TableCodec().fit(wide).decode(TableCodec().fit(wide).encode(wide)), wide)


def test_a_clone_keeps_what_was_learned():
    codec = TableCodec().fit(every_dtype())
    assert codec.clone() == codec
    assert isinstance(codec.clone().columns[0], NumberColumn)


def test_dates_with_a_mistake_are_left_out_with_the_reason():
    days = pd.Series(pd.date_range("2024-01-01", periods=60).strftime("%d.%m.%Y"))
    days[7], days[3] = "31.31.2024", None
    with pytest.warns(UserWarning, match="nearly all of them dates, but not '31.31.2024' in row 7"):
        TableCodec().fit(pd.DataFrame({"day": days, "x": np.arange(60) % 7}))
    good = TableCodec().fit(pd.DataFrame({"day": days.drop(7).reset_index(drop=True)}))
    with pytest.raises(ValueError, match="column 'day' has '31.31.2024' in row 7, not a date in the format '%d.%m.%Y'"):
        good.encode(pd.DataFrame({"day": days}))
    times = TableCodec().fit(pd.DataFrame({"day": pd.date_range("2024-01-01", periods=60)}))
    with pytest.raises(ValueError, match="column 'day' has '31.31.2024' in row 7, not a date: correct it"):
        times.encode(pd.DataFrame({"day": days}))


def test_times_are_completed_as_times_where_those_of_fit_were_texts():
    times = pd.Series(pd.date_range("2024-01-01", periods=40))
    codec = TableCodec().fit(pd.DataFrame({"day": times.dt.strftime("%d.%m.%Y"), "n": np.arange(40.0)}))
    given = pd.DataFrame({"day": times.mask(times.index == 1), "n": np.arange(40.0)})
    made = codec.complete(given, codec.encode(pd.DataFrame({"day": times, "n": np.arange(40.0)})))
    assert made["day"].dtype == given["day"].dtype
    assert (made["day"] == times).all()
