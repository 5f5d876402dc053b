"""Priors: distributions p(z) or p(z|c) of codes."""

from isthmus.priors._base import Prior
from isthmus.priors.flow import Flow
from isthmus.priors.mixtures import MixtureOfNormals, VampPrior
from isthmus.priors.normal import ConditionalNormal, StandardNormal

__all__ = ["ConditionalNormal", "Flow", "MixtureOfNormals", "Prior", "StandardNormal", "VampPrior"]
