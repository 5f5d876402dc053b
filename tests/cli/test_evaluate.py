"""``isthmus evaluate``: the table, the JSON, selection among sizes, and errors of one line."""

import html
import json
import sys
import warnings

import numpy as np
import pytest

import isthmus
from isthmus.assessment import Selection, SizeResult
from isthmus.assessment._text import as_text, plain_values
from isthmus.cli import main
from isthmus.data import read


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    fit = ["fit", "iris", "-k", "2", "--epochs", "5", "--set", "hidden_layer_sizes=8", "-q"]
    for name in ("vae", "autoencoder", "conditional_vae"):
        assert main([*fit, "-m", name, "-o", str(folder / f"{name}.safetensors")]) == 0
    rng = np.random.default_rng(0)
    table = np.c_[rng.normal(size=(40, 2)), np.arange(40) % 2]
    (folder / "table.csv").write_text("\n".join(["a,b,kind", *(",".join(map(repr, row)) for row in table.tolist())]))
    (folder / "broken.safetensors").write_bytes(b"x" * 100)
    np.save(folder / "wide.npy", rng.normal(size=(10, 7)))
    np.save(folder / "whole.npy", rng.integers(0, 9, size=(60, 3)))
    (folder / "folder.json").mkdir()
    return folder


@pytest.fixture
def there(home, tmp_path, monkeypatch):
    """A folder of one test, with links to everything in `home`."""
    for file in home.iterdir():
        (tmp_path / file.name).symlink_to(file)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def numbers(value):
    """Yield every number in a JSON value."""
    if isinstance(value, dict):
        value = list(value.values())
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, (dict, list)):
            yield from numbers(item)
        elif not isinstance(item, str):
            yield item


def test_table(there, run):
    code, out, err = run("evaluate", "vae.safetensors", "iris", "--n-draws", 50, "--impute", 0.3)
    assert (code, err) == (0, "")
    assert out.startswith("VAE, 150 rows")
    assert max(map(len, out.splitlines())) < 100
    for words in (
        "log p(x) ", "effective draws", "ELBO", "rate ", "distortion", "active units", "mutual information",
        "explained variance", "worst: petal", "Frechet", "precision", "two-sample accuracy", "trustworthiness",
        "neighbour accuracy", "CRPS", "coverage of 90 %",
    ):  # fmt: skip
        assert words in out, words
    assert "nan" not in out
    assert "annealed" not in out


def test_json_agrees_with_the_model(there, run):
    code, out, err = run(
        "evaluate", "vae.safetensors", "iris", "--n-draws", 50, "--impute", 0.3, "--json", "-o", "e.json"
    )
    assert (code, err) == (0, "isthmus: wrote e.json\n")
    found = json.loads(out)
    assert json.loads((there / "e.json").read_text()) == found
    model, X = isthmus.load("vae.safetensors"), read("iris").X
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimate = model.score_samples_estimate(X, n_draws=50)
        assert found["likelihood"]["log_px"]["mean"] == pytest.approx(estimate.value.mean())
        assert found["likelihood"]["unreliable"] == estimate.unreliable().tolist()
        assert found["reconstruction"]["mse"] == pytest.approx(np.mean((model.reconstruct(X) - X) ** 2))
    assert found["annealing"] is None
    assert found["reconstruction"]["columns"][0]["name"] in read("iris").columns
    values = list(numbers(found))
    assert sum(value is None for value in values) == 3  # the annealing, and two accuracies of categories
    assert all(np.isfinite(value) for value in values if value is not None)
    assert [path.name for path in there.iterdir() if path.name.startswith(".isthmus")] == []


def test_unreliable_rows_are_named(there, run):
    _, out, _ = run("evaluate", "vae.safetensors", "iris", "--n-draws", 5)
    assert "unreliable rows                        150  usually too low there: 0, 1, 2, 3, 4, 5, ...\n" in out


def test_an_autoencoder_has_no_likelihood_metrics(there, run):
    code, out, err = run("evaluate", "autoencoder.safetensors", "iris", "--impute", 0.2)
    assert (code, err) == (0, "")
    assert "log p(x|code)" in out
    assert "neighbour accuracy" in out
    for words in ("log p(x) ", "ELBO", "latent", "samples", "CRPS"):
        assert words not in out, words


