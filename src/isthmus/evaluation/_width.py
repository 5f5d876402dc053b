"""How much memory a function of rows takes: measured on four rows, so that any network, prior or likelihood counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["Growth", "growth", "repeated"]


class Growth(NamedTuple):
    """Numbers that one more row costs: in the largest tensor on the way, and in all of them together."""

    largest: int
    total: int


class _Sizes(TorchDispatchMode):
    """Notes how many numbers each operation gives."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.sizes: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self.sizes.append(result.numel())
        return result


def growth(function: Callable[[int], object]) -> Growth:
    """Return what one more row costs in ``function(n_rows)``; tensors of a fixed size, such as weights, cost nothing.

    Examples
    --------
    >>> import torch
    >>> growth(lambda n: torch.zeros(n, 3) @ torch.zeros(3, 1000))
    Growth(largest=1000, total=1003)
    """
    two, four = (_sizes(function, n) for n in (2, 4))
    if len(two) != len(four):  # it went another way for other rows: count everything
        two = [0] * len(four)
        four = [size // 2 for size in four]
    costs = [max(0, b - a) // 2 for a, b in zip(two, four, strict=True)]
    return Growth(max([1, *costs]), max(1, sum(costs)))


def _sizes(function: Callable[[int], object], n: int) -> list[int]:
    with _Sizes() as mode:
        function(n)
    return mode.sizes


def repeated(rows: Tensor | None, n: int) -> Tensor | None:
    """Return the first row n times, to measure with."""
    return None if rows is None else rows[:1].expand(n, -1)
