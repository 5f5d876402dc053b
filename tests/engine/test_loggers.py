"""Loggers, and scikit-learn's callbacks."""

import csv

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV

from disk import small_files
from isthmus import VAE, Autoencoder, load
from isthmus.cli import main
from isthmus.engine import CSVLogger, TensorBoardLogger
from isthmus.training import Trainer

X, Y = load_iris(return_X_y=True)
QUICK = {"hidden_layer_sizes": (8,), "max_epochs": 3, "random_state": 0}


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_csv_has_the_history(tmp_path):
    path = tmp_path / "run.csv"
    model = VAE(2, trainer=Trainer(callbacks=[CSVLogger(path)]), **QUICK).fit(X)
    rows = rows_of(path)
    assert [int(row["step"]) for row in rows] == [1, 2, 3]
    for row, record in zip(rows, model.history_, strict=True):
        assert {name: float(row[name]) for name in record if name != "epoch"} == {
            name: value for name, value in record.items() if name != "epoch"
        }


def test_csv_is_continued_by_the_same_run_and_replaced_by_another(tmp_path):
    """A fit that continues appends, with this logger or another; a new fit replaces the lines."""
    path = tmp_path / "run.csv"
    model = Autoencoder(2, trainer=Trainer(callbacks=[CSVLogger(path)]), warm_start=True, **QUICK).fit(X)
    model.set_params(trainer__callbacks=[CSVLogger(path)]).fit(X)
    assert [int(row["step"]) for row in rows_of(path)] == [1, 2, 3, 4, 5, 6]
    assert [float(row["loss"]) for row in rows_of(path)] == [record["loss"] for record in model.history_]
    again = Autoencoder(2, trainer=Trainer(callbacks=[CSVLogger(path)]), **QUICK)
    again.fit(X).fit(X)
    assert [int(row["step"]) for row in rows_of(path)] == [1, 2, 3]


def test_a_full_disk_does_not_end_training(tmp_path):
    path = tmp_path / "run.csv"
    path.write_text("step,loss\n" + "1,2.0\n" * 500)
    logger = CSVLogger(path)
    warned = pytest.warns(UserWarning, match=r"run.csv: an epoch was not logged \(.*training continues")
    with warned as caught, small_files(8):
        model = VAE(2, trainer=Trainer(callbacks=[logger]), **QUICK).fit(X)
    assert len(caught) == 1
    assert len(model.history_) == 3


def test_tensorboard_has_the_history(tmp_path):
    model = VAE(2, trainer=Trainer(callbacks=[TensorBoardLogger(tmp_path)]), **QUICK).fit(X)
    (event,) = tmp_path.glob("events*")
    raw = event.read_bytes()
    assert all(name.encode() in raw for name in model.history_[0] if name != "epoch")


def test_any_logger(tmp_path):
    """That of Lightning Fabric, and one of the user's own."""
    fabric = pytest.importorskip("lightning_fabric.loggers", reason="needs isthmus[scale]")
    seen = []

    class Mine:
        def log_metrics(self, metrics, step):
            seen.append((step, metrics["loss"]))

    theirs = fabric.CSVLogger(tmp_path, name="fabric", flush_logs_every_n_steps=1)
    model = VAE(2, trainer=Trainer(callbacks=[Mine(), theirs]), **QUICK).fit(X)
    assert seen == [(int(record["epoch"]), record["loss"]) for record in model.history_]
    losses = [float(row["loss"]) for row in rows_of(next(tmp_path.rglob("metrics.csv")))]
    np.testing.assert_allclose(losses, [loss for _, loss in seen], rtol=1e-6)


def test_a_logger_changes_nothing_and_is_not_saved(tmp_path):
    plain = VAE(2, **QUICK).fit(X)
    logged = VAE(2, trainer=Trainer(callbacks=[CSVLogger(tmp_path / "run.csv")]), **QUICK).fit(X)
    assert (plain.transform(X) == logged.transform(X)).all()
    logged.save(tmp_path / "logged.safetensors")
    assert load(tmp_path / "logged.safetensors").trainer is None


def test_command_logs(tmp_path, capsys):
    out, log = tmp_path / "m.safetensors", tmp_path / "run.csv"
    assert main(["fit", "iris", "-m", "vae", "-o", str(out), "--epochs", "2", "--log", str(log)]) == 0
    assert len(rows_of(log)) == 2
    assert main(["fit", "iris", "-m", "vae", "-o", str(out), "--set", "trainer.callbacks=csv"]) == 2
    assert "--log FILE" in capsys.readouterr().err


# ---- scikit-learn's callbacks ---------------------------------------------------------------------------------------

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from 1.9 on")


class Capture:
    """Record the calls, and stop training after `last` epochs."""

    def __init__(self, last=99):
        self.last, self.calls, self.scores = last, [], []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(f"begin {context.task_name} {context.task_id}")

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        self.calls.append(f"end {context.task_name} {context.task_id}")
        if context.task_name == "epoch":
            self.scores.append(fitted_estimator.score(X))
            return context.task_id + 1 >= self.last
        return False


def test_scikit_learns_callbacks():
    """A fit is a task, an epoch a subtask, at whose end callbacks get an estimator fitted up to there."""
    recorder = Capture()
    model = VAE(2, n_draws=5, **QUICK).set_callbacks(recorder).fit(X)
    epochs = [f"{what} epoch {i}" for i in range(3) for what in ("begin", "end")]
    assert recorder.calls == ["setup", "begin fit 0", *epochs, "end fit 0", "teardown"]
    assert recorder.scores[-1] == model.score(X)
    assert len(set(recorder.scores)) == 3
    without = VAE(2, n_draws=5, **QUICK).fit(X)
    assert (without.transform(X) == model.transform(X)).all()


def test_scikit_learns_callbacks_stop_and_are_torn_down(any_processor):
    recorder = Capture(last=2)
    assert VAE(2, n_draws=5, trainer=Trainer(precision="bf16"), **QUICK).set_callbacks(recorder).fit(X).n_iter_ == 2
    broken = Capture()
    with pytest.raises(ValueError, match="infinity"):
        VAE(2, **QUICK).set_callbacks(broken).fit(np.full((5, 2), np.inf))
    assert broken.calls == []  # it failed before there was anything to set up


def test_scikit_learns_progress_bar_in_a_search():
    """The bar is passed on by a meta-estimator."""
    pytest.importorskip("rich", reason="needs isthmus[progress]")
    search = GridSearchCV(Autoencoder(**QUICK), {"n_components": [1, 2]}, cv=2)
    search.set_callbacks(callback.ProgressBar()).fit(X)
    assert search.best_params_["n_components"] in (1, 2)
