"""Interruption: killed at any instant and resumed, a run ends with the bits of the uninterrupted one."""

import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from sklearn.datasets import load_iris

from isthmus import VAE, DenoisingAutoencoder
from isthmus.engine import Checkpoints, InterruptedTrainingError
from isthmus.engine import checkpoint as module

X = load_iris().data
FIELDS = {"max_epochs": 6, "batch_size": 32, "hidden_layer_sizes": (8,), "random_state": 0, "checkpoint_seconds": 0.0}


def parameters(model):
    return {name: value.numpy() for name, value in model.model_.state_dict().items()}


def assert_same_bits(a, b):
    for name, value in parameters(a).items():
        assert (value == parameters(b)[name]).all(), name


class StopError(Exception):
    """What stands for a crash in one process."""


def crash_after(steps):
    """Return a corruption-free way to die: a write that counts steps and raises after the last of them."""
    plain, count = Checkpoints.write, [0]

    def write(self, description, tensors):
        plain(self, description, tensors)
        count[0] += 1
        if count[0] == steps:
            raise StopError

    return write


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("steps", [1, 4, 5, 13])
def test_resumed_is_uninterrupted(tmp_path, monkeypatch, steps, early):
    fields = {**FIELDS, "early_stopping": early, "corruption": "gaussian_noise"}
    whole = VAE(**fields).fit(X)
    model = VAE(**fields, checkpoint_dir=str(tmp_path))
    with monkeypatch.context() as patch, pytest.raises(StopError):
        patch.setattr(Checkpoints, "write", crash_after(steps))
        model.fit(X)
    assert len(list(tmp_path.glob("checkpoint-*"))) == min(steps, 2)
    resumed = VAE(**fields, checkpoint_dir=str(tmp_path)).fit(X)
    assert_same_bits(resumed, whole)
    losses = [[r["loss"] for r in m.history_] for m in (resumed, whole)]
    assert losses[0] == losses[1]
    assert not list(tmp_path.glob("checkpoint-*")), "a complete run leaves no checkpoint"


def test_fresh_entropy_is_remembered(tmp_path, monkeypatch):
    fields = {**FIELDS, "random_state": None, "checkpoint_dir": str(tmp_path)}
    first = VAE(**fields)
    with monkeypatch.context() as patch, pytest.raises(StopError):
        patch.setattr(Checkpoints, "write", crash_after(3))
        first.fit(X)
    resumed = VAE(**fields).fit(X)
    assert resumed.seed_ == first.seed_
    assert_same_bits(resumed, VAE(**{**FIELDS, "random_state": first.seed_}).fit(X))


def test_killed_at_dozens_of_random_instants(tmp_path):
    """SIGKILL, also in the middle of a checkpoint: every step writes one, and most of a step is the writing."""
    code = """
        import os, random, signal, sys, time
        import numpy as np
        from sklearn.datasets import load_iris
        from isthmus import VAE, load
        import isthmus.estimators._loading
        folder, kills = sys.argv[1], 30
        os.fsync = lambda _: None  # as in the tests of one process: see conftest.py
        X = load_iris().data
        fields = dict(n_components=2, max_epochs=40, batch_size=32, hidden_layer_sizes=(8,), random_state=0)

        def child(path, **more):
            pid = os.fork()
            if pid == 0:
                VAE(**fields, **more).fit(X).save(path)
                os._exit(0)
            return pid

        os.waitpid(child(folder + "/whole.safetensors"), 0)
        rng, killed, path = random.Random(0), 0, folder + "/resumed.safetensors"
        while not os.path.exists(path):
            pid = child(path, checkpoint_dir=folder + "/run", checkpoint_seconds=0.0)
            if killed < kills:
                time.sleep(rng.uniform(0.01, 0.12))
                os.kill(pid, signal.SIGKILL)
                killed += 1
            os.waitpid(pid, 0)
        a, b = (load(folder + f"/{name}.safetensors").model_.state_dict() for name in ("whole", "resumed"))
        assert all((a[name] == b[name]).all() for name in a)
        print(killed)
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)  # noqa: PLW1510
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 12


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_finish_the_step_and_say_how_to_go_on(tmp_path, number):
    model = VAE(**FIELDS, checkpoint_dir=str(tmp_path), callbacks=[lambda _: os.kill(os.getpid(), number)])
    before = signal.getsignal(number)
    with pytest.raises(InterruptedTrainingError, match=rf"{number.name}; to go on.*checkpoint_dir=") as caught:
        model.fit(X)
    assert caught.value.signal == number
    assert signal.getsignal(number) is before
    assert_same_bits(VAE(**FIELDS, checkpoint_dir=str(tmp_path)).fit(X), VAE(**FIELDS).fit(X))


def interrupted(folder, monkeypatch, steps=7, cls=VAE):
    with monkeypatch.context() as patch, pytest.raises(StopError):
        patch.setattr(Checkpoints, "write", crash_after(steps))
        cls(**FIELDS, checkpoint_dir=str(folder)).fit(X)


def test_another_run_is_refused(tmp_path, monkeypatch):
    interrupted(tmp_path, monkeypatch)
    with pytest.raises(
        ValueError, match=r"unfinished run that differs in batch_size \(32, now 16\), max_epochs \(6, now 7\)"
    ):
        VAE(**{**FIELDS, "batch_size": 16, "max_epochs": 7}, checkpoint_dir=str(tmp_path)).fit(X)
    with pytest.raises(ValueError, match=r"differs in data \(.*rows \(150, now 149\)"):
        VAE(**FIELDS, checkpoint_dir=str(tmp_path)).fit(X[1:])
    with pytest.raises(ValueError, match=r"estimator \('VAE', now 'DenoisingAutoencoder'\)"):
        DenoisingAutoencoder(**FIELDS, checkpoint_dir=str(tmp_path)).fit(X)
    assert len(list(tmp_path.glob("checkpoint-*"))) == 2, "nothing was overwritten"


def test_corrupt_newest_checkpoint(tmp_path, monkeypatch):
    interrupted(tmp_path, monkeypatch)
    newest = max(tmp_path.glob("checkpoint-*"))
    newest.write_bytes(newest.read_bytes()[:100])
    with pytest.warns(UserWarning, match="damaged.*Going on from the checkpoint before it"):
        resumed = VAE(**FIELDS, checkpoint_dir=str(tmp_path)).fit(X)
    assert_same_bits(resumed, VAE(**FIELDS).fit(X))


def test_full_disk(tmp_path, monkeypatch):
    interrupted(tmp_path, monkeypatch)
    before = {path: path.read_bytes() for path in tmp_path.glob("checkpoint-*")}
    seen = []

    def full(*_):
        seen.append({path: path.read_bytes() for path in tmp_path.glob("checkpoint-*")})
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write", full)
    with pytest.warns(UserWarning, match="No space left on device.*training goes on"):
        model = VAE(**FIELDS, checkpoint_dir=str(tmp_path)).fit(X)
    assert all(state == before for state in seen), "the checkpoint before stays as it is"
    assert_same_bits(model, VAE(**FIELDS).fit(X))


def test_two_processes_in_one_folder(tmp_path):
    with Checkpoints(tmp_path, {}), pytest.raises(ValueError, match="in use by another process"):
        VAE(**FIELDS, checkpoint_dir=str(tmp_path)).fit(X)


def test_checkpoints_hold_no_code(tmp_path, monkeypatch):
    interrupted(tmp_path, monkeypatch)
    for path in tmp_path.glob("checkpoint-*"):
        assert b"pickle" not in path.read_bytes()
        assert int(np.frombuffer(path.read_bytes()[:8], "<u8")[0]) < path.stat().st_size
