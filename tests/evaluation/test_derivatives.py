"""Derivatives of log densities and of decoders: closed forms are those of automatic differentiation."""

import pytest
import torch

from isthmus._distributions import DiagonalGaussian, FullGaussian, WhitenedGaussian
from isthmus._mixture import Mixture
from isthmus.evaluation._derivatives import axes_of, gradient, gradient_and_hessian, hessian_products, jacobian
from models import normal

M, N, K = 3, 5, 4
MEAN, FACTOR = normal(M, K), normal(M, K, K, seed=1).tril(-1) + 2 * torch.eye(K)
COMPONENTS = WhitenedGaussian(MEAN, FACTOR), FullGaussian(MEAN, FACTOR), DiagonalGaussian(MEAN, 0.1 * MEAN)


@pytest.mark.parametrize(
    "p",
    [
        *(Mixture(normal(M).log_softmax(0), components) for components in COMPONENTS),
        FullGaussian(MEAN[0], FACTOR[0]),
        DiagonalGaussian(normal(N, K), 0.1 * normal(N, K, seed=1)),
    ],
    ids=["whitened components", "full components", "diagonal components", "full", "diagonal, one for each code"],
)
def test_gradient_and_hessian(p):
    z = normal(N, K, seed=2)
    slope, hessian = gradient_and_hessian(p, z)
    torch.testing.assert_close(slope, gradient(p.log_prob, z))
    torch.testing.assert_close(hessian, hessian_products(p.log_prob, z, axes_of(z)).movedim(0, -1))


def test_other_distributions_are_differentiated_automatically():
    p, z = torch.distributions.Independent(torch.distributions.Laplace(torch.zeros(K), 1.0), 1), normal(N, K)
    slope, hessian = gradient_and_hessian(p, z)
    torch.testing.assert_close(slope, -z.sign())
    assert not hessian.any()


def test_jacobian():
    weight = normal(K, 7)
    h, slopes = jacobian(lambda z: torch.tanh(z @ weight), z := normal(N, K))
    torch.testing.assert_close(h, torch.tanh(z @ weight))
    torch.testing.assert_close(slopes, weight.unsqueeze(1) * (1 - h.square()))
