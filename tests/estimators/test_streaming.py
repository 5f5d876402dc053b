"""Estimators on rows that are not in memory: the same answers, bit for bit where nothing was shuffled."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits

import isthmus
from isthmus import VAE, Autoencoder, ConditionalVAE, estimators, load
from isthmus.cli import main
from isthmus.data import DatasetRows, FileRows, RowSource, read, reading, sources
from isthmus.data.loaders import streaming
from isthmus.engine import Checkpoints
from isthmus.estimators import _chunking, _data, _fitting, _loaders, _summary
from isthmus.networks import MLP
from isthmus.training import EarlyStopping, Trainer

DIGITS, LABELS = load_digits(return_X_y=True)
DIGITS = DIGITS.astype(np.float32)
FIELDS = {"hidden_layer_sizes": (16,), "max_epochs": 2, "random_state": 0, "n_components": 3}
DRAWS = {**FIELDS, "n_draws": 4}
ESTIMATORS = [getattr(isthmus, name) for name in estimators.__all__]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Make everything so small that a few rows are many blocks, pools and chunks, and are streamed."""
    monkeypatch.setattr(reading, "STREAM_ABOVE", 1000)
    monkeypatch.setattr(sources, "_BLOCK", 10 * 64 * 4)
    monkeypatch.setattr(streaming, "POOL", 100 * 64 * 4)
    monkeypatch.setattr(_chunking, "_CHUNK", 50 * 64)
    monkeypatch.setattr(_summary, "_READ", 70 * 64)
    monkeypatch.setattr(_summary, "_MEASURED", 30 * 64)


@pytest.fixture
def path(tmp_path):
    np.save(tmp_path / "digits.npy", DIGITS[:400])
    return tmp_path / "digits.npy"


def with_holes(n=400):
    X = DIGITS[:n].copy()
    X[np.random.default_rng(0).random(X.shape) < 0.2] = np.nan
    return X


# ---- the same answers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", ESTIMATORS, ids=lambda cls: cls.__name__)
def test_methods_return_the_same_bits(cls, path):
    X, y = DIGITS[:400], LABELS[:400] % 2
    model = cls(**FIELDS).fit(X, y)
    if hasattr(model, "n_draws"):
        model.set_params(n_draws=4)
    for method in ("transform", "reconstruct", "impute", "reconstruction_error", "feature_errors", "score_samples"):
        if hasattr(model, method):
            expected = getattr(model, method)(X)
            for source in (path, np.load(path, mmap_mode="r"), FileRows.npy(path)):
                np.testing.assert_array_equal(getattr(model, method)(source), expected, method)
    assert model.score(path) == model.score(X)
    if hasattr(model, "elbo"):
        np.testing.assert_array_equal(np.stack(model.elbo(path)), np.stack(model.elbo(X)))


def test_missing_cells(tmp_path):
    X = with_holes()
    np.save(tmp_path / "x.npy", X)
    model = VAE(**DRAWS).fit(X)
    for method in ("transform", "impute", "score_samples", "reconstruction_error"):
        np.testing.assert_array_equal(getattr(model, method)(tmp_path / "x.npy"), getattr(model, method)(X), method)
    again = VAE(**DRAWS).fit(tmp_path / "x.npy")
    assert again.model_.network.sizes.masked
    filled = again.impute(tmp_path / "x.npy")
    np.testing.assert_array_equal(filled[~np.isnan(X)], X[~np.isnan(X)])
    assert np.isfinite(filled).all()


def test_one_pool_and_one_batch_is_the_fit_in_memory(path, monkeypatch):
    """Where order has no part, nothing else differs: scaling, start, terms and steps are the same."""
    monkeypatch.setattr(streaming, "POOL", 1 << 30)
    X, weight = DIGITS[:400], np.arange(400) % 3.0
    fields = {
        **FIELDS,
        "batch_size": 400,
        "trainer": Trainer(precision="float64"),
        "max_epochs": 5,
        "prior": "vamp_prior",
    }
    fields |= {"likelihood": isthmus.likelihoods.NegativeBinomial(), "objective": "penalized_likelihood"}
    a, b = (VAE(**fields).fit(rows, sample_weight=weight) for rows in (X, path))
    # the order of the rows within the one batch, and with it the noise that a row gets, is all that differs
    for name in ("scaling.shift", "scaling.scale", "likelihood.log_centre", "likelihood.log_spread"):
        assert torch.equal(a.model_.state_dict()[name], b.model_.state_dict()[name]), name
    assert a.history_[0]["loss"] == pytest.approx(b.history_[0]["loss"], rel=0.01)


