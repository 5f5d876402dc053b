"""Activations by name, each with its derivative, which the contractive penalty needs in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from isthmus._names import unknown_name

__all__ = ["activation", "choose_activation", "derivative", "derivative_at_output", "names"]

_Function = Callable[[Tensor], Tensor]


class _Activation(NamedTuple):
    function: _Function
    derivative: _Function  # of the argument
    derivative_at_output: _Function | None = None  # the same as a function of the value, where it is one


def _logistic_derivative(a: Tensor) -> Tensor:
    h = torch.sigmoid(a)
    return h * (1 - h)


def _silu_derivative(a: Tensor) -> Tensor:
    s = torch.sigmoid(a)
    return s * (1 + a * (1 - s))


def _gelu_derivative(a: Tensor) -> Tensor:
    density = torch.exp(-0.5 * a.square()) / math.sqrt(2 * math.pi)
    return 0.5 * (1 + torch.erf(a / math.sqrt(2))) + a * density


_ACTIVATIONS = {
    "identity": _Activation(lambda a: a, torch.ones_like, torch.ones_like),
    "relu": _Activation(F.relu, lambda a: (a > 0).to(a), lambda h: (h > 0).to(h)),
    "elu": _Activation(F.elu, lambda a: torch.exp(a.clamp(max=0)), lambda h: h.clamp(max=0) + 1),
    "silu": _Activation(F.silu, _silu_derivative),
    "gelu": _Activation(F.gelu, _gelu_derivative),
    "tanh": _Activation(torch.tanh, lambda a: 1 - torch.tanh(a).square(), lambda h: 1 - h.square()),
    "sigmoid": _Activation(torch.sigmoid, _logistic_derivative, lambda h: h * (1 - h)),
    "softplus": _Activation(F.softplus, torch.sigmoid, lambda h: -torch.expm1(-h)),
}


def names() -> list[str]:
    """Return the names of the activations.

    Examples
    --------
    >>> names()
    ['identity', 'relu', 'elu', 'silu', 'gelu', 'tanh', 'sigmoid', 'softplus']
    """
    return list(_ACTIVATIONS)


def _find(name: str) -> _Activation:
    if name not in _ACTIVATIONS:
        raise unknown_name("activation", name, _ACTIVATIONS)
    return _ACTIVATIONS[name]


def activation(name: str) -> _Function:
    """Return the activation called `name`.

    Raises
    ------
    UnknownNameError
        If there is none; the message suggests the nearest name.
    """
    return _find(name).function


def choose_activation(*, linear: bool) -> str:
    """Return what "auto" stands for.

    What a network adds to a linear model, from which training starts if `linear`, should be smooth: densities of tables
    are higher then. Elsewhere networks with a rectifier reach a lower loss in fewer steps.
    """
    return "elu" if linear else "relu"


def derivative(name: str) -> _Function:
    """Return the derivative of the activation called `name`, as a function of its argument.

    Examples
    --------
    >>> import torch
    >>> derivative("sigmoid")(torch.zeros(1))
    tensor([0.2500])
    """
    return _find(name).derivative


def derivative_at_output(name: str) -> _Function | None:
    """Return the derivative of the activation called `name` as a function of its value, or None if it is not one.

    Examples
    --------
    >>> import torch
    >>> derivative_at_output("sigmoid")(torch.tensor([0.5]))
    tensor([0.2500])
    >>> derivative_at_output("silu") is None
    True
    """
    return _find(name).derivative_at_output
