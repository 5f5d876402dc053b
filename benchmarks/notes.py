"""Measure each formula and claim of the theory of autoencoders on scikit-learn's digits, for docs/notes.md.

    python benchmarks/notes.py            # all claims, several seeds; writes results/notes.json and docs/notes.md
    python benchmarks/notes.py --quick    # few rows, one seed; prints the numbers and writes nothing
    python benchmarks/notes.py --render   # write docs/notes.md from the template and the results

Each claim is one function, in the order of the page. It maps data and a seed to a few named numbers.
The lines between `# show` and `# end` are printed in docs/notes.md, so that the code on the page is the code that ran.
"""

from __future__ import annotations

import argparse
import copy
import datetime
import importlib.metadata
import inspect
import json
import math
import os
import platform
import re
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.stats import multivariate_normal
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.distributions import MultivariateNormal

from isthmus import (
    VAE,
    Autoencoder,
    ConditionalVAE,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
)
from isthmus._random import seeded
from isthmus.corruptions import GaussianNoise, Masking, SaltAndPepper
from isthmus.evaluation import elbo, log_marginal
from isthmus.kl import kl_divergence
from isthmus.likelihoods import Gaussian
from isthmus.model import Model
from isthmus.networks import MLP
from isthmus.objectives import PenalizedLikelihood
from isthmus.optimizers import Adam
from isthmus.penalties import Contraction, EncodedBatch
from isthmus.posteriors import DiagonalNormal, FullNormal
from isthmus.priors import StandardNormal
from isthmus.scaling import NoScaling
from isthmus.training import Trainer

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "notes.json"
TEMPLATE = ROOT / "docs" / "notes.template.md"
PAGE = ROOT / "docs" / "notes.md"
SEEDS = (0, 1, 2)


def settings() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings of all examples, in which nothing depends on the data, and those of VAEs."""
    # show
    basic = {
        "network": MLP(skip=False),  # random weights at the start
        "max_epochs": 100,
        "batch_size": 128,
        "learning_rate": 3e-3,
        "optimizer": Adam(weight_decay=0.0),
        "early_stopping": False,
    }
    basic_vae = basic | {"likelihood": Gaussian(scale="shared"), "prior": "standard_normal"}
    # end
    return basic, basic_vae


basic, basic_vae = settings()  # lower case, as on the page
Numbers = dict[str, float]
CLAIMS: dict[str, Callable[..., Numbers]] = {}
EXACT: set[str] = set()  # claims without training: one seed is enough


def claim(function: Callable[..., Numbers]) -> Callable[..., Numbers]:
    """Register a claim; one without a `seed` parameter has the same numbers for every seed."""
    CLAIMS[function.__name__] = function
    if "seed" not in inspect.signature(function).parameters:
        EXACT.add(function.__name__)
    return function


class Data(NamedTuple):
    train: np.ndarray
    test: np.ndarray
    y_train: np.ndarray
    y_test: np.ndarray
    quick: bool
    vaes: dict[int, VAE]

    def vae(self, seed: int) -> VAE:
        """Return the VAE with 8 latent units fitted to the training rows, which many claims share."""
        if seed not in self.vaes:
            self.vaes[seed] = VAE(8, **basic_vae, random_state=seed).fit(self.train)
        return self.vaes[seed]


def digits(*, quick: bool = False) -> Data:
    X, y = load_digits(return_X_y=True)
    train, test, y_train, y_test = train_test_split(X, y, test_size=450, random_state=0, stratify=y)
    few, fewer = (slice(256), slice(120)) if quick else (slice(None), slice(None))
    return Data(train[few], test[fewer], y_train[few], y_test[fewer], quick, {})


# ---- metrics -------------------------------------------------------------------------------------------------


def mse(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.mean((a - b) ** 2))


def spread(X: np.ndarray) -> float:
    """Return the root mean square over pixels of their standard deviations, the unit in which isthmus scales digits."""
    return float(np.sqrt(X.var(0).mean()))


def scrambled(X: np.ndarray) -> np.ndarray:
    """Return images with each pixel from another image: pixels keep their distributions, and no stroke remains."""
    rng = np.random.default_rng(1)
    return np.stack([rng.permutation(column) for column in X.T], axis=1)


def noisy(data: Data) -> np.ndarray:
    return data.test + 0.5 * spread(data.train) * np.random.default_rng(2).normal(size=data.test.shape)


def holes(data: Data) -> np.ndarray:
    """Return the mask of the missing test pixels, 30 % of them."""
    return np.random.default_rng(3).random(data.test.shape) < 0.3


def probe(codes: Callable[[np.ndarray], np.ndarray], data: Data) -> float:
    """Return the accuracy of a linear classifier of the digits, trained on the codes."""
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    classifier.fit(codes(data.train), data.y_train)
    return float(classifier.score(codes(data.test), data.y_test))


def metrics(model: Any, data: Data, prefix: str = "") -> Numbers:
    test, missing = data.test, holes(data)
    other, rough = scrambled(test), noisy(data)
    filled = np.where(missing, data.train.mean(0), test)
    values = {
        "digits": mse(model.reconstruct(test), test),
        "scrambled": mse(model.reconstruct(other), other),
        "noise": mse(model.reconstruct(rough), test) / mse(rough, test),
        "missing": mse(model.reconstruct(filled)[missing], test[missing]) / mse(filled[missing], test[missing]),
        "probe": probe(model.transform, data),
    }
    return {prefix + name: value for name, value in values.items()}


# ---- linear Gaussian models, where everything is known ----------------------------------------------------------


class Linear(NamedTuple):
    """The model x = W z + mu + sigma e, with its density and its posterior in closed form."""

    W: np.ndarray
    mu: np.ndarray
    sigma: float

    def log_p(self, X: np.ndarray) -> np.ndarray:
        covariance = self.W @ self.W.T + self.sigma**2 * np.eye(len(self.mu))
        return np.asarray(multivariate_normal.logpdf(X, self.mu, covariance))

    def posterior(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean (N, K) and the covariance (K, K) of P(z|X)."""
        M = self.W.T @ self.W + self.sigma**2 * np.eye(self.W.shape[1])
        return (X - self.mu) @ np.linalg.solve(M, self.W.T).T, self.sigma**2 * np.linalg.inv(M)


