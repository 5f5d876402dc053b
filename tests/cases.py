"""The conformance table: one row for every part of every room. A part without a row fails `test_every_part_has_a_row`.

Adding a part takes its class and one row here; the row buys every check of `isthmus.testing`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from isthmus.corruptions import Corruption, GaussianNoise, Masking, NoCorruption, SaltAndPepper
from isthmus.likelihoods import Bernoulli, Categorical, ContinuousBernoulli, Gaussian, Likelihood
from isthmus.networks import MLP, Conv, Network, Sizes
from isthmus.objectives import ImportanceWeighted, Objective, PenalizedLikelihood
from isthmus.penalties import KL, L1, Contraction, KLSparsity, Penalty, Warmup
from isthmus.posteriors import DiagonalNormal, FullNormal, Point, Posterior, TopK
from isthmus.priors import Prior, StandardNormal
from isthmus.scaling import MinMax, NoScaling, Scaling, Standard

# ---- likelihoods: the part, D, the support, and log p(x|h) by scipy ----------------------------------------------


class LikelihoodCase(NamedTuple):
    part: Likelihood
    log_prob: Callable[[Any, np.ndarray, np.ndarray], np.ndarray]
    support: tuple[float, float] = (-math.inf, math.inf)
    n_features: int = 3
    mean_is_mode: bool = False


def sigma(p, offset=0.0):
    """Return a learned sigma: a softplus above the logarithm of its floor."""
    floor = math.log(p.min_scale)
    return np.exp(floor + np.logaddexp(0, 10 * p.raw_log_scale.detach().numpy() + offset - floor))


def decoder_normal(p, h, x):
    mean, log_scale = np.split(h, 2, axis=1)
    floor = math.log(p.min_scale)
    return stats.norm.logpdf(x, mean, np.exp(floor + np.logaddexp(0, log_scale - floor)))


def truncated_exponential(p, h, x):
    """Continuous Bernoulli is the exponential cut to [0, 1], of rate -eta: scipy has it for positive rates."""
    return stats.truncexpon.logpdf(np.where(h > 0, 1 - x, x), np.abs(h), scale=1 / np.abs(h))


def categorical(p, h, x):
    columns = np.split(h, np.cumsum(p.n_levels)[:-1], axis=1)
    p_of = [np.exp(c - c.max(1, keepdims=True)) for c in columns]
    p_of = [c / c.sum(1, keepdims=True) for c in p_of]
    rows = range(len(x))
    each = [stats.multinomial.logpmf(np.eye(c.shape[1])[x[:, d].astype(int)], 1, c) for d, c in enumerate(p_of)]
    return np.stack([[each[d][n] for n in rows] for d in range(len(columns))], axis=1)


LIKELIHOODS = [
    LikelihoodCase(Gaussian(scale=0.5), lambda _, h, x: stats.norm.logpdf(x, h, 0.5)),
    LikelihoodCase(Gaussian(), lambda p, h, x: stats.norm.logpdf(x, h, sigma(p))),
    LikelihoodCase(Gaussian(scale="feature", min_scale=0.2), lambda p, h, x: stats.norm.logpdf(x, h, sigma(p))),
    LikelihoodCase(Gaussian(scale="decoder"), decoder_normal),
    LikelihoodCase(Bernoulli(), lambda _, h, x: stats.bernoulli.logpmf(x, 1 / (1 + np.exp(-h))), (0, 1)),
    LikelihoodCase(ContinuousBernoulli(), truncated_exponential, (0, 1)),
    LikelihoodCase(Categorical(n_levels=(2, 5, 3)), categorical, (0, 4), mean_is_mode=True),
]

# ---- posteriors, priors, corruptions, scalings -------------------------------------------------------------------

POSTERIORS: list[Posterior] = [
    Point(),
    Point("sigmoid"),
    Point(activation="relu"),
    TopK(k=2),
    DiagonalNormal(),
    FullNormal(),
]
PRIORS: list[Prior] = [StandardNormal()]
CORRUPTIONS: list[Corruption] = [NoCorruption(), GaussianNoise(scale=0.3), Masking(0.4), SaltAndPepper(0.2)]
SCALINGS: list[Scaling] = [
    NoScaling(),
    Standard(),
    Standard(per="feature"),
    Standard(per="all"),
    MinMax(),
    MinMax(low=-2000.0, high=2000.0),
]

# ---- networks: the part and what it is built for -----------------------------------------------------------------

ROW = Sizes(n_features=5, n_latent=3, n_encoder_outputs=6, n_decoder_outputs=5)
PLANE = Sizes(n_features=5, n_latent=2, n_encoder_outputs=4, n_decoder_outputs=10, n_conditions=3)
IMAGE = Sizes(n_features=28, n_latent=2, n_encoder_outputs=5, n_decoder_outputs=56, n_conditions=1)
COLOURS = Sizes(n_features=2 * 9, n_latent=2, n_encoder_outputs=2, n_decoder_outputs=2 * 9)

NETWORKS: list[tuple[Network, Sizes]] = [
    (MLP(()), ROW),
    (MLP((), tied=True), ROW),
    (MLP((7, 4), activation="tanh", tied=True), ROW),
    (MLP((8,), activation="softplus"), PLANE),
    (MLP((), activation="elu"), PLANE),
    (Conv(image_shape=(4, 7), channels=(3, 4), hidden_layer_sizes=(6,), activation="gelu"), IMAGE),
    (Conv(image_shape=(2, 3, 3), channels=(4,), hidden_layer_sizes=(), activation="silu"), COLOURS),
]

# ---- penalties and objectives: the part and the posterior of the model that it is checked on ----------------------

PENALTIES: list[tuple[Penalty, Posterior]] = [
    (KL(), DiagonalNormal()),
    (KL(Warmup(4.0, over=0.5)), FullNormal()),
    (KL(0.5, free_bits=0.1), DiagonalNormal()),
    (L1(2.0), Point("relu")),
    (L1(), DiagonalNormal()),
    (KLSparsity(rho=0.1), Point("sigmoid")),
    (Contraction(0.1), Point("sigmoid")),
    (Contraction(method="exact"), DiagonalNormal()),
    (Contraction(method="exact"), TopK(k=2)),
    (Contraction(method="projection", n_projections=2), Point("tanh")),
]
OBJECTIVES: list[Objective] = [
    PenalizedLikelihood(),
    PenalizedLikelihood(n_draws=3),
    ImportanceWeighted(),
    ImportanceWeighted(n_draws=1),
]

# ---- the table: room -> parts that have a row ---------------------------------------------------------------------

ROWS = {
    "likelihoods": [case.part for case in LIKELIHOODS],
    "posteriors": POSTERIORS,
    "priors": PRIORS,
    "corruptions": CORRUPTIONS,
    "scaling": SCALINGS,
    "networks": [network for network, _ in NETWORKS],
    "penalties": [penalty for penalty, _ in PENALTIES],
    "objectives": OBJECTIVES,
}

# ---- what building or using has to refuse, with a word of the message ---------------------------------------------

REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: Gaussian(scale=0.0).build(2), "positive number"),
    (lambda: Gaussian(scale=-1.0).build(2), "positive number"),
    (lambda: Gaussian(scale="column").build(2), "'shared', 'feature' or 'decoder'"),
    (lambda: Categorical().build(2), "n_levels"),
    (lambda: Categorical(n_levels=(2, 3)).build(3), "n_levels"),
    (lambda: TopK(k=4).build(3), "1 <= k <= n_components"),
    (lambda: TopK(k=0).build(3), "1 <= k <= n_components"),
    (lambda: MLP((0,)).build(ROW), "widths must be positive"),
    (lambda: MLP((4,), activation="rleu").build(ROW), "Did you mean 'relu'"),
    (lambda: MLP((4,), tied=True).build(PLANE), "tied"),
    (lambda: Conv().build(IMAGE), "image_shape"),
    (lambda: Conv(image_shape=(5, 5)).build(IMAGE), "product"),
    (lambda: Conv(image_shape=(4, 7), channels=()).build(IMAGE), "at least one channel"),
    (lambda: Conv(image_shape=(4, 7)).build(IMAGE._replace(n_decoder_outputs=57)), "whole number"),
    (lambda: GaussianNoise(scale=-0.1).build(None), "must not be negative"),
    (lambda: Masking(1.5).build(None), r"\[0, 1\]"),
    (lambda: SaltAndPepper(-0.1).build(None), r"\[0, 1\]"),
]
