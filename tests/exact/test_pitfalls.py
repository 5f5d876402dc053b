"""Mistakes that other libraries make: one test for each."""

import random

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.datasets import load_iris

from isthmus import (
    VAE,
    Autoencoder,
    ConditionalVAE,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
)
from isthmus._batch import Batch
from isthmus._distributions import LatentDistribution
from isthmus._random import seeded
from isthmus.corruptions import GaussianNoise, NoCorruption
from isthmus.likelihoods import Bernoulli, Categorical, ContinuousBernoulli, Gaussian
from isthmus.networks import MLP
from isthmus.objectives import ImportanceWeighted, PenalizedLikelihood, TrainingLoss
from isthmus.penalties import KL, L1, Contraction, KLSparsity
from isthmus.posteriors import DiagonalNormal, Point
from isthmus.scaling import MinMax
from isthmus.training import Trainer
from models import build, normal

X, Y = load_iris(return_X_y=True)
QUICK = {"hidden_layer_sizes": (8,), "max_epochs": 3, "random_state": 0, "device": "cpu"}
ALL = [
    Autoencoder(2, **QUICK),
    SparseAutoencoder(4, **QUICK),
    DenoisingAutoencoder(4, **QUICK),
    ContractiveAutoencoder(4, **QUICK),
    VAE(2, n_draws=10, **QUICK),
    ConditionalVAE(2, n_draws=10, **QUICK),
]
VARIATIONAL = ALL[4:]
METHODS = (
    "transform",
    "reconstruct",
    "feature_errors",
    "reconstruction_error",
    "score_samples",
    "elbo",
    "predict_proba",
)


def by_name(estimator):
    return type(estimator).__name__


def outputs(model, rows):
    """Return what every method gives for rows, by name."""
    return {name: np.asarray(getattr(model, name)(rows)) for name in METHODS if hasattr(model, name)}


@pytest.fixture(scope="module")
def fitted():
    return {by_name(estimator): clone(estimator).fit(X, Y) for estimator in ALL}


# ---- sums over features, and beta = 1 -----------------------------------------------------------------------------


def doubled(model):
    """Return the model of rows (x, x): an encoder that reads the first half, a decoder that writes both."""
    twice = build(8, 3, likelihood=model.likelihood)
    with torch.no_grad():
        for layer, own in zip(twice.network.encoder, model.network.encoder, strict=True):
            layer.weight.copy_(torch.cat([own.weight, 0 * own.weight], 1))
            layer.bias.copy_(own.bias)
        for layer, own in zip(twice.network.decoder, model.network.decoder, strict=True):
            layer.weight.copy_(torch.cat([own.weight, own.weight]))
            layer.bias.copy_(torch.cat([own.bias, own.bias]))
    return twice


def test_the_loss_sums_over_features_and_kl_does_not_depend_on_them():
    """If every column is there twice, the reconstruction term doubles, unlike a mean over features, and KL does not."""
    model, x = build(4, 3), normal(6, 4)
    terms = []
    for m, rows in ((model, x), (doubled(model), torch.cat([x, x], 1))):
        with seeded(0):
            terms.append(
                TrainingLoss(m, PenalizedLikelihood(), NoCorruption(), [KL()])(Batch(rows, torch.ones(6).double()))
            )
    one, two = terms
    torch.testing.assert_close(two.values["reconstruction"], 2 * one.values["reconstruction"])
    torch.testing.assert_close(two.values["kl"], one.values["kl"])
    torch.testing.assert_close(one.total(), one.values["reconstruction"] + one.values["kl"])


@pytest.mark.parametrize("estimator", VARIATIONAL, ids=by_name)
def test_kl_is_on_by_default_with_weight_1(estimator, fitted):
    for record in fitted[by_name(estimator)].history_:
        assert record["kl"] > 0
        assert record["loss"] == pytest.approx(record["reconstruction"] + record["kl"], rel=1e-5)