def ppca(X: np.ndarray, k: int, rotate: bool = False) -> Linear:
    """Fit probabilistic PCA by maximum likelihood (Tipping & Bishop), which rotated loadings attain as well."""
    pca = PCA(k).fit(X)
    W = pca.components_.T * np.sqrt(pca.explained_variance_ - pca.noise_variance_)
    if rotate:
        W = W @ np.linalg.qr(np.random.default_rng(4).normal(size=(k, k)))[0]
    return Linear(W, pca.mean_, float(np.sqrt(pca.noise_variance_)))


def vae_of(linear: Linear, posterior: Any, widen: float = 1.0) -> Model:
    """Return a float64 isthmus model with p(x|z) of `linear` and its true posterior, or the nearest diagonal one.

    The nearest diagonal Q has the true mean and the variances 1 / (Sigma^-1)_ii; scales are multiplied by `widen`.
    """
    D, K = linear.W.shape
    model = Model(
        network=MLP(()),
        posterior=posterior,
        likelihood=Gaussian(scale=linear.sigma),
        prior=StandardNormal(),
        scaling=NoScaling(),
    )
    with seeded(0):
        model.build(D, K)
    bias_of_mean, covariance = linear.posterior(np.zeros(D))
    gain = linear.posterior(np.eye(D))[0].T - bias_of_mean[:, None]
    full = isinstance(posterior, FullNormal)
    L = np.linalg.cholesky(covariance) if full else np.diag(1 / np.sqrt(np.diag(np.linalg.inv(covariance))))
    raw = 8 * np.arctanh(np.log(widen * np.diag(L)) / 8)  # the inverse of the posterior's smooth bound
    below = widen * L[np.tril_indices(K, -1)] if full else []
    encoder, decoder = model.network.encoder[0], model.network.decoder[0]
    with torch.no_grad():
        model.double()
        encoder.weight.zero_()
        encoder.weight[:K] = torch.from_numpy(gain)
        encoder.bias.copy_(torch.from_numpy(np.concatenate([bias_of_mean, raw, below])))
        decoder.weight.copy_(torch.from_numpy(linear.W))
        decoder.bias.copy_(torch.from_numpy(linear.mu))
    return model


def float64(estimator: Any) -> Model:
    return copy.deepcopy(estimator.model_).double()


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def sigma_points(k: int) -> torch.Tensor:
    """Return points (2K, 1, K) of mean 0 and covariance I, whose average is exact for a linear model."""
    points = math.sqrt(k) * torch.eye(k, dtype=torch.float64)
    return torch.cat([points, -points]).unsqueeze(1)


def log_mean(log_w: torch.Tensor) -> np.ndarray:
    return (torch.logsumexp(log_w, 0) - math.log(len(log_w))).numpy()


# ---- latent variables -------------------------------------------------------------------------------------------


@claim
def latent_variable(data: Data, seed: int) -> Numbers:
    train, test, y_train, y_test = data[:4]
    # show
    plain = VAE(2, **basic_vae, random_state=seed).fit(train)
    informed = ConditionalVAE(2, **basic_vae, random_state=seed).fit(train, y_train)
    classifier = KNeighborsClassifier(5).fit(plain.transform(train), y_train)
    which_digit = classifier.score(plain.transform(test), y_test)  # accuracy given the two numbers z
    log_p = plain.score(test), informed.score(test)  # p(x), and p(x) = sum_y p(x|y) p(y): the digit comes first
    # end
    pca = PCA(2).fit(train)
    knn_pca = KNeighborsClassifier(5).fit(pca.transform(train), y_train)
    return {
        "accuracy": which_digit,
        "accuracy_pca": float(knn_pca.score(pca.transform(test), y_test)),
        "accuracy_pixels": float(KNeighborsClassifier(5).fit(train, y_train).score(test, y_test)),
        "log_p_plain": log_p[0],
        "log_p_informed": log_p[1],
        "inferred": float(np.mean(informed.predict(test) == y_test)),
    }


# ---- autoencoders -----------------------------------------------------------------------------------------------


