"""Torch at the bottom of the house: seeds without global state, devices, chunks."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "RowNoise",
    "bernoulli",
    "check_device",
    "check_precision",
    "chunks",
    "derive",
    "generator_states",
    "number",
    "reseed",
    "sample_bernoulli",
    "seeded",
    "set_generator_states",
]

# torch has one default generator per device and `Distribution.sample` takes no other: whoever seeds it
# holds this lock, so that two threads that fit or sample at once cannot disturb each other's numbers.
_GENERATOR = threading.RLock()


@contextmanager
def seeded(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Seed torch's generators inside the block, and put them back as they were after it.

    Parameters
    ----------
    seed : int
        The seed of the block.
    device : torch.device or str
        Where the block draws, beside the CPU.

    Examples
    --------
    >>> before = torch.get_rng_state()
    >>> with seeded(0):
    ...     _ = torch.randn(3)
    >>> bool((torch.get_rng_state() == before).all())
    True
    """
    device = torch.device(device)
    devices = [device.index or 0] if device.type == "cuda" else []
    with _GENERATOR, torch.random.fork_rng(devices=devices):
        reseed(seed, device)
        yield


def number(device: torch.device) -> Tensor:
    """Return memory for a number that changes while what reads it does not, in the format that the device wants."""
    return torch.zeros((), device=device, dtype=torch.float64 if device.type == "cpu" else torch.float32)


def reseed(seed: int, device: torch.device | str = "cpu") -> None:
    """Seed the generators that a :func:`seeded` block draws from. Only for use inside such a block."""
    torch.default_generator.manual_seed(seed)
    if torch.device(device).type == "cuda":
        torch.cuda.default_generators[torch.device(device).index or 0].manual_seed(seed)


def generator_states(device: torch.device) -> list[Tensor]:
    """Return the states of the generators that a :func:`seeded` block on `device` draws from."""
    states = [torch.default_generator.get_state()]
    return [*states, torch.cuda.get_rng_state(device)] if device.type == "cuda" else states


def set_generator_states(states: list[Tensor], device: torch.device) -> None:
    """Set what :func:`generator_states` returned. Only for use inside a :func:`seeded` block."""
    torch.default_generator.set_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)


def derive(seed: int, *stream: int) -> int:
    """Return a 63-bit seed for an independent stream (an epoch, a rank, a method) of `seed`.

    Examples
    --------
    >>> derive(0, 1) != derive(0, 2)
    True
    """
    # Not SeedSequence([seed, *stream]): trailing zeros would be the same stream.
    low, high = np.random.SeedSequence(seed, spawn_key=stream).generate_state(2)
    return (int(high) << 32 | int(low)) >> 1


