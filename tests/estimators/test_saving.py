"""Saved estimators: what comes back from a file, and what is said of a file that cannot be read."""

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

from isthmus import VAE, Autoencoder, ConditionalVAE, estimators, load
from isthmus.likelihoods import Gaussian
from isthmus.optimizers import Adam
from isthmus.penalties import KL, L1, Warmup
from isthmus.serialization import FileError, read, write
from isthmus.training import Trainer

X, Y = load_iris(return_X_y=True)
QUICK = {"max_epochs": 2, "random_state": 0, "hidden_layer_sizes": (8,)}
ESTIMATORS = [getattr(estimators, name) for name in estimators.__all__]
by_class = pytest.mark.parametrize("cls", ESTIMATORS, ids=lambda cls: cls.__name__)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "m.safetensors"


# ---- what comes back ---------------------------------------------------------------------------------------------


@by_class
def test_pickle_and_file_give_the_same_bits(cls, tmp_path):
    model = cls(**QUICK).fit(X, Y)
    model.save(tmp_path / "m.safetensors")
    for again in (pickle.loads(pickle.dumps(model)), load(tmp_path / "m.safetensors")):
        assert (again.transform(X) == model.transform(X)).all()
        assert again.get_params() == model.get_params()
        assert again.history_ == model.history_
        assert again.n_iter_ == model.n_iter_


def test_file_of_a_model_that_saw_missing_cells(tmp_path):
    holes = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    model = VAE(**QUICK).fit(holes)
    model.save(tmp_path / "m.safetensors")
    assert (load(tmp_path / "m.safetensors").impute(holes) == model.impute(holes)).all()


def test_file_in_another_process(tmp_path):
    path = tmp_path / "m.safetensors"
    vae = VAE(**QUICK, beta=Warmup(0.5), posterior="full_normal").fit(pd.DataFrame(X, columns=list("abcd")))
    vae.save(path)
    code = (
        "import sys, numpy as np, isthmus, pandas as pd; from sklearn.datasets import load_iris\n"
        "m = isthmus.load(sys.argv[1]); X = pd.DataFrame(load_iris().data, columns=list('abcd'))\n"
        "np.savez(sys.argv[2], t=m.transform(X), s=m.sample(9, random_state=0), l=m.score_samples(X))"
    )
    subprocess.run([sys.executable, "-c", code, path, tmp_path / "o.npz"], check=True)
    there = np.load(tmp_path / "o.npz")
    frame = pd.DataFrame(X, columns=list("abcd"))
    assert (there["t"] == vae.transform(frame)).all()
    assert (there["s"] == vae.sample(9, random_state=0).to_numpy()).all()
    assert (there["l"] == vae.score_samples(frame)).all()


def test_file_keeps_labels_of_every_kind(tmp_path):
    for labels in (Y, Y.astype(str), Y > 0, X[:, :2]):
        model = ConditionalVAE(**QUICK, n_draws=3).fit(X, labels)
        model.save(tmp_path / "m.safetensors")
        again = load(tmp_path / "m.safetensors")
        assert (again.score_samples(X, labels) == model.score_samples(X, labels)).all()
        if hasattr(model, "classes_"):
            assert (again.predict(X) == model.predict(X)).all()
            assert again.classes_.dtype == model.classes_.dtype


def test_a_part_of_ones_own_is_loaded_only_when_passed(tmp_path):
    class Mine(L1):
        """A part that isthmus does not know."""

    VAE(**QUICK, penalties=[Mine(0.1)]).fit(X).save(tmp_path / "m.safetensors")
    with pytest.raises(FileError, match=r"part 'Mine'.*load\(..., parts=\[Mine\]\)"):
        load(tmp_path / "m.safetensors")
    assert load(tmp_path / "m.safetensors", parts=[Mine]).penalties == [Mine(0.1)]


@pytest.mark.parametrize("sizes", [(8,), [8], 8, [], (8, 4)])
def test_a_sequence_comes_back_as_the_type_it_was(path, sizes):
    optimizer = Adam(betas=[0.9, 0.95])
    model = VAE(2, max_epochs=1, random_state=0, hidden_layer_sizes=sizes, penalties=[KL(0.5)], optimizer=optimizer)
    model.fit(X).save(path)
    again = load(path)
    assert again.get_params(deep=False) == model.get_params(deep=False)
    assert type(again.hidden_layer_sizes) is type(sizes)
    assert type(again.penalties) is type(again.optimizer.betas) is list


def test_numbers_of_numpy_come_back_as_numbers(path):
    model = VAE(np.int64(2), **QUICK, beta=np.float32(0.5)).fit(X)
    model.save(path)
    assert load(path).get_params() == model.get_params()


def test_callbacks_loggers_and_the_folder_of_checkpoints_are_not_saved(path, tmp_path):
    folder = tmp_path / "run"
    trainer = Trainer(precision="float64", callbacks=[print], checkpoint_dir=str(folder), checkpoint_seconds=60.0)
    model = VAE(**QUICK, trainer=trainer).fit(X)
    model.save(path)
    assert load(path).trainer == Trainer(precision="float64")
    model.set_params(trainer__precision="float32").save(path)
    assert load(path).trainer is None
    assert model.trainer.callbacks == [print]


# ---- files that cannot be read -----------------------------------------------------------------------------------


