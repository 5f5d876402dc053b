"""What replaces private names of scikit-learn gives what these give."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse

import isthmus
from isthmus import AutoencoderImputer, AutoencoderOutlierDetector
from isthmus.estimators import _sklearn_private as private

NAMES = ("_check_sample_weight", "_num_samples", "_check_feature_names_in")
X = np.arange(12.0).reshape(4, 3)
FRAME = pd.DataFrame(X, columns=list("abc"))


@pytest.fixture
def without(monkeypatch):
    """A scikit-learn that has none of the names, of which it uses some itself."""
    assert all(hasattr(private.validation, name) for name in NAMES)
    monkeypatch.setattr(private, "validation", SimpleNamespace())


def result(function, *args):
    try:
        return function(*args)
    except (TypeError, ValueError) as error:
        return str(error)


WEIGHTS = [None, 2.0, 3, [1, 2, 3, 4], np.array([0.5, 0, 0, 1]), np.zeros(4), -np.ones(4), np.ones(3), np.ones((4, 2))]


@pytest.mark.parametrize("weight", WEIGHTS, ids=str)
def test_sample_weights(weight, request):
    own = result(private.check_sample_weight, weight, X)
    request.getfixturevalue("without")
    other = result(private.check_sample_weight, weight, X)
    if isinstance(own, str):
        assert isinstance(other, str)  # in other words
    else:
        assert other.dtype == np.float64
        assert np.array_equal(own, other)


@pytest.mark.parametrize("data", [X, FRAME, X.tolist(), sparse.csr_array(X), np.array(1.0), 5], ids=type)
def test_number_of_samples(data, request):
    own = result(private.count_samples, data)
    request.getfixturevalue("without")
    other = result(private.count_samples, data)
    assert isinstance(own, str) is isinstance(other, str)  # errors say it in other words
    assert isinstance(own, str) or own == other == 4


TABLES = [FRAME, pl.DataFrame(X, schema=["a", "b", "c"]), pa.Table.from_pandas(FRAME)]


@pytest.mark.parametrize("table", TABLES, ids=type)
def test_rows(table):
    rows = private.take_rows(table, np.array([2, 0]))
    assert type(rows) is type(table)
    assert rows["a"].to_numpy().tolist() == [6.0, 0.0]


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("given", [None, ["a", "b", "c"], ["a", "b"], ["c", "b", "a"]], ids=str)
def test_feature_names(named, given, request):
    class Fitted:
        n_features_in_ = 3

    fitted = Fitted()
    if named:
        fitted.feature_names_in_ = np.array(["a", "b", "c"], dtype=object)
    own = result(private.check_feature_names, fitted, given)
    request.getfixturevalue("without")
    other = result(private.check_feature_names, fitted, given)
    assert (isinstance(own, str) and isinstance(other, str)) or np.array_equal(own, other)


@pytest.mark.usefixtures("without")
def test_meta_estimators_do_without(monkeypatch):
    fields = {"max_epochs": 1, "hidden_layer_sizes": (2,), "random_state": 0}
    data = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 3)), columns=list("abc"))
    detector = AutoencoderOutlierDetector(isthmus.VAE(1, **fields), random_state=0).fit(data)
    assert detector.predict(data).shape == (60,)
    imputer = AutoencoderImputer(isthmus.VAE(1, **fields)).fit(data)
    assert imputer.get_feature_names_out().tolist() == ["a", "b", "c"]


def test_there_are_no_others():
    """Private names are imported in one module, whose table lists them."""
    found = re.compile(r"from sklearn[\w.]* import [^\n]*\b_[a-z]|\b(?:validation|sklearn(?:\.utils)?)\._[a-z]")
    for file in Path(isthmus.__file__).parent.rglob("*.py"):
        if file.name != "_sklearn_private.py":
            assert not found.search(file.read_text()), file
    assert all(f"``{name}``" in private.__doc__ for name in NAMES)
