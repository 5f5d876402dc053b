"""Sparse codes: the divergence over samples, an L1 that rescaling cannot lower, and exactly k active units."""

import numpy as np
import pytest
import torch
from scipy.special import rel_entr
from sklearn.decomposition import PCA

from isthmus import SparseAutoencoder, load
from isthmus._distributions import PointMass
from isthmus.likelihoods import Gaussian
from isthmus.networks import MLP, Conv
from isthmus.penalties import L1, AuxK, EncodedBatch, KLSparsity, Matryoshka
from isthmus.posteriors import BatchTopK, DiagonalNormal, Point, TopK
from isthmus.training import EarlyStopping, Trainer
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
    assert SparseAutoencoder(n_components)._posterior() == BatchTopK(active)
    assert SparseAutoencoder(n_components, method="top_k")._posterior() == TopK(active)


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


# ---- dead units and nested codes ------------------------------------------------------------------------------------


def trained_batch(model, x):
    weight = torch.ones(len(x)).double()
    q = model.q(x, weight=weight)
    return EncodedBatch(model, x, q, q.rsample().unsqueeze(0), weight)


def with_dead_unit(unit=2, **parts):
    """Return a model of a dictionary, whose unit is dead but would describe some samples, and samples."""
    model = build(D, K, posterior=BatchTopK(k=1), network=MLP((), unit_norm=True), **parts)
    model.posterior.idle[unit] = 1e6
    return model, normal(N, D)


def test_aux_k_is_what_dead_units_would_add():
    model, x = with_dead_unit()
    model.posterior.idle[[0, 1]] = -1e6  # this batch does not revive anything
    batch = trained_batch(model, x)
    model.posterior.idle[2] = 1e6
    code, h = batch.z[0], batch.q.selected_from
    dead = torch.where(torch.arange(K) == 2, h.relu(), 0.0)
    W, b = model.network.decoder_weights()[0], model.network.output_bias
    error, rest = x - code @ W.T - b, x - code @ W.T - b - dead @ W.T
    expected = 2 * (rest.square() - error.square()).sum(1)  # sigma is 1/2
    torch.testing.assert_close(AuxK()(batch), expected)
    assert expected.abs().max() > 0.01


def test_aux_k_moves_dead_units_alone():
    model, x = with_dead_unit(likelihood=Gaussian())
    batch = trained_batch(model, x)
    model.posterior.idle.copy_(torch.tensor([0.0, 0.0, 1e6]))
    AuxK()(batch).sum().backward()
    net = model.network
    for gradient in (net.encoder[0].weight.grad, net.encoder[0].bias.grad, net.decoder[0].weight.grad.T):
        assert gradient[2].any()
        assert not gradient[:2].any()
    assert net.decoder[0].bias.grad is None or not net.decoder[0].bias.grad.any()
    assert model.likelihood.raw_log_scale.grad is None
    assert model.likelihood.raw_log_scale.requires_grad


def test_aux_k_is_zero_without_dead_units_and_outside_training():
    model, x = with_dead_unit()
    batch = trained_batch(model, x)
    model.posterior.idle.zero_()
    assert not AuxK()(batch).any()
    model.posterior.idle.fill_(1e6)
    assert AuxK()(batch).any()
    assert not AuxK()(batch._replace(q=model.q(x))).any()


def test_aux_k_decodes_each_sample_with_its_own_condition():
    model = build(D, K, n_conditions=2, posterior=BatchTopK(k=1), network=MLP((5,), "tanh"))
    x, c, weight = normal(N, D), normal(N, 2, seed=1), torch.ones(N).double()
    model.posterior.idle.fill_(1e6)
    q = model.q(x, c, weight=weight)
    whole = EncodedBatch(model, x, q, q.mean[None], weight, c)
    model.posterior.idle.fill_(1e6)
    each = [
        AuxK()(whole._replace(corrupted=x[[i]], q=PointMass(q.mean[[i]], q.selected_from[[i]]), c=c[[i]]))
        for i in range(N)
    ]
    torch.testing.assert_close(AuxK()(whole), torch.cat(each))


def test_aux_k_needs_a_posterior_that_selects():
    with pytest.raises(ValueError, match="'top_k' and 'batch_top_k'"):
        AuxK()(sigmoid_draw())


def test_matryoshka_is_the_sum_over_nested_codes():
    draw = sigmoid_draw()
    expected = 0
    for width in (1, 2):
        z = draw.z.clone()
        z[..., width:] = 0
        expected = expected - draw.model.log_likelihood(z, draw.x).mean(0)
    torch.testing.assert_close(Matryoshka(widths=(1, 0.7))(draw), expected)


