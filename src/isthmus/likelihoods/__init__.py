"""Likelihoods p(x|z): maps from the decoder's output to a distribution over rows."""

from isthmus.likelihoods._base import Likelihood
from isthmus.likelihoods.bernoulli import Bernoulli, ContinuousBernoulli
from isthmus.likelihoods.categorical import Categorical
from isthmus.likelihoods.gaussian import Gaussian

__all__ = ["Bernoulli", "Categorical", "ContinuousBernoulli", "Gaussian", "Likelihood"]
