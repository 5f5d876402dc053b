"""A VAE with the weights of probabilistic PCA, for which all results have closed forms."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from isthmus import VAE
from isthmus._batch import Batch
from isthmus._random import seeded
from isthmus.corruptions import NoCorruption
from isthmus.evaluation import elbo, log_marginal
from isthmus.likelihoods import Gaussian
from isthmus.objectives import ImportanceWeighted, PenalizedLikelihood, TrainingLoss
from isthmus.penalties import KL
from isthmus.posteriors import DiagonalNormal, FullNormal
from isthmus.scaling import MinMax, NoScaling, Standard
from isthmus.training import Trainer
from models import build, normal, put_linear, rotation

D, K, SIGMA = 6, 3, 0.6


def loadings(orthogonal):
    """Return W (D, K), with W'W diagonal where `orthogonal`, and mu."""
    rng = np.random.default_rng(1)
    W = rng.normal(size=(D, K))
    if orthogonal:
        W = rotation(D, seed=2)[:, :K] * [2.0, 1.0, 0.3]
    return W, rng.normal(size=D)


def put_ppca(model, W, mu, sigma):
    """Write W, mu and the exact posterior N(M^-1 W'(x - mu), s2 M^-1), M = W'W + s2 I, into a linear model."""
    M = W.T @ W + sigma**2 * np.eye(K)
    gain = np.linalg.solve(M, W.T)
    L = np.linalg.cholesky(sigma**2 * np.linalg.inv(M))
    raw = 8 * np.arctanh(np.log(np.diag(L)) / 8)  # the inverse of the posterior's smooth bound
    bias = np.concatenate([-gain @ mu, raw])
    if isinstance(model.posterior, FullNormal):
        bias = np.concatenate([bias, L[np.tril_indices(K, -1)]])
    weight = np.zeros((len(bias), D))
    weight[:K] = gain
    return put_linear(model, weight, bias, W, mu)


def log_normal(x, mean, covariance):
    """Return log N(x; mean, covariance) by Cholesky, which is accurate for units as different as 1e6, unlike scipy."""
    L = np.linalg.cholesky(covariance)
    white = np.linalg.solve(L, (x - mean).T)
    return -0.5 * (white**2).sum(0) - np.log(np.diag(L)).sum() - 0.5 * len(L) * math.log(2 * math.pi)


def exact(x, W, mu, sigma):
    return log_normal(x, mu, W @ W.T + sigma**2 * np.eye(D))


def test_the_reference_agrees_with_scipy():
    W, mu = loadings(orthogonal=False)
    x = normal(10, D).numpy()
    expected = multivariate_normal.logpdf(x, mu, W @ W.T + SIGMA**2 * np.eye(D))
    np.testing.assert_allclose(exact(x, W, mu, SIGMA), expected, rtol=1e-12)


CASES = [(DiagonalNormal(), True), (FullNormal(), True), (FullNormal(), False)]


@pytest.fixture(params=CASES, ids=["diagonal, orthogonal", "full, orthogonal", "full, any"])
def ppca(request):
    posterior, orthogonal = request.param
    W, mu = loadings(orthogonal)
    model = put_ppca(build(D, K, posterior=posterior, likelihood=Gaussian(scale=SIGMA)), W, mu, SIGMA)
    x = 2 * normal(40, D, seed=3)
    return model, x, exact(x.numpy(), W, mu, SIGMA)


def test_every_draw_gives_log_p(ppca):
    model, x, log_p = ppca
    q = model.q(x)
    log_w = model.log_joint_ratio(q, q.from_noise(normal(50, 40, K, seed=4)), x)
    np.testing.assert_allclose(log_w.detach().numpy(), np.broadcast_to(log_p, (50, 40)), rtol=0, atol=1e-10)


@pytest.mark.parametrize("n_draws", [1, 7])
def test_the_importance_weighted_objective_is_log_p(ppca, n_draws):
    model, x, log_p = ppca
    formula = TrainingLoss(model, ImportanceWeighted(n_draws), NoCorruption())
    with seeded(0):
        terms = formula(Batch(x, torch.ones(40)))
    np.testing.assert_allclose(-terms.total().detach().numpy(), log_p, rtol=0, atol=1e-10)


def test_the_elbo_is_log_p(ppca):
    """Reconstruction + KL is -log p; sigma points give its exact expectation, as it is quadratic in the noise."""
    model, x, log_p = ppca
    points = math.sqrt(K) * torch.cat([torch.eye(K), -torch.eye(K)]).double().unsqueeze(1).expand(-1, 40, -1)
    bound = elbo(model, x, points)
    np.testing.assert_allclose(bound.elbo.numpy(), log_p, rtol=0, atol=1e-10)
    np.testing.assert_allclose((-bound.reconstruction - bound.kl).numpy(), bound.elbo.numpy(), rtol=0, atol=1e-12)


