"""Standard normal noise that belongs to each sample, whatever other samples are scored with it."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import torch
from torch import Tensor

__all__ = ["row_noise"]


def row_noise(x: Tensor, n_draws: int, n_components: int, seed: int, first_draw: int = 0) -> Tensor:
    r"""Return standard normal noise (S, N, K), where each number is a function of the seed, its own sample and (s, k).

    The score of a sample therefore does not depend on the other samples, their order or the chunks; and the Monte Carlo
    errors of different samples are independent, so that they average out in a mean.

    The bits of a sample and the seed are hashed to 64 bits, where the sample's own counter starts. SplitMix64 turns
    every count into a uniform number, and the inverse of the normal distribution function turns that into a normal one.

    Parameters
    ----------
    x : Tensor of shape (N, D)
        Samples, of which only the values matter: neither their dtype nor their device.
    n_draws, n_components : int
        S and K.
    seed : int
        Seed, taken modulo 2**64.
    first_draw : int, default=0
        Index of the first draw, to make the draws in several calls.

    Returns
    -------
    Tensor of shape (S, N, K)
        On the CPU, float64.

    References
    ----------
    Steele, Lea & Flood (2014), Fast Splittable Pseudorandom Number Generators, for SplitMix64.

    Examples
    --------
    >>> x = torch.arange(6.0).reshape(3, 2)
    >>> noise = row_noise(x, n_draws=4, n_components=2, seed=0)
    >>> bool((noise[2:, 1:2] == row_noise(x[1:2], 2, 2, seed=0, first_draw=2)).all())
    True
    """
    count = np.arange(first_draw * n_components + 1, (first_draw + n_draws) * n_components + 1, dtype=np.uint64)
    count *= np.uint64(0x9E3779B97F4A7C15)  # wraps around, like all arithmetic here
    bits = count.reshape(n_draws, 1, n_components) + _keys(x, seed)[:, None]
    bits ^= bits >> np.uint64(30)
    bits *= np.uint64(0xBF58476D1CE4E5B9)
    bits ^= bits >> np.uint64(27)
    bits *= np.uint64(0x94D049BB133111EB)
    bits ^= bits >> np.uint64(31)
    # Half-integers of 52 bits are exact in float64, symmetric about 0, and never -1 or 1, whose quantiles are infinite.
    uniform = torch.from_numpy(bits.view(np.int64)).bitwise_right_shift_(12).double().add_(0.5).mul_(2.0**-51)
    return uniform.erfinv_().mul_(math.sqrt(2))


def _keys(x: Tensor, seed: int) -> np.ndarray:
    """Return 64 bits for each sample, (N,), a hash of its values and the seed."""
    values = x.detach().cpu().double() + 0.0  # no negative zero
    rows = values.masked_fill_(values.isnan(), torch.nan).contiguous().numpy()  # NaN of one kind
    key = (seed % 2**64).to_bytes(8, "little")
    return np.frombuffer(b"".join(hashlib.blake2b(row, digest_size=8, key=key).digest() for row in rows), np.uint64)
