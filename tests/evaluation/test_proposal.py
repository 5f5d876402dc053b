"""The proposal distribution for samples with missing cells."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from isthmus import VAE
from isthmus._distributions import DiagonalGaussian, FullGaussian
from isthmus.evaluation import proposal
from models import build, normal


def holes(X, share, seed=0):
    return np.where(np.random.default_rng(seed).random(X.shape) < share, np.nan, X)


@pytest.fixture(scope="module")
def complete():
    """Return a VAE that was trained on complete samples, and test samples."""
    X = load_digits().data
    return VAE(4, max_epochs=40, random_state=0, n_draws=100).fit(X[:1400]), X[1400:1500]


def drawn_from(model, x, mask, n_draws):
    return proposal(model, model.encode(x, None, mask), mask, n_draws)


def test_the_proposal_of_complete_samples_is_the_posterior():
    """Their draws and densities are those of q(z|x), bit for bit, also beside incomplete samples."""
    model, x = build(), normal(5, 4)
    mask = torch.ones_like(x)
    mask[3, 1] = 0
    q, p = model.q(x), drawn_from(model, x, mask, 8)
    noise = normal(8, 5, 3, seed=1)
    others = [0, 1, 2, 4]
    assert torch.equal(q.from_noise(noise)[:, others], p.from_noise(noise)[:, others])
    z = q.from_noise(noise)
    assert torch.equal(q.log_prob(z)[:, others], p.log_prob(z)[:, others])
    assert not torch.equal(q.from_noise(noise)[:6, 3], p.from_noise(noise)[:6, 3])
    assert torch.equal(p.from_noise(noise)[6:, 3], noise[6:, 3])


def test_values_of_missing_cells_have_no_effect():
    model, x = build(), normal(5, 4)
    mask = (normal(5, 4, seed=3) > 0).double()
    a, b = (model.encode(torch.where(mask == 1, x, filler), None, mask) for filler in (0.0, 99.0))
    assert torch.equal(a.mean, b.mean)


@pytest.mark.parametrize("n_draws", [1, 3, 8, 10])
@torch.no_grad()
def test_the_density_fits_the_draws(n_draws):
    """It integrates to one, and gives the fraction of draws near 0, for any number of draws."""
    model, x = build(n_components=1), normal(2, 4)
    mask = torch.ones_like(x)
    mask[:, 1:] = 0
    p = drawn_from(model, x, mask, n_draws)
    grid = torch.linspace(-40, 40, 80_001).double()
    density = p.log_prob(grid[:, None, None].expand(-1, 2, 1)).exp()
    torch.testing.assert_close(torch.trapezoid(density, grid, dim=0), torch.ones(2).double())
    drawn = torch.stack([p.from_noise(normal(n_draws, 2, 1, seed=i))[..., 0] for i in range(4000)])
    for bound in (0.5, 1.0):
        near = density[grid.abs() < bound].sum(0) * 0.001
        np.testing.assert_allclose((drawn.abs() < bound).double().mean((0, 1)), near, atol=0.03)


@pytest.mark.parametrize("shape", ["diagonal", "full"])
def test_the_density_of_scaled_distributions(shape):
    mean, factor = normal(5, 3), torch.tensor([1.0, 1.5, 2.0, 3.0, 0.5]).double()
    tril = torch.tril(normal(5, 3, 3, seed=1), -1) + torch.eye(3).double()
    q = DiagonalGaussian(mean, 0.3 * normal(5, 3, seed=2)) if shape == "diagonal" else FullGaussian(mean, tril)
    wide, noise = q.scaled(factor), normal(4, 5, 3, seed=4)
    torch.testing.assert_close(wide.from_noise(noise), q.from_noise(factor[:, None] * noise))
    # N(f e) = N(e) with its density divided by f^K: q's own at the same noise says so.
    expected = q.log_prob(q.from_noise(noise)) - 3 * factor.log()
    torch.testing.assert_close(wide.log_prob(wide.from_noise(noise)), expected)


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_filling_missing_cells_beats_zeros(complete, share):
    """With 0 in missing cells, log p(x_observed) is many nats too low, and imputations are worse."""
    model, X = complete
    rows = holes(X, share)
    filled = model.impute(rows)
    value = model.score_samples(rows).mean()
    scaling, net = model.model_.scaling, model.model_.network
    x = scaling(torch.from_numpy(rows))
    mask = (~x.isnan()).to(torch.float32)
    x = x.nan_to_num().float()
    with torch.no_grad():
        q = model.model_.q(x)  # the missing cells at 0
        z = q.from_noise(model._noise()(type("Rows", (), {"raw": torch.from_numpy(rows), "x": x})))
        log_w = model.model_.log_joint_ratio(q, z, x, None, mask)
        mean = scaling.inverse(model.model_.likelihood.mixture_mean(net.decode(z), torch.softmax(log_w, 0)))
    zeros = (torch.logsumexp(log_w, 0) - np.log(100)).mean() - (mask.double() @ scaling.scale.log()).mean()
    missing = np.isnan(rows)
    assert value > float(zeros) + 2
    assert ((filled - X)[missing] ** 2).mean() < 0.95 * ((mean.numpy() - X)[missing] ** 2).mean()