@claim
def identity(data: Data, seed: int) -> Numbers:
    """An overcomplete linear autoencoder copies its input; an undercomplete one cannot."""
    train, test = data.train, data.test
    # show
    sigma = Gaussian(scale=0.3)  # L = ||x - g(f(x))||^2 / (2 sigma^2) + constant, x in units of its spread
    copier = Autoencoder(256, **basic, hidden_layer_sizes=(), likelihood=sigma, random_state=seed).fit(train)
    narrow = Autoencoder(16, **basic, hidden_layer_sizes=(), likelihood=sigma, random_state=seed).fit(train)
    # end
    deep = Autoencoder(256, **basic, likelihood=sigma, random_state=seed).fit(train)
    return {
        **metrics(copier, data, "copier_"),
        **metrics(deep, data, "deep_"),
        **metrics(narrow, data, "narrow_"),
        "train": mse(copier.reconstruct(train), train),
        "variance": mse(np.broadcast_to(train.mean(0), test.shape), test),
        "probe_pixels": probe(lambda X: X, data),
    }


@claim
def dimensionality(data: Data, seed: int) -> Numbers:
    """Compare the error and the accuracy of a linear classifier for codes of different sizes, and with PCA."""
    result = {}
    for k in (2, 8) if data.quick else (2, 4, 8, 16, 32):
        pca = PCA(k).fit(data.train)
        train, test = data.train, data.test
        # show
        model = Autoencoder(k, **basic, random_state=seed).fit(train)
        error = np.mean((model.reconstruct(test) - test) ** 2)
        # end
        result[f"ae{k}"] = float(error)
        result[f"pca{k}"] = mse(pca.inverse_transform(pca.transform(test)), test)
        result[f"probe_ae{k}"] = probe(model.transform, data)
        result[f"probe_pca{k}"] = probe(pca.transform, data)
    return result


@claim
def sparse(data: Data, seed: int) -> Numbers:
    train, test = data.train, data.test
    sigma = Gaussian(scale=0.3)
    # show
    one = basic | {"hidden_layer_sizes": (), "likelihood": sigma, "random_state": seed}
    model = SparseAutoencoder(256, method="l1", sparsity=3.0, **one).fit(train)
    last = model.history_[-1]  # loss = reconstruction + 3 * l1, that is L(x, g(f(x))) + Omega(h)
    active = np.mean(model.transform(test) != 0)
    # end
    plain = SparseAutoencoder(256, method="l1", sparsity=0.0, **one).fit(train)
    kl = SparseAutoencoder(256, method="kl", sparsity=10.0, **(one | {"learning_rate": 0.03})).fit(train)
    slow = SparseAutoencoder(256, method="kl", sparsity=10.0, **one).fit(train)
    top = SparseAutoencoder(256, method="top_k", k=16, **one).fit(train)
    counts = (top.transform(test) != 0).sum(1)
    return {
        **metrics(model, data),
        **metrics(kl, data, "kl_"),
        **metrics(top, data, "top_"),
        "loss": last["loss"],
        "reconstruction": last["reconstruction"],
        "l1": last["l1"],
        "sum_error": abs(last["loss"] - last["reconstruction"] - 3.0 * last["l1"]),
        "active": float(active),
        "active_plain": float(np.mean(plain.transform(test) != 0)),
        "kl_mean_activation": float(kl.transform(train).mean()),
        "kl_mean_activation_slow": float(slow.transform(train).mean()),
        "top_min": float(counts.min()),
        "top_max": float(counts.max()),
    }


@claim
def penalty_and_sigma(data: Data, seed: int) -> Numbers:
    """Compare the test error with the same penalty, for a fixed sigma and a learned one."""
    result = {}
    for name, likelihood in (("fixed", Gaussian(scale=0.3)), ("learned", Gaussian(scale="shared"))):
        for weight in (1, 7) if data.quick else (1, 3, 5, 7):
            # show
            one = basic | {"hidden_layer_sizes": (), "likelihood": likelihood, "random_state": seed}
            model = SparseAutoencoder(256, method="l1", sparsity=weight, **one).fit(data.train)
            # end
            result[f"{name}_{weight}"] = mse(model.reconstruct(data.test), data.test)
    return result


@claim
def denoising(data: Data, seed: int) -> Numbers:
    """Return the error after reconstruction relative to before, for three corruptions, trained with each or without."""
    train, test = data.train, data.test
    rng, unit = np.random.default_rng(5), spread(train)
    u = rng.random(test.shape)
    extremes = np.where(u < 0.05, train.min(0), train.max(0))
    rough = {
        "gaussian": (GaussianNoise(0.5), noisy(data)),
        "masking": (Masking(0.3), np.where(holes(data), train.mean(0), test)),
        "salt": (SaltAndPepper(0.1), np.where(u < 0.1, extremes, test)),
    }
    plain = Autoencoder(64, **basic, random_state=seed).fit(train)
    result = {}
    for name, (corruption, rows) in rough.items():
        # show
        model = DenoisingAutoencoder(64, **basic, corruption=corruption, random_state=seed).fit(train)
        left = np.mean((model.reconstruct(rows) - test) ** 2) / np.mean((rows - test) ** 2)
        # end
        result[name] = float(left)
        result[name + "_plain"] = mse(plain.reconstruct(rows), test) / mse(rows, test)
    # the best linear map against Gaussian noise: mu + C (C + s^2 I)^-1 (x~ - mu)
    C, mu = np.cov(train.T, ddof=0), train.mean(0)
    gain = np.linalg.solve(C + (0.5 * unit) ** 2 * np.eye(len(C)), C)
    result["gaussian_wiener"] = mse(mu + (noisy(data) - mu) @ gain, test) / mse(noisy(data), test)
    # the architecture of the copier, with the corruption added
    sigma = Gaussian(scale=0.3)
    for name, corruption in (("noise_", GaussianNoise(0.5)), ("mask_", Masking(0.3))):
        linear = DenoisingAutoencoder(
            256, **basic, hidden_layer_sizes=(), likelihood=sigma, corruption=corruption, random_state=seed
        ).fit(train)
        result |= metrics(linear, data, name)
    return result


