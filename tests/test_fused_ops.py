"""Fused sums against plain expressions and autograd."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from isthmus._distributions import DiagonalGaussian
from isthmus._fused_ops import LogisticLogProb, SquaredDistance, StandardKL
from isthmus.kl import kl_divergence, kl_per_unit
from isthmus.likelihoods import Bernoulli, Gaussian, Likelihood

SUMS = {
    "logistic": (LogisticLogProb.apply, lambda h, x: (x * h - torch.nn.functional.softplus(h)).sum(-1)),
    "squared distance": (SquaredDistance.apply, lambda h, x: (x - h).square().sum(-1)),
    "standard KL": (
        StandardKL.apply,
        lambda m, s: kl_per_unit(DiagonalGaussian(m, s), DiagonalGaussian(torch.zeros(3), torch.zeros(3))).sum(-1),
    ),
}


def inputs(first, second=(5, 3)):
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True) for shape in (first, second)
    ]


@pytest.mark.parametrize("name", SUMS)
def test_value_and_first_and_second_derivatives(name):
    closed, plain = SUMS[name]
    h, x = inputs((5, 3))
    assert torch.allclose(closed(h, x), plain(h, x), rtol=1e-14, atol=1e-14)
    assert gradcheck(closed, (h, x))
    assert gradgradcheck(closed, (h, x))


@pytest.mark.parametrize("name", ["logistic", "squared distance"])
def test_samples_broadcast_over_draws(name):
    closed, plain = SUMS[name]
    h, x = inputs((4, 5, 3))
    assert closed(h, x).shape == (4, 5)
    assert torch.allclose(closed(h, x), plain(h, x), rtol=1e-14)
    assert gradcheck(closed, (h, x))


@pytest.mark.parametrize("likelihood", [Bernoulli(), Gaussian(), Gaussian(scale=0.3), Gaussian(scale="feature")])
def test_row_log_prob_is_the_sum_over_cells(likelihood):
    likelihood.build(3)
    likelihood.double()
    h, x = inputs((2, 5, 3))
    x = x.sigmoid()
    mask = (torch.arange(15).reshape(5, 3) % 2).double()
    for m in (None, mask):
        expected = Likelihood.row_log_prob(likelihood, h, x, m)
        assert torch.allclose(likelihood.row_log_prob(h, x, m), expected, rtol=1e-13)


def test_kl_from_the_standard_normal_equals_the_general_formula():
    mean, log_scale = inputs((5, 3))
    zeros = torch.zeros(3, dtype=torch.float64)
    q = DiagonalGaussian(mean, log_scale)
    known = kl_divergence(q, DiagonalGaussian(zeros, zeros, standard=True))
    assert torch.allclose(known, kl_divergence(q, DiagonalGaussian(zeros, zeros)), rtol=1e-13)


@pytest.mark.parametrize("n_columns", [1, 2, 3, 31, 32, 33, 63, 64, 65, 101, 127, 784])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_logistic_of_any_width_and_magnitude(n_columns, dtype):
    """The logarithm of a product neither overflows nor underflows, and has every column."""
    generator = torch.Generator().manual_seed(1)
    h = (
        torch.randn((6, n_columns), generator=generator, dtype=torch.float64)
        * torch.tensor([[0.01, 1, 10, 100, 0, 1e4]]).T
    )
    x = (torch.rand((6, n_columns), generator=generator) < 0.5).double()
    expected = (x * h - torch.logaddexp(h, torch.zeros_like(h))).sum(-1)
    found = LogisticLogProb.apply(h.to(dtype), x.to(dtype))
    assert found.dtype == dtype
    torch.testing.assert_close(
        found.double(), expected, rtol=20 * torch.finfo(dtype).eps, atol=n_columns * torch.finfo(dtype).eps
    )