DAMAGE = {
    "truncated": (lambda whole: whole[: len(whole) // 2], "damaged, truncated, or no safetensors file"),
    "empty": (lambda _: b"", "damaged, truncated, or no safetensors file"),
    "not safetensors": (lambda _: b"PK\x03\x04" + bytes(200), "damaged, truncated, or no safetensors file"),
    "older": (
        lambda whole: whole.replace(b'"format":"4"', b'"format":"2"'),
        "older isthmus .format 2, this one reads 3 to 4",
    ),
    "newer": (lambda whole: whole.replace(b'"format":"4"', b'"format":"9"'), "newer isthmus .format '9', .* upgrade"),
    "older checksum": (lambda whole: whole.replace(b'"format":"4"', b'"format":"3"'), "damaged: its checksum"),
    "bit of a weight": (lambda whole: whole[:-7] + bytes([whole[-7] ^ 0x40]) + whole[-6:], "damaged: its checksum"),
    "name of a tensor": (lambda whole: whole.replace(b"encoder.0.bias", b"encoder.0.bics"), "and it has none; save"),
    "description": (lambda whole: whole.replace(rb'"seed\": 0', rb'"seed\": 1'), "damaged: its checksum"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_files(path, name):
    VAE(**QUICK).fit(X).save(path)
    damage, message = DAMAGE[name]
    whole = path.read_bytes()
    assert damage(whole) != whole
    path.write_bytes(damage(whole))
    with pytest.raises(FileError, match=message) as error:
        load(path)
    assert str(error.value).startswith(str(path))


def test_every_flipped_bit_of_a_small_file_is_noticed(path):
    Autoencoder(1, max_epochs=1, random_state=0, hidden_layer_sizes=()).fit(X[:9]).save(path)
    whole = bytearray(path.read_bytes())
    for i in range(len(whole)):
        whole[i] ^= 1 << i % 8
        path.write_bytes(whole)
        with pytest.raises(FileError):
            load(path)
        whole[i] ^= 1 << i % 8


def test_a_safetensors_file_of_another_program(path):
    import torch
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(FileError, match="not one of isthmus"):
        load(path)


def test_a_missing_file_is_also_a_file_not_found_error(path):
    for kind in (FileNotFoundError, FileError, ValueError):
        with pytest.raises(kind, match=r"m\.safetensors: there is no such file"):
            load(path)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(FileError, match="is not a file but a folder"):
        load(tmp_path)


def test_saving_into_a_folder_that_does_not_exist_names_the_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="the folder .*nowhere does not exist") as error:
        VAE(**QUICK).fit(X).save(tmp_path / "nowhere" / "m.safetensors")
    assert ".isthmus-" not in str(error.value), "which is the temporary file"


CHANGED = {
    "estimator": ("VAX", "unknown estimator 'VAX'"),
    "n_features": (5, "its tensor 'scaling.shift' has the wrong shape or type"),
    "masked": (True, "its tensor 'network.encoder.0.weight' has the wrong shape or type"),
    "history": ({}, "no valid 'history'"),
    "seed": (None, "no valid 'seed'"),
    "fields": ({"n_components": 2, "colour": "red"}, "unknown parameter of VAE 'colour'"),
    "parts": ({"network": 3}, "no valid 'network'"),
    "condition": ({}, "no valid 'condition'"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_descriptions_that_do_not_fit(path, name):
    VAE(2, **QUICK, likelihood=Gaussian(scale="shared")).fit(X).save(path)
    description, tensors = read(path)
    value, message = CHANGED[name]
    write(path, description | {name: value}, tensors)
    with pytest.raises(FileError, match=message):
        load(path)
    write(path, {k: v for k, v in description.items() if k != name}, tensors)
    with pytest.raises(FileError, match=f"no valid '{name}'"):
        load(path)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"part": "Gaussiam", "params": {}}, r"part 'Gaussiam'.*if it is yours, pass load\(..., parts=\[Gaussiam\]\)"),
        ({"part": "\x1b[2J", "params": {}}, "a part without a name"),
        ({"part": "Gaussian", "params": {"scal": 1}}, "unknown parameter of Gaussian 'scal'. Did you mean 'scale'"),
        ({"part": "Gaussian", "params": {"min_scale": -1.0}}, r"Gaussian\(min_scale=-1.0\)"),
        ({"part": "Gaussian", "params": {"scale": [1.0]}}, r"Gaussian\(scale=\(1.0,\)\) has a value of the wrong type"),
        ({"part": "Likelihood", "params": {}}, "part 'Likelihood', which is not one of isthmus"),
        ({"float": "ten"}, "an invalid float; save"),
        ({"list": 3}, "an invalid list; save"),
        ({"dict": [3]}, "an invalid dict; save"),
    ],
)
def test_values_that_do_not_fit(path, value, message):
    VAE(2, **QUICK, likelihood=Gaussian(scale="shared")).fit(X).save(path)
    description, tensors = read(path)
    description["parts"]["likelihood"] = value
    write(path, description, tensors)
    with pytest.raises(FileError, match=message):
        load(path)


@pytest.mark.parametrize("error", [AttributeError, TypeError, KeyError, RuntimeError])
def test_a_bug_in_a_part_is_no_damage(path, monkeypatch, error):
    """It is raised as it is, from the line where it happened."""

    class Mine(Gaussian):
        """A likelihood of somebody's own."""

    VAE(2, **QUICK, likelihood=Mine()).fit(X).save(path)

    def build(self, n_features):
        raise error("planted")

    monkeypatch.setattr(Mine, "build", build)
    with pytest.raises(error, match="planted") as caught:
        load(path, parts=[Mine])
    assert caught.traceback[-1].name == "build"
    assert not isinstance(caught.value, FileError)