@claim
def contractive(data: Data, seed: int) -> Numbers:
    train, test = data.train, data.test
    # show
    sigma = Gaussian(scale=0.3)
    rifai = basic | {"hidden_layer_sizes": (), "code_activation": "sigmoid", "network": MLP(tied=True)}
    model = ContractiveAutoencoder(256, **rifai, contraction=10.0, likelihood=sigma, random_state=seed).fit(train)
    plain = ContractiveAutoencoder(256, **rifai, contraction=0.0, likelihood=sigma, random_state=seed).fit(train)
    with_penalty, without = (omega(m, test).mean() for m in (model, plain))
    # end
    exact = jacobian_norms(model, test[:20])
    deep = Autoencoder(8, **(basic | {"max_epochs": 5}), random_state=seed).fit(train)
    n = 200 if data.quick else 2000
    draws = np.stack([omega(deep, test[:20], "projection", i).numpy() for i in range(n)]).mean(1)
    truth = float(omega(deep, test[:20], "exact").mean())
    return {
        **metrics(model, data),
        **metrics(plain, data, "plain_"),
        "omega": float(with_penalty),
        "omega_plain": float(without),
        "closed_minus_autodiff": float((omega(model, test[:20]) / exact - 1).abs().max()),
        "moved": moved(model, data),
        "moved_plain": moved(plain, data),
        "deep_exact": truth,
        "deep_projected": float(draws.mean()),
        "deep_error": float(draws.std() / math.sqrt(n)),
    }


def encoded_batch(estimator: Any, X: np.ndarray) -> EncodedBatch:
    model = float64(estimator)
    x = model.scaling(torch.from_numpy(X))
    q = model.q(x)
    return EncodedBatch(model, x, q, q.mean.unsqueeze(0), torch.ones(len(x), dtype=torch.float64))


def omega(estimator: Any, X: np.ndarray, method: str = "auto", seed: int = 0) -> torch.Tensor:
    """Return Omega(h, x) = sum_i ||grad_x h_i||^2 of each row, in scaled units and float64."""
    with seeded(seed), torch.no_grad():
        return Contraction(method=method)(encoded_batch(estimator, X))


def jacobian_norms(estimator: Any, X: np.ndarray) -> torch.Tensor:
    """Return the same by automatic differentiation, row by row."""
    model, x = encoded_batch(estimator, X)[:2]
    rows = [torch.autograd.functional.jacobian(lambda v: model.q(v).mean, row) for row in x]
    return torch.stack([J.square().sum() for J in rows])


def moved(model: Any, data: Data) -> float:
    """Return the mean squared change of codes under noise, relative to their variance."""
    h = model.transform(data.test)
    return mse(model.transform(noisy(data)), h) / mse(np.broadcast_to(h.mean(0), h.shape), h)


# ---- the variational autoencoder --------------------------------------------------------------------------------


@claim
def marginal(data: Data) -> Numbers:
    """Compute equation (1) in three ways for probabilistic PCA of the digits, where log p(x) is known."""
    X = data.test[:20]
    x = torch.from_numpy(X)
    result = {}
    for k in (2, 32) if data.quick else (2, 8, 32):
        truth = ppca(data.train, k)
        model = vae_of(truth, DiagonalNormal())
        wide = vae_of(truth, DiagonalNormal(), widen=1.5)
        log_p = truth.log_p(X)
        result[f"log_p_{k}"] = float(log_p.mean())
        result[f"sklearn_{k}"] = float(np.abs(PCA(k).fit(data.train).score_samples(X) - log_p).max())
        # show
        z = model.prior().sample((10, 1))  # plain Monte Carlo: z ~ p(z), (1/S) sum_s P(X|z_s)
        from_prior = torch.logsumexp(model.log_likelihood(z, x), 0) - math.log(10)
        from_q = log_marginal(model, x, torch.randn(1, 20, k))  # z ~ Q: (1/S) sum_s P(X|z_s) p(z_s) / Q(z_s)
        # end
        assert from_prior.shape == from_q.shape
        result[f"exact_{k}"] = float(np.abs(log_marginal(model, x, normal(1, 20, k)).numpy() - log_p).max())
        for power in (1, 3) if data.quick else (1, 2, 3, 4, 5):
            result[f"prior_{k}_{power}"] = float(np.abs(_from_prior(model, x, k, 10**power) - log_p).mean())
            if power <= 4:
                estimate = log_marginal(wide, x, normal(10**power, 20, k, seed=power)).numpy()
                result[f"wide_{k}_{power}"] = float(np.abs(estimate - log_p).mean())
    return result


