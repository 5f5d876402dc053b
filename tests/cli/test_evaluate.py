"""``isthmus evaluate``: the table, the JSON, the choice among sizes, and one line for what cannot be."""

import json
import warnings

import numpy as np
import pytest

import isthmus
from isthmus.assessment.model_selection import Choice, Size
from isthmus.cli import main
from isthmus.cli._evaluate_text import as_text, plain_values
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


def test_a_table_to_read(there, run):
    code, out, err = run("evaluate", "vae.safetensors", "iris", "--draws", 50, "--impute", 0.3)
    assert (code, err) == (0, "")
    assert out.startswith("VAE, 150 rows")
    assert max(map(len, out.splitlines())) < 100
    for words in (
        "log p(x) ", "effective draws", "ELBO", "rate ", "distortion", "active units", "mutual information",
        "variance kept", "worst: petal", "Frechet", "precision", "told apart", "trustworthiness",
        "neighbour accuracy", "CRPS", "90 % intervals hold",
    ):  # fmt: skip
        assert words in out, words
    assert "nan" not in out
    assert "annealed" not in out


def test_json_has_the_numbers_of_the_model(there, run):
    code, out, err = run(
        "evaluate", "vae.safetensors", "iris", "--draws", 50, "--impute", 0.3, "--json", "-o", "e.json"
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
        assert found["restored"]["mse"] == pytest.approx(np.mean((model.reconstruct(X) - X) ** 2))
    assert found["annealed"] is None
    assert found["restored"]["worst"][0]["name"] in read("iris").columns
    values = list(numbers(found))
    assert sum(value is None for value in values) == 1  # the annealing
    assert all(np.isfinite(value) for value in values if value is not None)
    assert [path.name for path in there.iterdir() if path.name.startswith(".isthmus")] == []


def test_rows_not_trusted_are_named(there, run):
    _, out, _ = run("evaluate", "vae.safetensors", "iris", "--draws", 5)
    assert "rows not trusted                       150  too low as a rule; 0, 1, 2, 3, 4, 5, ...\n" in out


def test_an_autoencoder_has_what_it_has(there, run):
    code, out, err = run("evaluate", "autoencoder.safetensors", "iris", "--impute", 0.2)
    assert (code, err) == (0, "")
    assert "log p(x|code)" in out
    assert "neighbour accuracy" in out
    for words in ("log p(x) ", "ELBO", "latent", "samples", "CRPS"):
        assert words not in out, words


def test_conditions(there, run):
    _, out, _ = run("evaluate", "conditional_vae.safetensors", "iris", "--draws", 50, "--json")
    assert json.loads(out)["likelihood"]["quantity"] == "log p(x)"
    _, out, _ = run("evaluate", "conditional_vae.safetensors", "iris", "--draws", 50, "--json", "--y", "y")
    found = json.loads(out)["likelihood"]
    model, rows = isthmus.load("conditional_vae.safetensors"), read("iris")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimate = model.score_samples_estimate(rows.X, rows.y, n_draws=50)
    assert (found["quantity"], found["log_px"]["mean"]) == ("log p(x|y)", pytest.approx(estimate.value.mean()))


SIZES = ["--components", "1,2", "--draws", 50, "--set", "max_epochs=3", "--set", "hidden_layer_sizes=8"]


def test_sizes_of_a_model_by_its_name(there, run):
    code, out, err = run("evaluate", "vae", "iris", *SIZES, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    estimator = isthmus.VAE(max_epochs=3, hidden_layer_sizes=(8,), random_state=0)
    choice = isthmus.choose_n_components(estimator, read("iris").X, sizes=(1, 2), random_state=0, n_draws=50)
    assert found["best"] == choice.best
    assert [row["log_px"] for row in found["table"]] == pytest.approx([row.log_px for row in choice.table])
    assert [row["log_px"] for row in found["baselines"]] == pytest.approx([row.log_px for row in choice.baselines])
    assert "max_epochs=3" in found["best_estimator"]
    code, out, err = run("evaluate", "vae", "iris", *SIZES)
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) < 100
    more = ["That"] if choice.best == 2 else []  # the largest
    first_words = [line.split()[0] for line in out.splitlines() if line]
    assert first_words == ["log", "K", "1", "2", "GaussianMixture", "Chosen:", *more]
    assert f"{choice.table[1].log_px:.3f} +- " in out
    assert f"{choice.baselines[0].log_px:.3f}" in out


def test_sizes_with_the_fields_of_a_saved_model(there, run):
    _, out, _ = run(
        "evaluate", "vae.safetensors", "iris", "--components", "1", "--draws", 50, "--set", "beta=0.5", "--json"
    )
    found = json.loads(out)["best_estimator"]
    for words in ("max_epochs=5", "hidden_layer_sizes=(8,)", "beta=0.5", "random_state=0"):
        assert words in found
    _, out, _ = run("evaluate", "cvae", "iris", *SIZES, "--json")
    assert "ConditionalVAE" in json.loads(out)["best_estimator"]


def test_whole_numbers_are_remarked_on(there, run):
    code, _, err = run("evaluate", "vae", "whole.npy", *SIZES)
    assert code == 0
    assert "whole.npy: holds whole numbers only; densities of them have no upper bound" in err
    assert run("evaluate", "vae", "iris", *SIZES, "--y", "y")[2] == (
        "isthmus: --y is not used: VAE learns from the rows alone\n"
    )


def test_nothing_is_printed_that_is_no_number():
    assert plain_values({"a": float("inf")}.values.__self__["a"]) is None
    choice = isthmus.choose_n_components(
        isthmus.VAE(max_epochs=1, hidden_layer_sizes=(), random_state=0),
        read("iris").X[:, :2],
        sizes=(1, 4),
        n_draws=50,
    )
    assert as_text(choice).splitlines()[4].endswith("-                -")  # two columns have no four components


BAD = {
    "no data": (["evaluate", "vae.safetensors"], "Missing argument 'DATA'"),
    "no such model": (["evaluate", "none.safetensors", "iris"], "there is no such model"),
    "a name alone": (["evaluate", "vae", "iris"], "add --components 2,4,8 to fit it"),
    "damaged": (["evaluate", "broken.safetensors", "iris"], "broken.safetensors: damaged"),
    "swapped": (["evaluate", "iris", "vae.safetensors"], "the model comes first"),
    "wrong width": (["evaluate", "vae.safetensors", "wide.npy"], "wide.npy: X has 7 features"),
    "output's type": (["evaluate", "vae.safetensors", "iris", "-o", "e.csv"], "write -o e.json"),
    "output's folder": (["evaluate", "vae.safetensors", "iris", "-o", "no/e.json"], "its folder does not exist"),
    "output is a folder": (["evaluate", "vae.safetensors", "iris", "-o", "folder.json"], "is a folder"),
    "all hidden": (["evaluate", "vae.safetensors", "iris", "--impute", "1"], "--impute 1: must be a share"),
    "no annealing": (["evaluate", "autoencoder.safetensors", "iris", "--ais", "1"], "annealing needs a VAE"),
    "no ais rows": (["evaluate", "vae.safetensors", "iris", "--ais", "0"], "0 is not in the range"),
    "set alone": (["evaluate", "vae.safetensors", "iris", "--set", "beta=2"], "is for the fits of --components"),
    "sizes in words": (["evaluate", "vae", "iris", "--components", "2,four"], "must be whole numbers of at least 1"),
    "size 0": (["evaluate", "vae", "iris", "--components", "0,2"], "must be whole numbers of at least 1"),
    "sizes and ais": (["evaluate", "vae", "iris", "--components", "2", "--ais", "3"], "goes without --ais"),
    "sizes twice": (
        ["evaluate", "vae", "iris", "--components", "2", "--set", "n_components=3"],
        "those of --components",
    ),
    "unknown model": (["evaluate", "vea", "iris", "--components", "2"], "Did you mean 'vae'?"),
    "unknown field": (["evaluate", "vae", "iris", "--components", "2", "--set", "bata=3"], "Did you mean 'beta'?"),
    "no p(x)": (["evaluate", "autoencoder", "iris", "--components", "2"], "Autoencoder has no p(x)"),
    "no labels": (["evaluate", "cvae", "wide.npy", "--components", "2"], "has no labels to condition on"),
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


def test_the_largest_size_is_remarked_on():
    rows = [Size(k, 0.0, 0.1, 0.0, 0.0, 0, 1.0) for k in (2, 4)]
    for best, said in ((2, False), (4, True)):
        text = as_text(Choice(best, None, rows, [], 80, 20))
        assert f"Chosen: {best}, the smallest" in text
        assert ("try larger ones" in text) is said


def test_help_says_what_it_is_for(run):
    code, out, _ = run("evaluate", "--help")
    assert code == 0
    assert "--components" in out
    assert "evaluate" in run("--help")[1]
