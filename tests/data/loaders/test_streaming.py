"""Streaming: every row once per epoch, in an order that the seed determines, and no thread is left behind."""

import threading
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus._batch import Batch
from isthmus.data.loaders import InMemoryLoader, StreamingLoader
from isthmus.data.sources import ArrayRows, RowSource

N, D = 101, 2
X = np.stack([np.arange(N), np.arange(N) % 7], axis=1).astype(np.float32)


class Blocks(RowSource):
    """Rows in blocks of uneven size, and records what was read, and in which thread."""

    def __init__(self, sizes=(7, 1, 20, 13, 30, 5, 25), fail_at=None):
        super().__init__(N, D, "f4")
        self.sizes, self.fail_at, self.seen, self.threads = sizes, fail_at, [], set()

    def edges(self):
        return np.concatenate([[0], np.cumsum(self.sizes)])

    def read(self, start, stop):
        self.seen.append((start, stop))
        self.threads.add(threading.current_thread())
        if self.fail_at is not None and start <= self.fail_at < stop:
            raise OSError(5, "the disk is on fire")
        return X[start:stop]


def stream(batch_size=10, pool_rows=30, source=None, **more):
    def batch(x, rows):
        assert torch.equal(x[:, 0].long(), rows), "numbers belong to their rows"
        return Batch(x, torch.ones(len(x)))

    return StreamingLoader(source or Blocks(), batch_size, batch, pool_bytes=pool_rows * D * 4, **more)


def rows_of(batches):
    """Return the numbers of the rows that count, in their order."""
    return torch.cat([batch.x[batch.weight > 0, 0] for batch in batches]).long().tolist()


def waited():
    """Return whether no thread that reads ahead is left, soon."""
    end = time.monotonic() + 5
    while any(t.name == "isthmus-prefetch" for t in threading.enumerate()):
        if time.monotonic() > end:
            return False
        time.sleep(0.001)
    return True


@pytest.mark.parametrize("batch_size", [1, 7, 10, 31, 64, 101, 1000])
@pytest.mark.parametrize("pool_rows", [1, 30, 64, 10_000])
def test_every_row_exactly_once_in_batches_of_one_size(batch_size, pool_rows):
    source = stream(batch_size, pool_rows)
    for batches in (list(source), list(source.shuffled(3))):
        assert len(batches) == len(source) == len(InMemoryLoader(Batch(torch.zeros(N, 1), torch.ones(N)), batch_size))
        assert {len(batch.x) for batch in batches} == {source.partition.batch_size}
        assert sorted(rows_of(batches)) == list(range(N))
        assert all((batch.weight == 1).all() for batch in batches[:-1]), "only the last is padded"
    assert rows_of(source) == list(range(N)), "in their own order outside training"
    assert waited()


def test_the_seed_determines_the_order():
    source = stream()
    first, again, other = (rows_of(source.shuffled(seed)) for seed in (5, 5, 6))
    assert first == again
    assert first != other
    assert first != sorted(first)


@pytest.mark.parametrize("pool_rows", [1, 30, 10_000])
def test_a_resumed_epoch_is_the_end_of_the_whole_one_and_reads_no_more(pool_rows):
    whole = list(stream(pool_rows=pool_rows).shuffled(5))
    for start in range(len(whole) + 2):
        source = Blocks()
        tail = list(stream(pool_rows=pool_rows, source=source).shuffled(5, start))
        assert len(tail) == max(0, len(whole) - start)
        for a, b in zip(tail, whole[start:], strict=True):
            assert torch.equal(a.x, b.x)
            assert torch.equal(a.weight, b.weight)
    if pool_rows < N:
        assert len(source.seen) == 0, "pools before the start are not read"


def test_blocks_are_mixed_across_and_within():
    order = rows_of(stream(pool_rows=60).shuffled(0))
    block = np.searchsorted(Blocks().edges(), order, side="right")
    assert len(np.unique(block[:30])) > 1, "a pool has rows of several blocks"
    assert (np.diff(block) != 0).sum() > 20, "which do not follow one another"
    assert (np.diff(order) == 1).mean() < 0.2


