"""The distribution of likelihoods that torch has none for: its methods are those of the likelihood."""

import pytest
import torch

from isthmus._random import seeded
from isthmus.likelihoods import FactorizedDistribution, Mixed, ZeroInflatedPoisson
from models import normal

LIKELIHOODS = [Mixed(("gaussian", "poisson"), ((0, 2), (1,))), ZeroInflatedPoisson()]


@pytest.mark.parametrize("likelihood", LIKELIHOODS, ids=repr)
def test_methods_are_those_of_the_likelihood(likelihood):
    likelihood.build(3)
    h = normal(2, 4, likelihood.n_outputs)
    distribution = likelihood(h)
    assert type(distribution) is FactorizedDistribution
    assert distribution.batch_shape == (2, 4, 3)
    torch.testing.assert_close(distribution.mean, likelihood.mean(h))
    with seeded(0):
        x = distribution.sample()
    with seeded(0):
        assert torch.equal(x, likelihood.sample(h))
    assert distribution.sample((5,)).shape == (5, 2, 4, 3)
    torch.testing.assert_close(distribution.log_prob(x), likelihood.log_prob(h, x))