def test_conditions(there, run):
    _, out, _ = run("evaluate", "conditional_vae.safetensors", "iris", "--n-draws", 50, "--json")
    assert json.loads(out)["likelihood"]["quantity"] == "log p(x)"
    _, out, _ = run("evaluate", "conditional_vae.safetensors", "iris", "--n-draws", 50, "--json", "--y", "y")
    found = json.loads(out)["likelihood"]
    model, rows = isthmus.load("conditional_vae.safetensors"), read("iris")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimate = model.score_samples_estimate(rows.X, rows.y, n_draws=50)
    assert (found["quantity"], found["log_px"]["mean"]) == ("log p(x|y)", pytest.approx(estimate.value.mean()))


def test_annealing(there, run):
    code, out, err = run("evaluate", "vae.safetensors", "iris", "--n-draws", 50, "--ais", 3, "-o", "e.json")
    assert (code, err) == (0, "isthmus: wrote e.json\n")
    found = json.loads((there / "e.json").read_text())["annealing"]
    assert len(found["indices"]) == 3
    for name, label in (("log_px", "log p(x) "), ("difference", "difference "), ("bound_gap", "gap between bounds ")):
        assert np.isfinite(found[name]["mean"])
        assert f"{label}" in out
        assert f"{found[name]['mean']:.3f}" in out or abs(found[name]["mean"]) < 0.01


def test_a_terminal_shows_the_current_metric(there, run, monkeypatch):
    monkeypatch.setattr(type(sys.stderr), "isatty", lambda _: True, raising=False)
    code, _, err = run("evaluate", "autoencoder.safetensors", "iris")
    assert code == 0
    assert err.startswith("\r\x1b[K")
    assert err.endswith(" ...\r\x1b[K")


SIZES = ["--sizes", "1,2", "--n-draws", 50, "--set", "max_epochs=3", "--set", "hidden_layer_sizes=8"]


def test_sizes_of_a_named_model(there, run):
    code, out, err = run("evaluate", "vae", "iris", *SIZES, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    estimator = isthmus.VAE(max_epochs=3, hidden_layer_sizes=(8,), random_state=0)
    selection = isthmus.choose_n_components(estimator, read("iris").X, sizes=(1, 2), random_state=0, n_draws=50)
    assert found["n_components"] == selection.n_components
    assert [row["log_px"] for row in found["sizes"]] == pytest.approx([row.log_px for row in selection.sizes])
    assert [row["log_px"] for row in found["baselines"]] == pytest.approx([row.log_px for row in selection.baselines])
    assert "max_epochs=3" in found["estimator"]
    code, out, err = run("evaluate", "vae", "iris", *SIZES)
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) < 100
    more = ["This"] if selection.n_components == 2 else []  # the largest
    first_words = [line.split()[0] for line in out.splitlines() if line]
    assert first_words == ["log", "K", "1", "2", "GaussianMixture", "Selected:", *more]
    assert f"{selection.sizes[1].log_px:.3f} +- " in out
    assert f"{selection.baselines[0].log_px:.3f}" in out


def test_sizes_with_the_fields_of_a_saved_model(there, run):
    _, out, _ = run(
        "evaluate", "vae.safetensors", "iris", "--sizes", "1", "--n-draws", 50, "--set", "beta=0.5", "--json"
    )
    found = json.loads(out)["estimator"]
    for words in ("max_epochs=5", "hidden_layer_sizes=8", "beta=0.5", "random_state=0"):
        assert words in found
    _, out, _ = run("evaluate", "cvae", "iris", *SIZES, "--json")
    assert "ConditionalVAE" in json.loads(out)["estimator"]


def test_integers_get_a_note(there, run):
    code, _, err = run("evaluate", "vae", "whole.npy", *SIZES)
    assert code == 0
    assert "whole.npy: all values are integers; their density has no upper bound" in err
    assert run("evaluate", "vae", "iris", *SIZES, "--y", "y")[2] == (
        "isthmus: --y is ignored: VAE is fitted without labels\n"
    )


