"""Number formats for training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from isthmus._names import unknown_name
from isthmus._torch_private import copy_all

__all__ = ["MasterWeights", "flush_denormals", "parameter_dtype"]

_PARAMETERS = {"float32": torch.float32, "float64": torch.float64, "bf16": torch.float32}


def parameter_dtype(precision: str) -> torch.dtype:
    """Return the type that parameters are stored in; for bf16, that of the copies that the optimizer updates.

    Raises
    ------
    UnknownNameError
        If `precision` is none of "float32", "float64", "bf16".
    """
    if precision not in _PARAMETERS:
        raise unknown_name("precision", precision, _PARAMETERS)
    return _PARAMETERS[precision]


class MasterWeights:
    """Keep a float32 copy, which the optimizer updates, of every parameter that computes in bf16.

    Weights are cast once per step; autocast casts them in every product and in its gradient.

    Parameters
    ----------
    computing : sequence of Parameter
        Parameters in float32; between :meth:`to_bf16` and :meth:`to_float32` they hold bf16.

    Attributes
    ----------
    master : list of Parameter
        The float32 copies.

    References
    ----------
    Micikevicius et al. (2018), Mixed Precision Training, section 3.1. bf16 has float32's range, so that the loss needs
    no scaling.
    """

    def __init__(self, computing: Sequence[nn.Parameter]) -> None:
        self.computing = list(computing)
        self.master = [nn.Parameter(p.detach().clone()) for p in self.computing]

    def replace(self, parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
        """Return the parameters with each one that computes in bf16 replaced by its float32 copy."""
        of = {id(p): master for p, master in zip(self.computing, self.master, strict=True)}
        return [of.get(id(p), p) for p in parameters]

    def to_bf16(self) -> None:
        """Cast the computing parameters to bf16."""
        for p, master in zip(self.computing, self.master, strict=True):
            p.data = master.detach().to(torch.bfloat16)

    def to_float32(self) -> None:
        """Set the computing parameters to their float32 copies."""
        for p, master in zip(self.computing, self.master, strict=True):
            p.grad, p.data = None, master.detach()

    def sync_grads(self) -> None:
        """Move the gradients to the float32 copies."""
        for p, master in zip(self.computing, self.master, strict=True):
            master.grad = None if p.grad is None else p.grad.to(master.dtype)
            p.grad = None

    @torch.no_grad()
    def sync_to_model(self) -> None:
        """Cast the float32 copies into the computing parameters."""
        if self.computing:
            copy_all([*self.computing], [*self.master])


@contextmanager
def flush_denormals() -> Iterator[None]:
    """Flush denormal numbers to 0 inside the block.

    Adam's second moments of weights that are hardly used underflow after some epochs, and CPUs are many times slower
    on denormals.
    """
    # There is no getter: half of the smallest normal number is 0 if and only if the flag is set.
    tiny = torch.tensor(torch.finfo(torch.float32).tiny)
    before = bool(tiny * 0.5 == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
