"""Priors: what the suite of every part does not cover."""

import torch

from isthmus.priors import ConditionalNormal
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
