"""Scalings: units, constant features, bounds, and moments merged from chunks."""

import numpy as np
import pytest
import torch

from isthmus.scaling import ColumnMoments, MinMax, Standard
from models import normal


def test_standard_scaling_by_unit():
    units = normal(100, 3) * torch.tensor([1.0, 1.5, 2.0])
    table = normal(100, 3) * torch.tensor([1.0, 100.0, 2000.0])
    weight = torch.ones(100).double()
    for x, per, one_number in [
        (units, "auto", True),
        (table, "auto", False),
        (units, "feature", False),
        (table, "all", True),
    ]:
        scaling = Standard(per)
        scaling.build(3)
        scaling.set_from_data(x, weight)
        scaled = scaling(x)
        torch.testing.assert_close(scaled.mean(0), torch.zeros(3).double())
        variance = scaled.var(0, correction=0)
        assert bool((scaling.scale == scaling.scale[0]).all()) == one_number
        torch.testing.assert_close(
            variance.mean() if one_number else variance, torch.ones_like(variance.mean() if one_number else variance)
        )


@pytest.mark.parametrize("value", [0.1, 1e8 + 0.1, 0.0, -1e-20])
def test_a_constant_feature_is_not_divided_by_0(value):
    x = torch.stack([torch.full((97,), value, dtype=torch.float64), normal(97)], 1)
    scaling = Standard("feature")
    scaling.build(2)
    scaling.set_from_data(x, torch.ones(97).double())
    assert scaling.scale[0] == 1
    assert scaling(x)[:, 0].abs().max() < 1e-6


def test_min_max_bounds():
    weight = torch.ones(2).double()
    for part, x, expected in [
        (MinMax(), [[0.2], [0.7]], [0.2, 0.7]),
        (MinMax(), [[-3.0], [5.0]], [0.0, 1.0]),
        (MinMax(low=0.0, high=10.0), [[0.0], [5.0]], [0.0, 0.5]),
    ]:
        x = torch.tensor(x, dtype=torch.float64)
        part.build(1)
        part.set_from_data(x, weight)
        assert part(x)[:, 0].tolist() == pytest.approx(expected)
    with pytest.raises(ValueError, match="must be greater"):
        MinMax(high=-5.0).set_from_data(x, weight)
    with pytest.raises(ValueError, match="per must be"):
        Standard("column").set_from_data(x, weight)


def test_moments_of_chunks_merge_to_those_of_all_rows():
    """Also if a chunk has no observed cell, or no positive weight, for a feature."""
    x = normal(40, 4) * torch.tensor([1.0, 1e-3, 1e3, 1.0]) + torch.tensor([0.0, 1e3, -5.0, 2.0])
    x[torch.rand(40, 4, generator=torch.Generator().manual_seed(1)) < 0.3] = torch.nan
    x[:10, 0] = torch.nan
    weight = torch.arange(40).double() % 4
    weight[10:20] = 0.0
    whole = ColumnMoments.of(x, weight)
    for size in (1, 7, 10, 39):
        first, *rest = (ColumnMoments.of(a, w) for a, w in zip(x.split(size), weight.split(size), strict=True))
        for part in rest:
            first = first.merge(part)
        for merged, expected in zip(first, whole, strict=True):
            torch.testing.assert_close(merged, expected, rtol=1e-10, atol=0)
    column = x[(weight > 0) & ~x[:, 2].isnan(), 2].numpy()
    share = weight[(weight > 0) & ~x[:, 2].isnan()].numpy()
    assert float(whole.mean[2]) == pytest.approx(np.average(column, weights=share), rel=1e-12)
    assert float(whole.variance[2]) == pytest.approx(np.cov(column, aweights=share, ddof=0), rel=1e-12)
    assert (float(whole.low[2]), float(whole.high[2])) == (column.min(), column.max())


def test_scaling_keeps_the_digits_of_a_large_offset():
    x = 1e8 + normal(50, 1)
    scaling = Standard("feature")
    scaling.build(1)
    scaling.set_from_data(x, torch.ones(50).double())
    assert scaling.float()(x).std() == pytest.approx(1.0, rel=0.02)
