"""Estimates of log p(x): exact if the posterior is, with valid standard errors if not, in bounded memory."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import genpareto, multivariate_normal

from isthmus.evaluation import Estimate, log_marginal, log_marginal_estimate, unreliable
from isthmus.evaluation import _two_stages as two_stages
from isthmus.evaluation._weights import WeightSums, pareto_k, tail_length
from isthmus.evaluation.row_noise import row_noise
from isthmus.likelihoods import Gaussian
from isthmus.priors import MixtureOfNormals
from models import build, normal, put_linear


@pytest.mark.parametrize("n_draws", [1, 7, 600])
@pytest.mark.parametrize("full", [False, True])
def test_the_exact_posterior_gives_exact_estimates(ppca, oblique, full, n_draws):
    truth = oblique if full else ppca
    x = truth.rows(20)
    estimate = log_marginal_estimate(truth.model(full=full), x, n_draws=n_draws)
    np.testing.assert_allclose(estimate.value.numpy(), truth.log_p(x), rtol=0, atol=1e-10)
    torch.testing.assert_close(estimate.effective_sample_size, torch.full((20,), float(n_draws)).double())
    if n_draws == 1:
        assert estimate.standard_error.isnan().all()  # one draw does not know
        return
    assert (estimate.standard_error < 1e-10).all()
    assert (estimate.pareto_k == -math.inf).all() or n_draws == 7
    assert len(unreliable(estimate)) == (20 if n_draws < 10 else 0)  # fewer than ten draws are not ten effective ones


@pytest.mark.parametrize("wider", [1.4, 0.95])
def test_a_wrong_posterior_gives_valid_standard_errors(ppca, wider):
    model, x = ppca.model(wider=wider, shrink=0.95), ppca.rows(40)
    standard = []
    for seed in range(10):
        estimate = log_marginal_estimate(model, x, n_draws=1000, seed=seed)
        error = estimate.value.numpy() - ppca.log_p(x)
        standard.append(error / estimate.standard_error.numpy())
    assert (np.abs(standard) < 4).mean() > 0.99
    assert np.std(standard) == pytest.approx(1.0, abs=0.15)
    assert abs(np.mean(standard)) < 0.25


def test_the_value_equals_log_marginal(ppca):
    model, x = ppca.model(wider=1.3), ppca.rows(15)
    noise = row_noise(x, 200, 3, seed=4)
    estimate = log_marginal_estimate(model, x, n_draws=200, seed=4)
    torch.testing.assert_close(estimate.value, log_marginal(model, x, noise), rtol=1e-13, atol=0)
    q = model.q(x)
    w = model.log_joint_ratio(q, q.from_noise(noise), x).exp().detach()
    torch.testing.assert_close(estimate.standard_error, w.std(0) / w.mean(0) / math.sqrt(200))
    torch.testing.assert_close(estimate.effective_sample_size, w.sum(0).square() / w.square().sum(0))


def test_the_bound_rises_with_the_number_of_draws(ppca):
    model, x = ppca.model(wider=1.4, shrink=0.8), ppca.rows(40)
    means = []
    for n_draws in (1, 4, 16, 64):
        runs = [log_marginal_estimate(model, x, n_draws=n_draws, seed=s).value.mean() for s in range(100)]
        means.append(float(np.mean(runs)))
    assert (np.diff(means) > 0).all()
    assert means[0] < means[-1] < ppca.log_p(x).mean() + 0.003
    assert ppca.log_p(x).mean() - means[-1] < 0.02


def test_estimates_do_not_depend_on_the_other_samples(ppca):
    model, x = ppca.model(wider=1.3), ppca.rows(10)
    whole = log_marginal_estimate(model, x, n_draws=400)
    part = log_marginal_estimate(model, x[[7, 3]], n_draws=400)
    for a, b in zip(whole, part, strict=True):
        torch.testing.assert_close(a[[7, 3]], b, rtol=1e-12, atol=1e-12)
    scaled = log_marginal_estimate(model, x, key=x * 3 + 1, n_draws=400)  # other draws, the same law
    assert not torch.equal(scaled.value, whole.value)


@pytest.mark.parametrize("budget", [1, 50, 3000, 1 << 20])
def test_memory_is_bounded_without_changing_the_result(ppca, monkeypatch, budget):
    model, x = ppca.model(wider=1.3), ppca.rows(30)
    expected = log_marginal_estimate(model, x[:5] if budget == 1 else x, n_draws=500)
    sizes = []
    add = WeightSums.add

    def noted(self, log_w):
        sizes.append(log_w.numel() * 6)  # D = 6 numbers per draw: the widest tensor of this model
        add(self, log_w)
        sizes.append(self.largest.numel())

    monkeypatch.setattr(WeightSums, "add", noted)
    estimate = log_marginal_estimate(model, x[:5] if budget == 1 else x, n_draws=500, budget=budget)
    for a, b in zip(estimate, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
    assert max(sizes) <= max(
        budget, tail_length(500) + 1
    )  # one draw of one row, and the tail of one row, there must be


def test_the_budget_does_not_change_the_result_with_missing_cells(ppca):
    model, x = ppca.model(), ppca.rows(4)
    mask = torch.ones_like(x)
    mask[:2, :3] = 0
    expected = log_marginal_estimate(model, x * mask, None, mask, n_draws=100)
    for budget in (1, 100, 1000):
        estimate = log_marginal_estimate(model, x * mask, None, mask, n_draws=100, budget=budget)
        for a, b in zip(estimate, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_sums_over_a_million_draws(ppca):
    model, x = ppca.model(wider=1.3), ppca.rows(2)
    sums, q = WeightSums(2, tail_length(1_000_000) + 1), model.q(x)
    for seed in range(50):
        sums.add(model.log_joint_ratio(q, q.from_noise(normal(20_000, 2, 3, seed=seed)), x))
    assert sums.largest.shape == (3001, 2)
    error = (sums.log_mean() - torch.from_numpy(ppca.log_p(x))).abs()
    assert (error < 4 * sums.standard_error()).all()
    assert (sums.standard_error() < 0.001).all()


def test_proposal_scale_corrects_a_narrow_posterior(ppca):
    x = ppca.rows(20)
    narrow = ppca.model(wider=math.exp(-0.5))
    estimate = log_marginal_estimate(narrow, x, n_draws=300, proposal_scale=math.exp(0.5))
    np.testing.assert_allclose(estimate.value.numpy(), ppca.log_p(x), atol=1e-10)
    assert (estimate.standard_error < 1e-10).all()


def test_a_narrow_posterior_is_unreliable(ppca, monkeypatch):
    x, model = ppca.rows(40), ppca.model(wider=math.exp(-1))
    exact = log_marginal_estimate(model, x, n_draws=2000)
    assert (ppca.log_p(x) - exact.value.numpy()).mean() < 0.02
    monkeypatch.setattr(two_stages, "_MIN_SHARE", 0.0)  # draws from the posterior only
    estimate = log_marginal_estimate(model, x, n_draws=2000)
    below = ppca.log_p(x) - estimate.value.numpy()
    assert below.mean() > 0.1  # and not by chance: the mean over rows lies as far below as one row's own error
    assert len(unreliable(estimate)) > 30
    assert len(unreliable(log_marginal_estimate(ppca.model(wider=1.2), x, n_draws=2000))) == 0


def test_unreliable_rows():
    nan, inf = math.nan, math.inf
    estimate = Estimate(
        torch.tensor([-1.0, nan, -inf, -1.0, -1.0, -1.0]),
        torch.zeros(6),
        torch.tensor([100.0, 100.0, 0.0, 9.0, 100.0, 100.0]),
        torch.tensor([-inf, 0.1, nan, 0.1, 0.8, nan]),
    )
    assert unreliable(estimate).tolist() == [1, 2, 3, 4]
    assert unreliable(estimate, min_effective=5, max_pareto_k=0.9).tolist() == [1, 2]


@pytest.mark.parametrize("k", [-0.3, 0.2, 0.5, 0.9, 1.5])
def test_pareto_k_of_generalized_pareto_tails(k):
    """Weights are drawn from the distribution itself; k is shrunk towards 1/2 with the weight of ten observations."""
    m = 4000
    excess = genpareto(k, scale=2.0).rvs((m, 5), random_state=0)
    tail = torch.from_numpy(np.vstack([-np.sort(-excess, axis=0), np.zeros((1, 5))]) + 3.0).log()
    np.testing.assert_allclose(pareto_k(tail).numpy(), k, atol=4.5 * (1 + k) / math.sqrt(m))


@pytest.mark.parametrize("v", [0.7, 0.4, 0.1])
def test_pareto_k_of_a_narrow_normal(v):
    """Weights N(z; 0, 1) / N(z; 0, v) of z ~ N(0, v) have the tail index k = 1 - v."""
    z = math.sqrt(v) * normal(100_000, 8)
    log_w = 0.5 * z.square() * (1 / v - 1)
    sums = WeightSums(8, tail_length(100_000) + 1)
    sums.add(log_w)
    assert float(sums.pareto_k().mean()) == pytest.approx(1 - v, abs=0.12)  # a slow limit: the tail has a log factor


def test_weights_of_any_size():
    """Blocks give the same result as all weights at once, without underflow, and with weights of 0."""
    log_w = normal(1000, 3) * 2 + torch.tensor([0.0, -5000.0, 5000.0])
    log_w[::2, 0] = -math.inf
    at_once, blocks = WeightSums(3, 50), WeightSums(3, 50)
    at_once.add(log_w)
    for block in log_w.split(33):
        blocks.add(block)
    for name in ("log_mean", "standard_error", "effective_sample_size", "pareto_k"):
        torch.testing.assert_close(getattr(blocks, name)(), getattr(at_once, name)(), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(at_once.log_mean(), torch.logsumexp(log_w, 0) - math.log(1000))
    nothing = WeightSums(1, 10)
    nothing.add(torch.full((20, 1), -math.inf))
    estimate = Estimate.of(nothing)
    assert estimate.value == -math.inf
    assert estimate.effective_sample_size == 0
    assert unreliable(estimate).tolist() == [0]


def test_missing_cells_are_integrated_out(ppca):
    model, x = ppca.model(wider=1.5), ppca.rows(30)
    mask = (torch.rand(30, 6, generator=torch.Generator().manual_seed(0)) < 0.6).double()
    mask[0], mask[1] = 0, 1
    # the encoder was made for whole rows: its answer for part of one is a poor proposal, and only that
    estimate = log_marginal_estimate(model, x * mask, None, mask, n_draws=50_000, proposal_scale=1.5)
    assert [float(field[0]) for field in estimate] == [0, 0, 50_000, -math.inf]
    good = set(range(1, 30)) - set(unreliable(estimate).tolist())
    assert len(good) > 15
    for i in good:
        o = mask[i].bool().numpy()
        exact = multivariate_normal.logpdf(x[i, o], ppca.mu[o], ppca.covariance[np.ix_(o, o)])
        assert abs(float(estimate.value[i]) - exact) < 5 * float(estimate.standard_error[i]) + 1e-9


def test_a_condition_and_a_mixture_prior():
    """x = mu + w z + v c + sigma e with a mixture of normals for z: p(x|c) is a mixture of normals too."""
    W, mu, sigma = np.array([[1.0], [0.5]]), np.array([0.3, -0.2]), 0.7
    model = build(2, 1, n_conditions=1, likelihood=Gaussian(scale=sigma), prior=MixtureOfNormals(3))
    with torch.no_grad():
        model.prior.means.copy_(torch.tensor([[-2.0], [0.0], [3.0]]))
        model.prior.log_scales.copy_(torch.tensor([[-1.0], [0.0], [-0.5]]))
        model.prior.logits.copy_(torch.tensor([0.5, 0.2, 0.3]).log())
    encoder = np.zeros((2, 3))
    encoder[0, 0] = 1.0
    put_linear(model, encoder, np.array([0.0, 0.5]), np.hstack([W, [[1.0], [2.0]]]), mu)
    x, c = normal(10, 2, seed=1), normal(10, 1, seed=2)
    shift = mu + c.numpy() * [1.0, 2.0]
    parts = [
        w * np.exp([multivariate_normal.logpdf(row, s + W[:, 0] * m, W @ W.T * v + sigma**2 * np.eye(2)) for row, s in
                    zip(x.numpy(), shift, strict=True)])
        for w, m, v in zip([0.5, 0.2, 0.3], [-2.0, 0.0, 3.0], np.exp([-2.0, 0.0, -1.0]), strict=True)
    ]  # fmt: skip
    estimate = log_marginal_estimate(model, x, c, n_draws=20_000)
    error = np.abs(estimate.value.numpy() - np.log(np.sum(parts, axis=0)))
    assert (error < 4.5 * estimate.standard_error.numpy()).all()
    assert error.max() < 0.05


def test_a_nonlinear_model_by_quadrature(curved):
    estimate = log_marginal_estimate(curved.model, curved.x, n_draws=20_000)
    assert (np.abs(estimate.value.numpy() - curved.log_p) < 4.5 * estimate.standard_error.numpy()).all()
    assert estimate.standard_error.max() < 0.05


def test_float32_and_no_samples(ppca):
    x = ppca.rows(10)
    exact = log_marginal_estimate(ppca.model(), x, n_draws=400)
    single = log_marginal_estimate(ppca.model().float(), x.float(), n_draws=400)
    assert single.value.dtype == torch.float64
    torch.testing.assert_close(single.value, exact.value, rtol=0, atol=1e-4)
    assert (single.pareto_k == -math.inf).all()
    assert all(len(field) == 0 for field in log_marginal_estimate(ppca.model(), x[:0]))


def test_bad_arguments(ppca):
    with pytest.raises(ValueError, match="n_draws=0 must be at least 1"):
        log_marginal_estimate(ppca.model(), ppca.rows(2), n_draws=0)
    with pytest.raises(ValueError, match="proposal_scale=0.0 must be positive"):
        log_marginal_estimate(ppca.model(), ppca.rows(2), proposal_scale=0.0)


def test_global_generators_are_not_used(ppca):
    before = torch.get_rng_state()
    first = log_marginal_estimate(ppca.model(wider=1.2), ppca.rows(3), n_draws=300)
    assert torch.equal(torch.get_rng_state(), before)
    again = log_marginal_estimate(ppca.model(wider=1.2), ppca.rows(3), n_draws=300)
    assert torch.equal(first.value, again.value)
