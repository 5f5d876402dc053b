"""One row or more for every part of isthmus. A part without a row fails `test_every_part_has_a_row`.

A row runs all checks of `isthmus.testing` on its part.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from isthmus.corruptions import (
    Corruption,
    GaussianNoise,
    Masking,
    NoCorruption,
    SaltAndPepper,
    UniformNoise,
    VaryingNoise,
)
from isthmus.likelihoods import (
    Bernoulli,
    Categorical,
    ContinuousBernoulli,
    DiscretizedLogistic,
    EmbeddedCategorical,
    Gaussian,
    Laplace,
    Likelihood,
    Mixed,
    NegativeBinomial,
    Poisson,
    StudentT,
    ZeroInflatedNegativeBinomial,
    ZeroInflatedPoisson,
)
from isthmus.networks import MLP, Conv, Network, Sizes
from isthmus.objectives import ImportanceWeighted, Objective, PenalizedLikelihood
from isthmus.penalties import KL, L1, AuxK, Contraction, KLSparsity, Matryoshka, Penalty, Warmup
from isthmus.posteriors import BatchTopK, DiagonalNormal, FlowNormal, FullNormal, Point, Posterior, TopK
from isthmus.priors import ConditionalNormal, Flow, MixtureOfNormals, Prior, StandardNormal, VampPrior
from isthmus.scaling import MinMax, NoScaling, PerColumn, Scaling, Standard

# ---- likelihoods: the part, D, the support, and log p(x|h) by scipy -------------------------------------------------


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


def soft_floor(floor, log_value):
    """Return the exponential of a softplus above the logarithm of the floor."""
    return np.exp(math.log(floor) + np.logaddexp(0, log_value - math.log(floor)))


def decoder_normal(p, h, x):
    mean, log_scale = np.split(h, 2, axis=1)
    return stats.norm.logpdf(x, mean, soft_floor(p.min_scale, log_scale))


def student_t(p, h, x):
    df = p.df if isinstance(p.df, float) else soft_floor(p.min_df, math.log(10) + 10 * p.raw_log_df.detach().numpy())
    return stats.t.logpdf(x, df, h, p.scale if isinstance(p.scale, float) else sigma(p))


def negative_binomial(p, h, x):
    if p.dispersion == "decoder":
        h, log_dispersion = np.split(h, 2, axis=1)
        dispersion = soft_floor(p.min_dispersion, log_dispersion)
    elif isinstance(p.dispersion, float):
        dispersion = p.dispersion
    else:
        dispersion = soft_floor(p.min_dispersion, 10 * p.raw_log_dispersion.detach().numpy())
    return stats.nbinom.logpmf(x, 1 / dispersion, 1 / (1 + dispersion * np.exp(h)))


def inflated(log_pmf):
    """Return the reference of a zero-inflated likelihood, whose last D outputs are the logits of a zero."""

    def log_prob(p, h, x):
        share = 1 / (1 + np.exp(-h[:, -x.shape[1] :]))
        return np.log(share * (x == 0) + (1 - share) * np.exp(log_pmf(p.counts, h[:, : -x.shape[1]], x)))

    return log_prob


def poisson(_, h, x):
    return stats.poisson.logpmf(x, np.exp(h))


def discretized_logistic(p, h, x):
    if p.scale == "decoder":
        centre, log_scale = np.split(h, 2, axis=1)
        scale = soft_floor(p.min_scale, log_scale)
    else:
        centre, scale = h, sigma(p)
    step = 2 / (p.n_levels - 1)
    edge = np.where(x == p.n_levels - 1, np.inf, (x + 0.5) * step - 1)
    edge_below = np.where(x == 0, -np.inf, (x - 0.5) * step - 1)
    return np.log(stats.logistic.cdf(edge, centre, scale) - stats.logistic.cdf(edge_below, centre, scale))


def densities(p, h, x):
    gaussian, t = p.members
    first, second = x[:, [0, 2]], x[:, [1]]
    values = stats.norm.logpdf(first, h[:, :2], sigma(gaussian)), student_t(t, h[:, 2:], second)
    return np.stack([values[0][:, 0], values[1][:, 0], values[0][:, 1]], axis=1)


def flags_and_counts(_, h, x):
    flag = stats.bernoulli.logpmf(x[:, [1]], 1 / (1 + np.exp(-h[:, 2:])))
    count = poisson(_, h[:, :2], x[:, [0, 2]])
    return np.stack([count[:, 0], flag[:, 0], count[:, 1]], axis=1)


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


def embedded_categorical(p, h, x):
    vectors = [v.detach().numpy() for v in p.vectors]
    each = [part @ v.T / p.width**0.5 for part, v in zip(np.split(h, len(vectors), axis=1), vectors, strict=True)]
    biased = [part + b.detach().numpy() for part, b in zip(each, p.biases, strict=True)]
    return categorical(p, np.concatenate(biased, axis=1), x)


LIKELIHOODS = [
    LikelihoodCase(Gaussian(scale=0.5), lambda _, h, x: stats.norm.logpdf(x, h, 0.5)),
    LikelihoodCase(Gaussian(), lambda p, h, x: stats.norm.logpdf(x, h, sigma(p))),
    LikelihoodCase(Gaussian(scale="feature", min_scale=0.2), lambda p, h, x: stats.norm.logpdf(x, h, sigma(p))),
    LikelihoodCase(Gaussian(scale="decoder"), decoder_normal),
    LikelihoodCase(Bernoulli(binarize=True), lambda _, h, x: stats.bernoulli.logpmf(x, 1 / (1 + np.exp(-h))), (0, 1)),
    LikelihoodCase(ContinuousBernoulli(), truncated_exponential, (0, 1)),
    LikelihoodCase(Categorical(n_levels=(2, 5, 3)), categorical, (0, 4), mean_is_mode=True),
    LikelihoodCase(EmbeddedCategorical(n_levels=(2, 5, 3), width=4), embedded_categorical, (0, 4), mean_is_mode=True),
    # The kink of a narrow Laplace density would be lost between the grid points of the integral of the check.
    LikelihoodCase(Laplace(scale=5.0), lambda _, h, x: stats.laplace.logpdf(x, h, 5.0)),
    LikelihoodCase(Laplace(scale="feature", min_scale=4.0), lambda p, h, x: stats.laplace.logpdf(x, h, sigma(p))),
    LikelihoodCase(StudentT(), student_t),
    LikelihoodCase(StudentT(scale="feature", df=3.0), student_t),
    LikelihoodCase(StudentT(scale=0.5, df="feature", min_df=2.5), student_t),
    LikelihoodCase(Poisson(), poisson, (0, math.inf)),
    LikelihoodCase(NegativeBinomial(), negative_binomial, (0, math.inf)),
    LikelihoodCase(NegativeBinomial(dispersion=0.3), negative_binomial, (0, math.inf)),
    LikelihoodCase(NegativeBinomial(dispersion="shared", min_dispersion=0.1), negative_binomial, (0, math.inf)),
    LikelihoodCase(NegativeBinomial(dispersion="decoder"), negative_binomial, (0, math.inf)),
    LikelihoodCase(ZeroInflatedPoisson(), inflated(poisson), (0, math.inf)),
    LikelihoodCase(ZeroInflatedNegativeBinomial(), inflated(negative_binomial), (0, math.inf)),
    LikelihoodCase(ZeroInflatedNegativeBinomial(dispersion="decoder"), inflated(negative_binomial), (0, math.inf)),
    LikelihoodCase(DiscretizedLogistic(n_levels=17), discretized_logistic, (0, 16)),
    LikelihoodCase(DiscretizedLogistic(scale="decoder", n_levels=2), discretized_logistic, (0, 1)),
    LikelihoodCase(DiscretizedLogistic(scale="feature", n_levels=256), discretized_logistic, (0, 255)),
    LikelihoodCase(Mixed(("gaussian", "student_t"), ((0, 2), (1,))), densities),
    LikelihoodCase(Mixed(("poisson", "bernoulli"), ((0, 2), (1,))), flags_and_counts, (0, math.inf)),
]

# ---- posteriors, priors, corruptions, scalings ----------------------------------------------------------------------

POSTERIORS: list[Posterior] = [
    Point(),
    Point("sigmoid"),
    Point(activation="relu"),
    TopK(k=2),
    BatchTopK(k=2),
    DiagonalNormal(),
    FullNormal(),
    FlowNormal(n_layers=2, n_context=3, hidden_layer_sizes=(5,)),
]
PRIORS: list[tuple[Prior, int]] = [  # with the width of the condition
    (StandardNormal(), 0),
    (MixtureOfNormals(3), 0),
    (VampPrior(n_pseudo_inputs=4), 0),
    (Flow(n_layers=2, hidden_layer_sizes=(5,)), 0),
    (ConditionalNormal(5, "tanh"), 2),
    (ConditionalNormal(()), 3),
]
CORRUPTIONS: list[Corruption] = [
    NoCorruption(),
    GaussianNoise(scale=0.3),
    Masking(0.4),
    Masking(0.4, input_mask=True),
    SaltAndPepper(0.2),
    UniformNoise(scale=0.3),
    VaryingNoise(scale=0.3),
]
SCALINGS: list[Scaling] = [
    NoScaling(),
    Standard(),
    Standard(per="feature"),
    Standard(per="all"),
    MinMax(),
    MinMax(low=-2000.0, high=2000.0),
    PerColumn(("standard", "none"), ((3, 1), (0, 2))),
]

# ---- networks: the part and what it is built for --------------------------------------------------------------------

ROW = Sizes(n_features=5, n_components=3, n_encoder_outputs=6, n_decoder_outputs=5)
PLANE = Sizes(n_features=5, n_components=2, n_encoder_outputs=4, n_decoder_outputs=10, n_conditions=3)
IMAGE = Sizes(n_features=28, n_components=2, n_encoder_outputs=5, n_decoder_outputs=56, n_conditions=1)
COLOURS = Sizes(n_features=2 * 9, n_components=2, n_encoder_outputs=2, n_decoder_outputs=2 * 9)

NETWORKS: list[tuple[Network, Sizes]] = [
    (MLP(()), ROW),
    (MLP((), tied=True), ROW),
    (MLP((7, 4), activation="tanh", tied=True), ROW),
    (MLP((), unit_norm=True), ROW),
    (MLP((7, 4), activation="tanh", unit_norm=True), PLANE),
    (MLP((), unit_norm=True), PLANE._replace(masked=True)),
    (MLP(8, activation="softplus"), PLANE),
    (MLP((), activation="elu"), PLANE),
    (Conv(image_shape=(4, 7), channels=(3, 4), hidden_layer_sizes=(6,), activation="gelu"), IMAGE),
    (MLP((6,), activation="tanh"), PLANE._replace(masked=True)),
    (MLP((6,), activation="tanh", tied=True), ROW._replace(masked=True)),
    (Conv(image_shape=(4, 7), channels=3, hidden_layer_sizes=(), activation="elu"), IMAGE._replace(masked=True)),
    (Conv(image_shape=(2, 3, 3), channels=(4,), hidden_layer_sizes=(), activation="silu"), COLOURS),
]

# ---- penalties and objectives: the part and the posterior of the model that it is checked on ------------------------

PENALTIES: list[tuple[Penalty, Posterior]] = [
    (KL(), DiagonalNormal()),
    (KL(Warmup(4.0, over=0.5)), FullNormal()),
    (KL(0.5, free_bits=0.1), DiagonalNormal()),
    (L1(2.0), Point("relu")),
    (L1(), DiagonalNormal()),
    (KLSparsity(rho=0.1), Point("sigmoid")),
    (AuxK(patience=-0.5), BatchTopK(k=1)),
    (Matryoshka(widths=(1, 0.5)), DiagonalNormal()),
    (Matryoshka(0.5), TopK(k=2)),
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

# ---- the table: module -> parts that have a row ---------------------------------------------------------------------

ROWS = {
    "likelihoods": [case.part for case in LIKELIHOODS],
    "posteriors": POSTERIORS,
    "priors": [prior for prior, _ in PRIORS],
    "corruptions": CORRUPTIONS,
    "scaling": SCALINGS,
    "networks": [network for network, _ in NETWORKS],
    "penalties": [penalty for penalty, _ in PENALTIES],
    "objectives": OBJECTIVES,
}

# ---- errors of building or using a part, with words of their messages -----------------------------------------------


def built(part, *sizes):
    part.build(*sizes)
    return part


REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: Gaussian(scale=0.0).build(2), "positive number"),
    (lambda: Gaussian(scale=-1.0).build(2), "positive number"),
    (lambda: Gaussian(scale="column").build(2), "'shared', 'feature' or 'decoder'"),
    (lambda: Categorical().build(2), "n_levels"),
    (lambda: Categorical(n_levels=(2, 3)).build(3), "n_levels"),
    (lambda: Categorical(n_levels=(2, 3), ordered=(True,)).build(2), "ordered must have one entry"),
    (lambda: StudentT(df=0.0).build(2), "positive number, 'shared' or 'feature'"),
    (lambda: StudentT(df="decoder").build(2), "'shared' or 'feature'"),
    (lambda: Laplace(min_scale=0.0).build(2), "min_scale must be a positive number"),
    (lambda: NegativeBinomial(dispersion=-1.0).build(2), "dispersion must be a positive number"),
    (lambda: ZeroInflatedNegativeBinomial(dispersion="gene").build(2), "'shared', 'feature' or 'decoder'"),
    (lambda: DiscretizedLogistic().build(2), "n_levels must be a whole number from 2"),
    (lambda: DiscretizedLogistic(n_levels=10**6).build(2), "take 'poisson'"),
    (lambda: Mixed().build(2), "each of the 2 columns"),
    (lambda: Mixed(("gaussian",), ((0, 1), (2,))).build(3), "one group for each of parts"),
    (lambda: Mixed(("gaussian", "bernoulli"), ((0, 1), (1,))).build(2), "columns .0 to 1. once"),
    (lambda: Mixed(("gausian",), ((0,),)).build(1), "Did you mean 'gaussian'"),
    (lambda: PerColumn(("none",), ((0, 2),)).build(2), "each of the 2 columns"),
    (lambda: TopK(k=4).build(3), "1 <= k <= n_components"),
    (lambda: TopK(k=0).build(3), "1 <= k <= n_components"),
    (lambda: BatchTopK(k=4).build(3), "1 <= k <= n_components"),
    (lambda: Matryoshka(widths=(3,)).n_units(3), "1 to n_components - 1 = 2"),
    (lambda: Matryoshka(widths=(0.0,)).n_units(3), "fractions below 1"),
    (lambda: MixtureOfNormals(0).build(2), "at least one component"),
    (lambda: VampPrior(0).build(2, 4), "at least one component"),
    (lambda: VampPrior().build(2, 4, 1), "takes no conditions"),
    (built(VampPrior(), 2, 4), "call it with the encoder"),
    (lambda: ConditionalNormal().build(2, 4), "needs conditions"),
    (built(ConditionalNormal(), 2, 4, 1), "needs conditions"),
    (lambda: MLP((0,)).build(ROW), "must be a positive whole number or a sequence of them"),
    (lambda: MLP("8").build(ROW), r"MLP\(hidden_layer_sizes='8'\): hidden_layer_sizes must be a positive whole number"),
    (lambda: MLP((8.5,)).build(ROW), "must be a positive whole number or a sequence of them"),
    (lambda: Conv((4, 7), channels=(3, 0)).build(IMAGE), "channels must be a positive whole number"),
    (lambda: Flow(hidden_layer_sizes=0).build(2), "hidden_layer_sizes must be a positive whole number"),
    (lambda: FlowNormal(hidden_layer_sizes=None).build(2), "hidden_layer_sizes must be a positive whole number"),
    (lambda: ConditionalNormal(True).build(2, 4, 1), "hidden_layer_sizes must be a positive whole number"),
    (lambda: MLP((4,), activation="rleu").build(ROW), "Did you mean 'relu'"),
    (lambda: MLP((4,), tied=True).build(PLANE), "tied"),
    (lambda: MLP((4,), tied=True, unit_norm=True).build(ROW), "unit_norm=True; use tied=False"),
    (lambda: Conv().build(IMAGE), "image_shape"),
    (lambda: Conv(image_shape=(5, 5)).build(IMAGE), "product"),
    (lambda: Conv(image_shape=(4, 7), channels=()).build(IMAGE), "channels must have at least one size"),
    (lambda: Conv(image_shape=(4, 7)).build(IMAGE._replace(n_decoder_outputs=57)), "whole number"),
    (lambda: GaussianNoise(scale=-0.1).build(None), "must not be negative"),
    (lambda: UniformNoise(scale=-0.1).build(None), "must not be negative"),
    (lambda: VaryingNoise(scale=-0.1).build(None), "must not be negative"),
    (lambda: Masking(1.5).build(None), r"\[0, 1\]"),
    (lambda: Masking(-0.5, input_mask=True).build(None), r"probability=-0.5, input_mask=True.*\[0, 1\]"),
    (lambda: SaltAndPepper(-0.1).build(None), r"\[0, 1\]"),
]
