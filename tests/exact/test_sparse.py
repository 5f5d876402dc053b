"""Sparse codes: the divergence over samples, an L1 that rescaling cannot lower, and exactly k active units."""

import numpy as np
import pytest
import torch
from scipy.special import rel_entr

from isthmus import SparseAutoencoder
from isthmus.networks import MLP, Conv
from isthmus.penalties import L1, EncodedBatch, KLSparsity
from isthmus.posteriors import DiagonalNormal, Point, TopK
from models import build, normal

N, D, K = 6, 4, 3


def sigmoid_draw(weight=None, posterior=None):
    model, x = build(D, K, posterior=posterior or Point("sigmoid")), 2 * normal(N, D)
    q = model.q(x)
    return EncodedBatch(
        model, x, q, q.from_noise(normal(2, N, K)), torch.ones(N).double() if weight is None else weight
    )


@pytest.mark.parametrize("rho", [0.05, 0.3])
def test_kl_sparsity_is_a_sum_of_bernoulli_divergences(rho):
    draw = sigmoid_draw()
    mean = draw.q.mean.detach().numpy().mean(0)  # over samples: a number for each unit
    expected = (rel_entr(rho, mean) + rel_entr(1 - rho, 1 - mean)).sum()
    value = KLSparsity(rho=rho)(draw).detach().numpy()
    np.testing.assert_allclose(value, np.full(N, expected), rtol=1e-12)


def test_kl_sparsity_averages_samples_and_not_units():
    """Each row has one unit on: over samples each is on a third of the time, and rho = 1/3 is paid."""
    model = build(3, 3, posterior=Point("sigmoid"))
    codes = torch.eye(3).double().repeat(2, 1)[None]
    draw = EncodedBatch(model, codes[0], None, codes, torch.ones(6).double())
    assert KLSparsity(rho=1 / 3)(draw).abs().max() < 1e-12
    dead = torch.tensor([1.0, 0.0, 0.0]).double().expand(1, 6, 3)  # over units the same mean, over samples 1, 0, 0
    assert KLSparsity(rho=1 / 3)(draw._replace(z=dead)).min() > 1


def test_kl_sparsity_weighs_samples():
    weight = torch.tensor([1.0, 2.0, 0.0, 1.0, 3.0, 0.0]).double()
    draw = sigmoid_draw(weight)
    mean = np.average(draw.q.mean.detach().numpy(), axis=0, weights=weight.numpy())
    expected = (rel_entr(0.05, mean) + rel_entr(0.95, 1 - mean)).sum()
    np.testing.assert_allclose(KLSparsity()(draw).detach().numpy(), expected, rtol=1e-12)


def test_kl_sparsity_gradient():
    draw = sigmoid_draw()
    model = draw.model

    def value(*_):
        return KLSparsity()(draw._replace(z=model.q(draw.corrupted).mean[None]))

    assert torch.autograd.gradcheck(value, tuple(model.network.encoder.parameters()))


@pytest.mark.parametrize("posterior", [Point(), Point("relu"), DiagonalNormal()], ids=repr)
def test_kl_sparsity_needs_codes_between_0_and_1(posterior):
    with pytest.raises(ValueError, match="code_activation='sigmoid'"):
        KLSparsity()(sigmoid_draw(posterior=posterior))


NETWORKS = [MLP(()), MLP((5,), "relu"), Conv((2, 2), (3,), (), "relu"), Conv((2, 2), (3,), (5,), "relu")]