@pytest.mark.parametrize("fields", [{}, {"scaling": "standard"}, {"likelihood": "continuous_bernoulli"}])
def test_a_deterministic_full_batch_is_the_fit_in_memory(path, monkeypatch, fields):
    monkeypatch.setattr(streaming, "POOL", 1 << 30)
    fields = {**FIELDS, "batch_size": 400, "trainer": Trainer(precision="float64"), "max_epochs": 5, **fields}
    X = DIGITS[:400]
    a, b = (Autoencoder(**fields).fit(rows) for rows in (X, path))
    for x, y in zip(a.model_.parameters(), b.model_.parameters(), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-8, atol=1e-9)
    assert [r["loss"] for r in a.history_] == pytest.approx([r["loss"] for r in b.history_], rel=1e-9)


@pytest.mark.slow
def test_sorted_rows_train_as_well_as_shuffled_ones(tmp_path):
    """Classes one after the other in the file, pools of a tenth of it: the final ELBO is within the seeds' noise."""
    order = np.argsort(LABELS, kind="stable")
    train = np.isin(np.arange(len(DIGITS)), order[::4], invert=True)
    np.save(tmp_path / "x.npy", DIGITS[order][train[order]])
    X, test = DIGITS[order][train[order]], DIGITS[order[::4]]
    # A rate that does not depend on the number of steps: the chosen one is higher at first, and noisier in small pools.
    fields = {**FIELDS, "max_epochs": 15, "batch_size": 64, "network": MLP(skip=False), "learning_rate": 3e-3}
    elbo = np.array(
        [
            [VAE(**{**fields, "random_state": seed}).fit(rows).elbo(test).elbo.mean() for seed in range(3)]
            for rows in (X, tmp_path / "x.npy")
        ]
    )
    noise = elbo.std(axis=1, ddof=1).mean()
    assert abs(elbo[0].mean() - elbo[1].mean()) < max(3 * noise, 1.0), elbo


# ---- fitting -------------------------------------------------------------------------------------------------------


class Dataset(torch.utils.data.Dataset):
    def __len__(self):
        return 400

    def __getitem__(self, i):
        return torch.from_numpy(DIGITS[i]).reshape(8, 8), int(LABELS[i])


def test_every_kind_of_source_gives_the_same_model(path):
    kinds = [path, str(path), np.load(path, mmap_mode="r"), FileRows.npy(path), Dataset(), DatasetRows(Dataset())]
    models = [VAE(**FIELDS).fit(rows) for rows in kinds]
    for model in models[1:]:
        for name, value in model.model_.state_dict().items():
            assert torch.equal(value, models[0].model_.state_dict()[name]), name
        assert model.n_features_in_ == 64


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="pyarrow is not installed: isthmus[table]")
def test_parquet_has_column_names(tmp_path):
    names = [f"pixel {i}" for i in range(64)]
    for i in range(4):
        isthmus.data.write(tmp_path / f"{i}.parquet", DIGITS[100 * i : 100 * (i + 1)], names)
    model = VAE(**FIELDS).fit(tmp_path)
    assert model.feature_names_in_.tolist() == names
    table = pd.DataFrame(DIGITS[:400], columns=names)
    np.testing.assert_array_equal(model.transform(tmp_path), model.transform(table))
    with pytest.raises(ValueError, match="are not those of fit, or are in another order"):
        model.transform(isthmus.data.ParquetRows(tmp_path).select(range(63, -1, -1)))


def test_conditions_and_weights_follow_their_rows(path):
    model = ConditionalVAE(**DRAWS).fit(path, LABELS[:400])
    assert model.classes_.tolist() == list(range(10))
    seen = {}

    def batches(*args, **kwargs):
        made = _batches(*args, **kwargs)

        def batch(raw, rows):
            one = made(raw, rows)
            seen.update(
                zip(rows.tolist(), zip(one.weight.tolist(), one.c.argmax(1).tolist(), strict=True), strict=True)
            )
            return one

        return batch

    _batches, weight = _loaders._make_batch, np.arange(400) % 5.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_loaders, "_make_batch", batches)
        ConditionalVAE(**DRAWS).fit(path, LABELS[:400], sample_weight=weight)
    assert seen == {i: (i % 5.0, int(LABELS[i])) for i in range(400)}


def test_partial_fit_and_warm_start(path):
    model = VAE(**FIELDS).partial_fit(path).partial_fit(path)
    assert model.n_iter_ == 2
    assert VAE(**FIELDS, warm_start=True).fit(path).fit(DIGITS[:400]).n_iter_ == 4


