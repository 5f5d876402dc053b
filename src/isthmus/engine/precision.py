"""Number formats while training: the only room that says autocast."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

from isthmus._names import nearest

__all__ = ["autocast", "flush_denormals", "parameter_dtype"]

_PARAMETERS = {"float32": torch.float32, "float64": torch.float64, "bf16": torch.float32}


def parameter_dtype(precision: str) -> torch.dtype:
    """Return the type that parameters are stored in: bf16 computes with float32 parameters.

    Raises
    ------
    UnknownNameError
        If `precision` is none of "float32", "float64", "bf16".
    """
    if precision not in _PARAMETERS:
        raise nearest("precision", precision, _PARAMETERS)
    return _PARAMETERS[precision]


def autocast(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """Return the context that the forward pass runs in."""
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


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
