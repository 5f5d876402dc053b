"""Chunks of rows that are halved where memory does not suffice."""

import pytest

from isthmus._chunks import halved_if_needed, is_out_of_memory

TORCH = "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError(TORCH), RuntimeError("CUDA out of memory.")])
def test_rows_are_halved_until_they_fit(error):
    def function(rows):
        if rows.stop - rows.start > 3:
            raise error
        return rows

    with pytest.warns(RuntimeWarning, match="not enough memory for .* rows at once: they are computed in halves"):
        parts = list(halved_if_needed(function, slice(1, 12)))
    assert all(part == result for part, result in parts)
    assert [row for part, _ in parts for row in range(part.start, part.stop)] == list(range(1, 12))


def test_a_row_that_does_not_fit_is_an_error():
    def function(rows):
        raise MemoryError

    with pytest.warns(RuntimeWarning), pytest.raises(MemoryError):
        list(halved_if_needed(function, slice(0, 2)))


def test_another_error_is_raised_at_once():
    def function(rows):
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        list(halved_if_needed(function, slice(0, 8)))
    assert not is_out_of_memory(ValueError("out of memory"))