def test_matryoshka_does_not_change_sigma():
    draw = sigmoid_draw()
    model = build(D, K, likelihood=Gaussian(), posterior=Point("sigmoid"))
    Matryoshka(widths=(1,))(draw._replace(model=model)).sum().backward()
    assert model.likelihood.raw_log_scale.grad is None
    assert model.network.decoder[0].weight.grad.any()


def test_unit_norm_columns_start_as_the_transpose_of_the_encoder():
    for network in (MLP((), unit_norm=True), MLP((5,), unit_norm=True)):
        model = build(D, K, posterior=BatchTopK(k=1), network=network)
        W, E = model.network.decoder_weights()[0].detach(), model.network.encoder[-1]
        torch.testing.assert_close(W.norm(dim=0), torch.ones(K).double())
        torch.testing.assert_close(E.weight.detach(), 0.3 * W.T)
        assert not E.bias.any()
        with torch.no_grad():
            model.network.decoder[0].weight *= 7  # the length of a column is no parameter
        torch.testing.assert_close(model.network.decoder_weights()[0], W)


# ---- the estimator --------------------------------------------------------------------------------------------------


def test_batch_top_k_has_k_active_units_on_average_and_alone(digits):
    model = SparseAutoencoder(64, k=6, max_epochs=20, random_state=0).fit(digits)
    codes = model.transform(digits)
    assert (codes != 0).sum(1).mean() == pytest.approx(6, rel=0.1)
    alone = np.concatenate([model.transform(digits[[i]]) for i in range(20)])
    np.testing.assert_allclose(alone, codes[:20], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("k", [1, 4, 12])
def test_reconstruction_is_better_than_that_of_pca_with_as_many_components(digits, k):
    model = SparseAutoencoder(64, k=k, random_state=0).fit(digits)
    n_active = round((model.transform(digits) != 0).sum(1).mean())
    pca = PCA(n_active).fit(digits)
    of_pca = ((pca.inverse_transform(pca.transform(digits)) - digits) ** 2).mean()
    assert ((model.reconstruct(digits) - digits) ** 2).mean() < of_pca


def test_dead_units_are_revived(digits):
    fields = {"k": 4, "max_epochs": 100, "batch_size": 128, "learning_rate": 0.03, "random_state": 0}
    dead, alive = (SparseAutoencoder(96, sparsity=weight, **fields).fit(digits) for weight in (0.0, 1.0))
    n_dead = [int((model.transform(digits) == 0).all(0).sum()) for model in (dead, alive)]
    assert n_dead[1] < 0.5 * n_dead[0]


def test_matryoshka_makes_the_first_units_reconstruct(digits):
    fields = {"k": 8, "max_epochs": 40, "batch_size": 128, "learning_rate": 3e-3, "random_state": 0}
    plain, nested = (SparseAutoencoder(64, penalties=p, **fields).fit(digits) for p in ((), ("matryoshka",)))

    def error(model, width):
        codes = model.transform(digits)
        codes[:, width:] = 0
        return ((model.inverse_transform(codes) - digits) ** 2).mean()

    assert error(nested, 8) < 0.8 * error(plain, 8)
    assert error(nested, 64) < 1.5 * error(plain, 64)


def test_early_stopping_restores_the_threshold_of_the_best_epoch(digits):
    stop = EarlyStopping(n_iter_no_change=3)
    fields = {"k": 3, "early_stopping": stop, "learning_rate": 0.1, "max_epochs": 60, "random_state": 0}
    model = SparseAutoencoder(16, **fields).fit(digits)
    best = int(np.argmin([record["validation_loss"] for record in model.history_]))
    assert best < len(model.history_) - 1
    assert (model.transform(digits) != 0).sum(1).mean() == pytest.approx(3, rel=0.2)


def test_sparse_models_are_saved_with_their_threshold(digits, tmp_path):
    model = SparseAutoencoder(16, max_epochs=2, random_state=0).fit(digits)
    model.save(tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    assert again.model_.posterior.threshold == model.model_.posterior.threshold > 0
    np.testing.assert_array_equal(again.transform(digits), model.transform(digits))


def test_captured_steps_give_the_same_codes(digits):
    plain, captured = (
        SparseAutoencoder(32, max_epochs=20, random_state=0, trainer=Trainer(compile=on)).fit(digits)
        for on in (False, True)
    )
    np.testing.assert_array_equal(captured.transform(digits), plain.transform(digits))