def _from_prior(model: Model, x: torch.Tensor, k: int, n: int) -> np.ndarray:
    z = normal(n, 1, k, seed=n)
    with torch.no_grad():
        return log_mean(torch.cat([model.log_likelihood(part, x) for part in z.split(2000)]))


@claim
def gaussian(data: Data, seed: int) -> Numbers:
    """With P(X|z) = N(f(z), sigma^2), a learned sigma converges to the residuals, and log p(x) rises."""
    train, test = data.train, data.test
    learned = data.vae(seed)
    # show
    fixed = VAE(8, **(basic_vae | {"likelihood": Gaussian(scale=1.0)}), random_state=seed).fit(train)
    # learned = VAE(8, **basic_vae, random_state=seed).fit(train): sigma is one of the parameters
    gain = learned.score(test) - fixed.score(test)
    # end
    draws = learned.sample_latent(train, 20, random_state=0)
    left = [mse(learned.inverse_transform(z), train) for z in draws]
    model = learned.model_
    h = model.decode(torch.zeros(1, 8, dtype=next(model.network.parameters()).dtype))
    sigma = float((model.likelihood(h).scale.double().detach() * model.scaling.scale)[0, 0])
    return {
        "gain": gain,
        "log_p": learned.score(test),
        "log_p_fixed": fixed.score(test),
        "sigma": sigma,
        "rms": math.sqrt(np.mean(left)),
        "sigma_fixed": spread(train),
        "mse": mse(learned.reconstruct(test), test),
        "mse_fixed": mse(fixed.reconstruct(test), test),
        "kl": float(learned.elbo(test).kl.mean()),
        "kl_fixed": float(fixed.elbo(test).kl.mean()),
    }


@claim
def equation_2(data: Data) -> Numbers:
    """Compute both sides of equation (2) for a linear Gaussian model and an arbitrary Q with full covariance."""
    X, k = data.test[:50], 8
    truth = ppca(data.train, k, rotate=True)
    model = vae_of(truth, FullNormal())
    generator = torch.Generator().manual_seed(6)
    with torch.no_grad():  # an arbitrary Q: random weights of the encoder
        for parameter in model.network.encoder.parameters():
            parameter.copy_(0.02 * torch.randn(parameter.shape, generator=generator))
    x = torch.from_numpy(X)
    # show
    bound = elbo(model, x, sigma_points(8))  # E_Q[log P(X|z)] - D[Q || P(z)], the expectation exact
    q, (mean, covariance) = model.q(x), truth.posterior(X)
    p_z_x = MultivariateNormal(torch.from_numpy(mean), torch.from_numpy(covariance))
    q_z = MultivariateNormal(q.mean, scale_tril=q.scale_tril)
    left = truth.log_p(X) - torch.distributions.kl_divergence(q_z, p_z_x).detach().numpy()
    # end
    right = bound.elbo.numpy()
    return {
        "difference": float(np.abs(left - right).max()),
        "log_p": float(truth.log_p(X).mean()),
        "kl_posterior": float((truth.log_p(X) - left).mean()),
        "expectation": float(-bound.reconstruction.mean()),
        "kl_prior": float(bound.kl.mean()),
        "left": float(left.mean()),
        "right": float(right.mean()),
    }


@claim
def conditions_on_q(data: Data, seed: int) -> Numbers:
    """Compute D[Q || P(z|X)] = log P(X) - ELBO for a Q that depends on X and for one that does not."""
    test, vae = data.test[:100], data.vae(seed)
    # show
    log_p = vae.set_params(n_draws=1000).score_samples(test)
    gap = log_p - vae.elbo(test).elbo  # Q(z|X)
    # end
    z = np.random.default_rng(0).normal(size=(200, 8))  # Q(z) = P(z), whatever X is
    model = float64(vae.set_params(n_draws=100))
    x = model.scaling(torch.from_numpy(test))
    with torch.no_grad():
        blind = model.log_likelihood(torch.from_numpy(z).unsqueeze(1), x).mean(0) + model.log_det().sum()
    return {"gap": float(gap.mean()), "gap_blind": float((log_p - blind.numpy()).mean()), "log_p": float(log_p.mean())}


@claim
def sigma_exact(data: Data) -> Numbers:
    """A diagonal Sigma suffices for orthogonal loadings, and not for the same p(x) with rotated loadings."""
    X, k = data.test[:50], 8
    x, result = torch.from_numpy(X), {}
    for name, rotate in (("straight", False), ("rotated", True)):
        truth = ppca(data.train, k, rotate=rotate)
        for kind, posterior in (("diagonal", DiagonalNormal()), ("full", FullNormal())):
            # show
            bound = elbo(vae_of(truth, posterior), x, sigma_points(k)).elbo.numpy()
            gap = truth.log_p(X) - bound  # D[Q || P(z|X)], nats per sample
            # end
            result[f"{name}_{kind}"] = float(np.abs(gap).mean())
        precision = np.linalg.inv(truth.posterior(X)[1])
        result[f"{name}_theory"] = float(0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1]))
    return result


