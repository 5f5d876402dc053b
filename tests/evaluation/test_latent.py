"""Measures of the latent space, compared with closed forms for the linear Gaussian model."""

import math

import numpy as np
import pytest
import torch

from isthmus._distributions import DiagonalGaussian, FullGaussian, PointMass, WhitenedGaussian
from isthmus._mixture import Mixture
from isthmus.evaluation import (
    active_units,
    activity,
    aggregate_log_prob,
    aggregate_mmd,
    collapse_report,
    elbo,
    information,
    kl_per_dimension,
    rate_distortion,
)
from isthmus.kl import kl_divergence
from isthmus.priors import Flow, MixtureOfNormals
from models import build, normal, put_linear, rows_with_covariance, sigma_points

N = 1500


def posterior(model, x):
    with torch.no_grad():
        return model.q(x), model.p_z()


def exact_rows(truth, n=N):
    """Return samples whose mean and covariance are exactly those of the model."""
    return torch.from_numpy(rows_with_covariance(truth.covariance, n, truth.mu))


def test_active_units_are_as_many_as_the_eigenvalues_above_the_noise():
    """At the optimum of a linear VAE with lam = (9, 4, .9, .25) and s2 = 1, units are active if lam > s2: two are."""
    lam, sigma2 = np.array([9.0, 4.0, 0.9, 0.25]), 1.0
    x = torch.from_numpy(rows_with_covariance(np.diag(lam), 400))
    loadings = np.sqrt(np.clip(lam - sigma2, 0, None))
    variance = sigma2 / (loadings**2 + sigma2)
    encoder = np.vstack([np.diag(loadings / (loadings**2 + sigma2)), np.zeros((4, 4))])
    bias = np.concatenate([np.zeros(4), 8 * np.arctanh(0.5 * np.log(variance) / 8)])
    model = put_linear(build(4, 4), encoder, bias, np.diag(loadings), np.zeros(4))
    q, p = posterior(model, x)
    assert active_units(q.mean).tolist() == [True, True, False, False]
    np.testing.assert_allclose(activity(q.mean), (1 - variance) * 400 / 399, atol=1e-12)  # 1 - s2 / lam
    np.testing.assert_allclose(kl_per_dimension(q, p), 0.5 * np.log([9, 4, 1, 1]), atol=1e-12)


def test_divergences_per_unit_sum_to_the_rate(ppca, oblique):
    q, p = posterior(ppca.model(wider=1.2), ppca.rows(50))
    torch.testing.assert_close(kl_per_dimension(q, p).sum(), kl_divergence(q, p).mean())
    full, p = posterior(oblique.model(full=True), oblique.rows(50))
    marginal = DiagonalGaussian(full.mean, 0.5 * full.variance.log())
    torch.testing.assert_close(kl_per_dimension(full, p).sum(), kl_divergence(marginal, p).mean())
    assert kl_per_dimension(full, p).sum() < kl_divergence(full, p).mean()


def test_only_normal_distributions_have_a_divergence_per_unit():
    q = DiagonalGaussian(torch.zeros(5, 3).double(), torch.zeros(5, 3).double())
    with pytest.raises(ValueError, match="FlowDistribution has no divergence per unit"):
        kl_per_dimension(q, build(4, 3, prior=Flow()).p_z())


def test_the_aggregate_posterior_is_a_mixture(ppca):
    q, _ = posterior(ppca.model(), ppca.rows(40))
    z = normal(30, 3)
    each = torch.stack([DiagonalGaussian(m, s).log_prob(z) for m, s in zip(q.mean, q.log_scale, strict=True)])
    expected = torch.logsumexp(each, 0) - math.log(40)
    torch.testing.assert_close(aggregate_log_prob(q, z), expected)
    torch.testing.assert_close(aggregate_log_prob(q, z, budget=1), expected)
    full = FullGaussian(q.mean, torch.diag_embed(q.log_scale.exp()))
    torch.testing.assert_close(aggregate_log_prob(full, z, budget=700), expected)


