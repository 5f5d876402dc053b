"""Checkpoints: a run that is killed at any instant and resumed ends with the bits of the uninterrupted one."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import nullcontext, suppress

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris

from disk import small_files
from isthmus import VAE, DenoisingAutoencoder, serialization
from isthmus.data.loaders import InMemoryLoader
from isthmus.engine import Checkpoints, InterruptedTrainingError, folder_lock, keep_until_saved
from isthmus.training import EarlyStopping, Trainer
from regression import D, Regression, rows, training_loop

X = load_iris().data
OF_ALL = {"max_epochs": 6, "batch_size": 32, "hidden_layer_sizes": (8,), "random_state": 0}
FIELDS = OF_ALL | {"prior": "standard_normal"}  # a mixture would take most of the time of a fit


def checkpoints(folder, **settings):
    """Return a trainer that writes a checkpoint after every step."""
    return Trainer(checkpoint_dir=str(folder), checkpoint_seconds=0.0, **settings)


def parameters(model):
    return {name: value.numpy() for name, value in model.model_.state_dict().items()}


def assert_same_bits(a, b):
    for name, value in parameters(a).items():
        assert (value == parameters(b)[name]).all(), name


class StopError(Exception):
    """Stands for a crash, in one process."""


def crash_after(steps):
    """Return a replacement of `Checkpoints.write` that raises after it has written for the `steps`-th time."""
    plain, count = Checkpoints.write, [0]

    def write(self, description, tensors):
        plain(self, description, tensors)
        count[0] += 1
        if count[0] == steps:
            raise StopError

    return write


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("steps", [1, 4, 5, 13])
def test_a_resumed_run_has_the_bits_of_an_uninterrupted_one(tmp_path, monkeypatch, steps, early):
    fields = {**FIELDS, "early_stopping": early, "corruption": "gaussian_noise"}
    whole = VAE(**fields).fit(X)
    model = VAE(**fields, trainer=checkpoints(tmp_path))
    with monkeypatch.context() as patch, pytest.raises(StopError):
        patch.setattr(Checkpoints, "write", crash_after(steps))
        model.fit(X)
    assert len(list(tmp_path.glob("checkpoint-*"))) == min(steps, 2)
    resumed = VAE(**fields, trainer=checkpoints(tmp_path)).fit(X)
    assert_same_bits(resumed, whole)
    losses = [[r["loss"] for r in m.history_] for m in (resumed, whole)]
    assert losses[0] == losses[1]
    assert not list(tmp_path.glob("checkpoint-*")), "a complete run leaves no checkpoint"


def test_a_seed_from_fresh_entropy_is_resumed(tmp_path, monkeypatch):
    fields = {**FIELDS, "random_state": None, "trainer": checkpoints(tmp_path)}
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
        from isthmus.training import Trainer
        import isthmus.estimators._loading
        folder, kills = sys.argv[1], 30
        os.fsync = lambda _: None  # as in the tests of one process: see conftest.py
        X = load_iris().data
        fields = dict(n_components=2, max_epochs=40, batch_size=32, hidden_layer_sizes=(8,), random_state=0)
        fields |= dict(prior="standard_normal")  # choosing a mixture would be most of the time of a fit

        def child(path, **more):
            pid = os.fork()
            if pid == 0:
                VAE(**fields, **more).fit(X).save(path)
                os._exit(0)
            return pid

        os.waitpid(child(folder + "/whole.safetensors"), 0)
        rng, killed, path = random.Random(0), 0, folder + "/resumed.safetensors"
        while not os.path.exists(path):
            pid = child(path, trainer=Trainer(checkpoint_dir=folder + "/run", checkpoint_seconds=0.0))
            if killed < kills:
                time.sleep(rng.uniform(0.01, 0.12))
                os.kill(pid, signal.SIGKILL)
                killed += 1
            assert os.waitpid(pid, 0)[1] in (0, signal.SIGKILL)
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
def test_signals_finish_the_step_and_say_how_to_resume(tmp_path, number):
    model = VAE(**FIELDS, trainer=checkpoints(tmp_path, callbacks=[lambda _: os.kill(os.getpid(), number)]))
    before = signal.getsignal(number)
    with pytest.raises(
        InterruptedTrainingError, match=rf"{number.name}; to resume, call fit again with Trainer\(checkpoint_dir="
    ) as caught:
        model.fit(X)
    assert caught.value.signal == number
    assert signal.getsignal(number) is before
    assert_same_bits(VAE(**FIELDS, trainer=checkpoints(tmp_path)).fit(X), VAE(**FIELDS).fit(X))


@pytest.mark.parametrize("early", [False, EarlyStopping(n_iter_no_change=1)])
def test_a_signal_after_the_last_step_is_not_lost(tmp_path, early):
    """The checkpoint is that of a complete run: resuming it trains no further."""
    fields = {**FIELDS, "learning_rate": 0.3, "early_stopping": early}
    whole = VAE(**fields).fit(X)
    settings = {"checkpoint_dir": str(tmp_path / "run"), "checkpoint_seconds": 1000.0}

    def stop(record):
        if record["epoch"] == whole.n_iter_:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(InterruptedTrainingError):
        VAE(**fields, trainer=Trainer(**settings, callbacks=[stop])).fit(X)
    resumed = VAE(**fields, trainer=Trainer(**settings)).fit(X)
    assert resumed.history_[-1]["epoch"] == whole.n_iter_
    assert_same_bits(resumed, whole)
    assert not list(tmp_path.iterdir())


def test_a_signal_while_handlers_are_restored(tmp_path):
    keeper = Checkpoints(tmp_path, {})
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores the signal
    try:
        with pytest.raises(KeyboardInterrupt), keeper.signals():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def interrupted(folder, monkeypatch, steps=7, cls=VAE):
    with monkeypatch.context() as patch, pytest.raises(StopError):
        patch.setattr(Checkpoints, "write", crash_after(steps))
        cls(**FIELDS, trainer=checkpoints(folder)).fit(X)


def test_a_run_with_other_settings_is_refused(tmp_path, monkeypatch):
    interrupted(tmp_path, monkeypatch)
    with pytest.raises(
        ValueError, match=r"unfinished run that differs in batch_size \(32, now 16\), max_epochs \(6, now 7\)"
    ):
        VAE(**{**FIELDS, "batch_size": 16, "max_epochs": 7}, trainer=checkpoints(tmp_path)).fit(X)
    with pytest.raises(ValueError, match=r"differs in data \(.*rows \(150, now 149\)"):
        VAE(**FIELDS, trainer=checkpoints(tmp_path)).fit(X[1:])
    with pytest.raises(ValueError, match=r"estimator \('VAE', now 'DenoisingAutoencoder'\)"):
        DenoisingAutoencoder(**OF_ALL, trainer=checkpoints(tmp_path)).fit(X)
    assert len(list(tmp_path.glob("checkpoint-*"))) == 2, "nothing was overwritten"


def flip(path, where):
    """Flip a bit of a file: `where` is its distance from the end, or a text to find."""
    raw = bytearray(path.read_bytes())
    raw[raw.index(where) + 1 if isinstance(where, bytes) else len(raw) - where] ^= 1
    path.write_bytes(raw)


def rewritten(path, change):
    """Write a checkpoint anew, with what `change` makes of its description and tensors."""
    description, tensors = serialization.read(path)
    change(description, tensors)
    serialization.write(path, description, tensors, kind="checkpoint")


DAMAGE = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "empty": lambda path: path.write_bytes(b""),
    "another file": lambda path: path.write_text("not a checkpoint"),
    "a bit of a parameter": lambda path: flip(path, 3),
    "a bit of a tensor's name": lambda path: flip(path, b"optimizer.3.exp_avg"),
    "a bit of the seed": lambda path: flip(path, b'0, \\"epochs'),
    "a bit of the settings": lambda path: flip(path, b"32, \\"),
    "a tensor that is missing": lambda path: rewritten(path, lambda _, tensors: tensors.pop("optimizer.3.exp_avg")),
    "a tensor of another shape": lambda path: rewritten(
        path, lambda _, tensors: tensors.update({"parameter.0": tensors["parameter.0"][:1].clone()})
    ),
    "a field that is missing": lambda path: rewritten(path, lambda description, _: description.pop("best_epoch")),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path, monkeypatch, damage):
    interrupted(tmp_path, monkeypatch)
    DAMAGE[damage](max(tmp_path.glob("checkpoint-*")))
    with pytest.warns(
        UserWarning, match=r"checkpoint-00000007.* cannot be resumed \(.*; the checkpoint before it is used"
    ) as caught:
        resumed = VAE(**FIELDS, trainer=checkpoints(tmp_path)).fit(X)
    assert len(caught) == 1
    assert_same_bits(resumed, VAE(**FIELDS).fit(X))


def test_without_a_whole_checkpoint_the_run_starts_again(tmp_path, monkeypatch):
    interrupted(tmp_path, monkeypatch)
    for path in tmp_path.glob("checkpoint-*"):
        flip(path, 3)
    with pytest.warns(UserWarning, match="its checksum does not fit its content"):
        again = VAE(**FIELDS, trainer=checkpoints(tmp_path)).fit(X)
    assert_same_bits(again, VAE(**FIELDS).fit(X))


def test_buffers_that_training_changes_are_in_the_checkpoint(tmp_path):
    """A loss may keep running means: they are resumed as parameters are."""

    class Running(Regression):
        def __init__(self):
            super().__init__(noise=0.1)
            self.register_buffer("mean", torch.zeros(D).double())

        def forward(self, batch, weights):
            if self.training:
                self.mean.lerp_(batch.x.mean(0), 0.1)
            return super().forward(batch._replace(x=batch.x - self.mean), weights)

    def trained(folder=None, stop=False):
        loss = Running()
        callbacks = [lambda record: 1 / (2 - record["epoch"])] if stop else []
        kept = Checkpoints(folder, {}, every=0.0) if folder else None
        with kept or nullcontext(), suppress(ZeroDivisionError):
            training_loop(loss).fit(
                InMemoryLoader(rows(), 16), first_epoch=0, n_epochs=4, checkpoints=kept, callbacks=callbacks
            )
        return loss.state_dict()

    trained(tmp_path, stop=True)
    resumed, whole = trained(tmp_path), trained()
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())


def test_a_full_disk_does_not_end_training(tmp_path, monkeypatch):
    """There is one warning, and the checkpoints that were there before stay as they are."""
    interrupted(tmp_path, monkeypatch)
    before = {path: path.read_bytes() for path in tmp_path.glob("checkpoint-*")}
    seen = []

    def look(_record):
        seen.append({path: path.read_bytes() for path in tmp_path.iterdir() if path.name != "lock"})

    warned = pytest.warns(UserWarning, match=r"no checkpoint was written \(.*File too large.*training continues")
    with warned as caught, small_files(2048):
        model = VAE(**FIELDS, trainer=checkpoints(tmp_path, callbacks=[look])).fit(X)
    assert len(caught) == 1
    assert seen
    assert all(state == before for state in seen)
    assert_same_bits(model, VAE(**FIELDS).fit(X))


def test_checkpoints_stay_until_the_model_is_saved(tmp_path):
    fields = {**FIELDS, "trainer": checkpoints(tmp_path / "run")}
    with pytest.raises(OSError, match="could not be written"), keep_until_saved():
        model = VAE(**fields).fit(X)
        with small_files(2048):
            model.save(tmp_path / "model.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert len(list((tmp_path / "run").glob("checkpoint-*"))) == 2
    with keep_until_saved():
        resumed = VAE(**fields).fit(X)
        resumed.save(tmp_path / "model.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
    assert_same_bits(resumed, model)


@pytest.mark.parametrize("kept", [True, False], ids=["with checkpoints", "without"])
@pytest.mark.parametrize("early", [False, True])
def test_an_interrupted_fit_has_the_epochs_that_it_trained(tmp_path, kept, early):
    fields = {**FIELDS, "early_stopping": early, "max_epochs": 5}
    whole = VAE(**fields).fit(X)

    def interrupt(record):
        if record["epoch"] == 3:
            raise KeyboardInterrupt

    model = VAE(
        **fields, trainer=checkpoints(tmp_path, callbacks=[interrupt]) if kept else Trainer(callbacks=[interrupt])
    )
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    assert model.n_iter_ == len(model.history_) == 3
    for record, expected in zip(model.history_, whole.history_, strict=False):
        assert record | {"seconds": 0} == expected | {"seconds": 0}
    assert model.transform(X).shape == (150, model.n_components_)


def test_a_fit_that_a_signal_stopped_has_the_epochs_that_it_trained(tmp_path):
    callbacks = [lambda record: record["epoch"] == 2 and os.kill(os.getpid(), signal.SIGTERM)]
    model = VAE(**FIELDS, trainer=checkpoints(tmp_path, callbacks=callbacks))
    with pytest.raises(InterruptedTrainingError):
        model.fit(X)
    assert model.n_iter_ == len(model.history_) == 2


def test_two_fits_in_one_folder(tmp_path):
    with Checkpoints(tmp_path, {}), pytest.raises(ValueError, match="in use by another fit; name another"):
        VAE(**FIELDS, trainer=checkpoints(tmp_path)).fit(X)
    VAE(**FIELDS, trainer=checkpoints(tmp_path)).fit(X)


def test_two_fits_in_one_folder_in_threads(tmp_path):
    begun, refused, errors = threading.Event(), threading.Event(), []

    def wait(record):
        begun.set()
        refused.wait(20)

    def fit(**callbacks):
        try:
            VAE(**FIELDS, trainer=checkpoints(tmp_path, **callbacks)).fit(X)
        except ValueError as error:
            errors.append(str(error))

    thread = threading.Thread(target=fit, kwargs={"callbacks": [wait]})
    thread.start()
    begun.wait(20)
    fit()
    refused.set()
    thread.join()
    assert len(errors) == 1
    assert "in use by another fit" in errors[0]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_process_that_is_killed_leaves_no_lock(tmp_path):
    ready, say = os.pipe()
    if not (child := os.fork()):
        with Checkpoints(tmp_path, {}):
            os.write(say, b"x")
            time.sleep(30)
            os._exit(0)
    try:
        os.read(ready, 1)
        with pytest.raises(ValueError, match="in use by another fit"), Checkpoints(tmp_path, {}):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    with Checkpoints(tmp_path, {}):
        pass


def test_a_lock_that_was_removed_after_it_was_opened_counts_for_nothing(tmp_path, monkeypatch):
    plain = folder_lock._lock

    def lock(file):
        monkeypatch.setattr(folder_lock, "_lock", plain)
        (tmp_path / "lock").unlink()  # as the fit that used the folder does at its end
        plain(file)

    monkeypatch.setattr(folder_lock, "_lock", lock)
    with Checkpoints(tmp_path, {}):
        assert (tmp_path / "lock").exists()
        with pytest.raises(ValueError, match="in use by another fit"), Checkpoints(tmp_path, {}):
            pass


def test_checkpoints_hold_no_code(tmp_path, monkeypatch):
    interrupted(tmp_path, monkeypatch)
    for path in tmp_path.glob("checkpoint-*"):
        assert b"pickle" not in path.read_bytes()
        assert int(np.frombuffer(path.read_bytes()[:8], "<u8")[0]) < path.stat().st_size


def test_what_a_killed_process_left_half_written_is_removed(tmp_path):
    (tmp_path / ".isthmus-0123.safetensors").write_bytes(b"half")
    VAE(**FIELDS, trainer=checkpoints(tmp_path)).fit(X)
    assert not list(tmp_path.glob(".isthmus-*"))


def test_checkpoints_in_a_thread_leave_signals_alone(tmp_path):
    """Python delivers signals to the main thread only."""
    models = []
    thread = threading.Thread(target=lambda: models.append(VAE(**FIELDS, trainer=checkpoints(tmp_path)).fit(X)))
    before = signal.getsignal(signal.SIGINT)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGINT) is before
    assert_same_bits(models[0], VAE(**FIELDS).fit(X))
