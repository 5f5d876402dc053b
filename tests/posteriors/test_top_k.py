"""The posteriors that keep the largest units."""

import numpy as np
import pytest
import torch

from isthmus.posteriors import BatchTopK, TopK
from models import normal

N, K = 40, 12
ONES = torch.ones(N).double()


def built(part):
    part.build(K)
    return part.double()


def test_top_k_keeps_exactly_k():
    code = built(TopK(k=2))(normal(100, K)).mean
    assert ((code != 0).sum(1) == 2).all()


def test_batch_top_k_keeps_the_largest_of_the_whole_batch():
    h = normal(N, K)
    code = built(BatchTopK(k=3)).of_batch(h, ONES).mean
    largest = np.sort(h.numpy().ravel())[-3 * N :]
    np.testing.assert_array_equal(np.sort(code[code != 0].numpy()), largest)
    assert (code != 0).sum(1).unique().numel() > 1  # some samples have more active units than others


def test_batch_top_k_keeps_positive_units_only():
    q = built(BatchTopK(k=10))
    h = normal(N, K)
    torch.testing.assert_close(q.of_batch(h, ONES).mean, h.relu())
    assert q.threshold == 0


def test_the_threshold_gives_k_units_on_average():
    q = built(BatchTopK(k=3))
    for seed in range(50):
        q.of_batch(normal(N, K, seed=seed), ONES)
    active = (q(normal(10_000, K, seed=99)).mean != 0).sum(1).double().mean()
    assert active == pytest.approx(3, abs=0.1)


def test_a_code_depends_on_its_sample_alone():
    q = built(BatchTopK(k=3))
    q.of_batch(normal(N, K), ONES)
    h = normal(N, K, seed=1)
    codes = q(h).mean
    assert torch.equal(torch.cat([q(row).mean for row in h.split(1)]), codes)
    assert torch.equal(codes[codes != 0], h[codes != 0])


@pytest.mark.parametrize("part", [TopK(k=3), BatchTopK(k=3)], ids=repr)
def test_padding_does_not_count(part):
    h = normal(N, K)
    padded = torch.cat([h[:30], 100 * h[30:].abs()])
    weight = torch.cat([torch.ones(30), torch.zeros(10)]).double()
    q, alone = built(part.clone()), built(part.clone())
    codes = q.of_batch(padded, weight).mean[:30]
    torch.testing.assert_close(codes, alone.of_batch(h[:30], torch.ones(30).double()).mean)
    assert torch.equal(q.idle, alone.idle)
    if isinstance(part, BatchTopK):
        assert q.threshold == alone.threshold


def test_a_weight_counts_as_copies():
    h, weight = normal(N, K), torch.arange(N).remainder(4).double()
    copies = h.repeat_interleave(weight.long(), dim=0)
    q, of_copies = built(BatchTopK(k=3)), built(BatchTopK(k=3))
    codes = q.of_batch(h, weight).mean
    expected = of_copies.of_batch(copies, torch.ones(len(copies)).double()).mean
    torch.testing.assert_close(codes.repeat_interleave(weight.long(), dim=0), expected)
    assert q.threshold == of_copies.threshold


@pytest.mark.parametrize("part", [TopK(k=3), BatchTopK(k=3)], ids=repr)
def test_idle_samples_are_counted(part):
    q = built(part.clone())
    h = normal(N, K)
    h[:, 5] = -9
    for _ in range(4):
        q.of_batch(h, ONES)
    idle = q.idle
    assert idle[5] == 4 * N
    assert (idle == 0).sum() == K - 1
    assert q.idleness[5] == N  # the average unit was active for N of 4 N samples, 3 units of 12 each time
    h[0, 5] = 9
    q.of_batch(h, ONES)
    assert idle[5] == 0
