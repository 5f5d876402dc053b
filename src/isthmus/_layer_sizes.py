"""Sizes of layers, which are given as one number or as several."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from isthmus._part import Part

__all__ = ["layer_sizes"]


def layer_sizes(
    part: Part, name: str = "hidden_layer_sizes", default: tuple[int, ...] | None = None
) -> tuple[int, ...]:
    """Return a hyperparameter of `part`, one size or a sequence of them, as a tuple; `default` replaces None.

    Raises
    ------
    ValueError
        If a size is no positive whole number.
    """
    value = getattr(part, name)
    if value is None and default is not None:
        return default
    sizes = tuple(value) if isinstance(value, Iterable) else (value,)
    if not all(isinstance(size, (int, np.integer)) and not isinstance(size, bool) and size > 0 for size in sizes):
        raise ValueError(f"{part!r}: {name} must be a positive whole number or a sequence of them, such as (256, 128).")
    return tuple(int(size) for size in sizes)
