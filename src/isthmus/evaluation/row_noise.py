"""Standard normal noise that belongs to each sample, whatever other samples are scored with it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["RowNoise"]


class RowNoise:
    r"""Standard normal noise (S, N, K) of rows (N, D) that depends on the seed and on each row alone.

    A row's estimate must not change when other rows are scored beside it or in another order, yet two
    different rows should not share their draws, or the mean over rows would keep the error of one.
    So a table of draws is made from `seed`, and every row reads a window of it that starts where a hash of
    the row's own bits says.

    Parameters
    ----------
    n_draws, n_components : int
        S and K.
    seed : int
        Seed of the table.

    Examples
    --------
    >>> x = torch.arange(6.0).reshape(3, 2)
    >>> noise = RowNoise(4, 2, seed=0)
    >>> bool((noise(x)[:, 1:2] == noise(x[1:2])).all())
    True
    """

    def __init__(self, n_draws: int, n_components: int, seed: int) -> None:
        self.n_draws, self.seed, self._size = n_draws, seed, max(4096, 4 * n_draws)
        generator = torch.Generator().manual_seed(seed)
        self._table = torch.randn(self._size + n_draws, n_components, generator=generator, dtype=torch.float64)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the noise of rows `x` (N, D), of which only the bits matter, in their type."""
        plain = x.detach().cpu().to(torch.float64).nan_to_num(nan=0.5) + 0.0  # one NaN, and no negative zero
        bits = np.ascontiguousarray(plain.numpy()).view(np.uint64)  # (N, D)
        rng = np.random.default_rng(self.seed)
        odd = rng.integers(0, 2**63, size=bits.shape[1], dtype=np.uint64) | np.uint64(1)
        with np.errstate(over="ignore"):
            mixed = ((bits ^ (bits >> np.uint64(29))) * odd).sum(axis=1, dtype=np.uint64)
        start = torch.from_numpy(((mixed >> np.uint64(33)) % np.uint64(self._size)).astype(np.int64))  # (N,)
        index = start[None, :] + torch.arange(self.n_draws)[:, None]  # (S, N)
        return self._table.to(x)[index]