def test_a_pool_that_holds_everything_is_a_fair_permutation():
    """Each row is as often in the first batch as any other: chi-square of 100 degrees below its 99.9 % point."""
    source = stream(pool_rows=10_000)
    counts = np.zeros(N)
    for seed in range(2000):
        counts[next(iter(source.shuffled(seed))).x[:, 0].long().numpy()] += 1
    expected = 2000 * source.partition.batch_size / N
    assert ((counts - expected) ** 2 / expected).sum() / (1 - source.partition.batch_size / N) < 149.5


def test_only_kept_rows_are_used():
    keep = np.random.default_rng(0).random(N) < 0.6
    keep[8:28] = False  # a whole block
    source = stream(keep=keep, source=(blocks := Blocks()))
    assert source.n_rows == keep.sum()
    assert sorted(rows_of(source.shuffled(1))) == rows_of(source) == np.flatnonzero(keep).tolist()
    assert (8, 28) not in blocks.seen, "a block without rows is not read"
    assert rows_of(list(source.shuffled(1))[3:]) == rows_of(source.shuffled(1, 3))


def parts(world, per_process, sources=None, start=0, **more):
    """Return the batches of each process."""
    sources = sources or [Blocks() for _ in range(world)]
    return [
        list(stream(process=(rank, world), parts_per_process=per_process, source=source, **more).shuffled(1, start))
        for rank, source in enumerate(sources)
    ]


CUTS = [(2, 1), (2, 2), (3, 1), (1, 4), (7, 1)]
KEEP = np.random.default_rng(0).random(N) < 0.6


@pytest.mark.parametrize("keep", [None, KEEP], ids=["all", "kept"])
@pytest.mark.parametrize("pool_rows", [1, 30, 10_000])
@pytest.mark.parametrize(("world", "per_process"), CUTS)
def test_parts_of_processes_make_the_batches_of_one(world, per_process, pool_rows, keep):
    """Whoever computes them: the batches of so many parts are the same rows at the same places."""
    fields = {"batch_size": 25, "pool_rows": pool_rows, "keep": keep}
    (whole,) = parts(1, world * per_process, **fields)
    split = parts(world, per_process, **fields)
    assert sorted(rows_of(whole)) == (np.arange(N) if keep is None else np.flatnonzero(keep)).tolist()
    assert {int((batch.weight > 0).sum()) for batch in whole[:-1]} == {stream(**fields).partition.batch_size}, (
        "no larger, and full"
    )
    for batch, *own in zip(whole, *split, strict=True):
        assert len({len(part.x) for part in own}) == 1
        assert len(own[0].x) % per_process == 0
        assert torch.equal(batch.x, torch.cat([part.x for part in own]))
        assert torch.equal(batch.weight, torch.cat([part.weight for part in own]))
        rows = [int((part.weight > 0).sum()) for one in own for part in one.split(per_process)]
        assert max(rows) - min(rows) <= 1, "every part has its share of every batch"
    assert waited()


@pytest.mark.parametrize(("world", "per_process"), CUTS)
def test_a_process_reads_only_its_own_rows(world, per_process):
    sources = [Blocks() for _ in range(world)]
    batches = parts(world, per_process, sources)
    shares = [np.concatenate([np.arange(*span) for span in source.seen]) for source in sources]
    assert sorted(np.concatenate(shares)) == list(range(N)), "no row is read twice, by one process or by two"
    assert max(map(len, shares)) - min(map(len, shares)) <= per_process
    for own, share in zip(batches, shares, strict=True):
        assert sorted(rows_of(own)) == sorted(share)