def test_terms_are_reported_unweighted():
    model, x = build(), normal(6, 4)
    formula = TrainingLoss(model, PenalizedLikelihood(), NoCorruption(), [KL(4.0), L1(0.5), L1(2.0)])
    terms = formula(Batch(x, torch.ones(6).double()))
    assert list(terms.values) == ["reconstruction", "kl", "l1", "l1_2"]
    assert terms.weights == {"reconstruction": 1.0, "kl": 4.0, "l1": 0.5, "l1_2": 2.0}
    torch.testing.assert_close(terms.values["l1"], terms.values["l1_2"])
    expected = sum(terms.weights[name] * value for name, value in terms.values.items())
    torch.testing.assert_close(terms.total(), expected)


# ---- the same numbers in every call, whatever other rows there are -------------------------------------------------


@pytest.mark.parametrize("estimator", ALL, ids=by_name)
def test_the_same_call_gives_the_same_numbers(estimator, fitted):
    model = fitted[by_name(estimator)]
    first, second = outputs(model, X), outputs(model, X)
    for name, value in first.items():
        np.testing.assert_array_equal(second[name], value, err_msg=name)
    assert model.score(X) == model.score(X)


@pytest.mark.parametrize("estimator", ALL, ids=by_name)
def test_a_row_does_not_depend_on_other_rows(estimator, fitted):
    """Alone, in another order, beside an outlier: no statistics of the test set, no shared draws."""
    model = fitted[by_name(estimator)]
    whole = outputs(model, X)
    alone, backwards = outputs(model, X[7:8]), outputs(model, X[::-1].copy())
    beside = outputs(model, np.vstack([X[:20], np.full((1, 4), 1e3)]))
    for name, value in whole.items():
        rows = -1 if name == "elbo" else 0  # Elbo is (3, N)
        close = {"rtol": 1e-9, "atol": 1e-9, "err_msg": name}  # matrix products of other shapes round otherwise
        np.testing.assert_allclose(np.take(alone[name], 0, rows), np.take(value, 7, rows), **close)
        np.testing.assert_allclose(np.flip(backwards[name], rows), value, **close)
        np.testing.assert_allclose(np.take(beside[name], range(20), rows), np.take(value, range(20), rows), **close)


@pytest.mark.parametrize("estimator", ALL, ids=by_name)
def test_scaling_uses_the_training_rows(estimator, fitted):
    model = fitted[by_name(estimator)]
    before = model.model_.scaling.shift.clone(), model.model_.scaling.scale.clone()
    np.testing.assert_allclose(before[0].numpy(), X.mean(0))
    outputs(model, X + 100)
    assert torch.equal(model.model_.scaling.shift, before[0])
    assert torch.equal(model.model_.scaling.scale, before[1])
    assert not model.model_.training


def test_rows_of_weight_0_enter_no_statistics():
    """Rows of weight 0 do not move the scaling either."""
    weight = np.ones(len(X))
    weight[100:] = 0
    model = Autoencoder(2, **QUICK).fit(X, sample_weight=weight)
    np.testing.assert_allclose(model.model_.scaling.shift.numpy(), X[:100].mean(0))


# ---- n_draws, its sign, and the noise of the estimates --------------------------------------------------------------


def test_n_draws_is_used(fitted):
    model = clone(fitted["VAE"]).fit(X)
    scores = {}
    for n_draws in (1, 3, 300):
        model.n_draws = n_draws
        scores[n_draws] = model.score_samples(X)
    assert not np.allclose(scores[1], scores[3])
    assert scores[1].mean() < scores[3].mean() < scores[300].mean()


def test_score_is_a_log_density_and_higher_is_better(fitted):
    model = fitted["VAE"]
    assert model.score_samples(X).mean() > model.score_samples(X + 10).mean()
    assert model.score(X) == pytest.approx(model.score_samples(X).mean())
    bound = model.elbo(X)
    assert (bound.kl > 0).all()
    assert bound.elbo.mean() < model.score(X)