@claim
def sigma_trained(data: Data, seed: int) -> Numbers:
    """Compare a full and a diagonal Sigma(X) on test images, after training."""
    train, test, result = data.train, data.test, {}
    for name, hidden in (("linear", ()), ("deep", (256, 128)))[: 1 if data.quick else 2]:
        for posterior in ("diagonal_normal", "full_normal"):
            # show
            model = VAE(8, **basic_vae, posterior=posterior, hidden_layer_sizes=hidden, random_state=seed).fit(train)
            bound, log_p = model.elbo(test).elbo.mean(), model.score(test)
            # end
            key = f"{name}_{posterior.split('_')[0]}"
            result |= {f"{key}_elbo": float(bound), f"{key}_log_p": log_p, f"{key}_gap": log_p - float(bound)}
            if not hidden:
                W = model.model_.network.decoder[0].weight.detach().numpy()
                angles = np.abs((W / np.linalg.norm(W, axis=0)).T @ (W / np.linalg.norm(W, axis=0)))
                result[f"{key}_cosine"] = float(angles[~np.eye(8, dtype=bool)].mean())
    return result


@claim
def lower_bound(data: Data, seed: int) -> Numbers:
    """ELBO <= log p(x) on each sample, exactly for linear models (during and after training), and for a deep one."""
    test, result = data.test, {}
    for name, epochs in (("early", 5), ("late", 100)):
        exact = basic_vae | {"hidden_layer_sizes": (), "trainer": Trainer(precision="float64"), "max_epochs": epochs}
        model = VAE(8, **exact, random_state=seed)
        m = model.fit(data.train).model_
        decoder, scale = m.network.decoder[0], m.scaling.scale.numpy()
        x = m.scaling(torch.from_numpy(test))
        sigma = float(m.likelihood(decoder.bias).scale[0].detach())
        truth = Linear(decoder.weight.detach().numpy(), decoder.bias.detach().numpy(), sigma)
        gap = truth.log_p(x.numpy()) - elbo(m, x, sigma_points(8)).elbo.numpy()
        result |= {f"{name}_min": float(gap.min()), f"{name}_mean": float(gap.mean())}
        result[f"{name}_score_error"] = abs(
            model.score(test) - float(truth.log_p(x.numpy()).mean() - np.log(scale).sum())
        )
    vae = data.vae(seed)
    # show
    parts = vae.elbo(test)  # elbo = -(reconstruction + kl), one number per sample
    gap = vae.score_samples(test) - parts.elbo
    # end
    return result | {
        "gap": float(gap.mean()),
        "share_below": float(np.mean(gap >= 0)),
        "elbo": float(parts.elbo.mean()),
        "reconstruction": float(parts.reconstruction.mean()),
        "kl": float(parts.kl.mean()),
    }


@claim
def one_sample_exact(data: Data) -> Numbers:
    """One draw estimates E_Q[log P(X|z)] without bias, and the standard error falls as 1 / sqrt(draws)."""
    X, k, n = data.test[:20], 8, 20_000
    model, x = vae_of(ppca(data.train, k), DiagonalNormal()), torch.from_numpy(X)
    with torch.no_grad():
        exact = model.log_likelihood(model.q(x).from_noise(sigma_points(k).expand(-1, 20, -1)), x).mean(0)
        # show
        z = model.q(x).from_noise(normal(20_000, 20, 8))  # 20 000 times one draw, for each of 20 images
        one = model.log_likelihood(z, x)
        # end
    error = one.mean(0) - exact
    spreads = {s: float(one.reshape(-1, s, 20).mean(1).std(0).mean()) for s in (1, 10, 100)}
    return {
        "bias": float(error.mean()),
        "bias_error": float(one.std(0).square().mean().sqrt() / math.sqrt(20 * n)),
        "exact": float(exact.mean()),
        **{f"sd_{s}": value for s, value in spreads.items()},
    }


@claim
def one_sample(data: Data, seed: int) -> Numbers:
    """Compare training with one draw per sample and with ten."""
    train, test, vae = data.train, data.test, data.vae(seed)
    # show
    ten = VAE(8, **basic_vae, objective=PenalizedLikelihood(n_draws=10), random_state=seed).fit(train)
    # end
    model = float64(vae)
    x = model.scaling(torch.from_numpy(test))
    with torch.no_grad():
        draws = model.log_likelihood(model.q(x).from_noise(normal(100, len(x), 8)), x)
    return {
        "elbo_1": float(vae.elbo(test).elbo.mean()),
        "elbo_10": float(ten.elbo(test).elbo.mean()),
        "sd": float(draws.std(0).mean()),
        "sd_digits": float(draws.mean(0).std()),
    }


