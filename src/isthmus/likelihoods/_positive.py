"""Positive parameters of likelihoods (a scale, a dispersion): fixed, learned, or functions of z."""

from __future__ import annotations

import math
from collections.abc import Iterator
from numbers import Real

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from isthmus._tensor_shapes import TensorShape

__all__ = [
    "check_positive",
    "learned",
    "learned_shapes",
    "log_learned",
    "raw_floored",
    "set_log_learned",
    "soft_floor",
]

# Adam moves every parameter by about the learning rate per step, and log sigma often has to move from 0 to -3.
# It is therefore stored divided by this number.
_GAIN = 10.0


def check_positive(
    part: str, name: str, value: float | str, floor: float, named: tuple[str, ...] = ("shared", "feature", "decoder")
) -> None:
    """Raise a ValueError unless `value` is a positive number or one of the names, and `floor` is positive."""
    number: object = math.nan if isinstance(value, bool) else value  # True is a number to Python
    if value not in named and not (isinstance(number, Real) and 0 < float(number) < math.inf):
        words = ", ".join(repr(word) for word in named[:-1]) + f" or {named[-1]!r}"
        raise ValueError(f"{part}({name}={value!r}): {name} must be a positive number, {words}.")
    if not floor > 0:
        raise ValueError(f"{part}(min_{name}={floor!r}): min_{name} must be a positive number.")


def learned(value: float | str, n_features: int) -> nn.Parameter:
    """Return a parameter with one element per feature if `value` is "feature", otherwise with a single element."""
    return nn.Parameter(torch.zeros(n_features if value == "feature" else 1))


def learned_shapes(name: str, value: float | str, n_features: int) -> Iterator[TensorShape]:
    """Yield the parameter `name`, if `value` says that it is learned."""
    if value in ("shared", "feature"):
        yield name, (n_features if value == "feature" else 1,)


def log_learned(parameter: Tensor) -> Tensor:
    """Return the logarithm that a parameter of :func:`learned` stores; it is 0 at first."""
    return _GAIN * parameter


def set_log_learned(parameter: Tensor, log_value: Tensor) -> None:
    """Set a parameter of :func:`learned` so that it stores `log_value`."""
    with torch.no_grad():
        parameter.copy_(log_value / _GAIN)


def raw_floored(floor: float, log_value: Tensor) -> Tensor:
    """Return the number whose :func:`soft_floor` is `log_value`, or a little above the floor where it is below."""
    above = (log_value - math.log(floor)).clamp(min=0.01)
    return math.log(floor) + above + torch.log(-torch.expm1(-above))


def soft_floor(floor: float, log_value: Tensor) -> Tensor:
    """Return `log_value` with a soft lower bound of log(floor)."""
    low = math.log(floor)
    return low + F.softplus(log_value - low)
