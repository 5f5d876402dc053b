"""Files that were found by fuzzing or by hand, and files that are changed at random, as far as structure allows."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostile import judge_checkpoint, judge_model
from isthmus import load
from isthmus.serialization import FileError
from mutations import mutated
from seeds import write_checkpoints, write_models

CORPUS = sorted((Path(__file__).parents[1] / "corpus").glob("*.safetensors"))
PATHS = {path.stem: path for path in CORPUS}
EXPECTED = {
    "abstract-part": "part 'Likelihood', which is not one of isthmus",
    "base-of-optimizers": "part 'Optimizer', which is not one of isthmus",
    "control-characters": "a part without a name",
    "deep": "nested more than 64 levels deep",
    "features": "'scaling.shift' has the wrong shape",
    "flipped-bit": "checksum",
    "folder-of-checkpoints": "its trainer has checkpoint_dir",
    "labels": "no valid 'condition'",
    "large-number": "which is too large",
    "layers": "'network.encoder.0.weight' has the wrong shape",
    "not-finite": "1e999.*not finite",
    "number-in-place-of-fields": "no valid 'fields'",
    "part-in-place-of-a-record": "no valid 'history'",
    "part-in-place-of-fields": "no valid 'fields'",
    "parts-in-place-of-parts": "no valid 'parts'",
    "units": "'network.encoder.1.weight' has the wrong shape",
    "weights-that-are-no-numbers": "not a finite number",
    "word-for-early-stopping": "early_stopping must be",
}
JUDGES = {"model": judge_model, "checkpoint": judge_checkpoint}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Return the models, and one checkpoint, from which the changes start."""
    folder = tmp_path_factory.mktemp("saved")
    (folder / "run").mkdir()
    return {"model": write_models(folder), "checkpoint": write_checkpoints(folder / "run")[-1:]}


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_what_was_found(path, folder):
    kind = path.stem.partition("-")[0]
    assert judge(kind, path.read_bytes(), folder) in ("refused", "not resumed")


@pytest.mark.parametrize("name", EXPECTED)
def test_it_is_refused_for_its_own_reason(name):
    """And not, for instance, because a description now needs another entry."""
    with pytest.raises(FileError, match=EXPECTED[name]):
        load(PATHS[f"model-{name}"])


@pytest.mark.parametrize(("kind", "number"), [("model", 300), ("checkpoint", 60)])
def test_changes_at_random(saved, folder, kind, number):
    outcomes = {
        judge(kind, mutated(random.Random(i), saved[kind][i % len(saved[kind])]), folder) for i in range(number)
    }
    expected = {"model": {"refused", "loaded and used"}, "checkpoint": {"not resumed", "of another run"}}
    assert outcomes >= expected[kind]


@settings(max_examples=150)
@given(st.data())
def test_changes_that_hypothesis_makes(saved, folder, data):
    """It makes a failing example smaller."""
    path = data.draw(st.sampled_from(saved["model"]))
    judge("model", mutated(data.draw(st.randoms(use_true_random=False)), path), folder)


def judge(kind, content, folder):
    path = folder / {"model": "m.safetensors", "checkpoint": "checkpoint-00000002.safetensors"}[kind]
    path.write_bytes(content)
    return JUDGES[kind](path)


def test_the_models_that_changes_start_from_are_read(saved, folder):
    for path in saved["model"]:
        assert judge("model", path.read_bytes(), folder) == "loaded and used"
    (path,) = saved["checkpoint"]
    assert judge("checkpoint", path.read_bytes(), folder) == "resumed"
