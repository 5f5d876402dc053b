"""Checkpoints that are damaged, or that say what no run writes: the one before is used, and nothing else happens."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris

from hostile import changed, with_text
from isthmus import VAE
from isthmus.engine import Checkpoints
from isthmus.training import Trainer

X = load_iris().data
FIELDS = {"n_components": 2, "max_epochs": 4, "batch_size": 32, "hidden_layer_sizes": (4,), "random_state": 0}
FIELDS["prior"] = "standard_normal"  # a mixture would take most of the time of a fit


class StopError(Exception):
    """Stands for a crash."""


def fit(folder, **more):
    trainer = Trainer(checkpoint_dir=str(folder), checkpoint_seconds=0.0, **more)
    return VAE(**FIELDS, trainer=trainer, early_stopping=True).fit(X)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return the names and bytes of the two checkpoints of a run that stopped in its third epoch."""
    folder = tmp_path_factory.mktemp("run")

    def stop(record):
        if record["epoch"] == 2:
            raise StopError

    with pytest.raises(StopError):
        fit(folder, callbacks=[stop])
    return {path.name: path.read_bytes() for path in sorted(folder.glob("checkpoint-*"))}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the model of an uninterrupted run."""
    return fit(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def newest(files, tmp_path):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path / max(files)


def resumed(folder):
    """Return the epochs and steps that would be resumed, and the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        position = Checkpoints(folder, SETTINGS).resume(lambda saved, _: (saved["epochs"], saved["steps"]))
    return position, [str(warning.message) for warning in caught]


SETTINGS: dict = {}


@pytest.mark.parametrize("bit", [0, 5])
def test_every_flipped_bit_of_the_newest_checkpoint_is_noticed(tmp_path, bit):
    checkpoints = Checkpoints(tmp_path, SETTINGS)
    for epochs in (1, 2):
        state = {"parameter.0": torch.arange(3.0), "rows": torch.ones(1, 2)}
        checkpoints.write({"epochs": epochs, "steps": 1}, state)
    path = checkpoints.files()[-1]
    assert resumed(tmp_path) == ((2, 1), [])
    whole = bytearray(path.read_bytes())
    for i in range(len(whole)):
        whole[i] ^= 1 << bit
        path.write_bytes(whole)
        position, (warning,) = resumed(tmp_path)
        assert position == (1, 1), f"byte {i} was not noticed"
        assert "cannot be resumed" in warning
        assert warning.isprintable()
        whole[i] ^= 1 << bit


def entry(**values):
    return lambda description, tensors: description.update(values)


def without(name):
    return lambda description, tensors: description.pop(name)


def tensor(name, change):
    return lambda description, tensors: tensors.update({name: change(tensors[name])})


CHANGES = {
    "settings that are a list": entry(settings=[]),
    "a seed that is a text": entry(seed="0"),
    "a seed that is too large": entry(seed=2**64),
    "no seed": without("seed"),
    "epochs that are negative": entry(epochs=-1),
    "epochs that are a fraction": entry(epochs=0.5),
    "epochs that are a list": entry(epochs=[1]),
    "more steps than an epoch has": entry(steps=10**9),
    "other steps than losses": entry(steps=1),
    "names that are a number": entry(names=3),
    "names of other terms": entry(names=["loss"]),
    "a history of numbers": entry(history=[1]),
    "no history": without("history"),
    "a best loss that is a text": entry(best_loss="low"),
    "a best epoch before all": entry(best_epoch=-2),
    "an end that is a number": entry(ended=1),
    "losses of other steps": tensor("rows", lambda rows: rows[:1]),
    "losses that are one number": tensor("rows", torch.sum),
    "losses that are not numbers": tensor("rows", lambda rows: rows * torch.nan),
    "parameters that are not numbers": tensor("parameter.0", lambda p: p * torch.nan),
    "moments that are not numbers": tensor("optimizer.0.exp_avg", lambda p: p * torch.nan),
    "parameters of another type": tensor("parameter.0", torch.Tensor.double),
    "best parameters of another shape": tensor("best.0", lambda p: p[:1]),
    "no best parameters": lambda description, tensors: tensors.pop("best.1"),
    "a generator of another size": tensor("generator.0", lambda state: state[:9]),
    "a generator of another type": tensor("generator.0", torch.Tensor.int),
    "a generator of an impossible state": tensor("generator.0", lambda state: torch.full_like(state, 255)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_checkpoint_that_means_nothing_is_not_resumed(newest, whole, name):
    changed(newest, CHANGES[name])
    with pytest.warns(UserWarning, match=rf"{newest.name}: cannot be resumed \(.*; the checkpoint before it") as caught:
        again = fit(newest.parent)
    assert len(caught) == 1
    assert "is a 'model'" not in str(caught[0].message)
    assert (again.transform(X) == whole.transform(X)).all()
    assert again.n_iter_ == whole.n_iter_


def test_a_model_in_place_of_a_checkpoint(newest):
    fit(newest.parent / "other").save(newest)
    with pytest.warns(UserWarning, match=r"cannot be resumed \(is a 'model', not a checkpoint\)"):
        fit(newest.parent)


@pytest.mark.parametrize("text", ["[" * 10**5, '{"settings": 1e999}', "null"])
def test_a_description_that_is_none(newest, text):
    with_text(newest, text)
    with pytest.warns(UserWarning, match="cannot be resumed"):
        fit(newest.parent)


def test_settings_that_differ_are_shown_as_printable_text(newest):
    changed(newest, lambda description, tensors: description["settings"].update({"\x1b[2J": "\n" + "x" * 1000}))
    with pytest.raises(ValueError, match=r"differs in \\x1b\[2J") as error:
        fit(newest.parent)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 400


def test_the_checkpoints_before_damage_are_resumed(newest):
    """What the tests above compare with is not trivial: resuming continues in the middle."""
    seen = []
    fit(newest.parent, callbacks=[lambda record: seen.append(record["epoch"])])
    assert seen == [2, 3, 4], "the last step of the second epoch was done, and its callbacks were not called"
    assert np.isfinite(fit(newest.parent / "again").history_[-1]["loss"])