@pytest.mark.parametrize("network", NETWORKS, ids=repr)
def test_l1_cannot_be_lowered_by_shrinking_codes(network):
    """Codes times a, decoder columns divided by a: the same reconstruction and the same penalty."""
    model, x = build(D, K, posterior=Point("relu"), network=network), normal(N, D)

    def terms():
        q = model.q(x)
        draw = EncodedBatch(model, x, q, q.mean[None], torch.ones(N).double())
        return L1()(draw), model.decode(q.mean), q.mean.abs().sum(-1)

    penalty, decoded, naive = terms()
    dense = network if isinstance(network, MLP) else network.clone()
    last = (model.network if isinstance(dense, MLP) else model.network.dense).encoder[-1]
    factors = torch.tensor([0.01, 0.5, 3.0]).double()
    with torch.no_grad():
        last.weight[:K] *= factors[:, None]
        last.bias[:K] *= factors
        model.network.decoder_weights()[0][:] /= factors
    again, same, cheated = terms()
    torch.testing.assert_close(same, decoded, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(again, penalty, rtol=1e-12, atol=1e-14)
    assert not torch.allclose(cheated, naive, rtol=0.1)


def test_l1_is_codes_times_decoder_norms():
    draw = sigmoid_draw(posterior=DiagonalNormal())
    W = draw.model.network.decoder[0].weight.detach().numpy()  # (D, K)
    z = draw.z.detach().numpy()
    expected = (np.abs(z) * np.linalg.norm(W, axis=0)).sum(-1).mean(0)
    np.testing.assert_allclose(L1(3.0)(draw).detach().numpy(), expected, rtol=1e-12)
    assert L1(3.0).weight_at(1.0) == 3.0


@pytest.mark.parametrize(
    "network", [MLP((5, 6), "relu"), MLP((4,), "relu"), Conv((2, 2), (2,), (4,), "relu")], ids=repr
)
def test_l1_cannot_be_lowered_by_a_deep_decoder(network):
    """A factor moved from the code to any later layer: the same function, and the same penalty."""
    model, x = build(D, K, posterior=Point("relu"), network=network), normal(N, D)
    q = model.q(x)
    penalty = L1()(EncodedBatch(model, x, q, q.mean[None], torch.ones(N).double()))
    for weight in model.network.decoder_weights()[1:]:
        with torch.no_grad():
            weight *= 4.0
            model.network.decoder_weights()[0][:] /= 4.0
        torch.testing.assert_close(L1()(EncodedBatch(model, x, q, q.mean[None], torch.ones(N).double())), penalty)


@pytest.mark.parametrize(("n_components", "active"), [(1, 1), (2, 1), (8, 4), (16, 8), (64, 16), (256, 32)])
def test_default_number_of_active_units(n_components, active):
    assert SparseAutoencoder(n_components)._posterior() == TopK(active)


@pytest.mark.parametrize(
    ("fields", "activation"),
    [
        ({"method": "l1"}, "relu"),
        ({"method": "kl"}, "sigmoid"),
        ({"method": "l1", "code_activation": "identity"}, "identity"),
    ],
)
def test_default_code_activation(fields, activation):
    assert SparseAutoencoder(**fields)._posterior() == Point(activation)


@pytest.mark.parametrize("k", [1, 4, 12])
def test_top_k_gives_exactly_k(digits, k):
    model = SparseAutoencoder(12, method="top_k", k=k, max_epochs=2, random_state=0).fit(digits)
    assert ((model.transform(digits) != 0).sum(1) == k).all()


def test_l1_makes_codes_exactly_sparse(digits):
    fields = {"max_epochs": 60, "learning_rate": 0.02, "random_state": 0}
    models = [SparseAutoencoder(32, method="l1", sparsity=sparsity, **fields).fit(digits) for sparsity in (0.0, 2.0)]
    active = [(model.transform(digits) != 0).sum(1).mean() for model in models]
    assert active[1] < 0.6 * active[0]


def test_kl_brings_units_towards_rho(digits):
    fields = {
        "hidden_layer_sizes": (),
        "method": "kl",
        "rho": 0.1,
        "max_epochs": 150,
        "batch_size": 200,
        "learning_rate": 0.1,
        "random_state": 0,
    }
    free, held = (SparseAutoencoder(12, sparsity=sparsity, **fields).fit(digits) for sparsity in (0.0, 1000.0))
    assert abs(held.transform(digits).mean(0) - 0.1).max() < 0.16 < abs(free.transform(digits).mean(0) - 0.1).max()
    assert held.history_[-1]["kl_sparsity"] < 0.1 * held.history_[0]["kl_sparsity"]
    last = held.history_[-1]
    assert last["loss"] == pytest.approx(last["reconstruction"] + 1000 * last["kl_sparsity"], rel=1e-5)
