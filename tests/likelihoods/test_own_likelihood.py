"""A likelihood as a user would write it, whose density is 0 at the 0 that missing cells hold."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from isthmus import VAE, Autoencoder, testing
from isthmus.likelihoods import Likelihood, Mixed
from models import build, normal


@dataclass(eq=False, repr=False)
class LogNormal(Likelihood):
    """log x ~ N(f(z), scale^2)."""

    scale: float = 0.5

    default_scaling = "none"
    interval_support = True
    transforms_input = True
    support_text = "greater than 0"

    def supports(self, x):
        return (x > 0) & torch.isfinite(x)

    def initial_output(self, mean):
        return mean.log() - 0.5 * self.scale**2

    def encoder_input(self, x):
        return x.clamp(min=1e-3).log()

    def forward(self, h):
        return torch.distributions.LogNormal(h, torch.full_like(h, self.scale), validate_args=False)


class Multiplied(LogNormal):
    def row_log_prob(self, h, x, mask=None):
        cells = self.log_prob(h, x)
        return cells.sum(-1) if mask is None else (cells * mask).sum(-1)


class FilledAfterwards(LogNormal):
    def row_log_prob(self, h, x, mask=None):
        cells = self.log_prob(h, x)
        return cells.sum(-1) if mask is None else cells.masked_fill(mask == 0, 0.0).sum(-1)


class Undeclared(LogNormal):
    transforms_input = False


class Infinite(LogNormal):
    def encoder_input(self, x):
        return x.log()


def test_it_passes_the_test_kit():
    testing.check_likelihood(LogNormal(), support=(0, np.inf))


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (Multiplied, "must not count cells where mask is 0"),
        (FilledAfterwards, "the gradient must not depend on cells"),
        (Undeclared, "transforms_input must say"),
        (Infinite, "must be finite for any finite number"),
    ],
)
def test_the_kit_catches(cls, message):
    with pytest.raises(AssertionError, match=message):
        testing.check_likelihood(cls(), support=(0, np.inf))


@pytest.mark.parametrize("likelihood", [LogNormal(), Mixed(("gaussian", LogNormal()), ((1, 3), (0, 2)))], ids=repr)
@pytest.mark.parametrize("filler", [0.0, -1.0, np.nan])
def test_a_missing_cell_counts_nowhere_whatever_it_holds(likelihood, filler):
    """The values and gradients of a model are those of the observed cells alone."""
    x, mask = normal(20, 4).exp(), (normal(20, 4, seed=1) > 0).double()
    results = []
    for held in (1.0, filler):
        model = build(4, 2, likelihood=likelihood)
        filled = torch.where(mask == 1, x, held).requires_grad_()
        q = model.q(filled, mask=mask)
        value = model.log_likelihood(q.mean, filled, mask=mask)
        value.sum().backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        results.append([q.mean, value, filled.grad, *gradients])
    for one, other in zip(*results, strict=True):
        assert other.isfinite().all()
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_a_likelihood_without_a_filler_says_so():
    class Far(LogNormal):
        def supports(self, x):
            return x > 1e6

    p = Far()
    p.build(2)
    with pytest.raises(NotImplementedError, match="set the class attribute `filler` to a value that every feature"):
        p.row_log_prob(torch.zeros(1, 2), torch.zeros(1, 2), torch.zeros(1, 2))
    Far.filler = 1e7
    assert p.row_log_prob(torch.zeros(1, 2), torch.zeros(1, 2), torch.zeros(1, 2)).tolist() == [0.0]


@pytest.mark.parametrize("cls", [VAE, Autoencoder])
def test_it_is_trained_with_missing_cells(cls):
    rng = np.random.default_rng(0)
    X = np.exp(rng.normal(size=(300, 1)) + 0.3 * rng.normal(size=(300, 4)))
    X[rng.random(X.shape) < 0.2] = np.nan
    model = cls(1, likelihood=LogNormal(), hidden_layer_sizes=(), max_epochs=20, random_state=0).fit(X)
    assert model.history_[-1]["loss"] < model.history_[0]["loss"]
    assert (model.impute(X) > 0).all()
    with pytest.raises(ValueError, match="greater than 0"):
        model.transform(np.zeros((1, 4)))


class Detached(LogNormal):
    def log_prob(self, h, x):
        return super().log_prob(h.detach() + 0 * h, x)


def test_a_gradient_that_is_wrong_fails_the_kit_with_its_reason():
    with pytest.raises(AssertionError, match="the gradient of log_prob must agree with finite differences"):
        testing.check_likelihood(Detached(), support=(0, np.inf))