def test_early_stopping_holds_rows_out(path, monkeypatch):
    trained = []
    plain = streaming.StreamingLoader.shuffled

    def noted(self, seed, start=0):
        for batch in plain(self, seed, start):
            trained.append(batch.x[batch.weight > 0])
            yield batch

    monkeypatch.setattr(streaming.StreamingLoader, "shuffled", noted)
    fields = {**FIELDS, "early_stopping": EarlyStopping(validation_fraction=0.25), "scaling": "none", "max_epochs": 3}
    model = VAE(**fields).fit(path)
    assert all(np.isfinite(record["validation_loss"]) for record in model.history_)
    rows = torch.cat(trained)
    assert len(rows) == 3 * 300
    assert len(torch.unique(rows, dim=0)) == len(np.unique(DIGITS[:400], axis=0)) - 100
    monkeypatch.setattr(_data, "_HELD_OUT", 40 * 64 * 4)
    trained.clear()
    VAE(**fields).fit(path)
    assert len(torch.cat(trained)) == 3 * 360, "no more than memory has room for"


def test_levels_beyond_the_sample_are_known(tmp_path, monkeypatch):
    """Likelihood and corruption look at a sample of rows, and at every column's extremes besides."""
    monkeypatch.setattr(_data, "_SAMPLE_ROWS", 20)
    X = np.zeros((400, 3), dtype=np.float32)
    X[:, 1] = np.arange(400) % 3
    X[399, 2], X[7, 0] = 9, 4
    np.save(tmp_path / "x.npy", X)
    for rows in (X, tmp_path / "x.npy"):
        model = VAE(**FIELDS, likelihood="categorical", scaling="none", corruption="salt_and_pepper").fit(rows)
        assert model.model_.likelihood.n_levels == (5, 3, 10)
    weight = np.ones(400)
    weight[399] = 0.0  # does not count, but may be scored
    assert VAE(**FIELDS, likelihood="categorical").fit(X, sample_weight=weight).model_.likelihood.n_levels == (5, 3, 10)


# ---- bad input -----------------------------------------------------------------------------------------------------


def changed(tmp_path, row, column, value):
    X = DIGITS[:400].copy()
    X[row, column] = value
    np.save(tmp_path / "bad.npy", X)
    return tmp_path / "bad.npy"


def test_bad_cells_are_named_before_training_starts(tmp_path, path, monkeypatch):
    model = VAE(**DRAWS).fit(path)
    bounded = VAE(**DRAWS, likelihood="bernoulli").fit(path)
    monkeypatch.setattr(_fitting, "TrainingLoop", None)  # who trains now fails otherwise
    bad = changed(tmp_path, 333, 7, np.inf)
    for call in (VAE(**DRAWS).fit, VAE(**DRAWS).partial_fit, model.transform, model.score_samples, model.impute):
        with pytest.raises(ValueError, match=r"infinity \(inf\) in row 333, column 7, and 1 such cells in rows"):
            call(bad)
    bad = changed(tmp_path, slice(None), 7, np.nan)
    with pytest.raises(ValueError, match="only NaN in column 7: drop it"):
        VAE(**DRAWS).fit(bad)
    bad = changed(tmp_path, 333, 7, 20.0)
    with pytest.raises(ValueError, match=r"X has 20 in row 333, column 7, and likelihood Bernoulli\(\) takes only"):
        bounded.transform(bad)
    with pytest.raises(ValueError, match=r"X has 0.5 in row 333, column 7, and likelihood Poisson\(\) takes only"):
        VAE(**DRAWS, likelihood="poisson").fit(changed(tmp_path, 333, 7, 0.5))


def test_wrong_shapes(tmp_path, path):
    model = VAE(**DRAWS).fit(path)
    np.save(tmp_path / "narrow.npy", DIGITS[:400, :63])
    with pytest.raises(ValueError, match="X has 63 features, but VAE is expecting 64 features as input"):
        model.transform(tmp_path / "narrow.npy")
    with pytest.raises(ValueError, match="has 1 sample, and VAE learns from at least 2"):
        VAE(**DRAWS).fit(FileRows.npy(path).part(0, 1))
    with pytest.raises(ValueError, match="inconsistent|Found input variables"):
        ConditionalVAE(**DRAWS).fit(path, LABELS[:399])
    with pytest.raises(ValueError, match="sample_weight"):
        VAE(**DRAWS).fit(path, sample_weight=np.ones(399))
    with pytest.raises(ValueError, match="no such file"):
        model.transform(tmp_path / "none.npy")


