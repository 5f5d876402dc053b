"""Random numbers without global state: seeded blocks, derived seeds, and the name of every random stream."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import numpy as np
import torch
from torch import Tensor

__all__ = ["Stream", "check_generator_states", "derive", "generator_states", "reseed", "seeded", "set_generator_states"]

# torch has one default generator per device, and `Distribution.sample` takes no other. Whoever seeds it holds the lock,
# so that threads that fit or sample at the same time do not change each other's numbers.
_GENERATOR = threading.RLock()


class Stream(IntEnum):
    """The independent random streams of an estimator's seed, for :func:`derive`."""

    TRAINING = 0  # draws of training steps: codes, corruptions, binarised targets
    SHUFFLING = 1  # order of the samples in each epoch
    VALIDATION = 2  # draws of the validation loss, the same after every epoch
    LOSS = 3  # building the training loss: what corruptions and penalties draw once
    HELD_OUT = 4  # which samples early stopping holds out
    SCORING = 5  # importance samples of scores, bounds and imputations
    SAMPLED_LABELS = 6  # labels drawn from p(y) by ConditionalVAE.sample
    POSTERIOR_LABELS = 7  # labels drawn from p(y|x), where a ConditionalVAE gets no y
    SUMMARY = 8  # which samples the likelihood and the prior are initialised from


@contextmanager
def seeded(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Seed torch's generators inside a block, and restore their states after it.

    Parameters
    ----------
    seed : int
        The seed.
    device : torch.device or str
        A device whose generator is seeded besides that of the CPU.

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


def reseed(seed: int, device: torch.device | str = "cpu") -> None:
    """Seed the generators again inside a :func:`seeded` block."""
    torch.default_generator.manual_seed(seed)
    if torch.device(device).type == "cuda":
        torch.cuda.default_generators[torch.device(device).index or 0].manual_seed(seed)


def generator_states(device: torch.device) -> list[Tensor]:
    """Return the states of the generators that a :func:`seeded` block on `device` seeds."""
    states = [torch.default_generator.get_state()]
    return [*states, torch.cuda.get_rng_state(device)] if device.type == "cuda" else states


def set_generator_states(states: list[Tensor], device: torch.device) -> None:
    """Restore states from :func:`generator_states` inside a :func:`seeded` block."""
    torch.default_generator.set_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)


def check_generator_states(states: list[Tensor], device: torch.device) -> None:
    """Raise a ValueError unless :func:`set_generator_states` would take these states."""
    for state, kind in zip(states, (torch.device("cpu"), device), strict=False):
        try:
            torch.Generator(kind).set_state(state.cpu())
        except RuntimeError as error:
            raise ValueError("the state of a random generator is not valid") from error


def derive(seed: int, *stream: int) -> int:
    """Return a 63-bit seed for an independent stream of `seed`: a :class:`Stream`, and numbers of an epoch or a step.

    Examples
    --------
    >>> derive(0, 1) != derive(0, 2)
    True
    """
    # SeedSequence([seed, *stream]) would give streams that differ by trailing zeros the same numbers.
    low, high = np.random.SeedSequence(seed, spawn_key=stream).generate_state(2)
    return (int(high) << 32 | int(low)) >> 1
