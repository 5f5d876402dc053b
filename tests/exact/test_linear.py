"""Linear models, trained: PCA's subspace and error, probabilistic PCA's likelihood, active units."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA

from isthmus import VAE, Autoencoder
from isthmus.kl import kl_per_unit
from isthmus.likelihoods import Gaussian
from isthmus.networks import MLP
from isthmus.objectives import PenalizedLikelihood
from isthmus.penalties import KL, EncodedBatch
from isthmus.posteriors import DiagonalNormal, FullNormal
from isthmus.scaling import Standard
from isthmus.training import Trainer
from models import build, minimise, rotation, rows_with_covariance, sigma_points

LINEAR = {"hidden_layer_sizes": (), "trainer": Trainer(precision="float64"), "device": "cpu", "random_state": 0}
EIGENVALUES = np.array([9.0, 4.0, 2.0, 0.5, 0.4, 0.3])


@pytest.fixture(scope="module")
def rows():
    Q = rotation(6)
    return rows_with_covariance(Q * EIGENVALUES @ Q.T, 200, mean=3.0)


def learned_sigma(model):
    return float(model.likelihood(torch.zeros(model.likelihood.n_features).double()).scale[0].detach())


# ---- the linear autoencoder is PCA --------------------------------------------------------------------------------


@pytest.mark.parametrize(("scaling", "tied"), [("none", False), ("auto", True)])
def test_linear_autoencoder_is_pca(rows, scaling, tied):
    model = Autoencoder(
        2, network=MLP(tied=tied), scaling=scaling, max_epochs=400, batch_size=200, learning_rate=0.1, **LINEAR
    )
    model.fit(rows)
    pca = PCA(2).fit(rows)
    W = model.model_.network.decoder_weights()[0].detach().numpy()
    assert subspace_angles(W, pca.components_.T).max() < 1e-4
    restored = pca.inverse_transform(pca.transform(rows))
    mse = ((rows - restored) ** 2).mean()
    assert mse == pytest.approx(EIGENVALUES[2:].sum() / 6)
    assert ((rows - model.reconstruct(rows)) ** 2).mean() == pytest.approx(mse, rel=1e-6)
    np.testing.assert_allclose(model.reconstruct(rows), restored, atol=1e-3)
    # sigma is learned: its best value is the root of the mean squared error
    assert learned_sigma(model.model_) * model.model_.scaling.scale.numpy() == pytest.approx(math.sqrt(mse), rel=1e-4)


# ---- the linear VAE is probabilistic PCA --------------------------------------------------------------------------


def ppca_log_likelihood(eigenvalues, k):
    """Return the mean log-likelihood of pPCA's maximum (Tipping & Bishop, 1999), at s2 = mean of the rest."""
    s2 = eigenvalues[k:].mean()
    d = len(eigenvalues)
    return -0.5 * (d * math.log(2 * math.pi) + np.log(eigenvalues[:k]).sum() + (d - k) * math.log(s2) + d)


@pytest.mark.parametrize("posterior", [DiagonalNormal(), FullNormal()], ids=repr)
def test_linear_vae_reaches_ppcas_likelihood(posterior):
    """The exact ELBO is minimised (sigma points), so the tolerance is the optimiser's: the gap of the ELBO is 0."""
    model = build(6, 3, likelihood=Gaussian(), posterior=posterior)
    Q = rotation(6)
    x = torch.from_numpy(rows_with_covariance(Q * EIGENVALUES @ Q.T, 12, mean=1.0))
    loss, _ = exact_loss(model, x, beta=1.0)
    value = minimise(loss, list(model.parameters()))
    assert -value == pytest.approx(ppca_log_likelihood(EIGENVALUES, 3), abs=1e-7)
    assert learned_sigma(model) ** 2 == pytest.approx(EIGENVALUES[3:].mean(), rel=1e-3)


@pytest.mark.parametrize("posterior", ["diagonal_normal", "full_normal"])
def test_linear_vae_trained_reaches_ppcas_likelihood(rows, posterior):
    """By the estimator, whose steps draw: no parameters beat the closed form, so the exact value lies just below it."""
    model = VAE(
        3,
        posterior=posterior,
        prior="standard_normal",
        likelihood=Gaussian(scale="shared"),
        objective=PenalizedLikelihood(n_draws=10),
        scaling=Standard("all"),
        max_epochs=300,
        batch_size=200,
        learning_rate=0.1,
        **LINEAR,
    ).fit(rows)
    best = ppca_log_likelihood(EIGENVALUES, 3)
    W = model.model_.network.decoder_weights()[0].detach().numpy()
    scale = float(model.model_.scaling.scale[0])
    covariance = scale**2 * (W @ W.T + np.eye(6) * learned_sigma(model.model_) ** 2)
    deviation = rows - model.inverse_transform(np.zeros((1, 3)))
    exact = -0.5 * (
        6 * math.log(2 * math.pi)
        + np.linalg.slogdet(covariance)[1]
        + np.trace(np.linalg.solve(covariance, deviation.T @ deviation / len(rows)))
    )
    assert best - 0.005 < exact <= best  # a hundredth of what the third unit is worth
    assert model.score(rows) == pytest.approx(exact, abs=2e-3)  # 100 draws from a posterior that is nearly exact
    model.set_params(n_draws=4000)  # with 100 the mean over rows has a Monte Carlo error of .01 itself
    assert model.score(rows) - model.elbo(rows).elbo.mean() == pytest.approx(0, abs=0.02)


