"""The benchmarks of imputation and of outliers: their peers, their sets, and their page."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "benchmarks" / "tables"
MODULES = (
    "render",
    "render_synthetic",
    "synthetic_peers",
    "synthetic_scores",
    "synthetic_sets",
    "synthetic_settings",
    "imputation_peers",
    "outlier_peers",
    "outlier_sets",
)


@pytest.fixture
def load(monkeypatch):
    """Return what imports a module of the benchmark, and leaves nothing behind."""
    monkeypatch.syspath_prepend(str(HERE))
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module
    for name in MODULES:
        sys.modules.pop(name, None)


def test_the_em_algorithm_finds_conditional_means(load):
    rng = np.random.default_rng(0)
    covariance = np.array([[1.0, 0.8, 0.3], [0.8, 1.0, 0.0], [0.3, 0.0, 1.0]])
    X = rng.multivariate_normal(np.zeros(3), covariance, size=3000)
    holes = X.copy()
    holes[rng.random(3000) < 0.3, 0] = np.nan
    gone = np.isnan(holes[:, 0])
    slope = np.linalg.solve(covariance[1:, 1:], covariance[1:, 0])
    found = load("imputation_peers").em(holes, ridge=1e-6)
    np.testing.assert_allclose(found[gone, 0], X[gone, 1:] @ slope, atol=0.12)
    assert np.array_equal(found[~gone], X[~gone])


def test_peers_fill_in_tables_and_keep_observed_cells(load):
    rng = np.random.default_rng(0)
    kind = rng.choice(["a", "b", "c"], 200)
    table = pd.DataFrame({"kind": kind, "x": np.where(kind == "a", 5.0, -5.0) + rng.normal(size=200)})
    holes = table.mask(rng.random(table.shape) < 0.2)
    for name, impute in load("imputation_peers").PEERS.items():
        completed, shares = impute(holes)
        np.testing.assert_allclose(shares["kind"].sum(axis=1), 1.0)
        assert list(shares["kind"]) == ["a", "b", "c"], name
        assert not completed.isna().any(axis=None), name
        for column in table:
            seen = holes[column].notna()
            assert completed[column][seen].equals(table[column][seen]), name
        if not name.startswith("mean"):
            only_x = holes["kind"].isna() & (holes["x"] > 3)
            assert (completed["kind"][only_x] == "a").mean() > 0.9, name
            assert shares["kind"]["a"][only_x].mean() > 0.6, name


def test_forests_fill_in_what_others_tell(load):
    rng = np.random.default_rng(0)
    kind = rng.choice(["a", "b", "c"], 100)
    table = pd.DataFrame({"kind": kind, "x": np.where(kind == "a", 5.0, -5.0) + rng.normal(size=100)})
    holes = table.mask(rng.random(table.shape) < 0.2)
    assert load("imputation_peers").missforest(table.assign(x=holes["x"]), n_trees=1)[0]["kind"].equals(table["kind"])
    completed, shares = load("imputation_peers").missforest(holes, n_trees=5)
    assert not completed.isna().any(axis=None)
    for column in table:
        seen = holes[column].notna()
        assert completed[column][seen].equals(table[column][seen])
    only_kind = holes["x"].isna() & (holes["kind"] == "a")
    assert only_kind.any()
    assert (completed["x"][only_kind] > 0).all()
    only_x = holes["kind"].isna() & (holes["x"] > 3)
    assert (completed["kind"][only_x] == "a").all()
    np.testing.assert_allclose(shares["kind"].sum(axis=1), 1.0)


def test_detectors_find_an_outlier_among_their_rows_and_among_others(load):
    peers = load("outlier_peers").PEERS
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(200, 3)), rng.normal(size=(50, 3))
    train[0] = test[0] = 8.0
    for name in ("kNN", "LOF", "IsolationForest", "GaussianMixture", "PCA", "OneClassSVM"):
        if name != "GaussianMixture":  # which may give it a component of its own
            assert peers[name](train, train, 0).argmax() == 0, name
        assert peers[name](train[1:], test, 0).argmax() == 0, name


def test_figures_of_synthetic_rows(load):
    scores, peers = load("synthetic_scores"), load("synthetic_peers")
    rng = np.random.default_rng(0)
    kind = rng.choice(["a", "b"], 400)
    table = pd.DataFrame({"kind": kind, "x": np.where(kind == "a", 5.0, -5.0) + rng.normal(size=400)})
    table.loc[:99, "x"] = np.nan
    train, held = table[::2].reset_index(drop=True), table[1::2].reset_index(drop=True)
    assert scores.shape(train, train) == 1
    assert scores.information_error(train, train) == 0
    assert scores.missing(train, train) == 0
    assert scores.copies(train, held, train, 0)["copying"] == 0
    assert scores.copies(train, held, train, 0)["membership_by_distance"] > 0.8
    assert scores.copies(train, held, held, 0)["copying"] == 1
    errors = {}
    for name in ("independent columns", "Gaussian copula"):
        drawn = peers.PEERS[name](train, 0).sample(200)
        errors[name] = scores.information_error(train, drawn)
        assert scores.shape(train, drawn) > 0.85, name
        assert scores.missing(train, drawn) < 3, name
    assert errors["Gaussian copula"] < errors["independent columns"]
    assert scores.leaks(np.arange(10.0) + 5, np.arange(10.0)) > 0.8


def test_rows_of_a_peer_have_the_decimals_and_the_range_of_the_columns(load):
    train = pd.DataFrame({"price": [0.25, 12.5, np.nan], "count": [1, 2, 3], "kind": ["a", "b", "b"]})
    made = pd.DataFrame({"price": [0.333333, 99.0], "count": [2, 9], "kind": ["b", "a"]})
    found = load("synthetic_peers")._like(train, made)
    assert found.to_dict("list") == {"price": [0.33, 12.5], "count": [2, 3], "kind": ["b", "a"]}


def test_a_setting_changes_its_step_of_the_codec_only(load):
    settings = load("synthetic_settings").SETTINGS
    rng = np.random.default_rng(0)
    amount = np.where(rng.random(400) < 0.3, 0.0, rng.lognormal(3, 1, 400)).round(2)
    table = pd.DataFrame({"amount": amount, "grade": rng.integers(1, 4, 400)})
    default = settings["default"].codec(table)
    for name, setting in settings.items():
        codec = setting.codec(table)
        assert codec.decode(codec.encode(table, noise_seed=0)).equals(table), name
    assert len(settings["frequent values have no level"].codec(table).outputs()) == len(default.outputs()) - 1
    few = settings["numbers with few values are numbers"]
    assert [column.kind for column in few.codec(table).columns] == ["number", "number"]
    assert few.codec(table[["amount"]]) is None
    matrix = settings["numbers standardised instead of normal scores"].codec(table).encode(table)
    np.testing.assert_allclose([np.nanmean(matrix[:, 1]), np.nanstd(matrix[:, 1])], [0, 1], atol=0.01)


def test_settings_are_compared_with_the_default_where_they_change_something(load):
    figures = {"auroc": 0.9, "information_error": 0.1, "membership_by_distance": 0.5}
    default, other = figures | {"c2st": 0.6}, figures | {"c2st": 0.4, "auroc": 0.95}
    runs = {"a|0": {"default": default, "other": None}, "b|0": {"default": default, "other": other}}
    runs["b|1"] = {"default": default, "other": other | {"c2st": 0.3}}
    runs["c|1"] = {"default": default}  # not whole yet
    lines = load("render_synthetic").ablations(runs).splitlines()
    assert lines[-2] == "| default | 0.600 | 0.900 | 0.100 | 0.500 | 0.600 | 0.600 |"
    assert lines[-1] == "| other | -0.250 (0.050) | +0.050 (0.000) | +0.000 (0.000) | +0.000 (0.000) |  | 0.350 |"


def test_means_of_tables_weigh_each_table_once(load):
    run = {"auroc": 0.8, "accuracy": 0.8, "c2st": 0.0}
    runs = {"a|0": {"x": run}, "b|0": {"x": run | {"c2st": 1.0}}, "b|1": {"x": run | {"c2st": 0.6}}}
    assert load("render_synthetic").summary(runs).splitlines()[-1].startswith("| x | 0.400 | 0.800 | 0.800 |")


def test_a_set_has_a_twentieth_of_outliers(load):
    X, odd = load("outlier_sets").load("breast_cancer", 0)
    assert len(X) == len(odd) == 357 + 18
    assert odd.sum() == 18


def test_the_page_is_what_the_results_say(load, monkeypatch, tmp_path):
    render = load("render")
    monkeypatch.setattr(render, "PAGE", tmp_path / "page.md")
    render.main()
    assert (tmp_path / "page.md").read_text() == (ROOT / "docs" / "tables_measured.md").read_text()
    assert "<!--" not in (tmp_path / "page.md").read_text()
    runs = json.loads((render.RESULTS / "outliers.json").read_text())["runs"]
    assert f"Means over {len({key.split('|')[0] for key in runs})} sets" in (tmp_path / "page.md").read_text()
