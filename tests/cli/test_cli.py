"""The command: files in, files and tables out, and errors of one line."""

import gzip
import importlib
import inspect
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import time
import types
import warnings
from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus import estimators
from isthmus._names import PART_MODULES
from isthmus.cli import main
from isthmus.cli._build import build, known_parts
from isthmus.cli._fields import _fits, checked, field_types, part_types
from isthmus.cli._models import MODELS, class_name
from isthmus.cli._values import merge, parse_assignment, parse_value
from isthmus.data import read
from isthmus.likelihoods import Gaussian
from isthmus.networks import Conv
from isthmus.optimizers import Adam
from isthmus.training import EarlyStopping, Trainer

COMMANDS = ["fit", "transform", "reconstruct", "impute", "sample", "score", "outliers", "evaluate"]
COMMANDS += ["report", "explore", "launch", "info", "data", "demo"]
CLASSES = [getattr(estimators, name) for name in estimators.__all__]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with data and models, which the tests only read."""
    folder = tmp_path_factory.mktemp("home")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    y = (X[:, 0] > 0).astype(int)
    table = np.c_[X, y]
    lines = ["alpha,beta,gamma,target", *(",".join(map(repr, row)) for row in table.tolist())]
    (folder / "table.csv").write_text("\n".join(lines))
    (folder / "other_order.csv").write_text(
        "\n".join(["gamma,extra,alpha,beta", *(f"{c!r},0,{a!r},{b!r}" for a, b, c, _ in table.tolist())])
    )
    np.save(folder / "wide.npy", rng.normal(size=(10, 7)))
    np.save(folder / "holes.npy", [[1.0, np.nan], [2.0, np.nan]])
    np.save(folder / "labels.npy", np.arange(10) % 2)
    np.savez(folder / "words.npz", X=X, y=np.where(y, "yes", "no"))
    images = rng.integers(0, 256, size=(30, 6, 5)).astype("u1")
    _write_idx(folder / "images-idx3-ubyte.gz", images)
    _write_idx(folder / "labels-idx1-ubyte.gz", (np.arange(30) % 3).astype("u1"))
    fits = {
        "vae": ["table.csv", "--y", "target"],
        "autoencoder": ["table.csv", "--y", "target"],
        "conditional_vae": ["words.npz"],
    }
    for name, (data, *rest) in fits.items():
        args = [
            "fit",
            folder / data,
            "-m",
            name,
            "-o",
            folder / f"{name}.safetensors",
            "-k",
            2,
            "--epochs",
            2,
            "-q",
            *rest,
        ]
        assert main([str(arg) for arg in args]) == 0
    return folder


@pytest.fixture
def there(home, tmp_path, monkeypatch):
    """The working directory of one test, with links to everything in `home`."""
    for file in home.iterdir():
        (tmp_path / file.name).symlink_to(file)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _write_idx(path, array):
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(gzip.compress(head + array.tobytes()))


# ---- help ----------------------------------------------------------------------------------------------------------


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from isthmus.cli import main\n"
        f"commands = [[], ['info'], ['--help'], *([name, '--help'] for name in {COMMANDS})]\n"
        "codes = [main(words) for words in commands]\n"
        "heavy = {'torch', 'numpy', 'scipy', 'sklearn', 'pandas', 'rich', 'safetensors'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert codes == [0] * len(codes), codes\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr


def test_without_a_command_it_prints_help(run):
    assert run() == run("--help")
    assert all(name in run()[1] for name in COMMANDS)


def test_version(run):
    assert run("--version") == (0, f"isthmus {isthmus.__version__}\n", "")


@pytest.mark.parametrize("package", ["isthmus", "isthmus.cli"])
def test_runs_as_a_module(package):
    command = [sys.executable, "-m", package, "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"isthmus {isthmus.__version__}\n", "")


def test_a_closed_pipe_is_quiet():
    command = [sys.executable, "-m", "isthmus", "info"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""


# ---- info -----------------------------------------------------------------------------------------------------------


def test_all_estimators_are_models():
    assert sorted(MODELS.values()) == sorted(estimators.__all__)


def test_info_lists_models_with_their_docstrings(run):
    code, out, err = run("info")
    assert (code, err) == (0, "")
    for name, cls in MODELS.items():
        summary = inspect.getdoc(getattr(isthmus, cls)).splitlines()[0]
        assert f"  {name:<18}{summary}\n" in out


@pytest.mark.parametrize("name", [*MODELS, "SparseAutoencoder", "cvae", "Conditional-VAE"])
def test_info_lists_every_field(run, name):
    code, out, _ = run("info", name)
    cls = getattr(isthmus, class_name(name))
    assert code == 0
    fields = cls().get_params(deep=False)
    assert all(f"\n{field} : " in out for field in fields)
    for part in (Adam, EarlyStopping, Trainer):
        assert f".NAME: {', '.join(part.parameter_names())}" in out


@pytest.mark.parametrize("module", list(dict.fromkeys(PART_MODULES.values())))
def test_info_lists_parts(run, module):
    field = next(field for field in PART_MODULES if PART_MODULES[field] == module)
    code, out, _ = run("info", module)
    assert code == 0
    for name, part in known_parts(field).items():
        assert name in out
        code, text, _ = run("info", name)
        assert code == 0
        assert all(f"{parameter} : " in text or f"{parameter}, " in text for parameter in part.parameter_names())


def test_info_of_a_model(there, run):
    _, out, _ = run("info", "vae.safetensors")
    for text in ("VAE", "3 -> 2 units", "alpha, beta, gamma", "2 epochs", "kl", "max_epochs=2"):
        assert text in out
    assert "no, yes" in run("info", "conditional_vae.safetensors")[1]


def test_info_of_data(there, run):
    assert "30 x 30, uint8" in run("info", "images-idx3-ubyte.gz")[1]
    assert "6 x 5" in run("info", "images-idx3-ubyte.gz")[1]
    assert "alpha, beta, gamma, target" in run("info", "table.csv")[1]
    assert "1797 int64" in run("info", "digits")[1]


def test_info_of_a_folder(tmp_path, monkeypatch, run):
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "vae"):
        (tmp_path / name).mkdir()
    assert run("info", "empty") == (2, "", "isthmus: empty: is a folder without tables or images; name a file.\n")
    assert "n_components" in run("info", "vae")[1]  # the model, whatever folders there are


# ---- fit ------------------------------------------------------------------------------------------------------------


def test_fit_and_use(there, run):
    code, out, err = run("fit", "iris", "-m", "vae", "-o", "m.safetensors", "-k", 3, "--epochs", 2, "--seed", 5)
    assert (code, err) == (0, "")
    assert out.startswith("m.safetensors: VAE, 4 columns -> 3 units, fitted to 150 rows; loss after epoch 2: ")
    X = read("iris").X
    model = isthmus.load("m.safetensors")
    assert model.get_params() == isthmus.VAE(3, max_epochs=2, random_state=5).get_params()
    same = isthmus.VAE(3, max_epochs=2, random_state=5).fit(X)
    assert run("transform", "m.safetensors", "iris", "-o", "z.npy") == (
        0,
        "",
        "isthmus: wrote z.npy: 150 x 3 float64\n",
    )
    np.testing.assert_array_equal(np.load("z.npy"), same.transform(X))
    assert run("reconstruct", "m.safetensors", "iris", "-o", "r.npz")[0] == 0
    np.testing.assert_array_equal(np.load("r.npz")["X"], same.reconstruct(X))
    assert run("sample", "m.safetensors", "-n", 5, "-o", "s.npy", "--seed", 3)[0] == 0
    np.testing.assert_array_equal(np.load("s.npy"), same.sample(5, random_state=3))
    assert run("score", "m.safetensors", "iris", "-o", "scores.npy")[0] == 0
    np.testing.assert_array_equal(np.load("scores.npy"), same.score_samples(X))


@pytest.mark.parametrize("name", MODELS)
def test_every_model(there, run, name):
    few = ["--set", "n_draws=5"] if "vae" in name else []
    code, _, err = run("fit", "iris", "-m", name, "-o", "m.safetensors", "--epochs", 1, "-k", 2, *few)
    assert (code, err) == (0, "")
    assert type(isthmus.load("m.safetensors")).__name__ == MODELS[name]
    for args in (["transform", "-o", "z.npy"], ["reconstruct", "-o", "r.npy"], ["score"]):
        assert run(args[0], "m.safetensors", "iris", *args[1:])[0] == 0
    assert np.load("z.npy").shape == (150, 2)
    assert np.load("r.npy").shape == (150, 4)


def test_options_override_set_which_overrides_the_config_file(there, run):
    (there / "run.toml").write_text(
        'model = "vae"\nn_components = 3\nmax_epochs = 9\nbatch_size = 7\nhidden_layer_sizes = [8]\n'
        'beta = {part = "warmup", over = 0.5}\npenalties = [{part = "l1", weight = 0.1}]\n'
        '[likelihood]\npart = "gaussian"\nscale = "feature"\n'
    )
    args = ["--set", "batch_size=9", "--set", "max_epochs=8", "--epochs", 1, "--set", "likelihood__min_scale=0.01"]
    assert run("fit", "iris", "-c", "run.toml", "-o", "m.safetensors", *args)[0] == 0
    model = isthmus.load("m.safetensors")
    fields = (model.n_components, model.max_epochs, model.batch_size, model.hidden_layer_sizes, model.random_state)
    assert fields == (3, 1, 9, (8,), 0)
    assert repr(model.likelihood) == "Gaussian(scale='feature', min_scale=0.01)"
    assert repr(model.beta) == "Warmup(over=0.5)"
    assert repr(model.penalties) == "(L1(weight=0.1),)"


def test_quiet_and_verbose(there, run):
    args = ["fit", "iris", "-m", "autoencoder", "-o", "m.safetensors", "--epochs", 2]
    assert run(*args, "-q") == (0, "", "")
    assert run(*args, "-v")[2].count(": epoch ") == 2


def test_progress_bar_on_a_terminal(there, run, monkeypatch):
    reader, terminal = pty.openpty()
    with open(terminal, "w", encoding="utf-8") as stderr:  # noqa: PTH123 - it is no path
        monkeypatch.setattr(sys, "stderr", stderr)
        code, out, _ = run("fit", "iris", "-m", "vae", "-o", "m.safetensors", "--epochs", 2)
        stderr.flush()
        text = b""
        while select.select([reader], [], [], 0.5)[0]:  # the terminal passes on its text in pieces
            text += os.read(reader, 1 << 16)
    os.close(reader)
    assert code == 0
    assert b"2/2" in text
    assert out.startswith("m.safetensors: VAE")
    assert isthmus.load("m.safetensors").verbose == 0


def test_images(there, run):
    args = ["fit", "images-idx3-ubyte.gz", "--epochs", 1, "--set", "likelihood=bernoulli", "-o"]
    assert run(*args, "plain.safetensors", "-m", "vae")[0] == 0
    assert isthmus.load("plain.safetensors").network == "mlp"
    assert run(*args, "conv.safetensors", "-m", "vae", "--set", "network=conv")[0] == 0
    assert isthmus.load("conv.safetensors").network == Conv(image_shape=(6, 5))
    channels = ["--set", "network=conv", "--set", "network__channels=4"]
    assert run(*args, "part.safetensors", "-m", "cvae", "--y", "labels-idx1-ubyte.gz", *channels)[0] == 0
    model = isthmus.load("part.safetensors")
    assert model.network.channels == 4
    assert model.network.image_shape == (6, 5)
    assert model.classes_.tolist() == [0, 1, 2]
    _, out, err = run("score", "plain.safetensors", "images-idx3-ubyte.gz")
    assert "ELBO" in out
    assert "is not a density" in err


def test_images_with_channels_last_are_an_error(there, run):
    np.save("colour.npy", np.zeros((4, 8, 8, 3)))
    code, _, err = run("fit", "colour.npy", "-m", "vae", "--set", "network=conv", "-o", "m.safetensors")
    assert (code, "channels last" in err) == (2, True)


@pytest.mark.parametrize("name", ["words.npy", "words.csv", "header.csv"])
def test_labels_that_are_words(name, there, run):
    words = np.array(["red", "green", "blue"])[np.arange(150) % 3]
    np.save("words.npy", words)
    Path("words.csv").write_text("\n".join(words))
    Path("header.csv").write_text("\n".join(["colour", *words]))
    assert run("fit", "iris", "--y", name, "-m", "cvae", "-o", "words.safetensors", "--epochs", "1")[0] == 0
    assert isthmus.load("words.safetensors").classes_.tolist() == ["blue", "green", "red"]
    assert run("transform", "words.safetensors", "iris", "--y", name, "-o", "codes.npy")[0] == 0


def test_labels_are_ignored_by_models_without_conditions(there, run):
    code, _, err = run("fit", "table.csv", "-m", "vae", "--y", "target", "-o", "m.safetensors", "--epochs", 1)
    assert (code, err) == (0, "isthmus: --y is ignored: VAE is fitted without labels\n")
    assert isthmus.load("m.safetensors").n_features_in_ == 3


# ---- transform, reconstruct, sample, score --------------------------------------------------------------------------


def test_tables_keep_column_names(there, run):
    assert run("transform", "vae.safetensors", "table.csv", "-o", "z.csv")[2].startswith(
        "isthmus: table.csv: ignored columns that the model was not fitted on: target\n"
    )
    assert read("z.csv").columns == ("vae0", "vae1")
    assert run("reconstruct", "vae.safetensors", "table.csv", "-o", "r.csv")[0] == 0
    assert read("r.csv").columns == ("alpha", "beta", "gamma")
    assert run("sample", "vae.safetensors", "-n", 2, "-o", "s.csv")[0] == 0
    assert read("s.csv").columns == ("alpha", "beta", "gamma")
    assert run("score", "vae.safetensors", "table.csv", "-o", "p.csv")[0] == 0
    assert read("p.csv").columns == ("log_p",)


def test_impute(there, run):
    X = read("table.csv").X[:, :3].copy()
    X[::3, 1] = np.nan
    np.save("gaps.npy", X)
    assert run("impute", "vae.safetensors", "gaps.npy", "-o", "filled.csv")[0] == 0
    filled = read("filled.csv")
    assert filled.columns == ("alpha", "beta", "gamma")
    np.testing.assert_array_equal(filled.X[~np.isnan(X)], X[~np.isnan(X)])
    assert np.isfinite(filled.X).all()


def test_columns_are_matched_by_name(there, run):
    run("transform", "vae.safetensors", "table.csv", "-o", "a.npy")
    run("transform", "vae.safetensors", "other_order.csv", "-o", "b.npy")
    np.testing.assert_array_equal(np.load("a.npy"), np.load("b.npy"))


def test_conditions(there, run):
    model, rows = isthmus.load("conditional_vae.safetensors"), read("words.npz")
    assert run("sample", "conditional_vae.safetensors", "-n", 3, "--y", "yes", "-o", "s.npy")[0] == 0
    np.testing.assert_array_equal(np.load("s.npy"), model.sample(3, y="yes", random_state=0))
    assert run("sample", "conditional_vae.safetensors", "-n", 2, "--y", "['no', 'yes']", "-o", "s.npy")[0] == 0
    np.testing.assert_array_equal(np.load("s.npy"), model.sample(2, y=["no", "yes"], random_state=0))
    for y, args in ((None, []), (rows.y, ["--y", "y"])):
        assert run("transform", "conditional_vae.safetensors", "words.npz", "-o", "z.npy", *args)[0] == 0
        np.testing.assert_array_equal(np.load("z.npy"), model.transform(rows.X, y))
        name = "log p(x)" if y is None else "log p(x|y)"
        assert run("score", "conditional_vae.safetensors", "words.npz", "-o", "p.npy", *args)[1].startswith(name + " ")
        np.testing.assert_array_equal(np.load("p.npy"), model.score_samples(rows.X, y))


def test_score_as_json(there, run):
    model, X = isthmus.load("vae.safetensors"), read("table.csv").X[:, :3]
    result = json.loads(run("score", "vae.safetensors", "table.csv", "--json", "--y", "target")[1] or "{}")
    assert result == {}  # a vae takes no y
    result = json.loads(run("score", "vae.safetensors", "table.csv", "--json")[1])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        scores, bound = model.score_samples(X), model.elbo(X)
    assert result.pop("mean") == pytest.approx(scores.mean())
    assert result.pop("standard_error") == pytest.approx(scores.std(ddof=1) / np.sqrt(40))
    parts = [result.pop(name) for name in bound._fields]
    assert parts == pytest.approx([values.mean() for values in bound])
    assert parts[0] == pytest.approx(-parts[1] - parts[2])
    assert result == {"model": "VAE", "quantity": "log p(x)", "unit": "nats per row", "rows": 40}


def test_score_as_a_table(there, run):
    out = run("score", "vae.safetensors", "table.csv")[1]
    assert [line.split("  ")[0].strip() or line.split()[0] for line in out.splitlines()] == [
        "log p(x)", "ELBO", "reconstruction", "KL",
    ]  # fmt: skip
    out = run("score", "autoencoder.safetensors", "table.csv")[1]
    assert out.startswith("log p(x|f(x)) ")
    assert "mean +- standard error of 40 rows" in out
    assert "ELBO" not in out


def test_score_of_one_row(there, run):
    np.save("row.npy", np.zeros((1, 3)))
    code, out, _ = run("score", "vae.safetensors", "row.npy", "--json")
    assert (code, json.loads(out)["standard_error"]) == (0, None)


def test_demo(there, run, monkeypatch):
    folders = []
    fake = types.SimpleNamespace(run=folders.append)
    package = importlib.import_module("isthmus.demo")
    monkeypatch.setitem(sys.modules, "isthmus.demo.run", fake)
    monkeypatch.setattr(package, "run", fake, raising=False)
    assert run("demo")[0] == 0
    assert run("demo", "-o", "elsewhere")[0] == 0
    assert [str(folder) for folder in folders] == ["isthmus-demo", "elsewhere"]


# ---- values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8", 8), ("0.5", 0.5), (".5", 0.5), ("1e-3", 1e-3), ("true", True), ("True", True), ("None", None),
        ("[256, 128]", [256, 128]), ("(256, 128)", (256, 128)), ('"x"', "x"), ("bernoulli", "bernoulli"),
        ("cuda:1", "cuda:1"), ("none", "none"), ("1\nb = 2", "1\nb = 2"), ("[1", "[1"), ("(" * 300, "(" * 300),
    ],
)  # fmt: skip
def test_values(text, value):
    assert parse_value(text) == value
    assert parse_assignment(f" a = {text}") == ("a", value)


def test_a_new_part_drops_the_parameters_of_the_old_one():
    merged = merge({"likelihood__scale": 1.0, "beta": 2.0}, {"likelihood": "bernoulli"}, {"beta": 3.0})
    assert merged == {"likelihood": "bernoulli", "beta": 3.0}


@pytest.mark.parametrize("cls", CLASSES)
def test_defaults_fit_their_own_types(cls):
    defaults = cls().get_params(deep=False)
    for name, kind in field_types(cls).items():
        assert _fits(defaults[name], kind.hint), name
        assert checked(name, defaults[name], kind) == defaults[name]
        assert kind.text


@pytest.mark.parametrize("field", [*PART_MODULES, "beta"])
def test_every_part_can_be_named_with_its_parameters(field):
    for name, part in known_parts(field).items():
        defaults = part().get_params(deep=False)
        assert all(_fits(defaults[key], kind.hint) for key, kind in part_types(part).items())
        value = [{"part": name, **defaults}] if field == "penalties" else {"part": name, **defaults}
        made = build(isthmus.VAE, {field: value}, read("iris")).get_params(deep=False)[field]
        assert made == ((part(),) if field == "penalties" else part())


def test_nested_parameters():
    rows = read("digits")
    model = build(isthmus.VAE, {"likelihood__scale": 0.5, "network": "conv", "network__channels": [8]}, rows)
    assert repr(model.likelihood) == "Gaussian(scale=0.5)"
    assert (model.network.channels, model.network.image_shape) == ((8,), (8, 8))
    model = build(isthmus.VAE, {"beta": "warmup", "beta__over": 0.1, "penalties": "l1,contraction"}, rows)
    assert repr(model.beta) == "Warmup(over=0.1)"
    sparse = build(isthmus.SparseAutoencoder, {"method": "l1", "sparsity": {"part": "warmup", "over": 0.3}}, rows)
    assert repr(sparse.sparsity) == "Warmup(over=0.3)"
    assert model.penalties == ("l1", "contraction")
    model = build(isthmus.VAE, {"early_stopping__n_iter_no_change": 3, "trainer__precision": "float64"}, rows)
    assert (model.early_stopping, model.trainer) == (EarlyStopping(n_iter_no_change=3), Trainer(precision="float64"))
    shaped = build(isthmus.VAE, {"network": {"part": "conv", "image_shape": [4, 16]}}, rows)
    assert shaped.network == Conv(image_shape=(4, 16))


def test_tables_of_the_config_file_are_parameters_of_parts(there, run):
    (there / "run.toml").write_text(
        'model = "vae"\nmax_epochs = 2\n[optimizer]\nbetas = [0.8, 0.9]\nweight_decay = 0.1\n'
        '[trainer]\nprecision = "float64"\n[likelihood]\npart = "gaussian"\nscale = 0.5\n'
    )
    args = ["--set", "optimizer.weight_decay=0.2", "--set", "optimizer__gradient_clip=3.0"]
    assert run("fit", "iris", "-c", "run.toml", "-o", "m.safetensors", *args)[0] == 0
    model = isthmus.load("m.safetensors")
    assert model.optimizer == Adam(betas=(0.8, 0.9), weight_decay=0.2, gradient_clip=3.0)
    assert model.trainer == Trainer(precision="float64")
    assert model.likelihood == Gaussian(scale=0.5)


# ---- bad input ------------------------------------------------------------------------------------------------------

FIT = ["fit", "iris", "-o", "new.safetensors", "-m"]
USE = ["transform", "vae.safetensors"]
NONE = ["--set", "scaling=none"]
CONV = ["--set", "network=conv", "--set", "network.image_shape=[2,2]"]

BAD = {
    "unknown command": (["fitt", "iris"], "unknown command 'fitt'. Did you mean 'fit'?"),
    "no data": (["fit"], "Missing argument 'DATA'. See `isthmus fit --help`."),
    "no output": (["fit", "iris", "-m", "vae"], "Missing option '-o'"),
    "unknown option": ([*FIT, "vae", "--epoch", "3"], "--epochs"),
    "no epochs": ([*FIT, "vae", "--epochs", "0"], "0 is not in the range"),
    "unknown model": ([*FIT, "vea"], "unknown model 'vea'. Did you mean 'vae'?"),
    "unknown field": ([*FIT, "vae", "--set", "n_component=3"], "Did you mean 'n_components'?"),
    "field of another model": ([*FIT, "autoencoder", "--set", "beta=3"], "unknown parameter of Autoencoder 'beta'"),
    "code for a field": ([*FIT, "vae", "--set", "trainer.callbacks=print"], "only be passed in Python"),
    "parameter of a part": (
        [*FIT, "vae", "--set", "precision=bf16"],
        "precision: is a parameter of trainer; set trainer.precision",
    ),
    "unknown parameter of the optimizer": ([*FIT, "vae", "--set", "optimizer.beta=3"], "Did you mean 'betas'?"),
    "no assignment": ([*FIT, "vae", "--set", "beta"], "must be NAME=VALUE"),
    "unknown part": ([*FIT, "vae", "--set", "likelihood=bernouli"], "Did you mean 'bernoulli'?"),
    "unknown penalty": ([*FIT, "vae", "--set", "penalties=l2"], "unknown penalty 'l2'. Did you mean 'l1'?"),
    "unknown named part": ([*FIT, "vae", "--set", 'likelihood={part="gausian"}'], "Did you mean 'gaussian'?"),
    "unnamed part": ([*FIT, "vae", "--set", "likelihood={scale=3}"], "must name its part"),
    "unknown parameter of a part": ([*FIT, "vae", "--set", "likelihood__scal=3"], "Did you mean 'scale'?"),
    "parameter of no part": ([*FIT, "vae", "--set", "max_epochs__over=3"], "has no parameters of its own"),
    "parameter of an open part": ([*FIT, "vae", "--set", "scaling__per=all"], "set it to one of: min_max"),
    "wrong type": ([*FIT, "vae", "--set", "n_components=three"], "n_components='three' must be int or None."),
    "wrong type in a list": ([*FIT, "vae", "--set", "hidden_layer_sizes=[8,'x']"], "must be int or tuple of int."),
    "wrong type in a part": (
        [*FIT, "vae", "--set", "likelihood__min_scale=x"],
        "Gaussian: min_scale='x' must be float",
    ),
    "parameter of a part without any": (
        [*FIT, "vae", *NONE, "--set", "scaling__per=all"],
        "nor any other",
    ),
    "large integer": ([*FIT, "vae", "-k", 10**20], f"n_components={10**20} is too large"),
    "large integer in a list": ([*FIT, "vae", "--set", f"hidden_layer_sizes=[8,{10**20}]"], "is too large"),
    "seed that is not a number": (
        [*FIT, "vae", "--set", "random_state=abc"],
        "isthmus: random_state='abc' must be",
    ),
    "no layers of a flow": ([*FIT, "vae", "--set", "prior=flow", "--set", "prior__n_layers=0"], "n_layers=0 must be"),
    "no channels": ([*FIT, "vae", *CONV, "--set", "network__channels=[0]"], "channels must be a positive whole number"),
    "negative image shape": (
        [*FIT, "vae", "--set", "network=conv", "--set", "network.image_shape=[-2,-2]"],
        "got image_shape=(-2, -2)",
    ),
    "wrong value": ([*FIT, "vae", "--set", "learning_rate=-1"], "learning_rate=-1"),
    "wrong value in a part": ([*FIT, "vae", "--set", "likelihood__scale=-1"], "scale must be a positive number"),
    "no config": ([*FIT, "vae", "-c", "no.toml"], "no.toml: cannot be read"),
    "config that is not TOML": ([*FIT, "vae", "-c", "table.csv"], "table.csv: is not TOML"),
    "config that is binary": ([*FIT, "vae", "-c", "wide.npy"], "wide.npy: is not TOML"),
    "unknown data": (["fit", "digit", "-m", "vae", "-o", "new.safetensors"], "Did you mean 'digits'?"),
    "no file": (["fit", "no.csv", "-m", "vae", "-o", "new.safetensors"], "no.csv: no such file"),
    "unknown file type": (["fit", "x.parket", "-m", "vae", "-o", "new.safetensors"], "'.parket' files cannot be read"),
    "only NaN": (["fit", "nan.npy", "-m", "vae", "-o", "new.safetensors"], "nan.npy: X has only NaN in column 0"),
    "infinity": (["fit", "inf.npy", "-m", "vae", "-o", "new.safetensors"], "inf.npy: X contains infinity"),
    "empty": (["fit", "empty.csv", "-m", "vae", "-o", "new.safetensors"], "empty.csv: is empty"),
    "strings": (
        ["transform", "vae.safetensors", "text.csv", "-o", "new.npy"],
        "text.csv: has no column 'alpha', 'beta', 'gamma' (3 of the 3 columns",
    ),
    "one row": (["fit", "one.npy", "-m", "vae", "-o", "new.safetensors"], "one.npy: "),
    "empty column": (
        ["fit", "holes.npy", "-m", "vae", "-o", "new.safetensors"],
        "holes.npy: X has only NaN in column 1: drop it",
    ),
    "labels for rows": (["fit", "labels.npy", "-m", "vae", "-o", "new.safetensors"], "holds one number per row"),
    "diverges": ([*FIT, "vae", "--epochs", "2", "--set", "learning_rate=1e30"], "is not finite"),
    "no labels": (["fit", "wide.npy", "-m", "cvae", "-o", "new.safetensors"], "has no labels to condition on"),
    "labels of other rows": ([*FIT, "cvae", "--y", "labels.npy"], "labels.npy: 10 labels for the 150 rows of iris"),
    "unknown labels": (["fit", "table.csv", "-m", "cvae", "--y", "targe", "-o", "new.safetensors"], "mean 'target'?"),
    "model file's name": (
        ["fit", "iris", "-m", "vae", "-o", "new.npy"],
        "new.npy: must end in .safetensors; name it new.safetensors.",
    ),
    "model file's folder": (["fit", "iris", "-m", "vae", "-o", "no/new.safetensors"], "does not exist; make it first"),
    "model file is a folder": (["fit", "iris", "-m", "vae", "-o", "f.safetensors"], "is a folder"),
    "output's type": ([*USE, "table.csv", "-o", "new.cvs"], "Did you mean '.csv'?"),
    "output's folder": ([*USE, "table.csv", "-o", "no/new.npy"], "does not exist; make it first"),
    "output is input": (
        [*USE, "wide.npy", "-o", "wide.npy"],
        "wide.npy: would replace wide.npy, which the same command reads or writes; name another",
    ),
    "wrong width": ([*USE, "wide.npy", "-o", "new.npy"], "wide.npy: X has 7 features, but VAE is expecting 3"),
    "wrong columns": ([*USE, "iris", "-o", "new.npy"], "iris: has no column 'alpha'"),
    "infinity to transform": (["reconstruct", "vae.safetensors", "inf3.npy", "-o", "new.npy"], "inf3.npy: X contains"),
    "infinity to score": (["score", "vae.safetensors", "inf3.npy", "-o", "new.npy"], "inf3.npy: X contains infinity"),
    "no model file": (["score", "none.safetensors", "iris"], "none.safetensors: no such model; create it with"),
    "damaged model": (["score", "broken.safetensors", "iris"], "broken.safetensors: damaged"),
    "arguments swapped": (["score", "iris", "vae.safetensors"], "pass MODEL first"),
    "y for a model without": ([*USE, "table.csv", "--y", "target", "-o", "new.npy"], "a VAE, which has no conditions"),
    "unseen label": (["sample", "conditional_vae.safetensors", "--y", "maybe", "-o", "new.npy"], "y has maybe"),
    "sample of an autoencoder": (
        ["sample", "autoencoder.safetensors", "-o", "new.npy"],
        "has no density p(x)",
    ),
    "sample of a vae with y": (
        ["sample", "vae.safetensors", "--y", "1", "-o", "new.npy"],
        "only a conditional_vae",
    ),
    "no rows": (["sample", "vae.safetensors", "-n", "0", "-o", "new.npy"], "0 is not in the range"),
    "label that is a table": (
        ["sample", "conditional_vae.safetensors", "--y", "{}", "-o", "new.npy"],
        "must be a label",
    ),
    "too many rows": (["sample", "vae.safetensors", "-n", 10**25, "-o", "new.npy"], "is too large; it must be below"),
    "unknown topic": (["info", "gausian"], "unknown topic 'gausian'. Did you mean 'gaussian'?"),
    "demo into a file": (["demo", "-o", "table.csv"], "table.csv: is a file"),
}


@pytest.fixture
def bad(there):
    """The working directory, with files that cannot be used."""
    np.save("nan.npy", [[np.nan, 2.0], [np.nan, 3.0]])
    np.save("inf3.npy", [[1.0, 2.0, np.inf]])
    np.save("inf.npy", [[1.0, 2.0], [np.inf, 3.0]])
    np.save("one.npy", np.ones((1, 4)))
    (there / "empty.csv").touch()
    (there / "text.csv").write_text("a,b\n1,x\n2,y\n")
    (there / "broken.safetensors").write_bytes((there / "vae.safetensors").read_bytes()[:500])
    (there / "f.safetensors").mkdir()
    return there


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_writes_nothing(bad, run, case):
    args, words = BAD[case]
    before = {path: path.read_bytes() for path in bad.rglob("*") if path.is_file()}
    code, out, err = run(*args)
    assert code == 2, err
    assert out == ""
    assert words in err
    assert err.startswith("isthmus: ")
    assert err.count("\n") == 1
    assert {path: path.read_bytes() for path in bad.rglob("*") if path.is_file()} == before


NO_MEMORY = "not enough memory: use less data, smaller layers or a smaller batch_size."


def test_traceback_on_request(there, run):
    code, _, err = run("--traceback", "fit", "nosuch", "-m", "vae", "-o", "m.safetensors")
    assert code == 2
    assert err.startswith("Traceback")
    assert err.splitlines()[-1].startswith("isthmus: nosuch: neither a file")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (KeyboardInterrupt(), 130, "interrupted; no partial file was written."),
        (ImportError("pip install 'isthmus[report]'"), 2, "pip install 'isthmus[report]'"),
        (MemoryError(), 2, NO_MEMORY),
        (OSError(28, "No space left on device", "m.safetensors"), 2, "m.safetensors: No space left on device."),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8000000000000 bytes."),
            2,
            f"{NO_MEMORY} (An allocation of 8,000.0 GB failed.)",
        ),
        (ValueError("Expected 2D array:\n[1].\nReshape your data either using X"), 2, "iris: Expected 2D array: [1]."),
    ],
)  # fmt: skip
def test_expected_errors_are_one_line(there, run, monkeypatch, error, code, line):
    def fit(self, X, y=None):
        raise error

    monkeypatch.setattr(isthmus.VAE, "fit", fit)
    assert run("fit", "iris", "-m", "vae", "-o", "m.safetensors") == (code, "", f"isthmus: {line}\n")
    assert not (there / "m.safetensors").exists()


@pytest.mark.parametrize(
    "error",
    [
        TypeError("unsupported operand"),
        AttributeError("no attribute"),
        KeyError("key"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        AssertionError(),
        ModuleNotFoundError("No module named 'isthmus.gone'", name="isthmus.gone"),
    ],
    ids=repr,
)
def test_a_bug_is_reported_with_its_traceback(there, run, monkeypatch, error):
    def fit(self, X, y=None):
        raise error

    monkeypatch.setattr(isthmus.VAE, "fit", fit)
    code, out, err = run("fit", "iris", "-m", "vae", "-o", "m.safetensors")
    assert (code, out) == (1, "")
    assert err.startswith("Traceback (most recent call last):\n")
    assert "raise error" in err
    name = type(error).__name__
    last = f"isthmus: this {name} is a bug in isthmus; please report it with the traceback above."
    assert err.splitlines()[-1] == last
    assert not (there / "m.safetensors").exists()


def test_a_bug_while_loading_is_not_blamed_on_the_file(there, run, monkeypatch):
    def build(self, *_args, **_kwargs):
        raise AttributeError("planted")

    monkeypatch.setattr("isthmus.scaling.Standard.build", build)
    code, _, err = run("score", "vae.safetensors", "table.csv")
    assert code == 1, err
    assert "this AttributeError is a bug in isthmus" in err


def test_a_warning_is_one_line(there, run, monkeypatch):
    def fit(self, X, y=None):
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("two\nlines", UserWarning, stacklevel=1)
        return fitted(self, X, y)

    fitted = isthmus.VAE.fit
    monkeypatch.setattr(isthmus.VAE, "fit", fit)
    code, _, err = run("fit", "iris", "-m", "vae", "-o", "m.safetensors", "--epochs", 1)
    assert (code, err) == (0, "isthmus: warning: two lines\n")


FIT_TO_INTERRUPT = (
    *("fit", "iris", "-m", "vae", "-q", "--epochs", "60", "--set", "batch_size=16", "-o", "m.safetensors"),
)


def interrupt(tmp_path, number, code):
    """Start a fit in a process of its own, and interrupt it in training."""
    command = [sys.executable, "-m", "isthmus", *FIT_TO_INTERRUPT]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "m.safetensors.checkpoints" / "lock").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.2)
    process.send_signal(number)
    assert process.communicate()[1] == "isthmus: interrupted; to continue, run the same command with --resume.\n"
    assert process.returncode == code
    assert not (tmp_path / "m.safetensors").exists()
    assert list((tmp_path / "m.safetensors.checkpoints").glob("checkpoint-*"))


def test_terminated_fits_can_be_resumed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    interrupt(tmp_path, signal.SIGTERM, 143)


def test_interrupted_and_resumed_is_the_same_file(tmp_path, monkeypatch, run):
    monkeypatch.chdir(tmp_path)
    interrupt(tmp_path, signal.SIGINT, 130)
    fit = FIT_TO_INTERRUPT
    refused = run(*fit)
    assert refused[0] == 2
    assert "holds an unfinished run; add --resume" in refused[2]
    assert run(*fit, "--resume")[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]
    resumed = isthmus.load("m.safetensors").model_.state_dict()
    assert "holds no unfinished run" in run(*fit, "--resume")[2]
    assert run(*fit)[0] == 0
    whole = isthmus.load("m.safetensors").model_.state_dict()
    assert all((resumed[name] == whole[name]).all() for name in whole)


def test_checkpoints_can_be_switched_off(tmp_path, run):
    fit = ["fit", "iris", "-m", "vae", "-o", str(tmp_path / "m.safetensors"), "--epochs", "1"]
    assert run(*fit, "--set", "trainer.checkpoint_dir=None")[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]
    code, _, err = run(*fit, "--set", "trainer.checkpoint_dir=5")
    assert code == 2
    assert "checkpoint_dir" in err
