"""Held-out samples choose how long a small model trains, or that it is a linear one; then all samples are used."""

import numpy as np
import pytest
from sklearn.datasets import load_iris

from isthmus import VAE, Autoencoder
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