def test_a_reader_that_fails_ends_training_with_its_own_error(path):
    class Failing(RowSource):
        calls = 0

        def read(self, start, stop):
            Failing.calls += 1
            if Failing.calls > 60:
                raise OSError(5, "the disk is on fire")
            return DIGITS[start:stop]

    with pytest.raises(OSError, match="the disk is on fire"):
        VAE(**FIELDS).fit(Failing(400, 64, "f4"))


def test_a_small_file_is_read_into_memory(path, monkeypatch):
    monkeypatch.setattr(reading, "STREAM_ABOVE", 1 << 28)
    a, b = VAE(**FIELDS).fit(path), VAE(**FIELDS).fit(DIGITS[:400])
    np.testing.assert_array_equal(a.transform(path), b.transform(DIGITS[:400]))


# ---- killed and resumed --------------------------------------------------------------------------------------------


class StopError(Exception):
    """What stands for a crash."""


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("steps", [1, 6, 10])
def test_a_resumed_stream_is_the_uninterrupted_one(tmp_path, path, monkeypatch, steps, early):
    fields = {
        **FIELDS,
        "early_stopping": early,
        "corruption": "gaussian_noise",
        "batch_size": 64,
    }
    whole = VAE(**fields).fit(path)
    write, count = Checkpoints.write, []

    def crash(self, *args):
        write(self, *args)
        count.append(1)
        if len(count) == steps:
            raise StopError

    folder = str(tmp_path / "run")
    with monkeypatch.context() as patch, pytest.raises(StopError):
        patch.setattr(Checkpoints, "write", crash)
        VAE(**fields, trainer=Trainer(checkpoint_dir=folder, checkpoint_seconds=0.0)).fit(path)
    other = tmp_path / "changed.npy"
    np.save(other, np.where(np.arange(400)[:, None] == 123, 0.0, DIGITS[:400]).astype(np.float32))
    with pytest.raises(ValueError, match=r"unfinished run that differs in data"):
        VAE(**fields, trainer=Trainer(checkpoint_dir=folder, checkpoint_seconds=0.0)).fit(other)
    shutil.copy(path, tmp_path / "moved.npy")
    resumed = VAE(**fields, trainer=Trainer(checkpoint_dir=folder, checkpoint_seconds=0.0)).fit(tmp_path / "moved.npy")
    for name, value in whole.model_.state_dict().items():
        assert torch.equal(value, resumed.model_.state_dict()[name]), name
    assert [r["loss"] for r in resumed.history_] == [r["loss"] for r in whole.history_]


# ---- the command ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv", ".parquet"])
def test_transform_of_a_stream_writes_a_stream(tmp_path, path, monkeypatch, suffix):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed: isthmus[table]")
    monkeypatch.chdir(tmp_path)
    assert main(["fit", "digits.npy", "-m", "vae", "-o", "m.safetensors", "--epochs", "1", "-q", "-k", "3"]) == 0
    model = load("m.safetensors").set_params(n_draws=4)
    model.save("m.safetensors")
    X = DIGITS[:400]
    for command, expected in [
        ("transform", model.transform(X)),
        ("reconstruct", model.reconstruct(X)),
        ("impute", model.impute(X)),
    ]:
        assert main([command, "m.safetensors", "digits.npy", "-o", f"z{suffix}"]) == 0
        np.testing.assert_array_equal(read(f"z{suffix}").X.astype(np.float32), expected)
    assert main(["score", "m.safetensors", "digits.npy", "-o", "s.npy"]) == 0
    np.testing.assert_allclose(np.load("s.npy"), model.score_samples(X), rtol=1e-6)


def test_a_failed_transform_leaves_no_file(tmp_path, path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    VAE(**FIELDS).fit(path).save("m.safetensors")
    changed(tmp_path, 333, 7, np.inf)
    assert main(["transform", "m.safetensors", "bad.npy", "-o", "z.npy"]) == 2
    assert "bad.npy: X contains infinity (inf) in row 333, column 7" in capsys.readouterr().err
    assert sorted(file.name for file in tmp_path.iterdir()) == ["bad.npy", "digits.npy", "m.safetensors"]


# ---- the benchmark -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_benchmark_runs(tmp_path):
    """`benchmarks/streaming.py --quick`: all three measurements, on few rows, and no file left."""
    script = Path(__file__).parents[2] / "benchmarks" / "streaming.py"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), "--quick", "--folder", str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["memory"]["rows"] * 784 * 4 < found["memory"]["bytes"]
    assert 0 < found["memory"]["fit"]["RssAnon"] <= found["memory"]["fit_and_transform"]["RssAnon"] < 1.5e9
    assert 0.1 < found["rate"]["share"] < 10
    assert abs(found["bias"]["digits, pools of less than a batch"]["difference"]) < 50
    assert not list(tmp_path.iterdir())
