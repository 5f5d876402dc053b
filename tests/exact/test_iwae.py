"""The importance-weighted bound: L_1 <= L_2 <= ... <= log p(x), and the loss is the negative bound."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from isthmus import VAE
from isthmus.evaluation import log_marginal
from isthmus.likelihoods import Gaussian
from isthmus.objectives import ImportanceWeighted
from isthmus.penalties import EncodedBatch
from models import build, normal, put_linear

D, K, N, SIGMA = 4, 2, 20, 0.7
SIZES = [1, 2, 4, 8, 16, 32, 64]


@pytest.fixture(scope="module")
def wrong_posterior():
    """Return a pPCA model whose posterior has the right mean and scales that are 40 % too large, x, and log p(x)."""
    rng = np.random.default_rng(0)
    W, mu = rng.normal(size=(D, K)), rng.normal(size=D)
    M = W.T @ W + SIGMA**2 * np.eye(K)
    gain = np.linalg.solve(M, W.T)
    log_scale = 0.5 * np.log(SIGMA**2 * np.diag(np.linalg.inv(M))) + math.log(1.4)
    weight = np.concatenate([gain, np.zeros((K, D))])
    bias = np.concatenate([-gain @ mu, 8 * np.arctanh(log_scale / 8)])
    model = put_linear(build(D, K, likelihood=Gaussian(scale=SIGMA)), weight, bias, W, mu)
    covariance = W @ W.T + SIGMA**2 * np.eye(D)
    x = rng.multivariate_normal(mu, covariance, size=N)
    return model, torch.from_numpy(x), multivariate_normal.logpdf(x, mu, covariance)


def bounds(model, x, n_repeats=512):
    """Return L_k for every k of SIZES, from the same draws in nested groups: (len(SIZES), N)."""
    n_draws = SIZES[-1] * n_repeats
    q = model.q(x)
    z = q.from_noise(normal(n_draws, N, K, seed=1))
    result = []
    for k in SIZES:
        # ImportanceWeighted takes (k, rows): each of the n_draws / k groups of a row is a row of its own
        groups = z.reshape(-1, k, N, K).transpose(0, 1).reshape(k, -1, K)
        rows = x.repeat(n_draws // k, 1)
        draw = EncodedBatch(model, rows, model.q(rows), groups, torch.ones(len(rows)))
        value = -ImportanceWeighted(k)(model, draw, rows)["importance_weighted"]
        result.append(value.reshape(-1, N).mean(0).detach().numpy())
    return np.stack(result)


def test_the_bounds_rise_to_log_p(wrong_posterior):
    """For nested groups of draws, L_k <= L_2k by Jensen's inequality."""
    model, x, log_p = wrong_posterior
    L = bounds(model, x)
    assert (np.diff(L, axis=0) > 0).all()
    gap = log_p - L
    assert (gap.mean(1) > 0).all()
    assert gap[0].mean() > 0.1
    # the gap falls as Var(w) / (2 k): between 32 and 64 it halves
    assert gap[-2].mean() / gap[-1].mean() == pytest.approx(2.0, rel=0.25)


def test_converges_to_the_exact_value(wrong_posterior):
    model, x, log_p = wrong_posterior
    estimate = log_marginal(model, x, normal(100_000, N, K, seed=2)).numpy()
    np.testing.assert_allclose(estimate, log_p, atol=0.02)


def test_one_draw_is_the_elbo(wrong_posterior):
    """The mean of log p(x|z) + log p(z) - log q(z|x) is the ELBO with the divergence in closed form."""
    model, x, _ = wrong_posterior
    q = model.q(x)
    z = q.from_noise(normal(50_000, N, K, seed=3))
    log_w = model.log_joint_ratio(q, z, x)
    with_kl = model.log_likelihood(z, x) - torch.distributions.kl_divergence(
        torch.distributions.Independent(torch.distributions.Normal(q.mean, q.log_scale.exp()), 1),
        torch.distributions.Independent(torch.distributions.Normal(torch.zeros(K).double(), 1.0), 1),
    )
    error = 5 * (log_w - with_kl).std(0) / math.sqrt(50_000)
    assert ((log_w - with_kl).mean(0).abs() < error).all()
    single = ImportanceWeighted(1)(model, EncodedBatch(model, x, q, z[:1], torch.ones(N)), x)["importance_weighted"]
    torch.testing.assert_close(single, -log_w[0])


def test_loss_and_gradient_are_those_of_the_bound():
    model, x = build(), normal(5, 4)

    def loss(*_):
        q = model.q(x)
        draw = EncodedBatch(model, x, q, q.from_noise(normal(6, 5, 3, seed=4)), torch.ones(5))
        return ImportanceWeighted(6)(model, draw, x)["importance_weighted"]

    q = model.q(x)
    log_w = model.log_joint_ratio(q, q.from_noise(normal(6, 5, 3, seed=4)), x).detach().numpy()
    np.testing.assert_allclose(loss().detach().numpy(), -np.log(np.exp(log_w).mean(0)), rtol=1e-12)
    assert torch.autograd.gradcheck(loss, tuple(model.parameters()))


def test_beta_has_no_effect(digits):
    fields = {"objective": "importance_weighted", "hidden_layer_sizes": (), "max_epochs": 2, "random_state": 0}
    fits = [VAE(2, beta=beta, **fields).fit(digits) for beta in (1.0, 10.0)]
    for one, other in zip(*(f.history_ for f in fits), strict=True):
        assert one["loss"] == other["loss"] == one["importance_weighted"]
        assert "kl" not in one
