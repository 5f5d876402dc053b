"""Likelihoods p(x|z): maps from decoder outputs to a distribution over samples."""

from isthmus.likelihoods._base import FactorizedDistribution, Likelihood
from isthmus.likelihoods.bernoulli import Bernoulli, ContinuousBernoulli
from isthmus.likelihoods.categorical import Categorical
from isthmus.likelihoods.discretized_logistic import DiscretizedLogistic
from isthmus.likelihoods.embedded_categorical import EmbeddedCategorical
from isthmus.likelihoods.gaussian import Gaussian
from isthmus.likelihoods.laplace import Laplace
from isthmus.likelihoods.mixed import Mixed
from isthmus.likelihoods.negative_binomial import NegativeBinomial
from isthmus.likelihoods.poisson import Poisson
from isthmus.likelihoods.student_t import StudentT
from isthmus.likelihoods.zero_inflated import ZeroInflatedNegativeBinomial, ZeroInflatedPoisson

__all__ = [
    "Bernoulli",
    "Categorical",
    "ContinuousBernoulli",
    "DiscretizedLogistic",
    "EmbeddedCategorical",
    "FactorizedDistribution",
    "Gaussian",
    "Laplace",
    "Likelihood",
    "Mixed",
    "NegativeBinomial",
    "Poisson",
    "StudentT",
    "ZeroInflatedNegativeBinomial",
    "ZeroInflatedPoisson",
]