# ---- likelihoods that are what they are called ----------------------------------------------------------------------


def test_bernoulli_and_categorical_are_no_densities():
    """Scaling adds a log-determinant to densities only: probabilities do not depend on the unit."""
    for likelihood, dense in [
        (Bernoulli(), False),
        (Categorical((2, 2)), False),
        (ContinuousBernoulli(), True),
        (Gaussian(), True),
    ]:
        model = build(2, 2, likelihood=likelihood, scaling=MinMax(low=0.0, high=16.0))
        model.scaling.set_from_data(torch.zeros(2, 2).double(), torch.ones(2).double())
        expected = -np.log(16.0) if dense else 0.0
        np.testing.assert_allclose(model.log_det().numpy(), expected)


def test_density_follows_the_unit_of_the_data():
    """In metres or in millimetres: log p differs by log 1000 per column, and by nothing else."""
    fields = QUICK | {"trainer": Trainer(precision="float64")}
    metres, millimetres = (VAE(2, **fields).fit(X * unit) for unit in (1.0, 1000.0))
    difference = metres.score_samples(X) - millimetres.score_samples(X * 1000)
    # each row's draws are chosen by its bits, so the estimates differ by their Monte Carlo noise
    assert difference.mean() == pytest.approx(4 * np.log(1000), abs=0.02)
    np.testing.assert_allclose(
        metres.feature_errors(X), millimetres.feature_errors(X * 1000) - np.log(1000), rtol=1e-6, atol=1e-6
    )


def test_sigma_is_learned_and_the_output_is_not_squashed():
    model = Autoencoder(3, **(QUICK | {"hidden_layer_sizes": (), "max_epochs": 200})).fit(X)
    residual = (X - model.reconstruct(X)) / model.model_.scaling.scale.numpy()
    sigma = float(model.model_.likelihood(torch.zeros(4)).scale[0].detach())
    assert sigma == pytest.approx(np.sqrt((residual**2).mean()), rel=0.05)
    assert sigma < 0.5
    assert model.reconstruct(X).max() > 5
    shifted = Autoencoder(3, **QUICK).fit(X - 1000)
    assert shifted.reconstruct(X - 1000).mean() == pytest.approx((X - 1000).mean(), abs=1)


# ---- no target leak -------------------------------------------------------------------------------------------------


def test_prediction_never_sees_y(fitted):
    """Without y every method averages over p(y|x), so that no code carries the true label."""
    model = fitted["ConditionalVAE"]
    log_joint = np.stack([model.score_samples(X, np.full(150, k)) for k in model.classes_], 1)
    log_joint += np.log(np.bincount(Y) / 150)
    np.testing.assert_allclose(model.score_samples(X), logsumexp(log_joint, 1), rtol=1e-9)
    share = np.exp(log_joint - logsumexp(log_joint, 1, keepdims=True))
    np.testing.assert_allclose(model.predict_proba(X), share, rtol=1e-6, atol=1e-12)
    np.testing.assert_array_equal(model.predict(X), share.argmax(1))
    for name in ("transform", "reconstruct", "feature_errors"):
        per_class = [getattr(model, name)(X, np.full(150, k)) for k in model.classes_]
        expected = np.einsum("nk,knd->nd", share, np.stack(per_class))
        np.testing.assert_allclose(getattr(model, name)(X), expected, rtol=1e-6, atol=1e-9)


def test_fit_transform_does_not_give_the_codes_of_the_true_labels():
    estimator = ConditionalVAE(2, **QUICK)
    codes = clone(estimator).fit_transform(X, Y)
    model = clone(estimator).fit(X, Y)
    np.testing.assert_array_equal(codes, model.transform(X))
    assert not np.allclose(codes, model.transform(X, Y))


def test_the_bound_without_y_is_a_bound(fitted):
    model = fitted["ConditionalVAE"]
    bound = model.elbo(X)
    assert bound.elbo.mean() < model.score_samples(X).mean()
    np.testing.assert_allclose(bound.elbo, -bound.reconstruction - bound.kl, rtol=1e-9)


