"""The quality scripts run, their reference methods are right, and the pages agree with the committed results.

The quick form is on scikit-learn's digits: Fashion-MNIST need not be there, and seconds suffice.
"""

import importlib.util
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve().parents[2] / "benchmarks" / "quality"
SCRIPTS = (
    "likelihood", "likelihood_full", "bits", "reconstruction", "codes", "denoising", "missing", "tables", "features",
    "scores", "refine",
)  # fmt: skip


@pytest.fixture
def script(monkeypatch):
    """Return what imports a script by name, with its neighbours on the path and nothing left behind."""
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.delitem(sys.modules, "_common", raising=False)

    def load(name):
        spec = importlib.util.spec_from_file_location(f"quality_{name}", HERE / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield load
    sys.modules.pop("_common", None)


@pytest.mark.parametrize("name", SCRIPTS)
def test_quick_form(script, name, tmp_path, monkeypatch):
    module = script(name)
    common = sys.modules["_common"]
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    report = common.main(module.BENCHMARK, module.__doc__, ["--quick"])
    assert not list(tmp_path.iterdir())  # the quick form writes nothing
    assert {"ours"} < {entry["role"] for entry in report["entries"]}
    values = [v for entry in report["entries"] for seeds in entry["values"].values() for v in seeds]
    assert np.isfinite(values).all()
    assert report["bars"]
    assert all(math.isfinite(bar["ours"]) and math.isfinite(bar["bar"]) for bar in report["bars"])
    assert report["run"]["form"] == "quick"
    assert json.loads(json.dumps(report, allow_nan=False))["entries"][0]["task"]


def test_results_are_written_whole(script, tmp_path, monkeypatch):
    module = script("denoising")
    common = sys.modules["_common"]
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    monkeypatch.setattr(common, "ROOT", tmp_path)
    common.write("one", {"run": {"form": "short"}})
    assert [path.name for path in tmp_path.iterdir()] == ["one.json"]
    assert json.loads((tmp_path / "one.json").read_text())["run"]["form"] == "short"
    assert module.BENCHMARK.name == "denoising"


def test_only_measures_a_part_again_and_keeps_the_rest(script, tmp_path, monkeypatch):
    script("codes")
    common = sys.modules["_common"]
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    monkeypatch.setattr(common, "ROOT", tmp_path)

    def measure(options):
        for name in filter(options.wants, ("one", "two", "twenty")):
            yield common.Entry.of("task", name, "ours", [common.Run({"mse": measure.value}, 1.0, 3)])

    def judge(found):
        return [common.Bar("all", "one", sum(e.mean("mse") for e in found.entries), 4.0)]

    benchmark = common.Benchmark("toy", measure, judge)
    measure.value = 1.0
    assert common.main(benchmark, "Toy.", [])["bars"][0]["ours"] == 3
    measure.value = 2.0
    report = common.main(benchmark, "Toy.", ["--only", "tw"])
    assert [(e["model"], e["values"]["mse"]) for e in report["entries"]] == [
        ("one", [1.0]),
        ("two", [2.0]),
        ("twenty", [2.0]),
    ]
    assert report["bars"][0]["ours"] == 5
    assert not report["bars"][0]["met"]
    assert [run["only"] for run in report["run"]["again"]] == ["tw"]
    with pytest.raises(SystemExit, match="--only needs the form and the seeds of the existing report"):
        common.main(benchmark, "Toy.", ["--only", "tw", "--first-seed", "1"])


def test_without_the_data_one_line_names_the_package(script, tmp_path):
    module = script("codes")
    with pytest.raises(SystemExit, match=r"dataset-fashion-mnist, or name the folder .* with --data"):
        sys.modules["_common"].main(module.BENCHMARK, module.__doc__, ["--data", str(tmp_path)])


# ---- the peers --------------------------------------------------------------------------------------------------


@pytest.fixture
def gaussian_rows():
    rng = np.random.default_rng(0)
    return rng.normal(size=(4000, 3)) @ rng.normal(size=(3, 6)) + 0.3 * rng.normal(size=(4000, 6)) + 1.0


def test_wiener_filter_is_least_squares(script, gaussian_rows):
    module = script("denoising")
    X = gaussian_rows
    for corruption in (module.GaussianNoise(0.5), module.Masking(0.5)):
        weight, bias = module.linear(X, corruption)
        many = np.repeat(X, 20, axis=0)
        rough = module.corrupted(many, corruption, 0)
        design = np.column_stack([rough, np.ones(len(rough))])
        fit = np.linalg.lstsq(design, many, rcond=None)[0]
        np.testing.assert_allclose(weight, fit[:-1].T, atol=0.02)
        np.testing.assert_allclose(bias, fit[-1], atol=0.03)


def test_em_recovers_the_covariance(script, gaussian_rows):
    module = script("tables")
    X = gaussian_rows[:300].copy()
    mean, covariance = module.gaussian_em(X, ridge=0.0)
    np.testing.assert_allclose(mean, X.mean(0), atol=1e-9)
    np.testing.assert_allclose(covariance, np.cov(X.T, bias=True), atol=1e-9)
    X[module.hidden(X, 0, 0.3)] = np.nan
    mean, covariance = module.gaussian_em(X, n_iter=30, ridge=0.0)
    np.testing.assert_allclose(mean, gaussian_rows[:300].mean(0), atol=0.15)
    np.testing.assert_allclose(covariance, np.cov(gaussian_rows[:300].T), rtol=0.25, atol=0.25)


def test_conditional_means_agree(script, gaussian_rows):
    """The normal of images, in both of its forms, and the one of tables give the same conditional mean."""
    missing_script, tables = script("missing"), script("tables")
    X = gaussian_rows
    missing = np.random.default_rng(1).random((20, 6)) < 0.5
    missing[:, 0] = False
    full = missing_script.Normal.ppca(X, None)
    covariance = full.W @ full.W.T + np.diag(full.diag)
    rows = np.where(missing, np.nan, X[:20])
    wanted = np.stack([tables.conditional(row, full.mean, covariance)[0] for row in rows])
    np.testing.assert_allclose(full.filled(X[:20], missing), wanted, atol=1e-6)
    few = missing_script.Normal.ppca(X, 3)
    wanted = np.stack([tables.conditional(row, few.mean, few.W @ few.W.T + np.diag(few.diag))[0] for row in rows])
    np.testing.assert_allclose(few.filled(X[:20], missing), wanted, atol=1e-6)


def test_linear_vae_is_the_closed_form(script, monkeypatch):
    """On the training rows the loss is (1/2)[sum_A (1 + log(lam/t)) + sum_not A lam/t] at t = sigma^2 = 1/2."""
    module = script("reconstruction")
    monkeypatch.setattr(module, "K", 3)
    X = np.random.default_rng(0).normal(size=(500, 6)) * np.array([3.0, 2.0, 1.5, 1.0, 0.5, 0.2])
    lam = np.linalg.eigvalsh(np.cov(X.T, bias=True))[::-1] / 0.5
    wanted = 0.5 * (np.sum(1 + np.log(lam[:3])) + lam[3:].sum())
    assert module.linear(X, X).values["loss"] == pytest.approx(wanted, rel=1e-9)


def test_bits_of_uniform_pixels_are_eight(script):
    module = script("bits")
    assert module.bits(np.zeros(5), 784, 256) == 8
    X = np.random.default_rng(0).integers(0, 256, (50, 4)) / 255
    rows = module.dequantised(X.astype(np.float32), 256, 0)
    np.testing.assert_array_equal(np.floor(rows * 256), np.round(X * 255))


# ---- the pages --------------------------------------------------------------------------------------------------


def test_pages_are_what_the_results_give(script):
    render = script("render")
    assert render.PAGES["quality"].read_text() == render.quality()
    assert render.PAGES["likelihoods"].read_text() == render.likelihoods()


def test_words_cannot_speak_of_what_was_not_run(script):
    render = script("render")
    with pytest.raises(KeyError, match="no run wrote"):
        render.filled("{{a task|a model|mse}}", [None])


def test_missed_bars_are_shown_as_missed(script):
    render = script("render")
    bar = {"says": "error", "model": "VAE", "ours": 0.3, "bar": 0.2, "higher": False, "aim": False, "met": False}
    text = render.bars_table({"bars": [bar]})
    assert "**missed**, by 0.1000 (50.0%)" in text
