"""ConditionalVAE given a table: what it draws, how conditions are named, saved files, and bad input."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.datasets import load_iris

from isthmus import ConditionalVAE, load
from isthmus.estimators._table_condition import TableCondition
from isthmus.serialization import FileError, read, write

CONDITIONS = ["sex", "age", "since", "fee"]


def people(n=600):
    rng = np.random.default_rng(0)
    sex, age = rng.choice(["F", "M"], n), rng.integers(18, 90, n)
    height = np.where(sex == "F", 165, 178) + rng.normal(0, 5, n)
    return pd.DataFrame(
        {
            "sex": sex,
            "age": age,
            "since": rng.choice(pd.date_range("2020-01-01", periods=700), n),
            "fee": np.where(rng.random(n) < 0.4, 0.0, rng.lognormal(3, 1, n)).round(2),
            "height": height.round(1),
            "smokes": rng.random(n) < np.where(age < 40, 0.8, 0.1),
        }
    )


@pytest.fixture(scope="module")
def table():
    return people()


@pytest.fixture(scope="module")
def model(table):
    return ConditionalVAE(2, max_epochs=30, random_state=0).fit(table.drop(columns=CONDITIONS), table[CONDITIONS])


GIVEN = {"sex": "F", "age": 25, "since": "2021-01-01", "fee": 0.0}


def test_samples_follow_from_what_is_given(table, model):
    young = model.sample(1000, given=GIVEN, random_state=0)
    old = model.sample(1000, given=GIVEN | {"sex": "M", "age": 80, "fee": 30.0}, random_state=0)
    assert young.dtypes.equals(table[["height", "smokes"]].dtypes)
    assert young["height"].mean() == pytest.approx(165, abs=2)
    assert old["height"].mean() == pytest.approx(178, abs=2)
    assert young["smokes"].mean() > 0.6
    assert old["smokes"].mean() < 0.25


def test_a_value_for_each_sample_and_tables(table, model):
    y = table[CONDITIONS][:50]
    by_table = model.sample(50, y=y, random_state=1)
    by_name = model.sample(50, given={name: y[name].to_numpy() for name in CONDITIONS}, random_state=1)
    pd.testing.assert_frame_equal(by_table, by_name)
    pd.testing.assert_frame_equal(by_table, model.sample(50, y=y[CONDITIONS[::-1]], random_state=1))
    pd.testing.assert_frame_equal(
        model.sample(5, y=y[:1], random_state=2), model.sample(5, y=pd.concat([y[:1]] * 5), random_state=2)
    )


def test_likelihoods_and_imputations_use_the_table(table, model):
    X, y = table.drop(columns=CONDITIONS), table[CONDITIONS]
    swapped = y.assign(sex=np.where(y["sex"] == "F", "M", "F"))
    assert model.score_samples(X, y).mean() > model.score_samples(X, swapped).mean() + 1
    holes = X[:40].assign(height=np.nan)
    filled = model.impute(holes, y[:40])["height"]
    assert filled[y["sex"][:40] == "M"].mean() > filled[y["sex"][:40] == "F"].mean() + 8


def test_the_encoding(table):
    condition = TableCondition.fit(table[["sex", "age", "fee"]], np.ones(len(table)))
    encoded = condition.encode(table[["sex", "age", "fee"]], len(table))
    assert encoded.shape[1] == condition.width
    assert np.isfinite(encoded).all()
    assert len(set(encoded[:, 0])) == 2
    assert encoded[:, 1].mean() == pytest.approx(0, abs=1e-9)
    assert encoded[:, 1].std() == pytest.approx(1)
    free = (table["fee"] == 0).to_numpy()
    assert (encoded[free, -1] == 0).all()  # a frequent value has no number beside its level
    assert encoded[~free, -1].std() > 0.5


def test_labels_and_numbers_have_names_too(table):
    X = table[["height", "smokes"]]
    labels = ConditionalVAE(1, max_epochs=2, random_state=0).fit(X, table["sex"])
    assert labels.sample(3, given={"sex": "F"}, random_state=0).equals(labels.sample(3, y="F", random_state=0))
    assert list(labels.classes_) == ["F", "M"]
    several = labels.sample(2, given={"sex": ["F", "M"]}, random_state=0)
    assert several.equals(labels.sample(2, y=["F", "M"], random_state=0))
    numbers = ConditionalVAE(1, max_epochs=2, random_state=0).fit(X, table[["age"]])
    assert numbers.sample(3, given={"age": 30}, random_state=0).equals(numbers.sample(3, y=[30], random_state=0))
    with pytest.raises(ValueError, match="names the column 'gender', which the training data did not have"):
        labels.sample(1, given={"gender": "F"})
    with pytest.raises(ValueError, match="given names columns, but y had no names in fit: pass y instead"):
        ConditionalVAE(1, max_epochs=1).fit(*load_iris(return_X_y=True)).sample(1, given={"y": 1})


def test_a_column_that_is_left_out_is_not_given(table):
    y = table[["sex"]].assign(number=[f"p{i}" for i in range(len(table))])
    with pytest.warns(UserWarning, match="Left out of the model: column 'number'"):
        model = ConditionalVAE(1, max_epochs=1, random_state=0).fit(table[["fee"]], y)
    assert len(model.sample(2, given={"sex": "F"}, random_state=0)) == 2
    assert np.isfinite(model.score_samples(table[["fee"]], y.assign(number=None))).all()
    with pytest.raises(ValueError, match="'number', of which nothing was learned"):
        model.sample(2, given={"sex": "F", "number": "p1"})


def test_polars(table):
    frame = pl.from_pandas(table)
    model = ConditionalVAE(1, max_epochs=2, random_state=0).fit(frame.select("height"), frame.select("sex", "age"))
    assert isinstance(model.sample(2, given={"sex": ["F", "M"], "age": 20}, random_state=0), pl.DataFrame)


def test_saved_files(table, model, tmp_path):
    model.save(tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors")
    drawn = model.sample(4, given=GIVEN, random_state=0)
    pd.testing.assert_frame_equal(again.sample(4, given=GIVEN, random_state=0), drawn)
    X = table.drop(columns=CONDITIONS)
    labels = ConditionalVAE(1, max_epochs=2, random_state=0).fit(X, table["sex"])
    labels.save(tmp_path / "labels.safetensors")
    assert load(tmp_path / "labels.safetensors").sample(2, given={"sex": "F"}).shape == (2, 2)


@pytest.mark.parametrize(
    "change",
    [
        {"mean": [0.0]},
        {"codec": {}},
        {"codec": {"part": "Gaussian"}},
        {"scale": [0.0] * 9},
        {"more": 1},
    ],
)
def test_files_with_a_bad_condition(model, tmp_path, change):
    path = tmp_path / "model.safetensors"
    model.save(path)
    description, tensors = read(path)
    write(path, description | {"condition": description["condition"] | change}, tensors)
    with pytest.raises(FileError):
        load(path)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sex": "F", "age": 3}, "given lacks 'since', 'fee': each column of y that the model learned from must"),
        (GIVEN | {"sex": "X"}, "column 'sex' has the level 'X', which the training data did not have"),
        (GIVEN | {"age": "old"}, "column 'age' was one of kind 'number' in fit, and now holds levels"),
        (GIVEN | {"age": [1, 2]}, "given has 2 values of 'age' for 3 samples"),
    ],
)
def test_bad_given(model, given, message):
    with pytest.raises(ValueError, match=message):
        model.sample(3, given=given)


def test_bad_tables(table, model):
    X, y = table.drop(columns=CONDITIONS), table[CONDITIONS]
    with pytest.raises(ValueError, match="y was a table in fit, so .*: pass y"):
        model.sample(2)
    with pytest.raises(ValueError, match="y and given are both passed"):
        model.sample(2, y=y[:1], given=GIVEN)
    with pytest.raises(ValueError, match="y lacks 'age', 'since', 'fee'"):
        model.score_samples(X, y[["sex"]])
    with pytest.raises(ValueError, match="y must be a table with the columns 'sex', 'age'"):
        model.score_samples(X[:2], [1, 2])
    with pytest.raises(ValueError, match="y has 3 rows for 2 samples"):
        model.sample(2, y=y[:3])
    with pytest.raises(ValueError, match=r"y has no value in row 7, column 'sex' \(1 missing in all\)"):
        ConditionalVAE(1).fit(X, y.assign(sex=y["sex"].where(y.index != 7)))
    with pytest.raises(ValueError, match="y was a table in the first call, and has no classes"):
        ConditionalVAE(1).partial_fit(X, y).partial_fit(X, y, classes=[0, 1])
