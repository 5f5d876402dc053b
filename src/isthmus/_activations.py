"""Activations by name, each with its derivative (the contractive penalty needs it in closed form)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from isthmus._names import nearest

__all__ = ["activation", "derivative", "derivative_at_output", "names"]

_Function = Callable[[Tensor], Tensor]


def _identity(a: Tensor) -> Tensor:
    return a


def _logistic(a: Tensor) -> Tensor:
    h = torch.sigmoid(a)
    return h * (1 - h)


def _silu(a: Tensor) -> Tensor:
    s = torch.sigmoid(a)
    return s * (1 + a * (1 - s))


def _gelu(a: Tensor) -> Tensor:
    density = torch.exp(-0.5 * a.square()) / math.sqrt(2 * math.pi)
    return 0.5 * (1 + torch.erf(a / math.sqrt(2))) + a * density


_TABLE: dict[str, tuple[_Function, _Function]] = {
    "identity": (_identity, torch.ones_like),
    "relu": (F.relu, lambda a: (a > 0).to(a)),
    "elu": (F.elu, lambda a: torch.exp(a.clamp(max=0))),
    "silu": (F.silu, _silu),
    "gelu": (F.gelu, _gelu),
    "tanh": (torch.tanh, lambda a: 1 - torch.tanh(a).square()),
    "sigmoid": (torch.sigmoid, _logistic),
    "softplus": (F.softplus, torch.sigmoid),
}


# By the activation's value: the argument need not be there.
_AT_OUTPUT: dict[str, _Function] = {
    "identity": torch.ones_like,
    "relu": lambda h: (h > 0).to(h),
    "elu": lambda h: h.clamp(max=0) + 1,
    "tanh": lambda h: 1 - h.square(),
    "sigmoid": lambda h: h * (1 - h),
    "softplus": lambda h: -torch.expm1(-h),
}


def names() -> list[str]:
    """Return the names of the activations.

    Examples
    --------
    >>> names()
    ['identity', 'relu', 'elu', 'silu', 'gelu', 'tanh', 'sigmoid', 'softplus']
    """
    return list(_TABLE)


def _entry(name: str) -> tuple[_Function, _Function]:
    if name not in _TABLE:
        raise nearest("activation", name, _TABLE)
    return _TABLE[name]


def activation(name: str) -> _Function:
    """Return the activation called `name`.

    Raises
    ------
    UnknownNameError
        If there is none; the message has the nearest name.
    """
    return _entry(name)[0]


def derivative(name: str) -> _Function:
    """Return the derivative of the activation called `name`, as a function of its argument.

    Examples
    --------
    >>> import torch
    >>> derivative("sigmoid")(torch.zeros(1))
    tensor([0.2500])
    """
    return _entry(name)[1]


def derivative_at_output(name: str) -> _Function | None:
    """Return the derivative of the activation called `name` as a function of its value, or None where it is none.

    Examples
    --------
    >>> import torch
    >>> derivative_at_output("sigmoid")(torch.tensor([0.5]))
    tensor([0.2500])
    >>> derivative_at_output("silu") is None
    True
    """
    _entry(name)
    return _AT_OUTPUT.get(name)
