"""One item is computed ahead, in a thread that ends with it."""

import time

import pytest

from isthmus.data.loaders import prefetch


def test_prefetch_is_one_ahead_and_no_more():
    made = []

    def make(i):
        made.append(i)
        return i

    values = prefetch(make, range(5))
    assert made == []
    assert next(values) == 0
    time.sleep(0.05)
    assert made == [0, 1]
    assert list(values) == [1, 2, 3, 4]
    assert list(prefetch(make, [])) == []
    with pytest.raises(ZeroDivisionError):
        list(prefetch(lambda i: 1 // i, [1, 0]))
