"""A full disk at the end of `isthmus fit` loses no training."""

import pytest

from disk import small_files
from isthmus import VAE, load

FIT = ("fit", "iris", "-m", "vae", "--set", "hidden_layer_sizes=8", "--epochs", "5", "-q")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("seconds", [0, 1000])
def test_checkpoints_stay_where_the_model_cannot_be_written(here, run, monkeypatch, seconds):
    """Also after a fit that was too short for a checkpoint."""
    fit = (*FIT, "-o", "m.safetensors", "--set", f"trainer.checkpoint_seconds={seconds}")

    def full(self, path, save=VAE.save):
        with small_files(2048):
            save(self, path)

    with monkeypatch.context() as patch:
        patch.setattr(VAE, "save", full)
        code, out, err = run(*fit)
    assert (code, out) == (2, "")
    assert err.startswith("isthmus: m.safetensors: the model could not be written (")
    assert "File too large" in err
    assert err.endswith(
        "make room, and run the same command with --resume (the checkpoints are in m.safetensors.checkpoints).\n"
    )
    assert err.count("\n") == 1
    assert [path.name for path in here.iterdir()] == ["m.safetensors.checkpoints"]
    assert run(*fit, "--resume") == (0, "", "")
    assert [path.name for path in here.iterdir()] == ["m.safetensors"]
    assert run(*FIT, "-o", "whole.safetensors")[0] == 0
    resumed, whole = (load(name).model_.state_dict() for name in ("m.safetensors", "whole.safetensors"))
    assert all((resumed[name] == whole[name]).all() for name in whole)


def test_without_a_checkpoint_the_command_is_to_be_run_again(here, run):
    """The last checkpoint does not fit on the disk either; one line says so."""
    with small_files(2048):
        code, out, err = run(*FIT, "-o", "m.safetensors")
    assert (code, out) == (2, "")
    (error,) = err.splitlines()
    assert error.startswith("isthmus: m.safetensors: the model could not be written (")
    assert error.endswith("make room, and run the same command again.")
    assert not list(here.iterdir())
