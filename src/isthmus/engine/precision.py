"""Number formats while training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from isthmus._names import unknown_name

__all__ = ["MasterWeights", "flush_denormals", "parameter_dtype"]

_PARAMETERS = {"float32": torch.float32, "float64": torch.float64, "bf16": torch.float32}


def parameter_dtype(precision: str) -> torch.dtype:
    """Return the type that parameters are stored in: bf16 steps float32 ones.

    Raises
    ------
    UnknownNameError
        If `precision` is none of "float32", "float64", "bf16".
    """
    if precision not in _PARAMETERS:
        raise unknown_name("precision", precision, _PARAMETERS)
    return _PARAMETERS[precision]


class MasterWeights:
    """Parameters that compute in bf16, each with a float32 one that the optimizer steps.

    They are cast once a step, where autocast casts them in every product and its gradient.

    Parameters
    ----------
    computing : sequence of Parameter
        float32 parameters; between :meth:`to_bf16` and :meth:`to_float32` they hold bf16.

    References
    ----------
    Micikevicius et al. (2018), Mixed Precision Training, section 3.1; bf16 has float32's range, so that no loss is
    scaled.
    """

    def __init__(self, computing: Sequence[nn.Parameter]) -> None:
        self.computing = list(computing)
        self.full = [nn.Parameter(p.detach().clone()) for p in self.computing]

    def replace(self, parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
        """Return the parameters that are stepped in their place."""
        of = {id(p): full for p, full in zip(self.computing, self.full, strict=True)}
        return [of.get(id(p), p) for p in parameters]

    def to_bf16(self) -> None:
        """Let the parameters compute in bf16."""
        for p, full in zip(self.computing, self.full, strict=True):
            p.data = full.detach().to(torch.bfloat16)

    def to_float32(self) -> None:
        """Give the parameters back in float32, as the optimizer left them."""
        for p, full in zip(self.computing, self.full, strict=True):
            p.grad, p.data = None, full.detach()

    def sync_grads(self) -> None:
        """Hand the gradients over to the parameters that are stepped."""
        for p, full in zip(self.computing, self.full, strict=True):
            full.grad = None if p.grad is None else p.grad.to(full.dtype)
            p.grad = None

    @torch.no_grad()
    def sync_to_model(self) -> None:
        """Set the computing parameters to what the optimizer made of the others."""
        if self.computing:
            torch._foreach_copy_([*self.computing], [*self.full])


@contextmanager
def flush_denormals() -> Iterator[None]:
    """Treat denormal numbers as 0 inside the block, and as before after it.

    Adam's second moments of weights that are hardly used underflow after some epochs, and a processor is many
    times slower on denormals.
    """
    # There is no getter: half of the smallest normal number is 0 just where the flag is set.
    tiny = torch.tensor(torch.finfo(torch.float32).tiny)
    before = bool(tiny * 0.5 == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