@pytest.mark.parametrize(("world", "per_process"), CUTS)
def test_a_resumed_part_is_the_end_of_the_whole_one(world, per_process):
    whole = parts(world, per_process, batch_size=8)
    for start in (1, 5, 12, 13, 20):
        sources = [Blocks() for _ in range(world)]
        for own, tail in zip(whole, parts(world, per_process, sources, start, batch_size=8), strict=True):
            assert len(tail) == len(own[start:])
            for a, b in zip(tail, own[start:], strict=True):
                assert torch.equal(a.weight, b.weight)
                assert rows_of([a]) == rows_of([b])
    assert not any(source.seen for source in sources)


def test_more_parts_than_rows_of_a_batch():
    """Parts without a row compute one that does not count."""
    (whole,) = parts(1, 8, batch_size=3)
    assert sorted(rows_of(whole)) == list(range(N))
    assert {len(batch.x) for batch in whole} == {8}
    keep = np.arange(N) == 70
    assert [rows_of(own) for own in parts(3, 1, keep=keep)] == [[70], [], []]


def test_reads_of_several_parts_do_not_overlap():
    class Careful(Blocks):
        busy = False

        def read(self, start, stop):
            assert not self.busy, "one call at a time"
            self.busy = True
            time.sleep(0.001)
            self.busy = False
            return super().read(start, stop)

    assert len(rows_of(parts(1, 4, [Careful()], pool_rows=10)[0])) == N


def test_rows_are_read_in_the_background():
    source = Blocks()
    rows_of(stream(source=source).shuffled(0))
    assert threading.main_thread() not in source.threads


def test_an_error_of_the_source_reaches_the_caller():
    with pytest.raises(OSError, match="the disk is on fire"):
        list(stream(source=Blocks(fail_at=50)).shuffled(0))
    assert waited()


def test_no_thread_outlives_its_iterator():
    batches = stream(pool_rows=1).shuffled(0)
    next(batches)
    batches.close()
    assert waited()
    kept = stream(pool_rows=1).shuffled(0)  # and even where it is never closed, no thread waits for it
    next(kept)
    assert waited()


def test_memory_is_two_pools():
    """Rows of 64 MB through pools of 1 MB: at no time are more than a few of those held."""
    import tracemalloc

    class Zeros(RowSource):
        def read(self, start, stop):
            return np.zeros((stop - start, 100), dtype=np.float32)

    source = StreamingLoader(
        Zeros(160_000, 100, "f4"), 100, lambda x, rows: Batch(x, torch.ones(len(rows))), pool_bytes=1 << 20
    )
    tracemalloc.start()
    for _ in source.shuffled(0):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20


def test_streaming_an_array_in_order_gives_the_batches_of_the_array():
    source = StreamingLoader(ArrayRows(X), 10, lambda x, rows: Batch(x, torch.ones(len(rows))))
    resident = InMemoryLoader(Batch(torch.from_numpy(X), torch.ones(N)), 10)
    for a, b in list(zip(source, resident, strict=True))[:-1]:
        assert torch.equal(a.x, b.x)


@settings(max_examples=60, deadline=None)
@given(
    keep=st.none() | st.lists(st.booleans(), min_size=N, max_size=N).map(np.array).filter(np.any),
    batch_size=st.integers(1, 120),
    pool_rows=st.integers(1, 150),
    world=st.integers(1, 4),
    per_process=st.integers(1, 3),
    seed=st.integers(0, 2**40),
    start=st.integers(0, 20),
)
def test_any_partition_has_every_row_once_and_resumes(keep, batch_size, pool_rows, world, per_process, seed, start):
    fields = {"batch_size": batch_size, "pool_rows": pool_rows, "keep": keep, "parts_per_process": per_process}
    seen = []
    for rank in range(world):
        loader = stream(process=(rank, world), **fields)
        whole = list(loader.shuffled(seed))
        assert len({batch.x.shape for batch in whole}) == 1
        assert [rows_of([b]) for b in whole[start:]] == [rows_of([b]) for b in loader.shuffled(seed, start)]
        seen += rows_of(whole) if whole else []
    assert sorted(seen) == (list(range(N)) if keep is None else np.flatnonzero(keep).tolist())
