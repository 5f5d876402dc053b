"""The partition of rows into batches and parts: every row once per epoch, whoever computes it."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus._batch import Batch
from isthmus.data.loaders import BatchPartition, InMemoryLoader

quick = settings(max_examples=150, deadline=None)
PARTITIONS = {
    "n_rows": st.integers(1, 60),
    "batch_size": st.integers(1, 70),
    "world": st.integers(1, 5),
    "per_process": st.integers(1, 4),
}


def partitions(n_rows, batch_size, world, per_process):
    """Return the partition of each process."""
    return [BatchPartition(n_rows, batch_size, (rank, world), per_process) for rank in range(world)]


@quick
@given(**PARTITIONS)
def test_batches_are_of_one_size_and_hold_all_rows(n_rows, batch_size, world, per_process):
    for one in partitions(n_rows, batch_size, world, per_process):
        assert one.batch_size <= batch_size
        assert (one.n_batches - 1) * one.batch_size < n_rows <= one.n_batches * one.batch_size
        assert (one.n_parts - 1) * one.part_size < one.batch_size + one.n_parts
        assert one.n_parts * one.part_size >= one.batch_size
        assert len(one) == one.n_batches


@quick
@given(**PARTITIONS)
def test_parts_of_all_processes_follow_one_another_in_a_batch(n_rows, batch_size, world, per_process):
    every = partitions(n_rows, batch_size, world, per_process)
    assert [part for one in every for part in one.parts] == list(range(world * per_process))
    positions = [position for one in every for position in range(one.own.start, one.own.stop)]
    assert positions == list(range(every[0].n_parts * every[0].part_size))


@quick
@given(**PARTITIONS)
def test_shares_and_batches_are_divided_equally(n_rows, batch_size, world, per_process):
    one = BatchPartition(n_rows, batch_size, (0, world), per_process)
    parts = range(one.n_parts)
    starts = [one.part_start(part) for part in (*parts, one.n_parts)]
    assert (starts[0], starts[-1]) == (0, n_rows)
    for batch in range(one.n_batches + 1):
        assert sum(one.rows_before(part, batch) for part in parts) == min(batch * one.batch_size, n_rows)
    for batch in range(one.n_batches):
        sizes = [one.rows_before(part, batch + 1) - one.rows_before(part, batch) for part in parts]
        assert max(sizes) - min(sizes) <= 1
        assert 0 <= min(sizes) <= max(sizes) <= one.part_size
    for part in parts:
        assert one.rows_before(part, one.n_batches) == starts[part + 1] - starts[part], "a share is what batches use"


@quick
@given(**PARTITIONS)
def test_row_indices_of_all_processes_are_all_rows_once(n_rows, batch_size, world, per_process):
    counted = []
    for one in partitions(n_rows, batch_size, world, per_process):
        indices, counts = one.row_indices()
        assert len(indices) == one.n_batches * per_process * one.part_size
        assert ((indices >= 0) & (indices < n_rows)).all()
        own = indices[counts]
        if len(own):
            assert sorted(own.tolist()) == list(range(own.min(), own.max() + 1)), "a process reads consecutive rows"
            assert ((indices >= own.min()) & (indices <= own.max())).all(), "and pads with one of them"
        counted += own.tolist()
    assert sorted(counted) == list(range(n_rows))


def loaders(n_rows, batch_size, world, per_process):
    rows = Batch(torch.arange(float(n_rows))[:, None], torch.ones(n_rows), torch.arange(n_rows)[:, None])
    return [InMemoryLoader(rows, batch_size, (rank, world), per_process) for rank in range(world)]


@quick
@given(**PARTITIONS, seed=st.integers(0, 2**40))
def test_parts_of_all_processes_are_the_batch(n_rows, batch_size, world, per_process, seed):
    (whole,) = loaders(n_rows, batch_size, 1, 1)
    split = loaders(n_rows, batch_size, world, per_process)
    seen = []
    for batch, *parts in zip(whole.shuffled(seed), *(loader.shuffled(seed) for loader in split), strict=True):
        assert len({part.x.shape for part in parts}) == 1, "one shape for all"
        assert len(parts[0].x) % per_process == 0
        weight = torch.cat([part.weight for part in parts])
        assert torch.equal(torch.cat([part.x for part in parts])[weight == 1], batch.x[batch.weight == 1])
        assert set(weight.tolist()) <= {0.0, 1.0}, "padding has weight 0"
        seen += batch.x[batch.weight == 1].flatten().tolist()
        assert all(torch.equal(part.x, part.c.float()) for part in parts), "fields stay together"
    assert sorted(seen) == list(range(n_rows)), "every row exactly once per epoch"


@quick
@given(**PARTITIONS, seed=st.integers(0, 2**40), start=st.integers(0, 70))
def test_a_resumed_epoch_is_the_end_of_the_whole_one(n_rows, batch_size, world, per_process, seed, start):
    for loader in loaders(n_rows, batch_size, world, per_process):
        whole, resumed = list(loader.shuffled(seed))[start:], list(loader.shuffled(seed, start))
        assert len(whole) == len(resumed)
        for a, b in zip(whole, resumed, strict=True):
            assert torch.equal(a.x, b.x)
            assert torch.equal(a.weight, b.weight)


def test_the_weights_of_the_rows_are_not_changed_by_padding():
    rows = Batch(torch.zeros(3, 1), torch.full((3,), 2.0))
    assert [batch.weight.tolist() for batch in InMemoryLoader(rows, 2)] == [[2.0, 2.0], [2.0, 0.0]]
    assert rows.weight.tolist() == [2.0] * 3
