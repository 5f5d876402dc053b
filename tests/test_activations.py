"""Derivatives of the activation functions."""

import pytest
import torch

from isthmus import _activations
from models import normal


@pytest.mark.parametrize("name", _activations.names())
def test_activation_derivatives(name):
    a = torch.cat([normal(200, seed=1) * 3, torch.tensor([-30.0, 30.0]).double()]).requires_grad_()
    (slope,) = torch.autograd.grad(_activations.activation(name)(a).sum(), a)
    torch.testing.assert_close(_activations.derivative(name)(a), slope, rtol=1e-10, atol=1e-12)