@claim
def closed_form(data: Data, seed: int) -> Numbers:
    """Compare D[Q(z|X) || N(0, I)] in closed form with its Monte Carlo estimate."""
    vae = data.vae(seed)
    model = float64(vae)
    x = model.scaling(torch.from_numpy(data.test[:50]))
    with torch.no_grad():
        # show
        q, p = model.q(x), model.prior()
        closed = kl_divergence(q, p)
        z = q.from_noise(normal(10_000, 50, 8))
        by_draws = (q.log_prob(z) - p.log_prob(z)).mean(0)
        # end
        by_hand = 0.5 * (q.variance + q.mean.square() - 1 - q.variance.log()).sum(-1)
        ratio = q.log_prob(z) - p.log_prob(z)
    return {
        "closed": float(closed.mean()),
        "by_hand": float((closed - by_hand).abs().max()),
        "difference": float((by_draws - closed).mean()),
        "error": float(ratio.std(0).square().mean().sqrt() / math.sqrt(50 * 10_000)),
        "sd_1": float(ratio.std(0).mean()),
    }


# ---- generation -------------------------------------------------------------------------------------------------


class Judge:
    """Judge images by a forest trained on real digits, and by nearest neighbours."""

    def __init__(self, data: Data) -> None:
        self.data = data
        self.forest = ExtraTreesClassifier(500, random_state=0).fit(data.train, data.y_train)

    def recognised(self, X: np.ndarray) -> float:
        """Return the share of images for which more than half of the trees agree on a digit."""
        return float(np.mean(self.forest.predict_proba(X).max(1) > 0.5))

    def two_sample_accuracy(self, X: np.ndarray) -> float:
        """Return the leave-one-out accuracy of 1-NN between real test images and X; 0.5 if they are alike."""
        n = min(len(X), len(self.data.test))
        both, label = np.concatenate([self.data.test[:n], X[:n]]), np.repeat([0, 1], n)
        nearest = NearestNeighbors(n_neighbors=2).fit(both).kneighbors(both, return_distance=False)[:, 1]
        return float(np.mean(label[nearest] == label))

    def __call__(self, X: np.ndarray, name: str) -> Numbers:
        return {f"{name}_recognised": self.recognised(X), f"{name}_apart": self.two_sample_accuracy(X)}


@claim
def generation(data: Data, seed: int) -> Numbers:
    train, judge = data.train, Judge(data)
    n = len(data.test)
    rng = np.random.default_rng(seed)
    result = {
        **judge(data.test, "real"),
        **judge(train[rng.permutation(len(train))[:n]], "train"),
        **judge(scrambled(data.test), "scrambled"),
        **judge(rng.multivariate_normal(train.mean(0), np.cov(train.T), n), "normal"),
        **judge(GaussianMixture(30, reg_covar=0.1, random_state=seed).fit(train).sample(n)[0], "mixture"),
    }
    for k in (2, 8) if data.quick else (2, 4, 8, 16):
        vae = data.vae(seed) if k == 8 else VAE(k, **basic_vae, random_state=seed).fit(train)
        # show
        z = rng.normal(size=(n, k))  # z ~ N(0, I)
        decoded = vae.inverse_transform(z)  # f(z)
        drawn = vae.sample(n, random_state=seed)  # x ~ N(f(z), sigma^2): with the noise of P(X|z)
        # end
        result |= {**judge(decoded, f"decoded{k}"), **judge(drawn, f"drawn{k}")}
        result[f"kl{k}"] = float(vae.elbo(train).kl.mean())
        result[f"variance{k}"] = float(drawn.var(0).mean() / train.var(0).mean())
        result[f"restored{k}"] = judge.recognised(vae.reconstruct(data.test))
    vamp = VAE(8, **(basic_vae | {"prior": "vamp_prior"}), random_state=seed).fit(train)
    drawn = vamp.sample(n, random_state=seed)
    result |= {**judge(drawn, "vamp"), "variance_vamp": float(drawn.var(0).mean() / train.var(0).mean())}
    result |= {"log_p_vamp": vamp.score(data.test), "log_p8": data.vae(seed).score(data.test)}
    return result | {"log_n": math.log(len(train))}


@claim
def conditional(data: Data, seed: int) -> Numbers:
    train, test, y_train, y_test = data[:4]
    judge, n, result = Judge(data), len(test), {}
    for k in (2,) if data.quick else (2, 8):
        # show
        model = ConditionalVAE(k, **basic_vae, random_state=seed).fit(train, y_train)
        drawn = model.sample(n, y=y_test, random_state=seed)  # samples of the given digits
        log_p = model.score_samples(test, y_test)  # log p(x|y)
        read = model.predict(test)  # the y that maximises p(x|y) p(y)
        # end
        decoded = model.inverse_transform(np.random.default_rng(seed).normal(size=(n, k)), y=y_test)
        wrong = model.score_samples(test, (y_test + 1 + np.random.default_rng(0).integers(0, 9, n)) % 10)
        result |= {
            f"asked{k}": float(np.mean(judge.forest.predict(drawn) == y_test)),
            f"accuracy{k}": float(np.mean(read == y_test)),
            f"log_p{k}": float(log_p.mean()),
            f"log_p_wrong{k}": float(wrong.mean()),
            f"marginal{k}": model.score(test),
            **judge(drawn, f"drawn{k}"),
            **judge(decoded, f"decoded{k}"),
        }
    vae = data.vae(seed)
    return result | {"vae8": vae.score(test), "judge": float(judge.forest.score(test, y_test))}


