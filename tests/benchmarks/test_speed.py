"""The speed benchmark runs in its quick form, measures all libraries alike, and the page agrees with the results.

No time is asserted anywhere: other tests run at the same time.
"""

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from isthmus import VAE

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "benchmarks" / "speed"


@pytest.fixture
def script(monkeypatch):
    """Return what imports a module of the benchmark by name; nothing stays imported."""
    monkeypatch.syspath_prepend(str(HERE))
    names = {path.stem for path in HERE.glob("*.py")}
    before = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    yield importlib.import_module
    for name in names:
        sys.modules.pop(name, None)
    sys.modules.update(before)


@pytest.mark.slow
def test_quick_form():
    """It goes through every task and every kind of process, and writes nothing."""
    results = ROOT / "benchmarks" / "results" / "speed.json"
    before = results.read_bytes() if results.exists() else None
    done = subprocess.run(
        [sys.executable, str(HERE), "--quick", "--threads", "1"],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [f"\n## {letter}. " in done.stdout for letter in "ABCDEF"] == [True] * 6
    assert "Not run yet." not in done.stdout
    for side in ("isthmus, own recipe", "isthmus, pythae's recipe", "textbook loop"):
        assert f"\n  {side}, 1 of 1: seconds " in done.stdout
    assert (results.read_bytes() if results.exists() else None) == before


@pytest.mark.slow
def test_quick_form_on_a_gpu():
    """It also runs without a GPU, where numbers on it and on the CPU are the same; and it writes nothing."""
    done = subprocess.run(
        [sys.executable, str(HERE.parent / "gpu.py"), "--quick", "--only", "speed", "--only", "agreement"],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "isthmus, compile=True, 1 of 1: rows_per_second " in done.stdout
    assert "captured and eager steps, float32: {'same_bits': True" in done.stdout


def test_quick_tuning_takes_the_fastest_that_reach_the_bound(script):
    training = script("training")
    runs = [{"seconds": s, "negative_elbo": e} for s, e in ((1.0, 250.0), (2.0, 246.0), (3.0, 240.0))]
    good = training.good_enough({"pythae": {"negative_elbo": 247.0}, "runs": runs}, margin=0.5)
    assert [run["seconds"] for run in good] == [2.0, 3.0]


def test_tuning_sees_no_test_row(script):
    rows = script("rows")
    (train, test), (small, held) = rows.cut("digits"), rows.cut("digits", tuning=True)
    assert len(train) + len(test) == 1797
    np.testing.assert_array_equal(np.concatenate([small, held]), train)
    assert 0 <= train.min() < train.max() == 1


# ---- the judge ------------------------------------------------------------------------------------------------------


def test_judge_agrees_with_elbo(script):
    """The bound computed from weights with numpy alone agrees with `VAE.elbo`, up to the draws."""
    bound, rows = script("bound"), script("rows")
    train, test = rows.cut("digits", n_rows=300)
    recipe = script("recipes").Recipe(epochs=5)
    model = script("side_isthmus").estimator(4, 32, recipe, seed=0).fit(train)
    model.n_draws = 400
    wanted = -model.elbo(test).elbo.mean()
    found = bound.negative_elbo(script("side_isthmus").weights_of(model), test, n_draws=400)
    assert found == pytest.approx(wanted, rel=2e-3)


def test_judge_reads_log_variances(script):
    """With zero weights mean and scale are the biases, and KL(N(1, e^2) || N(0, 1)) is (1 + e^2 - 1 - 2) / 2."""
    bound = script("bound")
    K, D = 3, 5
    encoder = [(np.zeros((D, 2 * K)), np.repeat([1.0, 2.0], K))]
    decoder = [(np.zeros((K, D)), np.zeros(D))]
    wanted = K * (np.e**2 - 2) / 2 + D * np.log(2)
    X = np.random.default_rng(0).random((7, D), dtype=np.float32)
    assert bound.negative_elbo(bound.Weights(encoder, decoder), X) == pytest.approx(wanted, rel=1e-6)


def test_loop_trains_the_common_net(script):
    recipe = script("recipes").Recipe(epochs=3, batch_size=64)
    X = script("rows").cut("digits", n_rows=200)[0]
    _, weights = script("side_loop").train(X, 8, 16, recipe, 0)
    assert [w.shape for w, _ in (*weights.encoder, *weights.decoder)] == [(64, 16), (16, 16), (8, 16), (16, 64)]
    untrained = script("side_loop").train(X, 8, 16, recipe._replace(epochs=0), 0)[1]
    judge = script("bound").negative_elbo
    assert judge(weights, X) < judge(untrained, X)


@pytest.mark.slow
@pytest.mark.parametrize("side", ["pythae", "keras", "jax"])
def test_peer_trains_the_common_net(side):
    """In an interpreter of its own, as the benchmark runs it; the peers are not in the test extra."""
    for library in {"jax": ("jax", "optax"), "keras": ("keras", "jax")}.get(side, (side,)):
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import importlib; from bound import negative_elbo; from recipes import Recipe; from rows import cut\n"
        "train = importlib.import_module('side_' + sys.argv[2]).train\n"
        "X = cut('digits', n_rows=200)[0]\n"
        "print([negative_elbo(train(X, 8, 512, Recipe(e, 64), 0)[1], X) for e in (1, 8)])"
    )
    env = os.environ | {"OMP_NUM_THREADS": "1", "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(HERE), side], capture_output=True, text=True, env=env, check=False
    )
    assert done.returncode == 0, done.stderr
    short, longer = json.loads(done.stdout.splitlines()[-1])
    assert 15 < longer < short < 64 * np.log(2) + 5


# ---- sides in turn --------------------------------------------------------------------------------------------------


def test_sides_alternate_and_an_absent_one_is_said(script):
    called = []

    def side(name):
        def run(i):
            called.append(name)
            return {"skipped": "it is not installed"} if name == "c" else {"seconds": float(i)}

        return run

    said = []
    values, skipped = script("harness").in_turn({name: side(name) for name in "abc"}, 3, said.append)
    assert "".join(called) == "abc" + "ba" + "ab"
    assert values == {"a": {"seconds": [0.0, 1.0, 2.0]}, "b": {"seconds": [0.0, 1.0, 2.0]}}
    assert skipped == {"c": "it is not installed"}
    assert "c: skipped, it is not installed" in said


def test_a_side_that_fails_is_an_error(script):
    with pytest.raises(RuntimeError, match=r"training:measure.*(?s:.*)No module named 'side_nobody'"):
        script("harness").ask("training:measure", 1, side="nobody", folder="", n_latent=2, hidden=2, recipe=[1], seed=0)


def test_an_absent_peer_is_skipped(script, monkeypatch):
    worker = script("worker")
    monkeypatch.setitem(sys.modules, "keras", None)
    monkeypatch.setattr(
        worker.importlib, "import_module", lambda _: (_ for _ in ()).throw(ModuleNotFoundError("no", name="keras"))
    )
    assert worker.answered("side_keras:train", {}) == {"skipped": "keras is not installed"}


def test_results_are_written_whole_and_short(script, tmp_path):
    script("harness").save(tmp_path / "deep" / "one.json", {"a": [1 / 3], "b": {"c": 2}})
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["one.json"]
    assert json.loads((tmp_path / "deep" / "one.json").read_text()) == {"a": [0.333333], "b": {"c": 2}}


def test_peak_memory_of_a_bounded_method_is_bounded(script):
    """Sixteen times the draws, the same chunk: the peak hardly moves, while all draws at once would take 16 times."""
    peak = script("inference").peak
    few, many = (peak("score_samples", 512, n, n_features=64)["mebibytes"] for n in (64, 1024))
    at_once = 512 * 1024 * 64 * 4 / 2**20
    assert many < max(2 * few, 0.6 * at_once)
    assert VAE(2).n_draws == 100  # the field that `peak` sets is the one that counts draws


# ---- the page -------------------------------------------------------------------------------------------------------

RUN = {
    "date": "2026-01-01",
    "seconds": 1,
    "repeats": 2,
    "threads": 2,
    "others": 0.3,
    "busy": True,
    "processor": "P",
    "cores": 2,
    "versions": {"python": "3"},
}
RECIPE = {"epochs": 5, "batch_size": 128, "learning_rate": 1e-3, "schedule": "constant", "precision": "float32"}


def sides(ours, bound):
    """Return a report of task A in which pythae takes 10 seconds to a bound of 246."""
    common = {"import_seconds": [1.0, 1.0]}
    return {
        "task": {"goal": 5, "aim": 8, "peers": RECIPE, "ours": RECIPE | {"schedule": "one_cycle"}},
        "rows": {"train": 100, "test": 10},
        "sides": {
            "isthmus, own recipe": common | {"seconds": [ours, ours], "negative_elbo": [bound, bound]},
            "pythae": common | {"seconds": [10.0, 10.0], "negative_elbo": [246.0, 246.0]},
            "isthmus, pythae's recipe": common | {"seconds": [4.0, 4.0], "negative_elbo": [246.0, 246.0]},
            "JAX, jitted step": common
            | {"seconds": [5.0, 5.0], "warm_seconds": [3.0, 3.0], "negative_elbo": [246.0, 246.0]},
        },
        "skipped": {"Keras 3 (JAX)": "keras is not installed"},
        "run": RUN,
    }


def test_page_shows_wins_and_losses(script):
    text = script("render").page({"A": sides(1.5, 246.5)})
    assert "| speed-up over pythae, time to its ELBO | 5 or more | 6.67 (6.67 to 6.67) | met |" in text
    assert "| speed-up over pythae, time to its ELBO | 8 or more | 6.67 (6.67 to 6.67) | **missed** |" in text
    assert "at most 0 in each | 0.500 (0.500 to 0.500); 0 of 2 | **missed** |" in text
    assert "speed-up over JAX, jitted step, same recipe | above 1 | 1.25 (1.25 to 1.25) | met |" in text
    assert "same recipe, without compilation | above 1 | 0.750 (0.750 to 0.750) | **missed** |" in text
    assert "speed-up over JAX, jitted step, time to its ELBO | above 1 | 3.33 (3.33 to 3.33) | **missed** |" in text
    assert "Keras 3 (JAX) was left out: keras is not installed." in text
    assert "The machine was not idle" in text
    assert text.count("Not run yet.") == 5


def test_growth_is_told(script):
    render = script("render")
    assert render.exponent([10, 100, 1000], [1.0, 2.0, 20.0]) == pytest.approx(1)
    rows = [{"method": "sample", "rows": n, "draws": 1, "mebibytes": m} for n, m in ((10, 100.0), (100, 900.0))]
    assert render._bounded(rows) == [
        ("sample: peak memory for 100 rows over that for 10", "1.5 or less", "9.00", False)
    ]


def test_page_is_what_the_results_give(script):
    render = script("render")
    if not render.RESULTS.exists():
        assert not render.PAGE.exists(), "a page without results: run `make bench-speed`"
        return
    report = json.loads(render.RESULTS.read_text())
    gpu = json.loads(render.GPU_RESULTS.read_text()) if render.GPU_RESULTS.exists() else None
    assert render.PAGE.read_text() == render.page(report, gpu), "run: python benchmarks/speed --render"
