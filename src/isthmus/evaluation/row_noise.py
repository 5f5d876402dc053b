"""Standard normal noise that belongs to each sample, whatever other samples are scored with it."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import torch
from torch import Tensor

__all__ = ["row_noise"]

_STEP = 0x9E3779B97F4A7C15
_ROUNDS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))  # shift, factor
_LAST_SHIFT = 31


def row_noise(
    x: Tensor,
    n_draws: int,
    n_components: int,
    seed: int,
    first_draw: int = 0,
    device: torch.device | str = "cpu",
) -> Tensor:
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
    device : torch.device or str, default="cpu"
        Where the noise is needed. A GPU computes it itself, many times as fast; up to rounding, the numbers are those
        of the CPU.

    Returns
    -------
    Tensor of shape (S, N, K)
        Float64, on a GPU if that is `device`, else on the CPU.

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
    counts, keys = (first_draw * n_components + 1, (first_draw + n_draws) * n_components + 1), _keys(x, seed)
    if torch.device(device).type == "cuda":
        bits = _cuda_bits(counts, torch.from_numpy(keys.view(np.int64).copy()).to(device), (n_draws, 1, n_components))
    else:
        bits = torch.from_numpy(_bits(counts, keys, (n_draws, 1, n_components)).view(np.int64))
    # Half-integers of 52 bits are exact in float64, symmetric about 0, and never -1 or 1, whose quantiles are infinite.
    uniform = bits.bitwise_right_shift_(12).double().add_(0.5).mul_(2.0**-51)
    return uniform.erfinv_().mul_(math.sqrt(2))


def _bits(counts: tuple[int, int], keys: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Return SplitMix64 of the counts in a range (S K of them), from each of the keys (N,), as (S, N, K)."""
    count = np.arange(*counts, dtype=np.uint64)
    count *= np.uint64(_STEP)  # wraps around, like all arithmetic here
    bits = count.reshape(shape) + keys[:, None]
    for shift, factor in _ROUNDS:
        bits ^= bits >> np.uint64(shift)
        bits *= np.uint64(factor)
    bits ^= bits >> np.uint64(_LAST_SHIFT)
    return bits


def _cuda_bits(counts: tuple[int, int], keys: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Return the same as :func:`_bits`, as int64 and on the device of the keys: torch has little for uint64."""
    bits = torch.arange(*counts, device=keys.device).mul_(_signed(_STEP)).reshape(shape) + keys[:, None]
    for shift, factor in _ROUNDS:
        bits.bitwise_xor_(_right_shift(bits, shift)).mul_(_signed(factor))
    return bits.bitwise_xor_(_right_shift(bits, _LAST_SHIFT))


def _signed(number: int) -> int:
    """Return the signed integer with the same 64 bits."""
    return number - (1 << 64) if number >= 1 << 63 else number


def _right_shift(bits: Tensor, n: int) -> Tensor:
    """Shift int64 numbers to the right as if they had no sign."""
    return (bits >> n).bitwise_and_((1 << (64 - n)) - 1)


def _keys(x: Tensor, seed: int) -> np.ndarray:
    """Return 64 bits for each sample, (N,), a hash of its values and the seed."""
    values = x.detach().cpu().double() + 0.0  # no negative zero
    rows = values.masked_fill_(values.isnan(), torch.nan).contiguous().numpy()  # NaN of one kind
    key = (seed % 2**64).to_bytes(8, "little")
    return np.frombuffer(b"".join(hashlib.blake2b(row, digest_size=8, key=key).digest() for row in rows), np.uint64)
