"""Linear Gaussian models, for which log p(x), posterior, information and divergence have closed forms."""

import math
from typing import NamedTuple

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from isthmus.likelihoods import Gaussian
from isthmus.posteriors import DiagonalNormal, FullNormal
from models import build, put_linear, rotation


class PPCA(NamedTuple):
    """x = mu + W z + sigma e."""

    W: np.ndarray
    mu: np.ndarray
    sigma: float

    @property
    def covariance(self):
        return self.W @ self.W.T + self.sigma**2 * np.eye(len(self.mu))

    @property
    def posterior_covariance(self):
        k = self.W.shape[1]
        return self.sigma**2 * np.linalg.inv(self.W.T @ self.W + self.sigma**2 * np.eye(k))

    @property
    def gain(self):
        """The matrix (K, D) of the posterior mean."""
        return self.posterior_covariance @ self.W.T / self.sigma**2

    def log_p(self, x):
        return multivariate_normal.logpdf(x, self.mu, self.covariance)

    def rows(self, n, seed=0):
        rng = np.random.default_rng(seed)
        return torch.from_numpy(rng.multivariate_normal(self.mu, self.covariance, size=n, method="cholesky"))

    def model(self, *, full=False, wider=1.0, shrink=1.0, **parts):
        """Return the model with its exact posterior, or with scales and means multiplied by `wider` and `shrink`."""
        d, k = self.W.shape
        posterior = FullNormal() if full else DiagonalNormal()
        model = build(d, k, posterior=posterior, likelihood=Gaussian(scale=self.sigma), **parts)
        L = np.linalg.cholesky(self.posterior_covariance) * wider
        bias = np.concatenate([-shrink * self.gain @ self.mu, 8 * np.arctanh(np.log(np.diag(L)) / 8)])
        if full:
            bias = np.concatenate([bias, L[np.tril_indices(k, -1)]])
        weight = np.zeros((len(bias), d))
        weight[:k] = shrink * self.gain
        return put_linear(model, weight, bias, self.W, self.mu)


@pytest.fixture(scope="session")
def ppca():
    """Return a model with orthogonal loadings, whose exact posterior has independent units."""
    W = rotation(6, seed=2)[:, :3] * [2.0, 1.0, 0.3]
    return PPCA(W, np.random.default_rng(1).normal(size=6), 0.6)


@pytest.fixture(scope="session")
def oblique():
    """Return a model with oblique loadings, whose exact posterior has a full covariance."""
    rng = np.random.default_rng(3)
    return PPCA(rng.normal(size=(6, 3)), rng.normal(size=6), 0.6)


class Curved(NamedTuple):
    """A nonlinear model of binary data with two latent units, and log p(x) by quadrature."""

    model: object
    x: torch.Tensor
    log_p: np.ndarray


@pytest.fixture(scope="session")
def curved():
    from isthmus.likelihoods import Bernoulli
    from isthmus.networks import MLP

    model = build(8, 2, seed=5, likelihood=Bernoulli(), network=MLP((16,), activation="tanh"))
    with torch.no_grad():
        for parameter in model.network.decoder.parameters():
            parameter.mul_(3)
    x = torch.from_numpy(np.random.default_rng(0).integers(0, 2, size=(12, 8)).astype(float))
    axis = torch.linspace(-8, 8, 201, dtype=torch.float64)
    z = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        log_prior = -0.5 * z.square().sum(-1) - math.log(2 * math.pi)
        h = model.decode(z)
        log_joint = torch.stack([model.likelihood.log_prob(h, row).sum(-1) for row in x]) + log_prior
    log_p = torch.logsumexp(log_joint, 1) + 2 * math.log(float(axis[1] - axis[0]))
    return Curved(model, x, log_p.numpy())
