"""Checks of corruptions and scalings."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from isthmus._random import seeded
from isthmus.corruptions import Corruption
from isthmus.scaling import Scaling
from isthmus.testing._parts import check_part
from isthmus.testing._state import check_state
from isthmus.testing._tools import close, normal, require

__all__ = ["check_corruption", "check_scaling"]


def check_corruption(corruption: Corruption, x: Tensor | None = None) -> None:
    """Check a corruption: shape, dtype, no change of its input, reproducible draws, and the mask.

    Parameters
    ----------
    corruption : Corruption
        An unbuilt corruption.
    x : Tensor of shape (N, D), optional
        Samples to corrupt; normal draws by default.
    """
    check_part(corruption)
    built = corruption.clone()
    x = normal(50, 6) if x is None else x
    built.build(x)
    clean = x.clone()
    draws = []
    for _ in range(2):
        with seeded(0):
            draws.append(built(x))
    with seeded(0):
        again, kept = built.corrupt(x)
    require(draws[0].shape == x.shape and draws[0].dtype == x.dtype, f"{built!r}: shape and dtype must be kept.")
    require(torch.equal(x, clean), f"{built!r}: must not change samples in place.")
    require(torch.equal(*draws), f"{built!r}: the same seed must give the same draws.")
    require(torch.equal(again, draws[0]), f"{built!r}: corrupt must draw what forward draws.")
    require(
        (kept is not None) == built.input_mask,
        f"{built!r}: corrupt must return a mask if input_mask, else None.",
    )
    if kept is not None:
        require(
            kept.shape == x.shape and kept.dtype == x.dtype,
            f"{built!r}: the mask must have the shape and dtype of x.",
        )
        require(
            bool(((kept == 0) | (kept == 1)).all()), f"{built!r}: the mask must be 1 where a cell was kept, else 0."
        )


def check_scaling(scaling: Scaling, x: Tensor | None = None) -> None:
    """Check a scaling: inverse, log-determinant, sample weights, and float64 buffers in any model.

    Parameters
    ----------
    scaling : Scaling
        An unbuilt scaling.
    x : Tensor of shape (N, D), float64, optional
        Samples to set the scaling from; by default normal draws in four different units.
    """
    check_part(scaling)
    x = normal(30, 4) * torch.tensor([1.0, 20.0, 0.1, 3.0]) + torch.tensor([0.0, 5.0, -1.0, 1e3]) if x is None else x
    count = torch.arange(len(x), dtype=torch.float64) % 3
    x = torch.where(count.unsqueeze(-1) > 0, x, 100 * x)  # samples of weight 0 must not matter
    weighted, repeated, cast = (scaling.clone() for _ in range(3))
    for part, rows, weight in (
        (weighted, x, count),
        (repeated, x.repeat_interleave(count.long(), 0), torch.ones(int(count.sum()), dtype=torch.float64)),
        (cast, x, count),
    ):
        part.build(x.shape[1])
        part.set_from_data(rows, weight)
    close(weighted(x), repeated(x), f"{scaling!r}: a weight of 2 must count as two samples, 0 as none.")
    close(weighted.inverse(weighted(x)), x, f"{scaling!r}: inverse must undo forward.")
    jacobian: Any = torch.autograd.functional.jacobian(weighted, x[0])
    close(weighted.log_det(), jacobian.diagonal().log(), f"{scaling!r}: log_det must be log |dx'/dx|.")
    require(torch.equal(cast.float()(x), weighted(x)), f"{scaling!r}: buffers must stay float64.")

    def outputs(part: Any, inputs: list[Tensor]) -> list[Tensor]:
        (x,) = inputs
        return [part(x.double()).to(x), part.inverse(x.double()).to(x), part.log_det().to(x)]

    check_state(weighted, lambda part: part.build(x.shape[1]), outputs, x)
