"""How long and how fast to train is chosen from the data where fields are "auto"."""

import numpy as np
import pytest
from sklearn.datasets import load_iris

from isthmus import VAE
from isthmus.estimators._budget import choose_budget
from isthmus.optimizers import Adam

AUTO = {"max_epochs": "auto", "batch_size": "auto", "learning_rate": "auto", "early_stopping": "auto"}


def test_steps_grow_more_slowly_than_the_data():
    budgets = {n: choose_budget(n, "cpu", **AUTO) for n in (10, 100, 10**4, 10**6)}
    steps = {n: b.max_epochs * -(-n // b.batch_size) for n, b in budgets.items()}
    assert steps[10**6] < 2.5 * steps[10**4]
    assert sorted(steps.values()) == list(steps.values())


def test_few_steps_are_larger():
    short = choose_budget(60_000, "cpu", **(AUTO | {"max_epochs": 1}))
    assert short.learning_rate > 3 * choose_budget(60_000, "cpu", **AUTO).learning_rate
    assert short.early_stopping is None


def test_given_values_stay():
    budget = choose_budget(1000, "cpu", max_epochs=7, batch_size=50, learning_rate=0.01, early_stopping=None)
    assert budget == (7, 50, 0.01, None, False)


def test_the_chosen_values_are_attributes():
    model = VAE(2, hidden_layer_sizes=(), random_state=0).fit(load_iris().data)
    assert (model.max_epochs_, model.batch_size_) == (193, 32)
    assert model.early_stopping_.validation_fraction == 0.2
    assert "validation_loss" in model.history_[0]


def test_a_number_of_epochs_means_that_number():
    model = VAE(2, max_epochs=2, random_state=0).fit(load_iris().data)
    assert model.n_iter_ == 2
    assert model.early_stopping_ is None


@pytest.mark.parametrize("field", ["max_epochs", "batch_size", "learning_rate", "early_stopping"])
def test_another_word_is_an_error(field):
    with pytest.raises((ValueError, TypeError), match=field):
        VAE(2, **{field: "often"}).fit(np.zeros((4, 2)) + np.arange(4)[:, None])


def test_random_weights_are_trained_with_larger_steps():
    """The decoder's rate is twice that after a start from factor analysis, and the encoder's half of it."""
    X = (load_iris().data > 3).astype(float)
    model = VAE(2, likelihood="bernoulli", hidden_layer_sizes=8, max_epochs=3, random_state=0).fit(X)
    linear = VAE(2, hidden_layer_sizes=8, max_epochs=3, random_state=0).fit(load_iris().data)
    assert model.learning_rate_ == 2 * linear.learning_rate_
    optimizer = Adam((0.9, 0.95), 0.2, model.learning_rate_ / 4, "linear", 100.0)
    assert model.optimizer_ == optimizer
    assert linear.optimizer_ == Adam((0.9, 0.999), 0.2, None, "one_cycle", 10.0)
    assert model.model_.network.activation == "relu"
    assert linear.model_.network.activation == "elu"


def test_a_given_rate_is_that_of_all_parameters():
    X = (load_iris().data > 3).astype(float)
    model = VAE(2, likelihood="bernoulli", hidden_layer_sizes=8, max_epochs=2, learning_rate=0.01).fit(X)
    assert model.optimizer_ == Adam((0.9, 0.999), 0.2, None, "one_cycle", None)


def test_given_settings_of_the_optimizer_stay():
    given = Adam((0.8, 0.9), 0.1, 0.001, "constant", 5.0)
    model = VAE(2, likelihood="bernoulli", hidden_layer_sizes=8, max_epochs=2, optimizer=given)
    assert model.fit((load_iris().data > 3).astype(float)).optimizer_ == given
