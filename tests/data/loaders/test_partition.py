"""The division of rows into batches, and of batches into parts: every row counts exactly once, whatever the sizes."""

import itertools

import torch
from hypothesis import given
from hypothesis import strategies as st

from isthmus._batch import Batch
from isthmus.data.loaders import BatchPartition, InMemoryLoader

SIZES = st.tuples(st.integers(1, 60), st.integers(1, 70), st.integers(1, 4), st.integers(1, 3))


def in_every_process(make, n_rows, batch_size, n_processes, multiple):
    return [make(n_rows, batch_size, (rank, n_processes), multiple) for rank in range(n_processes)]


@given(SIZES)
def test_batches_are_equal_and_hold_all_rows(sizes):
    n_rows, batch_size, *_ = sizes
    for partition in in_every_process(BatchPartition, *sizes):
        assert partition.batch_size <= batch_size
        assert (len(partition) - 1) * partition.batch_size < n_rows <= len(partition) * partition.batch_size
        assert partition.n_parts * partition.part_size >= partition.batch_size


@given(SIZES)
def test_shares_are_consecutive_and_equal_to_within_one_row(sizes):
    partition = BatchPartition(*sizes[:2], (0, sizes[2]), sizes[3])
    starts = [partition.part_start(part) for part in range(partition.n_parts + 1)]
    assert (starts[0], starts[-1]) == (0, sizes[0])
    shares = [end - start for start, end in itertools.pairwise(starts)]
    assert max(shares) - min(shares) <= 1
    assert shares == [partition.rows_before(part, len(partition)) for part in range(partition.n_parts)]


@given(SIZES)
def test_parts_of_a_batch_are_equal_to_within_one_row(sizes):
    partition = BatchPartition(*sizes[:2], (0, sizes[2]), sizes[3])
    before = torch.tensor(
        [
            [partition.rows_before(part, batch) for part in range(partition.n_parts)]
            for batch in range(len(partition) + 1)
        ]
    )
    counts = before.diff(dim=0)
    assert (counts.amax(1) - counts.amin(1)).max() <= 1
    assert 0 <= counts.min() <= counts.max() <= partition.part_size
    whole = [min(partition.batch_size, sizes[0] - batch * partition.batch_size) for batch in range(len(partition))]
    assert counts.sum(1).tolist() == whole


@given(SIZES)
def test_row_indices_of_all_processes_are_all_rows_once(sizes):
    counted = []
    for partition in in_every_process(BatchPartition, *sizes):
        indices, counts = partition.row_indices()
        assert len(indices) == len(counts) == len(partition) * len(partition.parts) * partition.part_size
        low, high = (partition.part_start(end) for end in (partition.parts.start, partition.parts.stop))
        assert ((indices >= low) & (indices < max(high, low + 1)) | ~counts).all(), "no rows of other processes"
        assert indices.max() < sizes[0]
        counted += indices[counts].tolist()
    assert sorted(counted) == list(range(sizes[0]))


@given(SIZES, st.integers(0, 9))
def test_the_batches_of_all_processes_are_those_of_one(sizes, seed):
    n_rows, batch_size, *_ = sizes
    rows = Batch(torch.arange(n_rows).double()[:, None], torch.ones(n_rows).double())
    alone = list(InMemoryLoader(rows, batch_size).shuffled(seed))
    loaders = in_every_process(lambda _, *how: InMemoryLoader(rows, *how), *sizes)
    together = [list(loader.shuffled(seed)) for loader in loaders]
    for whole, *parts in zip(alone, *together, strict=True):
        assert len({part.x.shape for part in parts}) == 1
        drawn = [batch.x[batch.weight > 0, 0].tolist() for batch in (whole, *parts)]
        assert drawn[0] == [*itertools.chain(*drawn[1:])]
    assert sorted(torch.cat([batch.x[batch.weight > 0, 0] for batch in alone]).tolist()) == list(range(n_rows))
