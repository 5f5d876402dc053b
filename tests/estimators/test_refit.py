"""Held-out samples choose how long a small model trains, or that it is a linear one; then all samples are used."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

from isthmus import VAE, Autoencoder, load
from isthmus.priors import MixtureOfNormals, StandardNormal
from isthmus.training import EarlyStopping, Trainer

X = load_iris().data[::3]


@pytest.fixture(scope="module")
def model():
    return VAE(2, hidden_layer_sizes=(8,), random_state=0).fit(X)


def test_the_model_is_trained_anew_for_the_best_number_of_epochs(model):
    chosen = {name: getattr(model, f"{name}_") for name in ("max_epochs", "batch_size", "learning_rate")}
    fields = {"hidden_layer_sizes": (8,), "random_state": model.seed_, **chosen}
    trial = VAE(2, **fields, early_stopping=model.early_stopping_).fit(X)
    losses = [record["validation_loss"] for record in trial.history_]
    assert model.n_iter_ == len(model.history_) == int(np.argmin(losses)) + 1
    assert [record["validation_loss"] for record in model.history_] == losses[: model.n_iter_]
    all_samples = VAE(2, **fields, early_stopping=False).fit(X)  # the same steps, and more of them
    first = [record["loss"] for record in all_samples.history_[: model.n_iter_]]
    assert [record["loss"] for record in model.history_] == first


def test_callbacks_see_the_second_run_only():
    seen = []
    trainer = Trainer(callbacks=[lambda record: seen.append(record["epoch"])])
    model = Autoencoder(2, hidden_layer_sizes=(4,), random_state=0, trainer=trainer).fit(X)
    assert seen == list(range(1, model.n_iter_ + 1))


def test_resumed_from_a_checkpoint(tmp_path, model):
    def stop(record):
        raise KeyboardInterrupt

    trainer = {"checkpoint_dir": str(tmp_path), "checkpoint_seconds": 0}
    fields = {"hidden_layer_sizes": (8,), "random_state": 0}
    with pytest.raises(KeyboardInterrupt):
        VAE(2, **fields, trainer=Trainer(**trainer, callbacks=[stop])).fit(X)
    again = VAE(2, **fields, trainer=Trainer(**trainer)).fit(X)
    np.testing.assert_array_equal(again.transform(X), model.transform(X))


def clusters(n_samples):
    """Return well-separated clusters, of another covariance each, in three dimensions."""
    rng = np.random.default_rng(0)
    centres, spread = rng.normal(0, 6, size=(6, 3)), rng.normal(0, 0.5, size=(6, 3, 3))
    label = rng.integers(0, 6, n_samples)
    return centres[label] + np.einsum("nij,nj->ni", spread[label], rng.normal(size=(n_samples, 3)))


def test_a_mixture_of_all_features_where_that_is_better():
    """With a rate that destroys the start, the trained model loses to the mixture."""
    samples = clusters(400)
    model = VAE(learning_rate=3.0, early_stopping=EarlyStopping(0.2, 2), max_epochs=3, random_state=0).fit(samples)
    assert model.n_components_ == 3
    assert model.model_.prior.covariance == "full"
    fixed = VAE(2, learning_rate=3.0, early_stopping=EarlyStopping(0.2, 2), max_epochs=3, random_state=0).fit(samples)
    assert model.score(samples) > fixed.score(samples)


def ring(n_samples):
    """Return a table of points on a ring, so that codes are not normal, and of the half in which they are."""
    rng = np.random.default_rng(n_samples)
    angle = rng.uniform(0, 2 * np.pi, n_samples)
    x, y = np.cos(angle) + rng.normal(0, 0.05, n_samples), np.sin(angle) + rng.normal(0, 0.05, n_samples)
    return pd.DataFrame({"x": x, "y": y, "half": np.where(x > 0, "right", "left")})


@pytest.mark.parametrize(("max_epochs", "early_stopping"), [("auto", "auto"), (20, EarlyStopping(0.2, 5)), (20, False)])
def test_the_prior_of_a_table_is_fitted_to_codes_after_training(max_epochs, early_stopping, tmp_path):
    table, held_out = ring(150), ring(500)
    how = {"max_epochs": max_epochs, "early_stopping": early_stopping}
    fields = {"hidden_layer_sizes": (8,), "random_state": 0, **how}
    model, fixed = VAE(2, **fields).fit(table), VAE(2, **fields, prior="standard_normal").fit(table)
    assert isinstance(model.model_.prior, MixtureOfNormals)
    assert model.score(held_out) > fixed.score(held_out) + 0.05
    model.save(tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.score_samples(held_out), model.score_samples(held_out))
    assert model.sample(5, random_state=0).equals(loaded.sample(5, random_state=0))


def test_a_prior_that_was_asked_for_stays():
    model = VAE(2, prior="standard_normal", hidden_layer_sizes=(4,), max_epochs=2, random_state=0).fit(ring(40))
    assert isinstance(model.model_.prior, StandardNormal)
