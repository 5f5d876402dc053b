"""Checks of the requirements that every part must meet, to test parts of your own.

Every check takes an unbuilt part, and raises an AssertionError that names the requirement that is not met. The parts of
isthmus pass the same checks.
"""

from isthmus.testing._inputs import check_corruption, check_scaling
from isthmus.testing._latent import check_posterior, check_prior
from isthmus.testing._likelihoods import check_likelihood
from isthmus.testing._networks import check_network
from isthmus.testing._parts import check_part
from isthmus.testing._terms import check_objective, check_penalty

__all__ = [
    "check_corruption",
    "check_likelihood",
    "check_network",
    "check_objective",
    "check_part",
    "check_penalty",
    "check_posterior",
    "check_prior",
    "check_scaling",
]
