"""Corruptions: how often they change a cell, by how much, and the mask that they return."""

import torch
from scipy.stats import kstest

from isthmus._random import seeded
from isthmus.corruptions import GaussianNoise, Masking, SaltAndPepper, UniformNoise, VaryingNoise
from models import normal


def test_corruptions_have_their_distributions():
    x = 1 + normal(400, 50).abs()
    for part in (Masking(0.3), SaltAndPepper(0.3)):
        part.build(x)
        with seeded(0):
            changed = part(x) != x
        # 20,000 cells, a standard error of 0.0032; an extreme cell may be replaced by itself
        assert abs(float(changed.double().mean()) - 0.3) < 0.016
    with seeded(0):
        corrupted = part(x)
    low, high = (corrupted == x.amin(0)) & changed, (corrupted == x.amax(0)) & changed
    assert ((corrupted == x) | low | high).all()
    assert abs(float(low.sum() / (low | high).sum()) - 0.5) < 0.035
    noise = GaussianNoise(0.5)
    noise.build(x)
    with seeded(0):
        added = noise(x) - x
    assert abs(float(added.std()) - 0.5) < 0.0125
    assert abs(float(added.mean())) < 0.0178
    with seeded(0):
        added = UniformNoise(0.5)(x) - x
    assert kstest(added.flatten().numpy(), "uniform", (-0.5, 1.0)).pvalue > 1e-3


def test_the_level_of_varying_noise_is_uniform_over_samples():
    x = 1 + normal(400, 2000)
    with seeded(0):
        added = VaryingNoise(0.5)(x) - x
    assert kstest(added.std(1).numpy(), "uniform", (0.0, 0.5)).pvalue > 1e-3
    assert abs(float(added.mean())) < 0.002


def test_corruptions_of_probability_0_and_1():
    x = normal(20, 4)
    for part, expected in [(Masking(0.0), x), (Masking(1.0), 0 * x), (SaltAndPepper(0.0), x), (UniformNoise(0.0), x)]:
        part.build(x)
        assert torch.equal(part(x), expected)


def test_input_mask_is_1_where_cells_were_kept():
    x = 1 + normal(400, 50).abs()  # no cell is 0 by itself
    for part in (Masking(0.3), Masking(0.3, input_mask=True)):
        with seeded(0):
            row, kept = part.corrupt(x)
        assert part.input_mask == (kept is not None)
    assert torch.equal(kept, (row != 0).to(x.dtype))
    assert torch.equal(row, x * kept)
    with seeded(0):
        assert torch.equal(row, Masking(0.3)(x))  # the draws do not depend on input_mask
