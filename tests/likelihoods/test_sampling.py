"""Draws of zeros and ones: their frequencies, their independence, and the memory they are written to."""

import pytest
import torch

from isthmus._random import seeded
from isthmus.likelihoods import Bernoulli
from isthmus.likelihoods._sampling import bernoulli, sample_bernoulli


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("draw", [bernoulli, sample_bernoulli])
def test_frequencies(draw, dtype):
    p = torch.tensor([0.0, 1e-3, 0.3, 0.999, 1.0], dtype=dtype)
    with seeded(0):
        x = draw(p.expand(200_000, 5))
    assert x.dtype == dtype
    assert set(x.unique().tolist()) == {0.0, 1.0}
    mean = x.double().mean(0)
    assert mean[0] == 0
    assert mean[4] == 1
    error = (mean - p.double()).abs()[1:4] / (p.double() * (1 - p.double()) / len(x)).sqrt()[1:4]
    assert (error < 4).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_probabilities_between_two_numbers_of_16_bits(dtype):
    p = torch.full((50_000,), 1 / 3 / 65_536, dtype=dtype)
    certain = torch.ones(1_000_000, dtype=dtype)  # sums that are rounded would give a 0 here and there
    with seeded(0):
        ones = sum(sample_bernoulli(p.expand(40, -1)).sum().item() for _ in range(5))
        assert sample_bernoulli(certain).all()
    expected = 5 * 40 * p.sum().item()  # of 10 million cells: 51
    assert abs(ones - expected) < 4 * expected**0.5


def test_bfloat16_probabilities_are_drawn_exactly():
    p = torch.full((200_000,), 1e-3, dtype=torch.bfloat16)
    with seeded(0):
        x = sample_bernoulli(p)
    assert x.dtype == torch.bfloat16
    expected = p.double().sum().item()
    assert abs(x.double().sum().item() - expected) < 4 * expected**0.5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_draws_are_the_same_in_memory_of_any_type(dtype):
    p = torch.linspace(0, 1, 999).expand(50, -1)
    with seeded(0):
        expected = sample_bernoulli(p)
    with seeded(0):
        out = torch.full(p.shape, torch.nan, dtype=dtype)
        assert sample_bernoulli(p, out) is out
    assert torch.equal(out.to(p.dtype), expected)


def test_cells_drawn_together_are_independent():
    p = torch.full((50,), 0.5)
    with seeded(0):
        first, second = sample_bernoulli(p.expand(8_000, 50)), sample_bernoulli(p.expand(8_000, 50))
    with seeded(0):
        assert torch.equal(sample_bernoulli(p.expand(8_000, 50)), first)
    columns = torch.corrcoef(torch.cat([first, second], dim=1).T)
    rows = torch.corrcoef(first[:100].reshape(50, 100))
    assert columns.fill_diagonal_(0).abs().max() < 5 / 8_000**0.5
    assert rows.fill_diagonal_(0).abs().max() < 5 / 100**0.5


def test_binarised_targets_are_drawn_anew():
    part = Bernoulli(binarize=True)
    part.build(64)
    x = torch.linspace(0, 1, 3 * 64).reshape(3, 64)
    with seeded(0):
        first, second = part.sample_targets(x), part.sample_targets(x)
    assert set(first.unique().tolist()) == {0.0, 1.0}
    assert not torch.equal(first, second)
    assert (first[x == 0] == 0).all()
