"""Noise that belongs to a sample: standard normal, independent, and the same in any company."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.datasets import load_digits

import isthmus.estimators._variational as variational
from isthmus import VAE
from isthmus.evaluation.row_noise import _bits, _cuda_bits, _keys, row_noise
from isthmus.likelihoods import Gaussian
from isthmus.networks import MLP
from models import normal

ROWS = normal(500, 3)


def test_the_numbers_are_standard_normal():
    noise = row_noise(ROWS, 100, 4, seed=0)
    assert noise.shape == (100, 500, 4)
    assert noise.dtype == torch.float64
    flat = noise.numpy().ravel()
    n = flat.size
    assert len(np.unique(flat)) == n  # every row, draw and unit has its own
    assert abs(flat.mean()) < 4 / math.sqrt(n)
    assert abs(flat.var() - 1) < 4 * math.sqrt(2 / n)
    assert abs(stats.skew(flat)) < 4 * math.sqrt(6 / n)
    assert abs(stats.kurtosis(flat)) < 4 * math.sqrt(24 / n)
    assert stats.kstest(flat, "norm").pvalue > 1e-3
    assert abs(flat).max() == pytest.approx(stats.norm.isf(0.5 / n), abs=1.0)  # the tails are there


@pytest.mark.parametrize("axis", ["draws", "rows", "units"])
@pytest.mark.parametrize("lag", [1, 2, 7])
def test_neighbours_are_uncorrelated(axis, lag):
    """Also their squares: chi-square tests of pairs find what correlations miss."""
    noise = row_noise(ROWS, 60, 8, seed=1).numpy()
    noise = np.moveaxis(noise, ["draws", "rows", "units"].index(axis), 0)
    first, second = noise[lag:].ravel(), noise[:-lag].ravel()
    for a, b in ((first, second), (first**2 - 1, second**2 - 1)):
        assert abs(np.mean(a * b) / (a.std() * b.std())) < 4 / math.sqrt(a.size)
    cells = np.histogram2d(first, second, bins=stats.norm.ppf(np.linspace(0, 1, 9)))[0]
    assert stats.chisquare(cells.ravel()).pvalue > 1e-3


@pytest.mark.parametrize("step", [2.0**-52, 1e-9, 1.0, 2.0**40])
def test_rows_that_hardly_differ_have_independent_noise(step):
    """One bit of one cell, whole numbers, and columns that are exchanged make rows of their own."""
    x = torch.ones(2000, 5, dtype=torch.float64)
    x[:, 2] += step * torch.arange(2000)
    x[:, 4] = 2.0
    noise = row_noise(torch.cat([x, x.flip(1)]), 1, 2, seed=0)[0].numpy()
    assert len(np.unique(noise)) == noise.size
    assert stats.kstest(noise.ravel(), "norm").pvalue > 1e-3
    assert abs(np.corrcoef(noise[:2000, 0], noise[2000:, 0])[0, 1]) < 4 / math.sqrt(2000)


def test_noise_depends_on_the_row_and_the_seed_alone():
    whole = row_noise(ROWS, 6, 3, seed=0)
    order = torch.randperm(500, generator=torch.Generator().manual_seed(0))
    assert torch.equal(row_noise(ROWS[order], 6, 3, seed=0), whole[:, order])
    assert torch.equal(torch.cat([row_noise(part, 6, 3, seed=0) for part in ROWS.split(7)], 1), whole)
    assert torch.equal(torch.cat([row_noise(ROWS, n, 3, 0, first) for n, first in ((4, 0), (2, 4))]), whole)
    assert torch.equal(row_noise(ROWS.float(), 6, 3, seed=0), row_noise(ROWS.float().double(), 6, 3, seed=0))
    assert not (row_noise(ROWS, 6, 3, seed=1) == whole).any()
    assert torch.equal(row_noise(ROWS, 6, 3, seed=-1), row_noise(ROWS, 6, 3, seed=2**64 - 1))


def test_signed_integers_give_the_bits_of_unsigned_ones():
    """A GPU computes with signed integers, and the last bit of its normal quantile may differ."""
    keys, counts, shape = _keys(ROWS, 7), (5, 5 + 6 * 3), (6, 1, 3)
    found = _cuda_bits(counts, torch.from_numpy(keys.view(np.int64).copy()), shape)
    assert np.array_equal(found.numpy(), _bits(counts, keys, shape).view(np.int64))
    if torch.cuda.is_available():
        expected = row_noise(ROWS, 6, 3, seed=7, first_draw=2)
        torch.testing.assert_close(row_noise(ROWS, 6, 3, 7, 2, "cuda").cpu(), expected, rtol=1e-13, atol=1e-13)


def test_equal_rows_have_equal_noise_whatever_their_zeros_and_missing_cells_look_like():
    other_nan = torch.tensor([0x7FF8000000000001], dtype=torch.int64).view(torch.float64)
    x = torch.stack([torch.tensor([0.0, 1.0, torch.nan]), torch.tensor([-0.0, 1.0, torch.nan])]).double()
    x[1, 2] = -other_nan[0]
    noise = row_noise(x, 5, 2, seed=0)
    assert torch.equal(noise[:, 0], noise[:, 1])


def test_the_error_of_a_mean_averages_out_over_rows(monkeypatch):
    """Over 50,000 rows the mean varies between seeds as the mean of independent errors does."""
    rng = np.random.default_rng(0)
    digits = load_digits().data
    X = (digits[rng.integers(0, len(digits), 50_000)] + rng.normal(0, 0.3, (50_000, 64))).astype("f4")
    fields = {"likelihood": Gaussian(scale="shared"), "prior": "standard_normal", "network": MLP((16,), skip=False)}
    steps = {"max_epochs": 2, "batch_size": 500, "learning_rate": 3e-3}
    model = VAE(4, **fields, **steps, n_draws=4, random_state=0).fit(X[:10_000])
    scores = []
    for seed in range(16):
        monkeypatch.setattr(variational, "derive", lambda *_, seed=seed: 1000 + seed)
        scores.append(model.score_samples(X).astype(float))
    spread = np.mean(scores, axis=1).std(ddof=1)
    independent = math.sqrt(np.var(scores, axis=0, ddof=1).sum()) / len(X)
    low, high = np.sqrt(stats.chi2(15).ppf([1e-3, 1 - 1e-3]) / 15)
    assert low < spread / independent < high