# ---- any beta: value of the minimum, and active units -------------------------------------------------------------

LAM = np.array([9.0, 4.0, 0.9, 0.25])


def exact_loss(model, x, beta):
    """Return the formula's loss with its expectation exact, and a function that gives KL per unit."""
    noise = sigma_points(model.prior.n_components).unsqueeze(1).expand(-1, len(x), -1)
    weight = torch.ones(len(x)).double()

    def loss():
        q = model.q(x)
        draw = EncodedBatch(model, x, q, q.from_noise(noise), weight)
        reconstruction = PenalizedLikelihood(len(noise))(model, draw, x)["reconstruction"]
        return (reconstruction + beta * KL()(draw)).mean()

    return loss, lambda: kl_per_unit(model.q(x), model.prior()).mean(0).detach()


def least(lam, k, beta, s2):
    """Return the minimum of SSE / (2 s2) + beta KL over linear VAEs of K = k units, and the number of active units."""
    t = beta * s2
    active = [i for i in range(k) if lam[i] > t]
    rest = [i for i in range(len(lam)) if i not in active]
    value = sum(1 + math.log(lam[i] / t) for i in active) + sum(lam[i] / t for i in rest)
    return 0.5 * beta * value, len(active)


@pytest.mark.parametrize(
    ("beta", "s2", "k", "n_active"),
    [(1.0, 1.0, 4, 2), (4.0, 0.25, 4, 2), (0.5, 2.0, 3, 2), (1.0, 0.5, 4, 3), (20.0, 0.25, 4, 1), (10.0, 1.0, 2, 0)],
)
def test_minimum_and_active_units(beta, s2, k, n_active):
    Q = rotation(4)
    x = torch.from_numpy(rows_with_covariance(Q * LAM @ Q.T, 32, mean=-1.0))
    model = build(4, k, likelihood=Gaussian(scale=math.sqrt(s2)))
    loss, units = exact_loss(model, x, beta)
    value = minimise(loss, list(model.parameters()))
    expected, expected_active = least(LAM, k, beta, s2)
    assert expected_active == n_active
    constant = 2 * math.log(2 * math.pi * s2)  # 4 columns' -log of the normal density's factor
    assert value - constant == pytest.approx(expected, abs=1e-6)
    kl = np.sort(units().numpy())[::-1]
    np.testing.assert_allclose(kl[n_active:], 0, atol=1e-5)
    # an active unit of eigenvalue lam has q's mean variance 1 - t / lam and q's variance t / lam: KL log(lam / t) / 2
    np.testing.assert_allclose(kl[:n_active], 0.5 * np.log(LAM[:n_active] / (beta * s2)), atol=1e-5)


def test_active_units_of_a_trained_vae():
    """By the estimator. The directions of the two active units turn into place last, hence the wide upper limit."""
    Q = rotation(4)
    X = rows_with_covariance(Q * LAM @ Q.T, 32)
    beta, s2 = 4.0, 0.25
    model = VAE(
        4,
        beta=beta,
        likelihood=Gaussian(scale=math.sqrt(s2)),
        scaling="none",
        objective=PenalizedLikelihood(n_draws=10),
        max_epochs=1000,
        batch_size=32,
        learning_rate=0.1,
        **LINEAR,
    ).fit(X)
    loss, units = exact_loss(model.model_, torch.from_numpy(X), beta)
    excess = float(loss().detach()) - 2 * math.log(2 * math.pi * s2) - least(LAM, 4, beta, s2)[0]
    assert 0 <= excess < 0.2
    kl = np.sort(units().numpy())
    assert kl[1] < 0.01
    assert kl[2] > 0.5
    assert kl[2:].sum() == pytest.approx(0.5 * math.log(4 * 9), abs=0.05)
    record = model.history_[-1]
    assert record["loss"] == pytest.approx(record["reconstruction"] + beta * record["kl"])
