"""Learning-rate schedules: a factor of the peak rate, as a function of the fraction of training done."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from isthmus._names import unknown_name

__all__ = ["EpochSpan", "constant", "find_schedule", "linear", "one_cycle"]


class EpochSpan(NamedTuple):
    """An epoch as a part of training.

    Attributes
    ----------
    number : int
        Its number, from 0.
    start, share : float
        Fraction of training done before it, and its own fraction of training.
    n_steps : int
        Its number of steps.
    """

    number: int
    start: float
    share: float
    n_steps: int

    @classmethod
    def of(cls, number: int, done: int, n_epochs: int | None, n_steps: int) -> EpochSpan:
        """Return the epoch after `done` epochs of `n_epochs`; if `n_epochs` is None, training counts as done."""
        start, share = (done / n_epochs, 1 / n_epochs) if n_epochs else (1.0, 0.0)
        return cls(number, start, share, n_steps)

    def progress(self, step: int) -> float:
        """Return the fraction of training done before a step."""
        return self.start + self.share * step / self.n_steps


def constant(progress: float) -> float:  # noqa: ARG001 - the schedules' common signature
    """Return 1."""
    return 1.0


def one_cycle(progress: float, warmup: float = 0.1) -> float:
    """Return a factor that rises linearly from 0.1 to 1 in the first tenth of training, then falls as a cosine.

    References
    ----------
    Smith & Topin (2018), Super-Convergence.

    Examples
    --------
    >>> one_cycle(0.0), one_cycle(0.1), round(one_cycle(0.55), 3)
    (0.1, 1.0, 0.5)
    """
    return _risen(progress, warmup, 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup))))


def linear(progress: float, warmup: float = 0.1) -> float:
    """Return a factor that rises linearly from 0.1 to 1 in the first tenth of training, then falls linearly.

    With one or two epochs on many samples it reaches a lower loss than the cosine, which is near 0 for longer.

    References
    ----------
    Defazio et al. (2023), Optimal Linear Decay Learning Rate Schedules and Further Refinements.

    Examples
    --------
    >>> linear(0.0), linear(0.1), round(linear(0.55), 3)
    (0.1, 1.0, 0.5)
    """
    return _risen(progress, warmup, (1 - progress) / (1 - warmup))


def _risen(progress: float, warmup: float, after: float) -> float:
    """Return the rising factor, and once it has risen, `after`, but at least 0.001."""
    return 0.1 + 0.9 * progress / warmup if progress < warmup else max(after, 1e-3)


_SCHEDULES = {"constant": constant, "linear": linear, "one_cycle": one_cycle}


def find_schedule(name: str) -> Callable[[float], float]:
    """Return the schedule called `name`.

    Raises
    ------
    UnknownNameError
        If there is none; the message suggests the nearest name.
    """
    if name not in _SCHEDULES:
        raise unknown_name("schedule", name, _SCHEDULES)
    return _SCHEDULES[name]
