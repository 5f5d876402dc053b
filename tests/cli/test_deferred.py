"""Start-up: a command imports what it needs, and nothing else."""

import subprocess
import sys

import numpy as np
import pytest
import sklearn

from isthmus import VAE
from isthmus.cli._deferred import _Deferred

# Packages and modules that scoring a .npy file needs no part of.
NEEDLESS = {
    "isthmus": {"assessment", "demo", "explorer", "plots", "testing"},
    "sklearn": {"cluster", "datasets", "decomposition", "linear_model", "metrics", "mixture", "model_selection", "svm"},
    "scipy": {"stats", "special"},
    "torch": {"_dynamo", "_inductor", "onnx"},
    **dict.fromkeys(
        ["IPython", "jinja2", "lightning", "lightning_fabric", "matplotlib", "narwhals", "pandas", "polars", "pyarrow"]
    ),
    **dict.fromkeys(["sympy", "tensorboardX", "triton", "zuko"]),
}
SCORE = "score m.safetensors x.npy"
APPLY = [
    SCORE,
    "transform m.safetensors x.npy -o z.npy",
    "reconstruct m.safetensors x.npy -o r.csv",
    "impute m.safetensors x.npy -o i.npy",
    "sample m.safetensors -n 3 -o s.npy",
    "info m.safetensors",
]
FIT = "fit x.npy -m vae -o n.safetensors --epochs 1 --set hidden_layer_sizes=8"


@pytest.fixture
def folder(tmp_path, digits):
    np.save(tmp_path / "x.npy", digits)
    # after one epoch, q(z|x) is so poor that samples are drawn again at the modes of the posterior
    VAE(2, hidden_layer_sizes=(8,), max_epochs=1, random_state=0).fit(digits).save(tmp_path / "m.safetensors")
    return tmp_path


def run(code, folder):
    """Run code in a new process, in which warnings are errors, and return what it prints."""
    command = [sys.executable, "-W", "error", "-c", f"import sys; from isthmus.cli import main\n{code}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def needless_imports(commands, folder):
    """Run commands as the shell does, and return what they import needlessly."""
    code = f"""
for words in {commands}:
    sys.argv[1:] = words.split()
    assert main() == 0, words
assert not [name for name in sys.modules if type(sys.modules[name]).__name__ == "_Deferred"]
print(*sys.modules)
"""
    paths = [name.split(".") for name in run(code, folder).splitlines()[-1].split()]
    return {
        ".".join(path[:2])
        for path in paths
        if path[0] in NEEDLESS and (NEEDLESS[path[0]] is None or set(path[1:2]) & NEEDLESS[path[0]])
    }


def test_applying_a_model_imports_only_what_it_needs(folder):
    own = {"scipy.special"} if sklearn.__version__.startswith("1.6.") else set()  # that scikit-learn uses at once
    assert needless_imports(APPLY, folder) <= own


def test_fitting_imports_little_more(folder):
    """scikit-learn's check of weights needs narwhals, and k-means, from which mixtures start, needs scipy.special."""
    found = needless_imports([FIT], folder)
    assert {name for name in found if not name.startswith(("narwhals", "scipy.", "sklearn."))} == set()


def test_what_was_deferred_is_imported_when_it_is_used(folder):
    code = f"""
assert main({SCORE.split()}) == 0
assert "pandas" not in sys.modules
import numpy as np, pandas, scipy.special, scipy.stats
import isthmus
table = pandas.DataFrame(np.random.default_rng(0).normal(size=(20, 3)), columns=list("abc"))
model = isthmus.VAE(1, hidden_layer_sizes=(), max_epochs=1, random_state=0).fit(table)
assert list(model.sample(2, random_state=0).columns) == list("abc")
assert scipy.stats.norm.cdf(0) == 0.5 == scipy.special.expit(0)
"""
    run(code, folder)


def test_a_stand_in_imports_its_module_when_it_is_used(monkeypatch):
    monkeypatch.setitem(sys.modules, "colorsys", None)
    stand_in = _Deferred("colorsys")
    sys.modules["colorsys"] = stand_in
    with pytest.raises(AttributeError):
        stand_in.__path__  # noqa: B018 - the import system looks for it
    assert sys.modules["colorsys"] is stand_in
    assert stand_in.rgb_to_hsv(0, 0, 0) == (0, 0, 0)
    assert sys.modules["colorsys"] is not stand_in
