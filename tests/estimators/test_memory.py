"""A model that does not fit in the memory of the machine is refused before anything of it is allocated."""

import itertools
import re

import numpy as np
import pytest
import torch

from isthmus import VAE, Autoencoder, ConditionalVAE
from isthmus.estimators import _memory
from isthmus.estimators._memory import check_memory
from isthmus.priors import MixtureOfNormals

X = np.random.default_rng(0).normal(size=(30, 4))


@pytest.fixture
def small_machine(monkeypatch):
    """A machine with a gigabyte, on which the models below could not be built even by mistake."""
    monkeypatch.setattr(_memory, "_physical_memory", lambda: 1e9)


@pytest.mark.parametrize(
    "model",
    [
        VAE(n_components=10**9),
        VAE(n_components=np.int64(10**9)),
        VAE(hidden_layer_sizes=(10**9,)),
        VAE(3, prior=MixtureOfNormals(10**12)),
        Autoencoder(hidden_layer_sizes=(10**7, 10**7)),
    ],
    ids=str,
)
def test_models_that_are_too_large(small_machine, model):
    with pytest.raises(ValueError, match="the network is too large: it needs .* GB or more to train") as error:
        model.set_params(max_epochs=1).fit(X)
    message = str(error.value)
    assert "this machine has 1 GB; use smaller layers" in message
    assert float(re.search(r"needs ([\d,]+) GB", message)[1].replace(",", "")) > 30
    assert not hasattr(model, "model_")


def test_a_conditional_model_that_is_too_large(small_machine):
    with pytest.raises(ValueError, match="the network is too large"):
        ConditionalVAE(10**9, max_epochs=1).fit(X, np.arange(30) % 2)


def test_numbers_are_counted_four_times_on_the_cpu(small_machine):
    fits, too_large = [("weight", (62_500, 1000))], [("weight", (62_500, 1000)), ("bias", (1,))]
    check_memory(fits, torch.device("cpu"))
    with pytest.raises(ValueError, match="needs 1 GB or more to train"):
        check_memory(too_large, torch.device("cpu"))
    check_memory(too_large, torch.device("cuda"))  # it gets a copy of the parameters, which are built here
    with pytest.raises(ValueError, match="needs 4 GB or more to build"):
        check_memory(16 * too_large, torch.device("cuda"))


def test_endless_layers_are_not_counted_to_the_end(small_machine):
    with pytest.raises(ValueError, match="too large"):
        check_memory((("weight", (100_000, 100_000)) for _ in itertools.count()), torch.device("cpu"))


def test_a_system_that_does_not_say(monkeypatch):
    monkeypatch.delattr(_memory.os, "sysconf")
    check_memory([("weight", (10**9, 10**9))], torch.device("cpu"))
