"""Normal approximations of the posterior, and importance sampling that uses them where q(z|x) is a poor proposal."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from cases import LIKELIHOODS
from isthmus._distributions import DiagonalGaussian, WhitenedGaussian
from isthmus._mixture import Mixture
from isthmus.evaluation import _two_stages as two_stages
from isthmus.evaluation import (
    conditional_draws,
    conditional_mean,
    laplace_approximation,
    log_marginal,
    log_marginal_estimate,
    refinement,
)
from isthmus.evaluation._modes import ModeMixture, find_modes
from isthmus.evaluation._proposals import DefensiveMixture, from_prior
from isthmus.evaluation._rows import Rows
from isthmus.evaluation.row_noise import row_noise
from isthmus.likelihoods import Bernoulli, Gaussian
from isthmus.networks import MLP
from isthmus.priors import ConditionalNormal, MixtureOfNormals
from models import build, normal

MISSING = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 0, 1, 1, 0, 1], [0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0]]).double()


def masks(n):
    return MISSING.repeat(n, 1)[:n]


def posterior(truth, x, observed):
    """Return mean and covariance of p(z|x_observed), and log p(x_observed)."""
    o = observed.bool().numpy()
    W, x = truth.W[o], x.numpy()[o]
    covariance = np.linalg.inv(np.eye(truth.W.shape[1]) + W.T @ W / truth.sigma**2)
    mean = covariance @ W.T @ (x - truth.mu[o]) / truth.sigma**2
    log_p = multivariate_normal.logpdf(x, truth.mu[o], truth.covariance[np.ix_(o, o)]) if o.any() else 0.0
    return mean, covariance, log_p


# ---- exact for linear Gaussian models -------------------------------------------------------------------------------


def test_it_is_the_posterior_of_a_linear_gaussian_model(oblique):
    """Whatever the encoder says, and with missing cells that it never saw."""
    x, mask = oblique.rows(8), masks(8)
    model = oblique.model(wider=0.01, shrink=-3.0)
    q = laplace_approximation(model, x * mask, None, mask)
    variance = torch.linalg.inv(q.whitening.mT @ q.whitening)
    for i in range(8):
        mean, covariance, _ = posterior(oblique, x[i], mask[i])
        np.testing.assert_allclose(q.mean[i].numpy(), mean, atol=1e-10)
        np.testing.assert_allclose(variance[i].numpy(), covariance, atol=1e-10)


def test_one_step_is_enough(oblique):
    model, x = oblique.model(shrink=-3.0), oblique.rows(5)
    one, many = (laplace_approximation(model, x, n_steps=n) for n in (1, 20))
    torch.testing.assert_close(one.mean, many.mean, rtol=0, atol=1e-10)


@pytest.mark.parametrize("n_draws", [1, 40, 300])
def test_log_p_of_incomplete_samples_is_exact_for_every_draw(oblique, n_draws):
    x, mask = oblique.rows(12), masks(12)
    mask[0::4, 2] = 0  # no complete samples: their proposal is the encoder's
    model = oblique.model(wider=0.2)
    estimate = log_marginal_estimate(model, x * mask, None, mask, n_draws=n_draws)
    exact = [posterior(oblique, *row)[2] for row in zip(x, mask, strict=True)]
    np.testing.assert_allclose(estimate.value.numpy(), exact, rtol=0, atol=1e-8)
    np.testing.assert_allclose(estimate.effective_sample_size.numpy(), n_draws, rtol=1e-8)
    noise = row_noise(x, n_draws, 3, seed=3)
    np.testing.assert_allclose(log_marginal(model, x * mask, noise, None, mask).numpy(), exact, rtol=0, atol=1e-8)


def test_log_p_is_exact_where_the_encoder_fails(oblique):
    x = oblique.rows(30)
    for model in (oblique.model(wider=0.05), oblique.model(shrink=-5.0)):
        estimate = log_marginal_estimate(model, x, n_draws=200)
        np.testing.assert_allclose(estimate.value.numpy(), oblique.log_p(x), rtol=0, atol=1e-8)
        np.testing.assert_allclose(estimate.effective_sample_size.numpy(), 200, rtol=1e-8)


def test_float32(oblique):
    x, mask = oblique.rows(12), masks(12)
    exact = [posterior(oblique, *row)[2] for row in zip(x, mask, strict=True)]
    model = oblique.model(full=True).float()
    value = log_marginal_estimate(model, (x * mask).float(), None, mask.float(), n_draws=50).value
    np.testing.assert_allclose(value.numpy(), exact, rtol=0, atol=2e-5)


def test_imputations_have_the_conditional_moments(oblique):
    x, mask = oblique.rows(3), masks(3)
    noise = row_noise(x, 4000, 3, seed=0)
    model = oblique.model()
    mean = conditional_mean(model, x * mask, mask, noise)
    torch.manual_seed(0)
    draws = conditional_draws(model, x * mask, mask, noise, 4000)
    for i in (1, 2):
        m, o = (mask[i] == 0).numpy(), (mask[i] == 1).numpy()
        gain = oblique.covariance[np.ix_(m, o)] @ np.linalg.inv(oblique.covariance[np.ix_(o, o)])
        exact = oblique.mu[m] + gain @ (x[i].numpy()[o] - oblique.mu[o])
        spread = oblique.covariance[np.ix_(m, m)] - gain @ oblique.covariance[np.ix_(o, m)]
        bound = 4.5 * np.sqrt(np.diag(spread) / 4000)
        assert (np.abs(mean[i].numpy()[m] - exact) < bound).all()
        assert (np.abs(draws[:, i].numpy()[:, m].mean(0) - exact) < 2 * bound).all()
        np.testing.assert_allclose(np.cov(draws[:, i].numpy()[:, m].T), spread, atol=0.12 * np.diag(spread).max())


# ---- any likelihood, prior and decoder ------------------------------------------------------------------------------


@pytest.mark.parametrize("case", LIKELIHOODS, ids=lambda case: repr(case.part))
def test_mode_and_curvature_for_every_likelihood(case, monkeypatch):
    """Of a linear decoder the Gauss-Newton matrix is minus the Hessian of log p(x, z)."""
    monkeypatch.setattr(refinement, "_CONVERGED", 1e-16)
    model = build(case.n_features, 2, likelihood=case.part, seed=2)
    torch.manual_seed(0)
    with torch.no_grad():
        x = model.likelihood.sample(model.decode(normal(6, 2, seed=1)))
        mask = (normal(*x.shape, seed=3) > -1).to(x)
    q = laplace_approximation(model, x, None, mask, n_steps=50)
    for i in range(6):
        row = Rows(model, x[[i]], None, mask[[i]])
        hessian = torch.autograd.functional.hessian(lambda z, row=row: row.log_joint(z[None])[0], q.mean[i])
        gradient = torch.autograd.functional.jacobian(lambda z, row=row: row.log_joint(z[None])[0], q.mean[i])
        found = q.whitening[i].mT @ q.whitening[i]
        if type(case.part).__name__ == "Laplace":  # piecewise linear
            assert (torch.linalg.eigvalsh(found) >= 1 - 1e-9).all()
            continue
        assert gradient @ torch.linalg.solve(found, gradient) < 1e-10
        if (torch.linalg.eigvalsh(-hessian) > 0).all():
            torch.testing.assert_close(found, -hessian, rtol=1e-6, atol=1e-6)


@torch.no_grad()
def test_log_p_by_quadrature():
    """Draws from the approximation give log p(x) of a nonlinear model with the error that they claim."""
    model = build(8, 2, seed=5, likelihood=Bernoulli(), network=MLP((16,), activation="tanh"))
    for parameter in model.network.decoder.parameters():
        parameter.mul_(1.5)
    x = torch.from_numpy(np.random.default_rng(0).integers(0, 2, size=(12, 8)).astype(float))
    axis = torch.linspace(-6, 6, 121, dtype=torch.float64)
    z = torch.cartesian_prod(axis, axis).unsqueeze(1).expand(-1, 12, -1)
    log_p = torch.logsumexp(Rows(model, x).log_joint(z), 0) + 2 * math.log(float(axis[1] - axis[0]))
    q = laplace_approximation(model, x)
    w = Rows(model, x).log_weights(q, q.from_noise(row_noise(x, 4000, 2, seed=0))).exp()
    assert ((w.mean(0).log() - log_p).abs() < 4.5 * w.std(0) / w.mean(0) / math.sqrt(4000)).all()
    assert two_stages.effective_sample_size(w.log()).min() > 1000


def test_steps_reach_a_sharp_mode_from_far_away():
    """sigma = 1e-3, and an encoder that knows nothing: the start is hundreds of standard deviations away."""
    model = build(8, 2, likelihood=Gaussian(scale=1e-3), network=MLP((16,), activation="tanh"), seed=1)
    with torch.no_grad():
        z = normal(10, 2, seed=1)
        x = model.decode(z) + 1e-3 * normal(10, 8, seed=2)
    q = laplace_approximation(model, x)
    assert (q.mean - z).abs().max() < 0.05
    noise = row_noise(x, 100, 2, seed=0)
    with torch.no_grad():
        log_w = Rows(model, x).log_weights(q, q.from_noise(noise))
    assert two_stages.effective_sample_size(log_w).min() > 80
    plain = model.log_joint_ratio(model.q(x), model.q(x).from_noise(noise), x).detach()
    assert two_stages.effective_sample_size(plain).max() < 3
    torch.testing.assert_close(log_marginal(model, x, noise), torch.logsumexp(log_w, 0) - math.log(100))


def test_conditions_reach_decoder_and_prior():
    model = build(4, 2, n_conditions=3, prior=ConditionalNormal(), likelihood=Gaussian(scale=0.1))
    with torch.no_grad():
        model.prior.layers[-1].bias.copy_(torch.tensor([5.0, -5.0, -1.0, -1.0]))
    x, c = normal(5, 4), normal(5, 3, seed=1)
    mask = torch.zeros_like(x)
    q = laplace_approximation(model, x, c, mask)  # nothing was observed: the prior itself
    expected = model.p_z(c)
    torch.testing.assert_close(q.mean, expected.mean.detach(), rtol=0, atol=1e-6)
    torch.testing.assert_close(q.whitening[:, 0, 0], (-expected.log_scale[:, 0]).exp().detach())
    assert (
        laplace_approximation(model, x, c).mean - laplace_approximation(model, x, c.roll(1, 0)).mean
    ).abs().min() > 1e-3


# ---- priors with several modes --------------------------------------------------------------------------------------


@pytest.fixture
def bimodal():
    """x = z + .1 e with z near -3 or 3; the second cell says nothing about z."""
    model = build(2, 1, likelihood=Gaussian(scale=0.1), prior=MixtureOfNormals(2))
    with torch.no_grad():
        model.prior.means.copy_(torch.tensor([[-3.0], [3.0]]))
        model.prior.log_scales.fill_(math.log(0.2))
        model.prior.logits.copy_(torch.tensor([0.3, 0.7]).log())
        for parameter in model.network.parameters():
            parameter.zero_()
        model.network.decoder[0].weight.copy_(torch.tensor([[1.0], [0.0]]))
    return model


def test_missing_cells_have_both_modes(bimodal):
    x = torch.zeros(1, 2).double()
    mask = torch.tensor([[0.0, 1.0]]).double()
    mean = conditional_mean(bimodal, x, mask, row_noise(x, 4000, 1, seed=0))
    assert float(mean[0, 0]) == pytest.approx(0.4 * 3, abs=0.1)
    estimate = log_marginal_estimate(bimodal, x, None, mask, n_draws=4000)
    exact = -math.log(0.1) - 0.5 * math.log(2 * math.pi)
    assert abs(float(estimate.value) - exact) < 5 * float(estimate.standard_error) + 1e-6


@pytest.mark.parametrize("n_draws", [1, 3, 8, 10])
def test_the_density_of_the_mixture_fits_its_draws(bimodal, n_draws):
    """It integrates to one, and blocks of draws are those of all of them."""
    prior = bimodal.p_z()
    q = WhitenedGaussian(torch.tensor([[0.5], [-1.0]]).double(), torch.tensor([[[2.0]], [[1.0]]]).double())
    noise = normal(n_draws, 2, 1)
    p = DefensiveMixture(q, prior, n_draws)
    drawn = p.from_noise(noise)
    n_prior = n_draws // 4
    torch.testing.assert_close(drawn[: n_draws - n_prior], q.from_noise(noise)[: n_draws - n_prior])
    assert (drawn[n_draws - n_prior :].abs() > 2).all()
    for first in range(n_draws):
        torch.testing.assert_close(DefensiveMixture(q, prior, n_draws, first).from_noise(noise[first:]), drawn[first:])
    grid = torch.linspace(-10, 10, 20_001).double()
    with torch.no_grad():
        density = p.log_prob(grid[:, None, None].expand(-1, 2, 1)).exp()
    torch.testing.assert_close(torch.trapezoid(density, grid, dim=0), torch.ones(2).double())


@pytest.fixture
def folded():
    """x = |z| + .2 e, twice: the posterior has a mode on either side."""
    model = build(2, 1, likelihood=Gaussian(scale=0.2), network=MLP((2,), activation="relu"))
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.zero_()
        model.network.encoder[1].bias.copy_(torch.tensor([1.0, -3.0]))
        model.network.decoder[0].weight.copy_(torch.tensor([[1.0], [-1.0]]))
        model.network.decoder[1].weight.fill_(1.0)
    return model


@pytest.mark.parametrize("missing", [False, True])
def test_both_modes_are_found(folded, missing):
    x = torch.tensor([[1.0, 1.02], [0.6, 0.57], [2.0, 1.9]]).double()
    mask = torch.tensor([[1.0, 0.0]]).double().expand(3, 2) if missing else None
    grid = torch.linspace(-5, 5, 100_001).double()
    rows, noise = Rows(folded, x, None, mask), row_noise(x, 100, 1, seed=0)
    with torch.no_grad():
        log_p = torch.logsumexp(rows.log_joint(grid[:, None, None].expand(-1, 3, 1)), 0) + math.log(1e-4)
    torch.testing.assert_close(log_marginal(folded, x, noise, None, mask), log_p, rtol=0, atol=0.05)
    modes, log_mass = find_modes(rows, 64)
    assert len(modes) == 2
    torch.testing.assert_close(log_mass[0], log_mass[1], rtol=0, atol=1e-3)
    torch.testing.assert_close(torch.logsumexp(log_mass, 0), log_p, rtol=0, atol=0.01)
    p = ModeMixture(modes, log_mass, 100)
    drawn = p.from_noise(noise)
    assert ((drawn < 0).sum(0) == 50).all()
    for first in (30, 50, 80):
        torch.testing.assert_close(ModeMixture(modes, log_mass, 100, first).from_noise(noise[first:]), drawn[first:])
    density = p.log_prob(grid[:, None, None].expand(-1, 3, 1)).exp()
    torch.testing.assert_close(density.sum(0) * 1e-4, torch.ones(3).double())


def test_draws_from_a_mixture_are_shared_out():
    means = torch.tensor([[-10.0], [0.0], [10.0]]).double()
    prior = Mixture(torch.tensor([0.25, 0.25, 0.5]).double().log(), DiagonalGaussian(means, torch.zeros(3, 1).double()))
    z = from_prior(prior, normal(100, 2, 1))
    assert [(z[:, 0, 0].round(decimals=-1) == m).sum().item() for m in (-10, 0, 10)] == [25, 25, 50]


# ---- which samples --------------------------------------------------------------------------------------------------


@pytest.fixture
def uneven():
    """A nonlinear model whose encoder serves some samples well and others not, and such samples."""
    model = build(6, 2, network=MLP((8,), activation="tanh"), likelihood=Gaussian(scale=0.15), seed=3)
    x = model.decode(2 * normal(40, 2, seed=4)).detach() + 0.15 * normal(40, 6, seed=5)
    with torch.no_grad():
        model.network.encoder[-1].bias[2:] = -2.0
        q = laplace_approximation(model, x)
        hidden = torch.tanh(model.network.encoder[0](x))
        design = torch.cat([hidden, torch.ones(40, 1).double()], 1)
        solution = torch.linalg.lstsq(design, q.mean).solution
        model.network.encoder[-1].weight[:2] = solution[:-1].T
        model.network.encoder[-1].bias[:2] = solution[-1]
    return model, x


def test_only_samples_with_few_effective_draws_are_refined(uneven):
    model, x = uneven
    noise = row_noise(x, 100, 2, seed=0)
    with torch.no_grad():
        q = model.q(x)
        log_w = model.log_joint_ratio(q, q.from_noise(noise), x)
    plain, size = torch.logsumexp(log_w, 0) - math.log(100), two_stages.effective_sample_size(log_w)
    good = size >= 25
    assert 5 < good.sum() < 35
    value = log_marginal(model, x, noise)
    assert torch.equal(value[good], plain[good])  # bit for bit
    assert (value[~good] != plain[~good]).all()
    exact = log_marginal_estimate(model, x, n_draws=20_000, seed=9, proposal_scale=1.5).value
    assert (value - exact)[~good].abs().mean() < 0.05 < (plain - exact)[~good].abs().mean()


@pytest.mark.parametrize("missing", [False, True])
def test_a_sample_scores_alone_as_in_company(uneven, missing):
    model, x = uneven
    mask = (normal(40, 6, seed=8) > -0.7).double() if missing else None
    whole = log_marginal_estimate(model, x, None, mask, n_draws=100)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    moved = log_marginal_estimate(model, x[order], None, None if mask is None else mask[order], n_draws=100)
    alone = [
        log_marginal_estimate(model, x[[i]], None, None if mask is None else mask[[i]], n_draws=100) for i in range(40)
    ]
    for k, field in enumerate(whole):
        torch.testing.assert_close(moved[k], field[order], rtol=1e-8, atol=1e-8)
        torch.testing.assert_close(torch.cat([a[k] for a in alone]), field, rtol=1e-8, atol=1e-8)
    noise = row_noise(x, 100, 2, seed=0)
    torch.testing.assert_close(log_marginal(model, x, noise, None, mask), whole.value, rtol=1e-10, atol=1e-10)


def test_an_encoder_that_was_trained_with_missing_cells_is_used_first():
    model = build(4, 2, likelihood=Gaussian(scale=0.8))
    model.network.build(model.network.sizes._replace(masked=True))
    model.double()
    x, mask = normal(5, 4), masks(5)[:, :4]
    assert not Rows(model, x, None, mask).unlike_training().any()
    plain = build(4, 2)
    assert Rows(plain, x, None, mask).unlike_training().tolist() == [not bool(row.all()) for row in mask]
    assert not Rows(plain, x).unlike_training().any()


def test_values_of_missing_cells_have_no_effect(uneven):
    model, x = uneven
    mask = (normal(40, 6, seed=3) > 0).double()
    a, b = (laplace_approximation(model, torch.where(mask == 1, x, v), None, mask).mean for v in (0.0, 99.0))
    assert torch.equal(a, b)
