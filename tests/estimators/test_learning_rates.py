"""A separate learning rate for the encoder."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris

from isthmus import VAE, Autoencoder, DenoisingAutoencoder
from isthmus.networks import MLP
from isthmus.optimizers import Adam
from isthmus.training import Trainer

X = load_iris().data
QUICK = {"max_epochs": 2, "random_state": 0, "hidden_layer_sizes": (8,), "device": "cpu"}


def weights(model, part):
    return [p.detach().clone() for p in getattr(model.model_.network, part).parameters()]


def test_the_same_rate_changes_nothing():
    fields = QUICK | {"learning_rate": 3e-3}
    plain, same = VAE(**fields).fit(X), VAE(**fields, optimizer=Adam(encoder_learning_rate=3e-3)).fit(X)
    np.testing.assert_array_equal(plain.transform(X), same.transform(X))


@pytest.mark.parametrize("network", [MLP(skip=False), "conv"], ids=["mlp", "conv"])
def test_only_the_encoder_has_its_rate(network):
    fields = QUICK | {"network": network, "max_epochs": 1, "learning_rate": 3e-3}
    rows = X[:100]
    constant = Adam(schedule="constant")
    one = VAE(**fields, batch_size=100, optimizer=constant).fit(
        rows
    )  # a single step, in which Adam moves a weight by the rate
    constant.encoder_learning_rate = 3e-6
    slow = VAE(**fields, batch_size=100, optimizer=constant).fit(rows)
    ours = set(map(id, slow.model_.network.encoder_parameters()))
    assert 0 < len(ours) < len(list(slow.model_.parameters()))
    for a, b in zip(one.model_.parameters(), slow.model_.parameters(), strict=True):
        if id(b) not in ours:
            assert torch.equal(a, b)
        else:  # both started from the same weight, which one left by up to 3e-3 and the other by up to 3e-6
            assert 1e-3 < (a - b).abs().max() < 3.1e-3


def test_checkpoints_change_nothing(tmp_path):
    fields = QUICK | {"optimizer": Adam(encoder_learning_rate=1e-3)}
    model = DenoisingAutoencoder(**fields, trainer=Trainer(checkpoint_dir=str(tmp_path), checkpoint_seconds=0)).fit(X)
    np.testing.assert_array_equal(model.transform(X), DenoisingAutoencoder(**fields).fit(X).transform(X))


def test_networks_that_share_encoder_weights_are_refused():
    with pytest.raises(ValueError, match=r"encoder_learning_rate=0.001: .*tied=True.* leave it out"):
        Autoencoder(**QUICK, network=MLP((8,), tied=True), optimizer=Adam(encoder_learning_rate=1e-3)).fit(X)
    with pytest.raises(ValueError, match="encoder_learning_rate=0 must lie strictly between 0 and inf"):
        VAE(**QUICK, optimizer=Adam(encoder_learning_rate=0)).fit(X)
