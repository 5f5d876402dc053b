"""What holds for any input: merging of moments, mixed likelihoods, and the JSON of parts."""

import json

import hypothesis.extra.numpy as arrays
import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from isthmus import serialization
from isthmus._part import find_parts
from isthmus._random import seeded
from isthmus.corruptions import GaussianNoise, Masking
from isthmus.likelihoods import Bernoulli, Gaussian, Mixed, Poisson, StudentT
from isthmus.networks import MLP
from isthmus.penalties import KL, Warmup
from isthmus.scaling import ColumnMoments, MinMax, PerColumn, Standard
from models import normal

# ---- moments of chunks ----------------------------------------------------------------------------------------------

CELLS = st.floats(-1e6, 1e6) | st.just(np.nan)
N_FEATURES = 3


@st.composite
def weighted_rows(draw):
    """Return rows with missing cells, and their weights, some of them 0."""
    n = draw(st.integers(1, 12))
    x = draw(arrays.arrays(np.float64, (n, N_FEATURES), elements=CELLS))
    weight = draw(arrays.arrays(np.float64, n, elements=st.sampled_from([0.0, 0.5, 1.0, 3.0])))
    return torch.from_numpy(x), torch.from_numpy(weight)


def close(a, b):
    for first, second in zip(a, b, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-9, atol=1e-6)


@given(weighted_rows(), weighted_rows())
def test_merged_moments_are_those_of_all_rows(first, second):
    whole = ColumnMoments.of(torch.cat([first[0], second[0]]), torch.cat([first[1], second[1]]))
    close(ColumnMoments.of(*first).merge(ColumnMoments.of(*second)), whole)


@given(weighted_rows(), weighted_rows(), weighted_rows())
def test_merging_of_moments_is_associative_and_commutative(a, b, c):
    a, b, c = (ColumnMoments.of(*rows) for rows in (a, b, c))
    close(a.merge(b).merge(c), a.merge(b.merge(c)))
    close(a.merge(b), b.merge(a))


@given(weighted_rows())
def test_moments_are_numpys(rows):
    x, weight = (tensor.numpy() for tensor in rows)
    moments = ColumnMoments.of(*rows)
    for d in range(N_FEATURES):
        counted = ~np.isnan(x[:, d]) & (weight > 0)
        values, w = x[counted, d], weight[counted]
        assert float(moments.weight[d]) == w.sum()
        if counted.any():
            mean = np.average(values, weights=w)
            assert np.isclose(float(moments.mean[d]), mean, rtol=1e-9, atol=1e-6)
            assert np.isclose(float(moments.variance[d]), np.average((values - mean) ** 2, weights=w), atol=1e-3)
            assert (float(moments.low[d]), float(moments.high[d])) == (values.min(), values.max())


# ---- mixed likelihoods ----------------------------------------------------------------------------------------------

KINDS = [Gaussian(0.5), StudentT(), Bernoulli(), Poisson()]


def built(kinds, order):
    """Return a mixed likelihood of features in some order, whose groups are made of equal kinds."""
    p = Mixed.by_column([KINDS[kinds[i]] for i in order])
    p.build(len(kinds))
    return p


def outputs_for(p, h):
    """Return decoder outputs for a mixed likelihood from one number for each feature, in its own order."""
    return torch.cat([h[..., list(group)] for group in p.columns], -1)


MIXTURES = st.lists(st.integers(0, len(KINDS) - 1), min_size=1, max_size=6)


@given(MIXTURES, st.randoms(use_true_random=False), st.integers(0, 100))
def test_a_mixed_likelihood_is_the_sum_of_its_columns(kinds, random, seed):
    n = len(kinds)
    p = built(kinds, range(n))
    h, x = normal(4, n, seed=seed), normal(4, n, seed=seed + 1).abs().round().clamp(max=1.0)
    mask = torch.tensor([[float(random.random() < 0.7) for _ in range(n)] for _ in range(4)]).double()
    cells = []
    for d, kind in enumerate(kinds):
        part = KINDS[kind].clone()
        part.build(1)
        cells.append(part.log_prob(h[:, [d]], x[:, [d]])[:, 0])
    expected = torch.stack(cells, -1)
    outputs = outputs_for(p, h)
    torch.testing.assert_close(p.log_prob(outputs, x), expected)
    torch.testing.assert_close(p.row_log_prob(outputs, x), expected.sum(-1))
    torch.testing.assert_close(p.row_log_prob(outputs, x, mask), (expected * mask).sum(-1))


@given(MIXTURES, st.randoms(use_true_random=False), st.integers(0, 100))
def test_permuted_columns_are_the_same_mixed_likelihood(kinds, random, seed):
    n = len(kinds)
    order = random.sample(range(n), n)
    p, permuted = built(kinds, range(n)), built(kinds, order)
    h, x = normal(4, n, seed=seed), normal(4, n, seed=seed + 1).abs().round().clamp(max=1.0)
    ours, theirs = outputs_for(p, h), outputs_for(permuted, h[:, order])
    torch.testing.assert_close(permuted.log_prob(theirs, x[:, order]), p.log_prob(ours, x)[:, order])
    torch.testing.assert_close(permuted.mean(theirs), p.mean(ours)[:, order])
    torch.testing.assert_close(permuted.row_log_prob(theirs, x[:, order]), p.row_log_prob(ours, x))
    assert torch.equal(permuted.density_columns(), p.density_columns()[order])
    with seeded(0):
        drawn = permuted.sample(theirs)
    assert permuted.supports(drawn).all()


# ---- descriptions ---------------------------------------------------------------------------------------------------

NUMBERS = st.floats(1e-3, 1e3) | st.integers(1, 1000)
SCALES = NUMBERS | st.sampled_from(["shared", "feature", "decoder"])
WIDTHS = st.lists(st.integers(1, 64), max_size=4).map(tuple)
LIKELIHOODS = (
    st.builds(Gaussian, SCALES, NUMBERS) | st.builds(StudentT, scale=SCALES, df=NUMBERS) | st.just(Bernoulli())
)
SCALINGS = st.builds(Standard, st.sampled_from(["auto", "feature", "all"])) | st.builds(
    MinMax, st.none() | NUMBERS, st.floats(allow_nan=False)
)
PARTS = st.one_of(
    LIKELIHOODS,
    SCALINGS,
    st.builds(GaussianNoise, NUMBERS),
    st.builds(Masking, st.floats(0, 1), st.booleans()),
    st.builds(MLP, WIDTHS, st.text(max_size=8), st.booleans()),
    st.builds(KL, NUMBERS | st.builds(Warmup, NUMBERS, st.floats(0, 1)), NUMBERS),
    st.lists(LIKELIHOODS, min_size=1, max_size=5).map(Mixed.by_column),
    st.lists(SCALINGS | st.sampled_from(sorted(find_parts("scaling"))), min_size=1, max_size=4).map(
        lambda scalings: PerColumn(tuple(scalings), tuple((i,) for i in range(len(scalings))))
    ),
)


@given(PARTS)
def test_json_gives_a_part_back(part):
    again = serialization.decode(json.loads(json.dumps(serialization.encode(part), allow_nan=False)))
    assert again == part
    assert repr(again) == repr(part)
    assert again is not part


@given(PARTS)
def test_a_clone_and_its_parameters_describe_the_same_part(part):
    assert part.clone() == part
    assert part.clone().set_params(**part.get_params(deep=False)) == part
    assert type(part)(**part.get_params(deep=False)) == part
