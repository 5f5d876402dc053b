"""Priors: what the suite of every part does not cover."""

import warnings

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from isthmus import VAE
from isthmus.priors import ConditionalNormal, MixtureOfNormals
from models import normal


def test_the_scale_of_a_conditional_normal_keeps_its_gradient_at_any_output():
    """A clamp would have none outside its limits, and a scale that left them could never come back."""
    prior = ConditionalNormal(())
    prior.build(2, n_conditions=1)
    with torch.no_grad():
        prior.layers[-1].bias.fill_(9.0)
    p = prior(torch.zeros(3, 1))
    assert (p.log_scale < 8).all()
    p.log_prob(normal(3, 2).float()).sum().backward()
    assert (prior.layers[-1].bias.grad != 0).all()


def test_a_mixture_with_full_covariances_has_the_density_of_torch():
    torch.manual_seed(0)
    prior = MixtureOfNormals(3, covariance="full")
    prior.build(2)
    root = torch.randn(3, 2, 2)
    covariances, means, weights = root @ root.mT + 0.1 * torch.eye(2), torch.randn(3, 2), torch.tensor([0.2, 0.3, 0.5])
    prior.set_mixture(weights, means, covariances)
    reference = MixtureSameFamily(Categorical(weights), MultivariateNormal(means, covariances))
    z = torch.randn(7, 5, 2)
    assert torch.allclose(prior().log_prob(z), reference.log_prob(z), atol=1e-4)
    draws = prior().sample((100_000,))
    assert torch.allclose(draws.mean(0), reference.mean, atol=0.05)
    assert torch.allclose(draws.T.cov(), reference.sample((100_000,)).T.cov(), atol=0.2)


def test_another_covariance_is_an_error():
    with pytest.raises(ValueError, match="covariance must be 'diag' or 'full'"):
        MixtureOfNormals(covariance="tied").build(2)


@pytest.mark.parametrize("parts", [{"prior": "flow"}, {"posterior": "flow_normal"}])
def test_flows_impute_rows_that_are_all_unlike_the_training_rows(parts):
    """No row is then left for the first proposal, so that densities of no codes are computed."""
    X = np.random.default_rng(0).normal(size=(40, 3))
    model = VAE(2, hidden_layer_sizes=(8,), max_epochs=1, n_draws=8, random_state=0, **parts).fit(X)
    holes = X[:5].copy()
    holes[:, 1] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such a model is poor
        filled = model.impute(holes)
    np.testing.assert_array_equal(filled[:, [0, 2]], X[:5, [0, 2]])
    assert np.isfinite(filled).all()