def test_what_was_not_computed_is_a_dash():
    assert plain_values((float("inf"), 1)) == [None, 1]
    selection = isthmus.choose_n_components(
        isthmus.VAE(max_epochs=1, hidden_layer_sizes=(), random_state=0),
        read("iris").X[:, :2],
        sizes=(1, 4),
        n_draws=50,
    )
    assert as_text(selection).splitlines()[4].endswith("-                -")  # two columns have no four components


BAD = {
    "no data": (["evaluate", "vae.safetensors"], "Missing argument 'DATA'"),
    "no such model": (["evaluate", "none.safetensors", "iris"], "none.safetensors: no such model; create it with"),
    "a name alone": (["evaluate", "vae", "iris"], "add --sizes 2,4,8 to fit it"),
    "damaged": (["evaluate", "broken.safetensors", "iris"], "broken.safetensors: damaged"),
    "swapped": (["evaluate", "iris", "vae.safetensors"], "pass MODEL first"),
    "wrong width": (["evaluate", "vae.safetensors", "wide.npy"], "wide.npy: X has 7 features"),
    "output's type": (["evaluate", "vae.safetensors", "iris", "-o", "e.csv"], "must end in .json; name it e.json."),
    "output's folder": (["evaluate", "vae.safetensors", "iris", "-o", "no/e.json"], "does not exist; make it first"),
    "output is a folder": (["evaluate", "vae.safetensors", "iris", "-o", "folder.json"], "is a folder"),
    "all hidden": (["evaluate", "vae.safetensors", "iris", "--impute", "1"], "--impute 1: must be a share"),
    "no annealing": (["evaluate", "autoencoder.safetensors", "iris", "--ais", "1"], "annealing needs a VAE"),
    "no ais rows": (["evaluate", "vae.safetensors", "iris", "--ais", "0"], "0 is not in the range"),
    "set alone": (["evaluate", "vae.safetensors", "iris", "--set", "beta=2"], "needs --sizes"),
    "sizes in words": (["evaluate", "vae", "iris", "--sizes", "2,four"], "must be positive integers"),
    "size 0": (["evaluate", "vae", "iris", "--sizes", "0,2"], "must be positive integers"),
    "sizes and ais": (["evaluate", "vae", "iris", "--sizes", "2", "--ais", "3"], "cannot be combined with --ais"),
    "n_components twice": (
        ["evaluate", "vae", "iris", "--sizes", "2", "--set", "n_components=3"],
        "is set by --sizes",
    ),
    "unknown model": (["evaluate", "vea", "iris", "--sizes", "2"], "Did you mean 'vae'?"),
    "unknown field": (["evaluate", "vae", "iris", "--sizes", "2", "--set", "bata=3"], "Did you mean 'beta'?"),
    "no p(x)": (["evaluate", "autoencoder", "iris", "--sizes", "2"], "Autoencoder has no density p(x)"),
    "no labels": (["evaluate", "cvae", "wide.npy", "--sizes", "2"], "has no labels to condition on"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_writes_nothing(there, run, case):
    args, words = BAD[case]
    before = sorted(path.name for path in there.iterdir())
    code, out, err = run(*args)
    assert (code, out) == (2, ""), err
    assert words in err
    assert err.startswith("isthmus: ")
    assert err.count("\n") == 1
    assert sorted(path.name for path in there.iterdir()) == before


def test_the_largest_size_gets_a_note():
    rows = [SizeResult(k, 0.0, 0.1, 0.0, 0.0, 0, 1.0) for k in (2, 4)]
    for best, noted in ((2, False), (4, True)):
        text = as_text(Selection(best, None, rows, [], 80, 20))
        assert html.escape(text) in Selection(best, None, rows, [], 80, 20)._repr_html_()
        assert f"Selected: {best}, the smallest" in text
        assert ("try larger ones" in text) is noted


def test_help(run):
    code, out, _ = run("evaluate", "--help")
    assert code == 0
    assert "--sizes" in out
    assert "evaluate" in run("--help")[1]