def check_device(name: str) -> torch.device:
    """Return the device called `name`; "auto" is the first GPU (of torchrun's processes: each its own), or the CPU.

    Raises
    ------
    ValueError
        If the device does not exist here; the message says which do.
    """
    here = ["cpu"] + [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        here.append("mps")
    if name == "auto":
        gpus = torch.cuda.device_count()
        return torch.device(f"cuda:{int(os.environ.get('LOCAL_RANK', '0')) % gpus}" if gpus else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        device = torch.device("meta")
    full = "cuda:0" if str(device) == "cuda" else str(device)
    if full not in here:
        raise ValueError(f"device={name!r} is not on this machine. Use 'auto' or one of: {', '.join(here)}.")
    return torch.device(full)


def check_precision(name: str, device: torch.device) -> None:
    """Check that `device` computes in the number format called `name`.

    Raises
    ------
    ValueError
        If it cannot, or only by way of another format, which takes many times as long.
    """
    if name == "float64" and device.type == "mps":
        raise ValueError("precision='float64': the device mps has no float64; use 'float32', or device='cpu'.")
    if name == "bf16" and device.type == "cpu" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        raise ValueError(
            "precision='bf16': this processor has no bf16 arithmetic (AVX-512 or AMX), and would take many times as "
            "long as with 'float32'."
        )
    if name == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise ValueError(f"precision='bf16': {device} has no bf16 arithmetic; use 'float32'.")


def chunks(n_rows: int, width: int, budget: int = 1 << 26) -> Iterator[slice]:
    """Cut `n_rows` into slices whose largest intermediate of `width` numbers a row fits a budget.

    Parameters
    ----------
    n_rows : int
        Number of rows, N.
    width : int
        Numbers that one row needs in the widest tensor (S * D for S draws of D features, say).
    budget : int
        Numbers that a chunk may hold in that tensor; the default, 2**26, is 256 MiB of float32.

    Examples
    --------
    >>> [(s.start, s.stop) for s in chunks(5, width=4, budget=8)]
    [(0, 2), (2, 4), (4, 5)]
    """
    step = max(1, budget // max(1, width))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def bernoulli(p: Tensor) -> Tensor:
    """Draw zeros and ones of probability `p`, of its shape and type, from torch's default generator.

    On a CPU ``torch.bernoulli`` takes five times as long. For a step of training, which torch alone may see:
    :func:`sample_bernoulli` is quicker yet.

    Examples
    --------
    >>> bernoulli(torch.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    uniform = torch.rand_like(p)
    return torch.lt(uniform, p, out=uniform)


_LEVELS = 1 << 16


def sample_bernoulli(p: Tensor, out: Tensor | None = None) -> Tensor:
    r"""Draw zeros and ones of probability `p` (..., D), of its shape and type; seeded by torch's default generator.

    With `out` they are written there, and computed there: no other memory of that size is gone through.

    A cell is 1 where :math:`(r + v) / 2^{16} < p`, with a whole number r of 16 bits for each cell and one v in [0, 1)
    for each column. The left side is uniform, in steps of :math:`2^{-24}` in float32, as torch's own is. The cells of a
    column share v, which tells only where r is the one number of 65,536 that p lies in: the probability of what two
    cells are together is off by less than :math:`2^{-32}`. torch's generator makes 32 bits for every cell, and takes
    three times as long in all.

    Examples
    --------
    >>> sample_bernoulli(torch.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    out = torch.empty_like(p) if out is None else out
    if p.device.type != "cpu":
        return out.copy_(bernoulli(p))
    p = p if p.dtype in (torch.float32, torch.float64) else p.float()
    if out.dtype != p.dtype:
        return out.copy_(sample_bernoulli(p))
    words = np.random.SFC64(int(torch.randint(1 << 62, ()))).random_raw(-(-p.numel() // 4))
    r = torch.from_numpy(words.view(np.int16)[: p.numel()]).view(p.shape)  # from -2^15 to 2^15 - 1
    steps = round(2 / torch.finfo(p.dtype).eps) // _LEVELS  # as many as 2^15 + v has digits for
    v = torch.randint(steps, p.shape[-1:]).to(p.dtype) / steps
    return torch.lt(out.copy_(r).sub_(p, alpha=_LEVELS), -v - _LEVELS // 2, out=out)


class RowNoise:
    r"""Standard normal noise (S, N, K) of rows (N, D) that depends on the seed and on each row alone.

    A row's estimate must not change when other rows are scored beside it or in another order, yet two
    different rows should not share their draws, or the mean over rows would keep the error of one.
    So a table of draws is made from `seed`, and every row reads a window of it that starts where a hash of
    the row's own bits says.

    Parameters
    ----------
    n_draws, n_latent : int
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

    def __init__(self, n_draws: int, n_latent: int, seed: int) -> None:
        self.n_draws, self.seed, self._size = n_draws, seed, max(4096, 4 * n_draws)
        generator = torch.Generator().manual_seed(seed)
        self._table = torch.randn(self._size + n_draws, n_latent, generator=generator, dtype=torch.float64)

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
