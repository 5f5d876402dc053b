"""The memory that a model needs, compared with that of the machine before the model is built."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable

import torch

from isthmus._tensor_shapes import AtLeast, TensorShape

__all__ = ["check_memory"]

_BYTES = 4  # of a parameter
_COPIES = 4  # of it in training: itself, its gradient, and Adam's two moments
_MANY = 1000  # tensors; of a model that is known to be too large, no more are counted


def check_memory(described: Iterable[TensorShape], device: torch.device) -> None:
    """Raise a ValueError if a model needs more than all the memory of the machine.

    Parameters
    ----------
    described : iterable of (str, tuple of int or AtLeast)
        The tensors that the model will have. It may be endless.
    device : torch.device
        Where the model will be trained. It is built in the memory of the machine in any case.
    """
    memory = _physical_memory()
    copies = _COPIES if device.type == "cpu" else 1
    needed = 0
    for i, (_, shape) in enumerate(described):
        needed += copies * _BYTES * (shape.n_numbers if isinstance(shape, AtLeast) else math.prod(shape))
        if needed > memory and i > _MANY:
            break
    if needed > memory:
        purpose = "train" if copies > 1 else "build"
        raise ValueError(
            f"the network is too large: it needs {needed / 1e9:,.0f} GB or more to {purpose}, and this machine has "
            f"{memory / 1e9:,.0f} GB; use smaller layers (hidden_layer_sizes) or fewer latent units (n_components)."
        )


def _physical_memory() -> float:
    """Return the bytes of memory of this machine, inf if the system does not say."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):  # of Windows
        return math.inf
