"""Annealed importance sampling: unbiased in both directions, with bounds around the exact log p(x)."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from isthmus.evaluation import Annealing, annealed_estimate, log_marginal_estimate, sandwich
from isthmus.evaluation import _two_stages as two_stages
from isthmus.evaluation._chains import Path
from isthmus.priors import MixtureOfNormals
from models import build, normal


@pytest.mark.parametrize(("from_posterior", "n_distributions"), [(False, 300), (True, 100)])
def test_the_bounds_contain_the_exact_value(ppca, from_posterior, n_distributions):
    """The gap is less than a tenth of a nat on probabilistic PCA, with a wrong posterior."""
    model = ppca.model(wider=0.6, shrink=0.9)
    result = sandwich(model, 20, annealing=Annealing(n_distributions, 32, 3, from_posterior))
    lower, upper, exact = result.lower.value.numpy(), result.upper.value.numpy(), ppca.log_p(result.x)
    assert (upper - lower).mean() < 0.1
    error = 4 * torch.maximum(result.lower.standard_error, result.upper.standard_error).numpy()
    assert ((lower - error < exact) & (exact < upper + error)).all()
    assert np.abs(lower - exact).mean() < 0.1
    assert np.abs(upper - exact).mean() < 0.1


@pytest.mark.parametrize(("n_distributions", "from_posterior"), [(40, False), (8, True)])
def test_both_directions_are_unbiased_with_few_steps(ppca, n_distributions, from_posterior):
    """E w = p(x) forwards and E 1/w' = 1/p(x) backwards: Hamiltonian steps leave each distribution invariant.

    From p(z), 8 distributions are too few for this test: the tails of 1/w' are so heavy that means do not converge.
    """
    how = Annealing(n_distributions, 500, 2, from_posterior)
    result = sandwich(ppca.model(wider=0.9), 100, annealing=how, seed=1)
    exact = torch.from_numpy(ppca.log_p(result.x))
    forward = (result.lower.value - exact).expm1()
    backward = (exact - result.upper.value).expm1()
    assert (forward.abs() < 4.5 * result.lower.standard_error).all()
    # backward chains share the code they start from, so that only the mean over rows is 0
    assert float(backward.mean().abs()) < 4.5 * float(backward.std()) / math.sqrt(100)
    assert float(forward.std()) > 0.001  # and it was no trivial case


def test_lower_is_too_low_and_upper_too_high(ppca):
    """With few steps and chains, each of the two errors is visible."""
    result = sandwich(ppca.model(), 60, annealing=Annealing(6, 4, 1, from_posterior=False))
    exact = torch.from_numpy(ppca.log_p(result.x))
    assert (exact - result.lower.value).mean() > 0.2
    assert (result.upper.value - exact).mean() > 0.2


def test_exact_if_the_posterior_is_exact(ppca):
    """All distributions between the exact posterior and itself are equal, so that each weight is p(x)."""
    x = ppca.rows(10)
    estimate = annealed_estimate(ppca.model(), x, annealing=Annealing(5, 4))
    np.testing.assert_allclose(estimate.value.numpy(), ppca.log_p(x), atol=1e-10)
    assert (estimate.standard_error < 1e-10).all()


def test_better_than_importance_sampling_with_a_poor_posterior(ppca, monkeypatch):
    monkeypatch.setattr(two_stages, "_MIN_SHARE", 0.0)  # draws from the posterior only
    x, model = ppca.rows(20), ppca.model(wider=0.3, shrink=0.7)
    exact = ppca.log_p(x)
    plain = np.abs(log_marginal_estimate(model, x, n_draws=2000).value.numpy() - exact).mean()
    annealed = np.abs(annealed_estimate(model, x, annealing=Annealing(150, 32)).value.numpy() - exact).mean()
    assert annealed < 0.15 * plain, (annealed, plain)
    assert plain > 0.5


@pytest.mark.parametrize("from_posterior", [False, True])
def test_a_nonlinear_model_by_quadrature(curved, from_posterior):
    estimate = annealed_estimate(curved.model, curved.x, annealing=Annealing(100, 64, 3, from_posterior))
    error = np.abs(estimate.value.numpy() - curved.log_p)
    assert (error < 5 * estimate.standard_error.numpy()).all()
    assert error.max() < 0.2


def test_missing_cells(ppca):
    model, x = ppca.model(wider=1.3), ppca.rows(8)
    mask = (torch.rand(8, 6, generator=torch.Generator().manual_seed(0)) < 0.6).double()
    mask[0] = 0
    estimate = annealed_estimate(model, x * mask, None, mask, annealing=Annealing(200, 32))
    assert [float(field[0]) for field in estimate] == [0, 0, 32, -math.inf]
    for i in range(1, 8):
        o = mask[i].bool().numpy()
        exact = multivariate_normal.logpdf(x[i, o], ppca.mu[o], ppca.covariance[np.ix_(o, o)])
        assert float(estimate.value[i]) == pytest.approx(exact, abs=0.3)


def test_conditions_and_a_mixture_prior():
    model = build(4, 2, n_conditions=3, prior=MixtureOfNormals(3))
    c = normal(20, 3)
    result = sandwich(model, 20, c, annealing=Annealing(60, 16, 3, from_posterior=False))
    reference = log_marginal_estimate(model, result.x, c, n_draws=30_000, proposal_scale=1.5)
    error = 5 * (reference.standard_error + result.lower.standard_error)
    assert ((result.lower.value - reference.value).abs() < error).all()
    assert abs((result.upper.value - result.lower.value).mean()) < 0.7  # 0.3 with a standard deviation of 0.1


def test_chunks_are_within_the_budget(ppca, monkeypatch):
    model, x, seen = ppca.model(), ppca.rows(30), []
    evaluate = Path.evaluate

    def noted(self, z):
        seen.append(z.shape)
        return evaluate(self, z)

    monkeypatch.setattr(Path, "evaluate", noted)
    annealed_estimate(model, x, annealing=Annealing(2, 10), budget=1 << 14)
    assert all(s * n * (6 + 3) <= 1 << 14 for s, n, _ in seen)
    assert len({n for _, n, _ in seen}) > 1  # and there were several


def test_the_same_call_gives_the_same_numbers(ppca):
    model, x = ppca.model(wider=0.7), ppca.rows(5)
    before = torch.get_rng_state()
    first = annealed_estimate(model, x, annealing=Annealing(10))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.value, annealed_estimate(model, x, annealing=Annealing(10)).value)
    assert not torch.equal(first.value, annealed_estimate(model, x, annealing=Annealing(10), seed=1).value)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert len(annealed_estimate(model, x[:0]).value) == 0


@pytest.mark.parametrize("from_posterior", [False, True])
def test_the_chains_of_a_sample_do_not_depend_on_the_others(ppca, from_posterior):
    """Neither on their order nor on the size of the chunks, nor on what stands in missing cells."""
    model, x = ppca.model(wider=0.7, prior=MixtureOfNormals(3)), ppca.rows(12)
    mask = torch.ones_like(x)
    mask[::2, 1] = 0
    how = Annealing(5, 4, 2, from_posterior)
    whole = annealed_estimate(model, x, None, mask, annealing=how)
    order = torch.arange(11, 3, -1)
    part = annealed_estimate(model, x[order], None, mask[order], annealing=how, budget=1)
    torch.testing.assert_close(torch.stack(part), torch.stack(whole)[:, order], equal_nan=True)
    filled = torch.where(mask == 0, 9.0, x)
    torch.testing.assert_close(annealed_estimate(model, filled, None, mask, annealing=how).value, whole.value)


@pytest.mark.parametrize("field", ["n_distributions", "n_chains", "n_leapfrog"])
def test_settings_less_than_one_are_errors(ppca, field):
    with pytest.raises(ValueError, match=f"{field}=0.: it must be at least 1"):
        annealed_estimate(ppca.model(), ppca.rows(2), annealing=Annealing(**{field: 0}))


def test_no_samples_is_an_error(ppca):
    with pytest.raises(ValueError, match="n_samples=0 must be at least 1"):
        sandwich(ppca.model(), 0)