# ---- global state ---------------------------------------------------------------------------------------------------


def global_states():
    return random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002 - it is what is tested


@pytest.mark.parametrize("random_state", [0, None, np.random.RandomState(3)], ids=["int", "None", "RandomState"])
@pytest.mark.parametrize("estimator", ALL, ids=by_name)
def test_no_global_generator_changes(estimator, random_state):
    before = global_states()
    model = clone(estimator).set_params(random_state=random_state, early_stopping=True, max_epochs=2).fit(X, Y)
    model.partial_fit(X, Y)
    outputs(model, X)
    if hasattr(model, "sample"):
        model.sample(3, random_state=1)
        model.sample(3)
        model.sample_latent(X, 2)
    after = global_states()
    assert before[0] == after[0]
    assert all(np.array_equal(a, b) for a, b in zip(before[1], after[1], strict=True))
    assert torch.equal(before[2], after[2])


@pytest.mark.parametrize("estimator", ALL, ids=by_name)
def test_the_global_generator_does_not_matter(estimator):
    codes = []
    for seed in (1, 2):
        with seeded(seed):
            codes.append(clone(estimator).fit(X, Y).transform(X))
    np.testing.assert_array_equal(*codes)


@pytest.mark.parametrize("estimator", ALL, ids=by_name)
def test_a_clone_is_unfitted_and_equal(estimator, fitted):
    copy = clone(fitted[by_name(estimator)])
    assert not hasattr(copy, "model_")
    assert copy.get_params(deep=False) == estimator.get_params(deep=False)


def test_parts_given_to_an_estimator_are_not_changed():
    likelihood, noise = Gaussian("feature"), GaussianNoise(0.1)
    model = VAE(2, likelihood=likelihood, corruption=noise, penalties=[L1(0.1)], **QUICK).fit(X)
    assert not likelihood.state_dict()
    assert model.likelihood is likelihood
    assert model.model_.likelihood is not likelihood


# ---- a sample weight is a repetition --------------------------------------------------------------------------------

MIXED = {
    "elbo": (DiagonalNormal(), PenalizedLikelihood(2), [KL()]),
    "free bits": (DiagonalNormal(), PenalizedLikelihood(), [KL(0.5, free_bits=0.2), L1(0.1)]),
    "iwae": (DiagonalNormal(), ImportanceWeighted(3), []),
    "sparse": (Point("sigmoid"), PenalizedLikelihood(), [KLSparsity(2.0), L1()]),
    "contractive": (Point("sigmoid"), PenalizedLikelihood(), [Contraction(method="exact")]),
}


@pytest.mark.parametrize("network", [MLP(()), MLP((5,), "tanh")], ids=repr)
@pytest.mark.parametrize("parts", MIXED.values(), ids=list(MIXED))
def test_weight_is_repetition(parts, network, monkeypatch):
    """Loss and gradient of weighted rows are those of repeated rows, where copies get the same noise."""
    posterior, objective, penalties = parts
    model = build(4, 3, posterior=posterior, network=network)
    count = torch.tensor([2, 0, 1, 3])
    x = normal(4, 4)
    weighted = Batch(x, count.double())
    repeated = Batch(x.repeat_interleave(count, 0), torch.ones(6).double())
    formula = TrainingLoss(model, objective, NoCorruption(), penalties)
    noise = normal(objective.n_draws, 4, 3, seed=1)
    results = []
    for batch, own in ((weighted, noise), (repeated, noise.repeat_interleave(count, 1))):
        monkeypatch.setattr(
            LatentDistribution, "rsample", lambda q, shape=(), own=own: q.from_noise(own if shape else own[0])
        )
        loss = (batch.weight / batch.weight.sum()) @ formula(batch).total()
        results.append([loss, *torch.autograd.grad(loss, list(model.network.parameters()))])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)
