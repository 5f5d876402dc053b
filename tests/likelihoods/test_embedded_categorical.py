"""Categories with very many levels, in groups: probabilities are exact, whatever the groups."""

import pytest
import torch

from isthmus._random import seeded
from isthmus.likelihoods import EmbeddedCategorical, embedded_categorical


@pytest.fixture(params=[1000, 4])
def part(request, monkeypatch):
    """Return a likelihood whose levels are in one group, and one with several, of which the last is smaller."""
    monkeypatch.setattr(embedded_categorical, "_FLAT", request.param)
    with seeded(0):
        p = EmbeddedCategorical(n_levels=(11, 3, 8), width=4)
        p.build(3)
        for values in p.parameters():
            torch.nn.init.normal_(values)
    return p


def every_level(p, h):
    """Return the probabilities of all levels of each feature, by one call of log_prob per level."""
    calls = [p.log_prob(h, torch.tensor([min(level, n - 1.0) for n in p.n_levels])).exp() for level in range(11)]
    return [torch.stack(calls[:n], -1)[..., d, :] for d, n in enumerate(p.n_levels)]


def test_probabilities_sum_to_one(part):
    h = torch.randn(5, 12)
    for probabilities in every_level(part, h):
        torch.testing.assert_close(probabilities.sum(-1), torch.ones(5))


def test_the_mode_has_the_largest_probability(part):
    h = torch.randn(5, 12)
    expected = torch.stack([p.argmax(-1) for p in every_level(part, h)], -1)
    torch.testing.assert_close(part.mean(h), expected.float())
    weight = torch.softmax(torch.randn(4, 5), 0)
    draws = torch.randn(4, 5, 12)
    mixed = torch.stack([(weight.unsqueeze(-1) * p).sum(0).argmax(-1) for p in every_level(part, draws)], -1)
    torch.testing.assert_close(part.mixture_mean(draws, weight), mixed.float())


def test_draws_have_these_probabilities(part):
    h = torch.randn(12)
    with seeded(0):
        draws = part.sample(h.expand(20_000, 12)).long()
    for d, probabilities in enumerate(every_level(part, h)):
        shares = torch.bincount(draws[:, d], minlength=part.n_levels[d]) / len(draws)
        torch.testing.assert_close(shares, probabilities, atol=0.02, rtol=0)


def test_samples_broadcast_over_draws(part):
    h, x = torch.randn(4, 5, 12), torch.tensor([[10.0, 2.0, 7.0]] * 5)
    assert part.log_prob(h, x).shape == (4, 5, 3)
    torch.testing.assert_close(part.log_prob(h, x)[2], part.log_prob(h[2], x))


def test_training_starts_from_the_frequencies(monkeypatch):
    monkeypatch.setattr(embedded_categorical, "_FLAT", 4)
    x = torch.tensor([[0.0]] * 70 + [[7.0]] * 20 + [[10.0]] * 9 + [[torch.nan]])
    p = EmbeddedCategorical(width=4)
    p.set_from_data(x)
    p.build(1)
    probabilities = p.log_prob(torch.zeros(4, 4), torch.tensor([[0.0], [7.0], [10.0], [3.0]])).exp().squeeze(1)
    torch.testing.assert_close(probabilities, torch.tensor([70.5, 20.5, 9.5, 0.5]) / 104.5)


def test_only_the_groups_that_are_needed_are_computed():
    p = EmbeddedCategorical(n_levels=(40_000,), width=2)
    p.build(1)
    p.log_prob(torch.randn(3, 2), torch.tensor([[0.0], [1.0], [39_999.0]])).sum().backward()
    assert (p.vectors[0].grad.abs().sum(1) > 0).sum() == 400  # two of 200 groups, of 200 levels each


@pytest.mark.parametrize(
    ("p", "message"),
    [
        (EmbeddedCategorical(), "n_levels must have one number for each"),
        (EmbeddedCategorical(n_levels=(0,)), "must be at least 1"),
        (EmbeddedCategorical(n_levels=(3,), width=0), "must be at least 1"),
    ],
)
def test_bad_parameters(p, message):
    with pytest.raises(ValueError, match=message):
        p.build(1)
