"""AutoencoderOutlierDetector: false-alarm rates, p-values, explanations, tables, and scikit-learn's conventions."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy.stats import false_discovery_control
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from isthmus import VAE, Autoencoder, AutoencoderOutlierDetector, ConditionalVAE, load, serialization
from isthmus.metaestimators._calibration import held_out_rows, p_values, threshold

SMALL = VAE(2, hidden_layer_sizes=8, max_epochs=3, n_draws=10)


@parametrize_with_checks([AutoencoderOutlierDetector(SMALL, contamination=0.1)])
def test_sklearn_check(estimator, check):
    check(estimator)


def normal_rows(n, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 2))
    return z @ np.array([[1.0, 0.5, -1.0, 0.2], [0.3, -1.0, 0.5, 1.0]]) + 0.3 * rng.normal(size=(n, 4))


@pytest.fixture(scope="module")
def detector():
    return AutoencoderOutlierDetector(VAE(2, hidden_layer_sizes=8, max_epochs=20), random_state=0).fit(normal_rows(500))


def visits(n=400):
    rng = np.random.default_rng(0)
    kind = rng.choice(["cat", "dog"], n)
    weight = np.where(kind == "cat", 4.0, 20.0) * rng.lognormal(0, 0.1, n)
    day = rng.choice(pd.bdate_range("2024-01-01", periods=250), n)
    return pd.DataFrame({"kind": kind, "weight": weight.round(2), "fee": rng.normal(50, 5, n).round(2), "day": day})


@pytest.fixture(scope="module")
def by_table():
    return AutoencoderOutlierDetector(VAE(2, hidden_layer_sizes=16, max_epochs=40), random_state=0).fit(visits())


@pytest.fixture(scope="module")
def odd():
    return pd.DataFrame(
        {
            "kind": ["dog", "cat", "cat"],
            "weight": [20.0, 4.1, 21.0],
            "fee": [51.0, 2000.0, 49.0],
            "day": pd.to_datetime(["2024-06-03"] * 3),
        },
        index=["usual", "dear", "heavy"],
    )


# ---- the threshold ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.3])
@pytest.mark.parametrize("n", [100, 137])
def test_false_alarms_are_as_many_as_stated(rate, n):
    """Of new rows like the held-out ones, floor(rate (m + 1)) / (m + 1) are below the threshold, on average."""
    rng = np.random.default_rng(0)
    repeats = 4000
    held, new = rng.normal(size=(repeats, n)), rng.normal(size=repeats)
    alarms = np.mean([new[i] < threshold(held[i], rate) for i in range(repeats)])
    exact = np.floor(rate * (n + 1)) / (n + 1)
    assert alarms == pytest.approx(exact, abs=3 * np.sqrt(exact * (1 - exact) / repeats))


def test_the_rate_holds_for_new_rows_and_a_bad_model():
    for seed, epochs in enumerate((1, 8)):
        detector = AutoencoderOutlierDetector(VAE(1, max_epochs=epochs), false_alarm_rate=0.1, random_state=seed)
        detector.fit(normal_rows(1000, seed))
        share = (detector.predict(normal_rows(2000, 100 + seed)) == -1).mean()
        assert share == pytest.approx(0.1, abs=3 * np.sqrt(0.09 / 200 + 0.09 / 2000))


def test_p_values_are_uniform_for_normal_rows(detector):
    p = detector.p_values(normal_rows(2000, 5))
    for level in (0.1, 0.5, 0.9):
        assert (p <= level).mean() == pytest.approx(level, abs=3 * np.sqrt(0.25 / 100))
    assert p.min() == 1 / 100
    assert false_discovery_control(p).min() > 0.01


def test_an_outlier_has_the_smallest_p_value(detector):
    odd = np.array([[3.0, 3.0, 3.0, -3.0], [0.0, 0.0, 0.0, 0.0]])
    assert detector.predict(odd).tolist() == [-1, 1]
    assert detector.p_values(odd)[0] == 1 / 100


def test_outliers_are_the_rows_with_small_p_values(detector):
    for X in (normal_rows(500), normal_rows(1000, 3)):  # the rows that set the threshold are among the first
        assert np.array_equal(detector.predict(X) == -1, detector.p_values(X) <= 0.05)
        assert np.array_equal(detector.decision_function(X), detector.score_samples(X) - detector.offset_)


@pytest.mark.parametrize("n", [100, 178, 250, 1000, 3333])
@pytest.mark.parametrize("rate", [0.05, 0.1, 1 / 3])
def test_the_rate_is_one_that_a_threshold_can_have(n, rate):
    m = len(held_out_rows(n, rate, 0))
    assert np.floor(rate * (m + 1) + 1e-9) / (m + 1) == pytest.approx(rate, abs=0.01)


def test_how_many_rows_are_held_out():
    assert len(held_out_rows(1000, 0.05, 0)) == 199
    assert len(held_out_rows(178, 0.05, 0)) == 39
    assert len(held_out_rows(10**6, 0.05, 0)) == 1999
    assert len(held_out_rows(10**6, 1e-4, 0)) == 9999
    assert len(held_out_rows(60, 0.05, 0)) == 19
    assert len(held_out_rows(20, 0.05, 0)) == 10
    assert set(held_out_rows(100, 0.05, 0)) != set(held_out_rows(100, 0.05, 1))


def test_ties_are_no_outliers():
    scores = np.array([-1.0, -1.0, -1.0, 2.0])
    assert threshold(scores, 0.25) < -1.0
    assert p_values(np.array([-1.0, -1.1, 3.0]), scores).tolist() == [0.8, 0.2, 1.0]


def test_too_few_rows_for_the_rate():
    with pytest.warns(UserWarning, match="needs at least 99 held-out rows, and there are 20: 0.048 of normal rows"):
        detector = AutoencoderOutlierDetector(SMALL, false_alarm_rate=0.01, random_state=0).fit(normal_rows(40))
    assert detector.offset_ < detector.calibration_scores_.min()


def test_contamination_is_the_share_of_outliers():
    X = normal_rows(300)
    detector = AutoencoderOutlierDetector(SMALL, contamination=0.1, random_state=0).fit(X)
    assert (detector.predict(X) == -1).sum() == 30
    assert np.array_equal(clone(detector).fit_predict(X), detector.predict(X))


# ---- scores -----------------------------------------------------------------------------------------------------


def test_a_row_alone_scores_as_in_company(detector, by_table, odd):
    X = normal_rows(50, 7)
    alone = np.concatenate([detector.score_samples(X[i : i + 1]) for i in range(len(X))])
    np.testing.assert_allclose(alone, detector.score_samples(X), rtol=1e-10)
    assert np.array_equal(detector.score_samples(X), detector.score_samples(X))
    np.testing.assert_allclose(by_table.score_samples(odd.iloc[1:2]), by_table.score_samples(odd)[1:2], rtol=1e-10)


def test_the_score_of_an_autoencoder_is_its_reconstruction_error():
    X = normal_rows(200)
    detector = AutoencoderOutlierDetector(Autoencoder(2, max_epochs=5), random_state=0).fit(X)
    assert np.array_equal(detector.score_samples(X), -detector.estimator_.reconstruction_error(X))


def test_missing_values_are_integrated_out(detector):
    X = normal_rows(20, 8)
    X[:, 1] = np.nan
    assert np.isfinite(detector.score_samples(X)).all()


def test_a_fitted_model_is_used_as_it_is(detector, tmp_path):
    detector.estimator_.save(tmp_path / "model.safetensors")
    held_out, new = normal_rows(99, 20), normal_rows(30, 21)
    again = AutoencoderOutlierDetector(FrozenEstimator(load(tmp_path / "model.safetensors"))).fit(held_out)
    assert len(again.calibration_scores_) == 99
    assert np.array_equal(again.score_samples(new), detector.score_samples(new))


def test_a_saved_detector_is_the_same(detector, by_table, odd, tmp_path):
    """The same bits, explanations included; the file holds no row of the data."""
    for own, X in ((detector, normal_rows(30, 21)), (by_table, odd)):
        own.save(tmp_path / "detector.safetensors")
        again = load(tmp_path / "detector.safetensors")
        assert np.array_equal(again.score_samples(X), own.score_samples(X))
        assert np.array_equal(again.predict(X), own.predict(X))
        assert np.array_equal(again.p_values(X), own.p_values(X))
        assert str(again.explain(X)) == str(own.explain(X))
        assert again._reference is None
        assert again.estimator.max_epochs == own.estimator.max_epochs


def test_a_saved_detector_of_a_fitted_model(detector, tmp_path):
    held_out = normal_rows(99, 20).astype(np.float32)
    own = AutoencoderOutlierDetector(FrozenEstimator(detector.estimator_)).fit(held_out)
    own.save(tmp_path / "detector.safetensors")
    again = load(tmp_path / "detector.safetensors")
    assert again.calibration_scores_.dtype == own.calibration_scores_.dtype
    assert np.array_equal(again.predict(held_out), own.predict(held_out))
    assert isinstance(again.estimator, FrozenEstimator)
    assert again.fit(held_out).offset_ == own.offset_


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("meta_estimator", "VAE"),
        ("estimator", "other"),
        ("fields", {"contamination": "auto"}),
        ("fields", {"contamination": [], "false_alarm_rate": 0.1, "random_state": 0}),
        ("state", {"offset": 1.0}),
        ("state", {"offset": 1.0, "usual": [1.0]}),
        ("state", {"offset": {"float": "nan"}, "usual": [1.0, 1.0, 1.0, 1.0]}),
        ("state", []),
        ("model", {}),
        ("more", 1),
    ],
)
def test_a_file_that_says_what_no_detector_has(detector, tmp_path, entry, value):
    path = tmp_path / "detector.safetensors"
    detector.save(path)
    description, tensors = serialization.read(path)
    serialization.write(path, description | {entry: value}, tensors, kind="meta_estimator")
    with pytest.raises(serialization.FileError, match=r"detector\.safetensors: its description has"):
        load(path)
    tensors.pop("calibration_scores")
    serialization.write(path, description, tensors, kind="meta_estimator")
    with pytest.raises(serialization.FileError, match="it lacks a tensor"):
        load(path)
    serialization.write(path, description, tensors, kind="model")
    with pytest.raises(serialization.FileError, match="its description has no valid 'parts'"):
        load(path)


def test_labels_reach_a_conditional_vae():
    """Scores and explanations sum over the labels."""
    X, y = load_iris(return_X_y=True)
    detector = AutoencoderOutlierDetector(ConditionalVAE(2, max_epochs=20, n_draws=50), random_state=0).fit(X, y)
    assert np.isfinite(detector.score_samples(X)).all()
    odd = X[:1].copy()
    odd[0, 2] = 6.0
    cells = detector.explain(odd, rows=[0]).cells
    assert cells["column"][0] == 2
    assert 1 < cells["expected"][0] < 2
    inner = detector.estimator_
    whole, without = inner.score_samples(odd), inner.score_samples(np.where(np.arange(4) == 2, np.nan, odd))
    assert cells["nats"][0] == pytest.approx(without[0] - whole[0])
    with pytest.raises(ValueError, match="cannot be summed over it"):
        AutoencoderOutlierDetector(ConditionalVAE(2, max_epochs=1), random_state=0).fit(X[:, :3], X[:, 3])


def test_in_a_pipeline():
    pipeline = make_pipeline(StandardScaler(), AutoencoderOutlierDetector(SMALL, random_state=0)).fit(normal_rows(200))
    assert pipeline.predict(np.full((1, 4), 50.0)).tolist() == [-1]


# ---- explanations -----------------------------------------------------------------------------------------------


def test_the_odd_cell_is_named_with_its_expected_value(by_table, odd):
    assert by_table.predict(odd).tolist() == [1, -1, -1]
    explanation = by_table.explain(odd)
    cells = explanation.cells
    assert cells["index"].tolist()[:2] == ["dear", "heavy"]
    assert cells["row"].tolist()[:2] == [1, 2]
    assert cells["column"][0] == "fee"
    assert cells["value"][0] == 2000.0
    assert 40 < cells["expected"][0] < 60
    heavy = cells[cells["row"] == 2].iloc[0]
    assert heavy["column"] in ("kind", "weight")
    assert heavy["expected"] == "dog" if heavy["column"] == "kind" else heavy["expected"] < 8
    assert (cells["excess"] > 3).all()
    assert (cells["p_value"] <= 0.05).all()
    assert explanation.sentences[0].startswith("Row 1 (p = 0.01")
    assert str(explanation) == "\n".join(explanation.sentences)


def test_nats_are_those_of_score_features(by_table, odd):
    cells = by_table.explain(odd, n_cells=1).cells
    scores = by_table.estimator_.score_features(odd)
    for cell in cells.itertuples():
        assert cell.nats == pytest.approx(-scores.loc[cell.row, cell.column])


def test_one_odd_cell_does_not_accuse_the_others(by_table):
    """A dear visit of a usual dog: beside such a fee every weight is odd, but only the fee is named."""
    dear = pd.DataFrame({"kind": ["dog"], "weight": [20.0], "fee": [2000.0], "day": pd.to_datetime(["2024-06-03"])})
    assert by_table.explain(dear).cells["column"].tolist() == ["fee"]
    two = dear.assign(weight=[120.0])
    assert by_table.explain(two).cells["column"].tolist() == ["fee", "weight"]
    assert len(by_table.explain(two, n_cells=1).cells) == 1


def test_rows_can_be_chosen(by_table, odd):
    explanation = by_table.explain(odd, rows=[0, 2])
    assert [sentence.partition(" (")[0] for sentence in explanation.sentences] == ["Row 2", "Row 0"]
    assert str(by_table.explain(odd.iloc[:1])) == "No row is an outlier."
    assert len(by_table.explain(odd.iloc[:1]).cells) == 0


def test_explanations_of_arrays(detector):
    X = normal_rows(5, 9)
    X[3, 2] = 9.0
    cells = detector.explain(X, n_cells=1).cells
    row = cells[cells["row"] == 3].iloc[0]
    assert (row["index"], row["column"], row["value"]) == (3, 2, 9.0)
    assert abs(row["expected"]) < 3
    assert "column 2 is 9, expected about " in detector.explain(X).sentences[0]


def test_explanations_of_an_autoencoder():
    X = normal_rows(300)
    detector = AutoencoderOutlierDetector(Autoencoder(2, max_epochs=20), random_state=0).fit(X)
    X[0] = [0.0, 0.0, 0.0, 30.0]
    assert detector.explain(X[:1]).cells["column"][0] in range(4)


@pytest.mark.parametrize("library", ["polars", "pyarrow", "dicts"])
def test_each_library(by_table, odd, library):
    make = {"polars": pl.from_pandas, "pyarrow": lambda t: pa.Table.from_pandas(t, preserve_index=False)}
    convert = make.get(library, lambda t: t.to_dict("records"))
    X, new = convert(visits().drop(columns="day")), convert(odd.drop(columns="day").reset_index(drop=True))
    detector = AutoencoderOutlierDetector(VAE(2, hidden_layer_sizes=8, max_epochs=10), random_state=0).fit(X)
    assert detector.predict(new).tolist()[1] == -1
    assert detector.explain(new).cells["column"][0] == "fee"
    assert np.array_equal(detector.score_samples(new), detector.score_samples(convert(odd[["fee", "weight", "kind"]])))


def test_a_category_that_fit_did_not_see_is_odd(odd):
    table = visits(200)
    detector = AutoencoderOutlierDetector(random_state=0)
    assert detector._default(table).scaling.unseen == "other"
    assert detector._default(normal_rows(10)).scaling == "auto"
    estimator = detector._default(table).set_params(max_epochs=20)
    detector = AutoencoderOutlierDetector(estimator, random_state=0).fit(table)
    new = odd.iloc[:1].assign(kind="yeti")
    explanation = detector.explain(new, rows=[0])
    assert explanation.cells["column"][0] == "kind"
    assert explanation.cells["expected"][0] == "dog"
    assert detector.score_samples(new)[0] < detector.score_samples(odd)[0] - 2
    saturday = odd.iloc[:1].assign(day=pd.Timestamp("2024-06-01"))
    assert detector.explain(saturday, rows=[0]).cells["column"][0] == "day"


# ---- bad input --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("detector", "error", "message"),
    [
        (AutoencoderOutlierDetector(3), TypeError, "estimator=3 has no method"),
        (AutoencoderOutlierDetector(LogisticRegression()), TypeError, "pass an estimator of isthmus"),
        (
            AutoencoderOutlierDetector(contamination="some"),
            ValueError,
            r"contamination='some' must be 'auto' or a number",
        ),
        (AutoencoderOutlierDetector(contamination=0.6), ValueError, r"contamination=0.6 must be .* in \(0, 0.5\]"),
        (
            AutoencoderOutlierDetector(false_alarm_rate=0),
            ValueError,
            "false_alarm_rate=0 must be a number between 0 and 1",
        ),
    ],
)
def test_bad_parameters(detector, error, message):
    with pytest.raises(error, match=message):
        detector.fit(normal_rows(50))


def test_bad_data(detector, tmp_path):
    with pytest.raises(ValueError, match="X has 2 samples, and at least 3 are needed"):
        AutoencoderOutlierDetector(SMALL).fit(normal_rows(2))
    with pytest.raises(ValueError, match="X has 0 samples, and at least 3 are needed"):
        AutoencoderOutlierDetector().fit(np.empty((0, 4)))
    np.save(tmp_path / "rows.npy", normal_rows(50))
    with pytest.raises(
        ValueError, match=r"holds out rows of arrays and tables in memory: fit an estimator to .*rows.npy"
    ):
        AutoencoderOutlierDetector(SMALL).fit(tmp_path / "rows.npy")
    with pytest.raises(ValueError, match="n_cells=0 must be a whole number of at least 1"):
        detector.explain(normal_rows(2), n_cells=0)
