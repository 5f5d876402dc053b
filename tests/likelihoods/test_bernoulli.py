"""Likelihoods of values between 0 and 1."""

import pytest
import torch

from isthmus.likelihoods import Bernoulli, ContinuousBernoulli
from models import normal


def test_bernoulli_of_grey_values_is_the_expected_log_probability():
    h, grey = normal(5), torch.rand(5).double()
    p = Bernoulli()
    p.build(5)
    expected = grey * p.log_prob(h, torch.ones(5)) + (1 - grey) * p.log_prob(h, torch.zeros(5))
    torch.testing.assert_close(p.log_prob(h, grey), expected)


@pytest.mark.parametrize("eta", [0.0, 1e-9, 1e-3, 0.0999999, 0.1000001, -0.1, 3.0, -40.0])
def test_continuous_bernoulli_is_smooth_at_logit_0(eta):
    p = ContinuousBernoulli()
    p.build(1)
    h = torch.tensor([eta], dtype=torch.float64, requires_grad=True)
    x = torch.linspace(0, 1, 200_001, dtype=torch.float64)
    density = torch.exp(x * eta - eta * (eta > 0))  # any multiple of it
    mass = torch.trapezoid(density, x)
    log_c = p.log_prob(h, torch.zeros(1).double())
    (slope,) = torch.autograd.grad(log_c, h)  # d log C / d eta = -E[x]
    torch.testing.assert_close(log_c.detach(), (density[:1] / mass).log(), rtol=1e-7, atol=1e-7)
    mean = torch.trapezoid(x * density, x) / mass
    torch.testing.assert_close(-slope, mean.reshape(1), rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(p.mean(h.detach()), mean.reshape(1), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_continuous_bernoulli_starts_from_the_mean(dtype):
    p = ContinuousBernoulli()
    p.build(5)
    mean = torch.tensor([0.0, 0.011, 0.3, 0.5, 0.989], dtype=dtype)
    torch.testing.assert_close(p.mean(p.initial_output(mean)), mean.clamp(min=0.01), rtol=1e-4, atol=1e-6)