def test_the_aggregate_of_exact_posteriors_is_the_prior(ppca):
    """The rate, 1/2 log det(I + W'W / s2), is then all mutual information."""
    weak = ppca._replace(sigma=1.5)  # little information, so that it lies well below log N
    q, p = posterior(weak.model(), exact_rows(weak))
    result = information(q, p, normal(2, N, 3))
    exact = 0.5 * np.linalg.slogdet(np.eye(3) + weak.W.T @ weak.W / weak.sigma**2)[1]
    assert result.rate == pytest.approx(exact, abs=1e-10)  # the rows' second moments are exact, and no more is needed
    assert result.mutual_information - 4 * result.standard_error < exact < result.upper + 4 * result.standard_error
    assert result.mutual_information == pytest.approx(exact, abs=0.05)
    assert result.aggregate_kl == pytest.approx(0, abs=0.05)
    assert result.rate == pytest.approx(result.mutual_information + result.aggregate_kl, abs=1e-12)
    assert abs(aggregate_mmd(q, p, normal(N, 3, seed=3))) < 0.005


def test_the_aggregate_of_wrong_posteriors(ppca):
    """N(0, A C A' + V): I = 1/2 log det(A C A' + V) / det V, and the divergence from the prior has a closed form."""
    weak = ppca._replace(sigma=1.5)
    model = weak.model(wider=1.3, shrink=2.0)
    q, p = posterior(model, exact_rows(weak))
    A, V = 2.0 * weak.gain, 1.69 * weak.posterior_covariance
    total = A @ weak.covariance @ A.T + V
    exact = 0.5 * (np.linalg.slogdet(total)[1] - np.linalg.slogdet(V)[1])
    divergence = 0.5 * (np.trace(total) - 3 - np.linalg.slogdet(total)[1])
    result = information(q, p, normal(2, N, 3, seed=1))
    assert result.mutual_information == pytest.approx(exact, abs=0.06)
    assert result.aggregate_kl == pytest.approx(divergence, abs=0.06)
    assert result.aggregate_kl > 0.1
    assert aggregate_mmd(q, p, normal(N, 3, seed=3)) > 0.01


def test_mutual_information_is_bounded_by_log_n(ppca):
    """With little noise each code identifies its sample; the estimate is log N, and `upper` shows it is too low."""
    sharp = ppca._replace(sigma=0.01)
    q, p = posterior(sharp.model(), sharp.rows(100))
    result = information(q, p, normal(1, 100, 3))
    assert result.mutual_information == pytest.approx(math.log(100), abs=0.01)
    assert result.upper == result.rate > 2 * result.mutual_information  # the smaller of two bounds


def test_information_without_a_closed_form(ppca):
    """A mixture with one standard normal component is standard normal, but its divergence is estimated from draws."""
    mixture = build(6, 3, prior=MixtureOfNormals(1))
    with torch.no_grad():
        mixture.prior.means.zero_()
        mixture.prior.log_scales.zero_()
    q, p = posterior(ppca.model(), ppca.rows(200))
    noise = normal(200, 200, 3)
    exact, drawn = information(q, p, noise[:1]), information(q, mixture.p_z(), noise)
    assert drawn.rate == pytest.approx(exact.rate, abs=0.05)


def test_information_in_chunks(ppca):
    q, p = posterior(ppca.model(), ppca.rows(50))
    noise = normal(2, 50, 3)
    np.testing.assert_allclose(information(q, p, noise), information(q, p, noise, budget=100), rtol=1e-10)


def test_rate_and_distortion_sum_to_minus_log_p(ppca):
    """With the exact posterior the ELBO is log p(x)."""
    x = ppca.rows(30)
    noise = sigma_points(3).unsqueeze(1).expand(-1, 30, -1)
    result = rate_distortion(elbo(ppca.model(), x, noise))
    assert result.rate + result.distortion == pytest.approx(-ppca.log_p(x).mean(), abs=1e-10)


@pytest.mark.parametrize("call", [activity, lambda m: information(DiagonalGaussian(m, m), None, m.unsqueeze(0))])
def test_one_sample_is_too_few(call):
    with pytest.raises(ValueError, match=r"1 sample\(s\)"):
        call(torch.zeros(1, 2))


# ---- in words ---------------------------------------------------------------------------------------------------


def report(mean, log_scale, p=None):
    zeros = torch.zeros(len(mean[0]))
    return collapse_report(
        DiagonalGaussian(torch.tensor(mean), torch.tensor(log_scale)), p or DiagonalGaussian(zeros, zeros)
    )


