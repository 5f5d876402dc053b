"""The format of saved models: files of every version that can be read, and what the page about it says."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_iris

from isthmus import VAE, load
from isthmus.engine import Checkpoints
from isthmus.estimators._saved_entries import _CHECKS
from isthmus.serialization import FORMAT, FileError, open_saved
from isthmus.serialization._header import DTYPES
from isthmus.serialization._migrations import MIGRATIONS, OLDEST

GOLDEN = Path(__file__).parents[1] / "golden_files"
PAGE = Path(__file__).parents[2] / "docs" / "format.md"
VERSIONS = range(OLDEST, FORMAT + 1)
X = load_iris().data[[0, 60, 120]]


def test_every_version_has_files_and_a_migration():
    """A new version of the format needs both: `isthmus fit` makes the files, which are then never changed."""
    assert sorted(path.name for path in GOLDEN.iterdir()) == sorted(
        f"{name}-{version}.safetensors" for name in ("vae", "conditional_vae") for version in VERSIONS
    )
    assert sorted(MIGRATIONS) == list(VERSIONS)[:-1]


@pytest.mark.parametrize("version", VERSIONS)
def test_files_of_every_version_are_read(version):
    with open_saved(GOLDEN / f"vae-{version}.safetensors") as file:
        assert (file.version, file.kind) == (version, "model")
    model = load(GOLDEN / f"vae-{version}.safetensors")
    assert model.beta == 0.5
    assert [record["epoch"] for record in model.history_] == [1, 2]
    codes = [[0.167439, 0.203196], [0.070101, 0.038165], [-0.348038, 0.560683]]
    np.testing.assert_allclose(model.transform(pd.DataFrame(X, columns=list("abcd"))), codes, atol=1e-5)


@pytest.mark.parametrize(("code", "name"), [("<f4", "float32"), ("|b1", "bool"), ("<U10", "str320"), ("|O", "object")])
def test_types_of_labels_of_version_3_have_names(code, name):
    assert MIGRATIONS[3]({"condition": {"dtype": code}})["condition"] == {"type": name}


@pytest.mark.parametrize("version", VERSIONS)
def test_labels_of_every_version_are_read(version):
    model = load(GOLDEN / f"conditional_vae-{version}.safetensors")
    assert model.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert model.classes_.dtype == "<U10"
    codes = [[0.020332, -0.573438], [0.017431, -0.076904], [-0.520439, 0.521778]]
    np.testing.assert_allclose(model.transform(X, ["setosa"] * 3), codes, atol=1e-5)


def test_the_safetensors_library_reads_the_same():
    from safetensors import safe_open

    path = GOLDEN / f"vae-{FORMAT}.safetensors"
    with open_saved(path) as file:
        own = file.read_tensors()
    with safe_open(path, framework="pt") as file:
        assert file.metadata().keys() == {"isthmus", "format", "kind", "checksum"}
        theirs = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    assert own.keys() == theirs.keys()
    assert all(torch.equal(own[name], theirs[name]) for name in own)


@pytest.mark.parametrize("kind", ["model", "checkpoint"])
def test_the_other_kind_of_file_is_refused(tmp_path, kind):
    other = {"model": "checkpoint", "checkpoint": "model"}[kind]
    VAE(2, max_epochs=1, random_state=0).fit(np.random.default_rng(0).normal(size=(9, 2))).save(tmp_path / "model")
    with Checkpoints(tmp_path / "run", {}) as checkpoints:
        checkpoints.write({"epochs": 1}, {})
        (tmp_path / "checkpoint").write_bytes(checkpoints.files()[0].read_bytes())
    with (
        pytest.raises(FileError, match=f"is a '{kind}', not a {other}; name another file"),
        open_saved(tmp_path / kind, kind=other),
    ):
        pass
    with (
        pytest.raises(FileError, match="not a model; name"),
        open_saved(tmp_path / "checkpoint", kind=("model", "meta_estimator")),
    ):
        pass


def test_the_page_names_everything_that_a_file_holds():
    page = PAGE.read_text()
    for name in (*_CHECKS, *DTYPES, "kind", "checksum", "format", "isthmus"):
        assert re.search(rf"`\"?{name}\"?`", page), f"docs/format.md does not mention `{name}`"
    for version in VERSIONS:
        assert f"| {version} |" in page, f"docs/format.md does not say what is new in version {version}"