@claim
def structured(data: Data, seed: int) -> Numbers:
    """Generate the lower half of a digit given the upper half."""
    upper, lower, upper_test, lower_test = (part for X in (data.train, data.test) for part in (X[:, :32], X[:, 32:]))
    result = {
        "mean": mse(np.broadcast_to(lower.mean(0), lower_test.shape), lower_test),
        "ridge": mse(RidgeCV(np.logspace(-3, 4, 8)).fit(upper, lower).predict(upper_test), lower_test),
        "knn": mse(KNeighborsRegressor(5).fit(upper, lower).predict(upper_test), lower_test),
    }
    for name, noise in (("", "none"), ("noise_", "gaussian_noise"))[: 1 if data.quick else 2]:
        # show
        model = ConditionalVAE(8, **basic_vae, corruption=noise, random_state=seed).fit(lower, upper)
        draws = [model.sample(len(upper_test), y=upper_test, random_state=i) for i in range(30)]
        log_p = model.score(lower_test, upper_test)  # log p(lower | upper)
        # end
        alone = VAE(8, **basic_vae, corruption=noise, random_state=seed).fit(lower)
        result |= {
            name + "mse": mse(np.mean(draws, axis=0), lower_test),
            name + "mse_one": mse(draws[0], lower_test),
            name + "log_p": log_p,
            name + "log_p_train": model.score(lower[:450], upper[:450]),
            name + "log_p_alone": alone.score(lower_test),
        }
    return result


# ---- run, write, render -----------------------------------------------------------------------------------------


def run(names: list[str], data: Data, seeds: tuple[int, ...]) -> dict[str, dict[str, list[float]]]:
    """Return the numbers of each claim, one for each seed."""
    results: dict[str, dict[str, list[float]]] = {}
    for name in names:
        start = time.process_time()
        runs = [CLAIMS[name](data)] if name in EXACT else [CLAIMS[name](data, seed) for seed in seeds]
        results[name] = {key: [float(f"{r[key]:.6g}") for r in runs] for key in runs[0]}
        print(f"{name}: {time.process_time() - start:.1f} s", flush=True)
    return results


def machine() -> dict[str, Any]:
    cpuinfo = Path("/proc/cpuinfo")
    models = re.findall(r"model name\s*: (.*)", cpuinfo.read_text()) if cpuinfo.exists() else []
    return {
        "processor": (models or [platform.machine()])[0],
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }


def versions() -> dict[str, str]:
    names = ("isthmus", "torch", "scikit-learn", "numpy", "scipy")
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in names}


_NUMBER = re.compile(r"\{\{(\w+)\.([\w-]+)(?::([^}]*))?\}\}")
_CODE = re.compile(r"\{\{code (\w+)\}\}")


def render(template: str, report: dict[str, Any]) -> str:
    """Insert numbers and code into the template.

    ``{{claim.key:.2f}}`` is the mean over seeds, ``{{claim.key:.2f±}}`` the mean and the standard deviation, and
    ``{{code claim}}`` the lines of the claim's function between `# show` and `# end`.
    """

    def number(match: re.Match[str]) -> str:
        scope, key, form = match[1], match[2], match[3] or ".3g"
        if scope in ("machine", "versions", "run"):
            value = report[scope][key]
            return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        values = np.asarray(report["claims"][scope][key])
        text = _format(float(values.mean()), form.removesuffix("±"))
        return f"{text} ± {_format(float(values.std()), form.removesuffix('±'))}" if form.endswith("±") else text

    return _NUMBER.sub(number, _CODE.sub(lambda m: snippet(m[1]), template))


def _format(value: float, form: str) -> str:
    text = format(value, form)
    text = text[1:] if re.fullmatch(r"-0\.?0*%?", text) else text  # no -0.0
    return text.replace("-", "−") if not re.search(r"e[-+]", text) else text


def snippet(name: str) -> str:
    source = inspect.getsource((CLAIMS | {"settings": settings})[name])
    shown = re.findall(r"^ *# show\n(.*?)^ *# end\n", source, re.MULTILINE | re.DOTALL)
    return "\n".join(textwrap.dedent(part).rstrip() for part in shown)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few rows and one seed; write nothing")
    parser.add_argument("--render", action="store_true", help="write docs/notes.md from the results")
    parser.add_argument("--only", nargs="+", metavar="CLAIM", choices=list(CLAIMS), help="run these; write nothing")
    arguments = parser.parse_args()
    names = arguments.only or list(CLAIMS)
    if arguments.quick:
        print(json.dumps(run(names, digits(quick=True), SEEDS[:1]), indent=1))
        return
    if arguments.only:
        print(json.dumps(run(names, digits(), SEEDS), indent=1))
        return
    if arguments.render:
        report = json.loads(RESULTS.read_text())
    else:
        start = time.perf_counter()
        claims = run(names, digits(), SEEDS)
        about = {
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "seeds": list(SEEDS),
            "seconds": round(time.perf_counter() - start),
        }
        report = {"machine": machine(), "versions": versions(), "run": about, "claims": claims}
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(report, indent=1) + "\n")
    PAGE.write_text(render(TEMPLATE.read_text(), report))
    print(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
