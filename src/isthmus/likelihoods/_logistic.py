"""log(1 + e^h), of which the logistic likelihoods are made."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

__all__ = ["log1p_exp"]

_LINEAR = 40.0  # log(1 + e^h) is h from here on, to the last bit of float64; torch takes h from 20 on, 2e-9 short


def log1p_exp(h: Tensor) -> Tensor:
    """Return log(1 + e^h), (...), to the last bits.

    Examples
    --------
    >>> import torch
    >>> log1p_exp(torch.tensor([0.0, 50.0]))
    tensor([ 0.6931, 50.0000])
    """
    return F.softplus(h, threshold=_LINEAR)
