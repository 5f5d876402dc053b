"""The function log(1 + e^h), for likelihoods with logits."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

__all__ = ["log1p_exp"]

# Above this, log(1 + e^h) equals h in float64; at torch's default, 20, the error is 2e-9.
_LINEAR = 40.0


def log1p_exp(h: Tensor) -> Tensor:
    """Return log(1 + e^h), (...), accurate to rounding.

    Examples
    --------
    >>> import torch
    >>> log1p_exp(torch.tensor([0.0, 50.0]))
    tensor([ 0.6931, 50.0000])
    """
    return F.softplus(h, threshold=_LINEAR)