def test_the_training_loss_is_log_p_on_average(ppca):
    """The mean over draws of the loss that is trained is within five standard errors."""
    model, x, log_p = ppca
    formula = TrainingLoss(model, PenalizedLikelihood(n_draws=4000), NoCorruption(), [KL()])
    with seeded(0):
        loss = float(formula(Batch(x, torch.ones(40))).total().mean().detach())
    draws = model.log_likelihood(model.q(x).from_noise(normal(200, 40, K)), x).detach()
    one_draw = float(draws.var(0).mean().sqrt())
    assert loss == pytest.approx(-log_p.mean(), abs=5 * one_draw / math.sqrt(4000 * 40))


def test_a_wrong_posterior_gives_a_lower_bound(ppca):
    model, x, log_p = ppca
    with torch.no_grad():
        model.network.encoder[0].bias[K : 2 * K] += 0.5
    noise = normal(2000, 40, K, seed=5)
    one, many = log_marginal(model, x, noise[:1]).numpy(), log_marginal(model, x, noise).numpy()
    assert one.mean() < log_p.mean() - 0.1
    assert abs(many.mean() - log_p.mean()) < 0.01


# ---- through the estimator, in the data's units -----------------------------------------------------------------

SCALE = np.array([1.0, 10.0, 0.01, 3.0, 5.0, 1.0])


def fitted(scaling, likelihood=None, **fields):
    rng = np.random.default_rng(6)
    X = rng.normal(size=(60, D)) * SCALE + rng.normal(size=D) * 100
    model = VAE(
        K,
        hidden_layer_sizes=(),
        scaling=scaling,
        likelihood=likelihood or Gaussian(scale=SIGMA),
        trainer=Trainer(precision="float64"),
        device="cpu",
        max_epochs=1,
        random_state=0,
        **fields,
    )
    return model.fit(X), X


@pytest.mark.parametrize("scaling", [NoScaling(), Standard("feature"), Standard("all"), MinMax()], ids=repr)
@pytest.mark.parametrize(("posterior", "orthogonal"), [("diagonal_normal", True), ("full_normal", False)])
@pytest.mark.parametrize("n_draws", [1, 20])
def test_score_samples_is_log_p_in_the_units_of_the_data(scaling, posterior, orthogonal, n_draws):
    model, X = fitted(scaling, posterior=posterior, n_draws=n_draws)
    W, mu = loadings(orthogonal)
    put_ppca(model.model_, W, mu, SIGMA)
    shift, scale = (b.numpy() for b in (model.model_.scaling.shift, model.model_.scaling.scale))
    covariance = scale[:, None] * (W @ W.T + SIGMA**2 * np.eye(D)) * scale
    expected = log_normal(X, shift + scale * mu, covariance)
    np.testing.assert_allclose(model.score_samples(X), expected, rtol=1e-12, atol=1e-10)
    assert model.score(X) == pytest.approx(expected.mean(), rel=1e-12)
    bound = model.elbo(X)
    np.testing.assert_allclose(bound.elbo, -bound.reconstruction - bound.kl, rtol=1e-12)


@pytest.mark.parametrize("scale", ["shared", "feature"])
def test_a_learned_scale_gives_the_same_log_p(scale):
    model, X = fitted("none", Gaussian(scale))
    W, mu = loadings(orthogonal=True)
    floor = math.log(model.likelihood.min_scale)
    raw = (floor + math.log(math.expm1(math.log(SIGMA) - floor))) / 10
    with torch.no_grad():
        model.model_.likelihood.raw_log_scale.fill_(raw)
    put_ppca(model.model_, W, mu, SIGMA)
    Z = X / 100
    np.testing.assert_allclose(model.score_samples(Z), exact(Z, W, mu, SIGMA), rtol=1e-12, atol=1e-10)


def test_codes_reconstructions_and_samples():
    model, X = fitted(Standard("feature"))
    W, mu = loadings(orthogonal=True)
    put_ppca(model.model_, W, mu, SIGMA)
    shift, scale = (b.numpy() for b in (model.model_.scaling.shift, model.model_.scaling.scale))
    M = W.T @ W + SIGMA**2 * np.eye(K)
    codes = ((X - shift) / scale - mu) @ np.linalg.solve(M, W.T).T
    np.testing.assert_allclose(model.transform(X), codes, atol=1e-10)
    np.testing.assert_allclose(model.reconstruct(X), (codes @ W.T + mu) * scale + shift, rtol=1e-10)
    n = 100_000
    drawn = (model.sample(n, random_state=0) - shift) / scale
    covariance = W @ W.T + SIGMA**2 * np.eye(D)
    spread = np.sqrt((np.outer(np.diag(covariance), np.diag(covariance)) + covariance**2) / n)
    assert (np.abs(drawn.mean(0) - mu) < 5 * np.sqrt(np.diag(covariance) / n)).all()
    assert (np.abs(np.cov(drawn.T) - covariance) < 5 * spread).all()
    posterior = model.sample_latent(X[:2], 50_000, random_state=0)
    of_z = SIGMA**2 * np.linalg.inv(M)
    assert (np.abs(posterior.mean(0) - codes[:2]) < 5 * np.sqrt(np.diag(of_z) / 50_000)).all()
    np.testing.assert_allclose(np.cov(posterior[:, 0].T), of_z, atol=5 * of_z.max() * math.sqrt(2 / 50_000))
