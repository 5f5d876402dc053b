"""Closed forms of KL(q || p), compared with those of torch, with Monte Carlo, and with each other."""

import math

import pytest
import torch
from torch.distributions import Independent, Laplace, MultivariateNormal, Normal
from torch.distributions import kl_divergence as torch_kl

from isthmus._distributions import DiagonalGaussian, FullGaussian, PointMass
from isthmus.kl import kl_divergence, kl_per_unit
from isthmus.penalties import KL, EncodedBatch
from isthmus.posteriors import FullNormal, Point
from models import build, normal

N, K = 5, 3


def diagonal(seed):
    return DiagonalGaussian(normal(N, K, seed=seed), 0.5 * normal(N, K, seed=seed + 1))


def full(seed):
    tril = torch.tril(normal(N, K, K, seed=seed), -1) + torch.diag_embed((0.5 * normal(N, K, seed=seed + 1)).exp())
    return FullGaussian(normal(N, K, seed=seed + 2), tril)


def standard(_seed):
    zeros = torch.zeros(K, dtype=torch.float64)
    return DiagonalGaussian(zeros, zeros)


def as_torch(d):
    tril = d.scale_tril if isinstance(d, FullGaussian) else torch.diag_embed(d.log_scale.exp())
    return MultivariateNormal(d.mean, scale_tril=tril)


PAIRS = [(q, p) for q in (diagonal, full) for p in (standard, diagonal, full)]


@pytest.mark.parametrize(("make_q", "make_p"), PAIRS)
def test_agrees_with_torch(make_q, make_p):
    q, p = make_q(10), make_p(20)
    torch.testing.assert_close(kl_divergence(q, p), torch_kl(as_torch(q), as_torch(p)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("make_q", "make_p"), PAIRS)
def test_agrees_with_monte_carlo(make_q, make_p):
    q, p = make_q(10), make_p(20)
    z = q.from_noise(normal(50_000, N, K, seed=30))
    log_ratio = q.log_prob(z) - p.log_prob(z)
    error = 5 * log_ratio.std(0) / math.sqrt(len(z))
    assert ((log_ratio.mean(0) - kl_divergence(q, p)).abs() < error).all()


@pytest.mark.parametrize("make", [diagonal, full])
def test_divergence_is_zero_for_itself_and_positive_otherwise(make):
    q, p = make(10), make(20)
    torch.testing.assert_close(kl_divergence(q, q), torch.zeros(N).double(), rtol=0, atol=1e-12)
    assert (kl_divergence(q, p) > 0).all()


def test_divergence_from_the_standard_normal():
    """D[N(mu, Sigma) || N(0, I)] = (tr Sigma + mu'mu - K - log det Sigma) / 2."""
    q = full(10)
    sigma = q.scale_tril @ q.scale_tril.mT
    expected = 0.5 * (sigma.diagonal(dim1=1, dim2=2).sum(-1) + q.mean.square().sum(-1) - K - torch.logdet(sigma))
    torch.testing.assert_close(kl_divergence(q, standard(0)), expected)


def test_divergences_per_unit_sum_to_the_divergence():
    q, p = diagonal(10), diagonal(20)
    units = kl_per_unit(q, p)
    torch.testing.assert_close(units, torch_kl(Normal(q.mean, q.log_scale.exp()), Normal(p.mean, p.log_scale.exp())))
    torch.testing.assert_close(units.sum(-1), kl_divergence(q, p))


def test_tiny_divergences_are_accurate():
    """For a nearly inactive unit, 1 - s2 + log s2 would cancel; expm1 is accurate."""
    eps = torch.full((1,), 1e-6, dtype=torch.float64)
    zeros = torch.zeros(1, dtype=torch.float64)
    value = kl_divergence(DiagonalGaussian(zeros, eps), DiagonalGaussian(zeros, zeros))
    assert float(value) == pytest.approx(1e-12, rel=1e-3)


@pytest.mark.parametrize(("make_q", "make_p"), PAIRS)
def test_gradient(make_q, make_p):
    def of(mean, rest):
        q = DiagonalGaussian(mean, rest) if make_q is diagonal else FullGaussian(mean, rest)
        return kl_divergence(q, make_p(20))

    q = make_q(10)
    rest = q.log_scale if make_q is diagonal else q.scale_tril
    assert torch.autograd.gradcheck(of, (q.mean.requires_grad_(), rest.requires_grad_()))


def test_a_pair_without_closed_form_is_averaged_over_draws():
    q = diagonal(10)
    p = Independent(Laplace(torch.zeros(K).double(), 1.0), 1)
    z = q.from_noise(normal(1000, N, K, seed=30))
    torch.testing.assert_close(kl_divergence(q, p, z), (q.log_prob(z) - p.log_prob(z)).mean(0))
    with pytest.raises(ValueError, match="no closed form here and needs draws"):
        kl_divergence(q, p)


def test_divergence_of_a_point_mass_is_an_error():
    with pytest.raises(ValueError, match="infinite for a point posterior"):
        kl_divergence(PointMass(normal(N, K)), standard(0))
    model, x = build(posterior=Point()), normal(6, 4)
    q = model.q(x)
    with pytest.raises(ValueError, match="infinite for a point posterior"):
        KL()(EncodedBatch(model, x, q, q.from_noise(normal(1, 6, 3)), torch.ones(6)))


def test_free_bits():
    """A unit whose mean divergence is below the limit costs the limit, without gradient; others cost their own."""
    model, x = build(), normal(6, 4)
    with torch.no_grad():
        layer = model.network.encoder[0]
        layer.weight[1], layer.weight[4] = 0.0, 0.0  # unit 1: q = N(0.1, 1)
        layer.bias[1], layer.bias[4] = 0.1, 0.0
    q = model.q(x)
    draw = EncodedBatch(model, x, q, q.mean[None], torch.ones(6).double())
    units = kl_per_unit(q, model.prior())
    limit = 0.9 * float(units.mean(0)[[0, 2]].min().detach())
    assert units.mean(0)[1] < limit
    assert (units[:, [0, 2]] < limit).any()  # the limit is on the mean over rows: single rows may lie below
    value = KL(free_bits=limit)(draw)
    torch.testing.assert_close(value, units[:, [0, 2]].sum(1) + limit)
    gradient = torch.autograd.grad(value.sum(), layer.bias)[0]
    assert gradient[1] == gradient[4] == 0
    assert gradient[[0, 2, 3, 5]].all()
    torch.testing.assert_close(KL(free_bits=0.0)(draw), units.sum(1))
    model, x = build(posterior=FullNormal()), normal(6, 4)
    q = model.q(x)
    with pytest.raises(ValueError, match="independent latent units"):
        KL(free_bits=1.0)(EncodedBatch(model, x, q, q.mean[None], torch.ones(6)))