def test_the_report_names_units_and_remedies():
    text = report([[0.0, -2.0, 0.0, 1.0], [0.0, 2.0, 0.0, -1.0]], [[0.0, -1.0, 0.0, 0.0]] * 2)
    assert "2 of 4 latent units are active: 1 (KL 2.57), 3 (KL 0.50)." in text
    assert "Inactive: 0, 2. Their posterior is the prior" in text
    assert "n_components=2 would do" in text
    assert "Warmup" in text
    assert "free_bits" in text


def test_the_report_of_complete_collapse():
    text = report([[0.0], [0.0]], [[0.0], [0.0]])
    assert "None of the 1 latent units is active: complete posterior collapse" in text
    assert "features depend on each other" in text


def test_the_report_of_active_units_only():
    text = report([[-1.0], [1.0]], [[-1.0], [-1.0]])
    assert text.startswith("1 of 1 latent units is active: 0")
    assert "larger n_components" in text
    assert "Inactive" not in text


def test_the_report_of_wasted_nats():
    """A unit whose posterior is the same for all samples, and not the prior, costs nats without information."""
    text = report([[-1.0, 3.0], [1.0, 3.0]], [[-1.0, 0.0], [-1.0, 0.0]])
    assert (
        "Inactive: 1. Their posterior is not the prior, but the same for all samples: 4.50 nats per sample wasted."
        in text
    )


def test_the_report_without_closed_forms():
    mean = torch.tensor([[-1.0, 0.0], [1.0, 0.0]]).double()
    text = collapse_report(PointMass(mean), build(4, 2, prior=MixtureOfNormals(2)).p_z())
    assert "1 of 2 latent units is active: 0." in text
    assert "Inactive: 1. Their posterior mean hardly varies" in text


def test_divergences_from_the_marginals_of_a_mixture():
    """One component gives those of a normal prior; two agree with a long Monte Carlo estimate."""
    torch.manual_seed(0)
    q = DiagonalGaussian(torch.randn(50, 2).double(), 0.3 * torch.randn(50, 2).double() - 1)
    factor = torch.tensor([[[1.5, 0.0], [-0.7, 0.8]], [[0.9, 0.0], [0.4, 2.0]]]).double()
    means = torch.tensor([[1.0, 0.0], [-2.0, 0.5]]).double()
    covariance = torch.linalg.inv(factor.mT @ factor)
    one = Mixture(torch.zeros(1).double(), WhitenedGaussian(means[:1], factor[:1]))
    normal = FullGaussian(means[0], torch.linalg.cholesky(covariance[0]))
    torch.testing.assert_close(kl_per_dimension(q, one), kl_per_dimension(q, normal))
    weight = torch.tensor([0.3, 0.7]).double()
    two = Mixture(weight.log(), WhitenedGaussian(means, factor))
    z, scales = q.rsample((20_000,)), covariance.diagonal(dim1=-2, dim2=-1).sqrt()
    for k in range(2):
        density = sum(
            w * torch.distributions.Normal(m[k], s[k]).log_prob(z[..., k]).exp()
            for w, m, s in zip(weight, means, scales, strict=True)
        )
        own = torch.distributions.Normal(q.mean[:, k], q.log_scale[:, k].exp()).log_prob(z[..., k])
        assert float((own - density.log()).mean()) == pytest.approx(float(kl_per_dimension(q, two)[k]), abs=0.005)
    torch.testing.assert_close(kl_per_dimension(q, two, budget=1000), kl_per_dimension(q, two))


def test_the_rate_bounds_the_information_of_codes_that_never_overlap():
    """Left-out codes of many units are far from all others, so that the other bound is beyond the rate."""
    mean = torch.randn(60, 10, generator=torch.Generator().manual_seed(0)).double()
    q, p = (
        DiagonalGaussian(mean, torch.full_like(mean, -3.0)),
        DiagonalGaussian(torch.zeros(10).double(), torch.zeros(10).double()),
    )
    result = information(q, p, torch.randn(1, 60, 10, generator=torch.Generator().manual_seed(1)).double())
    assert result.mutual_information < result.upper <= result.rate
