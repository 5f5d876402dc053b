"""Spans of a source: which rows a part reads, compared with lists of all rows."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.data.loaders.spans import BlockRows, skip_rows, split_into_pools

quick = settings(max_examples=200, deadline=None)


@st.composite
def shares(draw):
    """Return block rows, an order of the blocks that have used rows, and where a share starts and stops."""
    sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=8))
    edges = np.concatenate([[0], np.cumsum(sizes)])
    keep = draw(st.none() | st.lists(st.booleans(), min_size=sum(sizes), max_size=sum(sizes)).map(np.array))
    rows = BlockRows(edges, keep)
    blocks = np.array(draw(st.permutations(np.flatnonzero(rows.counts).tolist())), dtype=np.int64)
    total = int(rows.counts.sum())
    start = draw(st.integers(0, total))
    return rows, blocks, start, draw(st.integers(start, total))


def used_rows(rows, spans):
    """Return the used rows of spans one after the other."""
    inside = [row for start, stop, _ in spans.tolist() for row in range(start, stop)]
    return [row for row in inside if rows.keep is None or rows.keep[row]]


@quick
@given(share=shares())
def test_spans_hold_the_rows_of_the_share_and_no_others(share):
    rows, blocks, start, stop = share
    every = used_rows(rows, np.stack([rows.edges[blocks], rows.edges[blocks + 1], rows.counts[blocks]], axis=1))
    spans = rows.spans(blocks, start, stop)
    assert used_rows(rows, spans) == every[start:stop]
    assert [len(used_rows(rows, span[None])) for span in spans] == spans[:, 2].tolist()


@quick
@given(share=shares(), cut=st.integers(0, 50))
def test_two_shares_read_no_row_twice(share, cut):
    rows, blocks, start, stop = share
    middle = min(max(start, cut), stop)
    parts = rows.spans(blocks, start, middle), rows.spans(blocks, middle, stop)
    read = [row for spans in parts for first, last, _ in spans.tolist() for row in range(first, last)]
    assert len(read) == len(set(read))


@quick
@given(share=shares(), pool_rows=st.integers(1, 20), data=st.data())
def test_pools_are_the_spans_in_order(share, pool_rows, data):
    rows, blocks, start, stop = share
    spans = rows.spans(blocks, start, stop)
    pools = split_into_pools(spans, pool_rows)
    joined = np.concatenate(pools)
    np.testing.assert_array_equal(joined[np.lexsort(joined.T)], spans[np.lexsort(spans.T)])
    for pool in pools:
        assert (np.diff(pool[:, 0]) > 0).all(), "a disk reads a pool in order"
        sizes = pool[:, 1] - pool[:, 0]
        assert len(pool) <= 1 or sizes.sum() - sizes.max() < 2 * pool_rows
    n = data.draw(st.integers(0, stop - start))
    pool, skipped = skip_rows(pools, n)
    assert sum(int(p[:, 2].sum()) for p in pools[:pool]) + skipped == n
    assert pool == len(pools) or skipped < max(1, pools[pool][:, 2].sum())
