"""`isthmus info FILE` of saved models and checkpoints, also of those that come from a stranger."""

import hashlib

import pytest
import torch
from sklearn.datasets import load_iris

from hostile import changed
from isthmus import ConditionalVAE, load
from isthmus.engine import Checkpoints
from isthmus.model import Model
from isthmus.serialization import FORMAT

X, Y = load_iris(return_X_y=True)


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ConditionalVAE(2, max_epochs=2, random_state=0, hidden_layer_sizes=(4,)).fit(X, Y).save("m.safetensors")
    return tmp_path / "m.safetensors"


def refuse(*args, **kwargs):
    raise AssertionError("a model was built")


def test_no_network_is_built(path, run, monkeypatch):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert load(path, sha256=digest).n_iter_ == 2
    monkeypatch.setattr(Model, "build", refuse)
    code, out, err = run("info", "m.safetensors")
    assert (code, err) == (0, "")
    first, kept = out.split("\n\n")
    lines = dict(line.split(maxsplit=1) for line in first.splitlines() if not line.startswith(("last epoch", "column")))
    assert kept.splitlines()[1].startswith("labels          3, ")
    assert lines["model"] == "ConditionalVAE"
    assert lines["labels"] == "0, 1, 2"
    assert lines["training"].startswith("2 epochs, ")
    assert lines["fields"] == "hidden_layer_sizes=(4,), max_epochs=2, n_components=2, random_state=0"
    assert lines["tensors"].startswith("13 of 196 numbers, ")
    assert lines["file"] == f"a model, format {FORMAT}"
    assert lines["sha256"] == digest
    assert "\ncolumns         4 -> 2 units\n" in out


def test_parts_of_ones_own_are_named(path, run):
    own = {"part": "Mine", "params": {"inner": {"part": "Other", "params": {}}}}
    changed(path, lambda description, _: description["fields"].update(likelihood=own))
    out = run("info", "m.safetensors")[1]
    assert "\nyour own parts  load(..., parts=[Mine, Other])\n" in out
    assert out.endswith("\nnot known       the model has parts of your own\n")


def test_text_is_printable(path, run):
    changed(path, lambda description, _: description.update(columns=["\x1b[2J", "a\nb", "c", "d"]))
    code, out, _ = run("info", "m.safetensors")
    assert code == 0
    assert "\ncolumn names    \\x1b[2J, a\\nb, c, d\n" in out


@pytest.mark.parametrize("records", [[{"loss": "low", "seconds": "ten"}], [{"loss": {"float": "nan"}}], [{}], []])
def test_strange_records(path, run, records):
    changed(path, lambda description, _: description.update(history=records))
    assert run("info", "m.safetensors")[0] == 0


def test_errors_are_one_line(path, run):
    changed(path, lambda description, _: description.update(n_iter=-1))
    message = "isthmus: m.safetensors: its description has no valid 'n_iter'; save the model again.\n"
    assert run("info", "m.safetensors") == (2, "", message)
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    assert run("info", "m.safetensors") == (
        2,
        "",
        "isthmus: m.safetensors: damaged: its checksum does not fit its content; save the model again.\n",
    )


def test_a_checkpoint(tmp_path, run):
    checkpoints = Checkpoints(tmp_path, {"estimator": "VAE", "rows": 150, "columns": 4})
    checkpoints.write({"epochs": 3, "steps": 2}, {"parameter.0": torch.zeros(5)})
    code, out, _ = run("info", checkpoints.files()[0])
    assert code == 0
    for text in ("VAE", "150 rows x 4 columns", "3 epochs and 2 steps", "1 of 5 numbers", "a checkpoint, format"):
        assert text in out
    changed(checkpoints.files()[0], lambda description, _: description.update(settings="\x1b[2J"))
    code, out, _ = run("info", checkpoints.files()[0])
    assert (code, "\x1b" in out) == (0, False)
