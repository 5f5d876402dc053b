"""Random numbers without global state: seeded blocks, derived seeds, and the name of every random stream.

Inside a :func:`seeded` block, each thread uses its own generators. The code of isthmus passes them to torch explicitly
(:func:`generator`); for torch's layers and distributions and for custom parts, :class:`_PassGenerators` does.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import IntEnum
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

__all__ = [
    "Stream",
    "check_generator_states",
    "derive",
    "generator",
    "generator_states",
    "normal_like",
    "reseed",
    "seeded",
    "set_generator_states",
    "uniform_like",
]

# Functions of torch that draw, and take a generator.
# fmt: off
_DRAWS = {
    "bernoulli", "bernoulli_", "binomial", "cauchy_", "exponential_", "geometric_", "log_normal_", "multinomial",
    "normal", "normal_", "poisson", "rand", "rand_like", "randint", "randint_like", "randn", "randn_like", "random_",
    "randperm", "uniform_", "_sample_dirichlet", "_standard_gamma",
}
# fmt: on
_OWN_PACKAGES = {"isthmus", "torch", "zuko"}  # whose modules draw, in a training step, by `generator` alone

# Functions such as dropout take no generator: with parts that may call them, training seeds torch's default generator,
# too, and such fits in several threads take turns.
_DEFAULT_GENERATOR = threading.RLock()


class _Block(threading.local):
    """The generators of this thread's innermost :func:`seeded` block: its own by type of device, and all."""

    own: dict[str, torch.Generator] | None = None
    all: list[torch.Generator] | None = None


_BLOCK = _Block()


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
    CODES = 9  # codes that a prior is fitted to after training


@contextmanager
def seeded(seed: int, device: torch.device | str = "cpu", module: nn.Module | None = None) -> Iterator[None]:
    """Let this thread draw from its own generators, with this seed, inside the block.

    Parameters
    ----------
    seed : int
        The seed.
    device : torch.device or str
        A device that has a generator besides that of the CPU.
    module : Module, optional
        The only module that draws in the block, which is faster if all its parts are of isthmus. If some are not,
        torch's default generators are seeded as well, for functions that take no other, and restored after the block.

    Examples
    --------
    >>> before = torch.get_rng_state()
    >>> with seeded(0):
    ...     x = torch.randn(3)
    >>> bool((torch.get_rng_state() == before).all())
    True
    >>> bool((x == torch.randn(3, generator=torch.Generator().manual_seed(0))).all())
    True
    """
    device = torch.device(device)
    outer, own = (_BLOCK.own, _BLOCK.all), {d.type: torch.Generator(d) for d in _devices(device)}
    foreign = module is not None and not {_package(part) for part in module.modules()} <= _OWN_PACKAGES
    with ExitStack() as stack:
        if foreign:
            stack.enter_context(_DEFAULT_GENERATOR)
            stack.enter_context(torch.random.fork_rng(devices=[d.index for d in _devices(device)[1:]]))
        if foreign or module is None:
            stack.enter_context(_PassGenerators())
        _BLOCK.own, _BLOCK.all = own, [*own.values(), *(_default_generators(device) if foreign else ())]
        try:
            reseed(seed, device)
            yield
        finally:
            _BLOCK.own, _BLOCK.all = outer


class _PassGenerators(TorchFunctionMode):
    """Pass this thread's generators to every function of torch that draws and takes one.

    Each call of a function takes a microsecond more. The mode belongs to the thread that entered it.
    """

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        takes_one = getattr(func, "__name__", "") in _DRAWS or "generator" in kwargs
        if takes_one and kwargs.get("generator") is None:
            kwargs = kwargs | {"generator": generator(_device_of(args, kwargs))}
        return func(*args, **kwargs)


def _device_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.device:
    """Return the device on which a function of torch draws."""
    if kwargs.get("device") is not None:
        return torch.device(kwargs["device"])
    tensors = (value for value in (*args, *kwargs.values()) if isinstance(value, Tensor))
    return next((tensor.device for tensor in tensors), torch.get_default_device())


def _package(module: nn.Module) -> str:
    return type(module).__module__.partition(".")[0]


def generator(device: torch.device | str = "cpu") -> torch.Generator | None:
    """Return the generator that this thread draws from on a device: None, torch's default, outside seeded blocks."""
    return (_BLOCK.own or {}).get(torch.device(device).type)


def normal_like(x: Tensor) -> Tensor:
    """Draw standard normal numbers with the shape, dtype and device of `x`."""
    return torch.empty_like(x).normal_(generator=generator(x.device))


def uniform_like(x: Tensor) -> Tensor:
    """Draw numbers from [0, 1) with the shape, dtype and device of `x`."""
    return torch.empty_like(x).uniform_(generator=generator(x.device))


def reseed(seed: int, device: torch.device | str = "cpu") -> None:
    """Seed the generators again inside a :func:`seeded` block."""
    for own in _generators(torch.device(device)):
        own.manual_seed(seed)


def generator_states(device: torch.device) -> list[Tensor]:
    """Return the states of the generators that a :func:`seeded` block on `device` seeds."""
    return [own.get_state() for own in _generators(device)]


def set_generator_states(states: list[Tensor], device: torch.device) -> None:
    """Restore states from :func:`generator_states` inside a :func:`seeded` block."""
    for own, state in zip(_generators(device), states, strict=True):
        own.set_state(state.cpu())


def check_generator_states(states: list[Tensor], device: torch.device) -> None:
    """Raise a ValueError unless :func:`set_generator_states` would take these states."""
    for own, state in zip(_generators(device), states, strict=True):
        try:
            torch.Generator(own.device).set_state(state.cpu())
        except RuntimeError as error:
            raise ValueError("the state of a random generator is not valid") from error


def _generators(device: torch.device) -> list[torch.Generator]:
    """Return the generators of this thread's block, or torch's default ones for the CPU and `device`."""
    return _BLOCK.all or _default_generators(device)


def _default_generators(device: torch.device) -> list[torch.Generator]:
    return [
        torch.cuda.default_generators[d.index] if d.type == "cuda" else torch.default_generator
        for d in _devices(device)
    ]


def _devices(device: torch.device) -> list[torch.device]:
    """Return the CPU, and a GPU with its number."""
    return [torch.device("cpu"), *([torch.device("cuda", device.index or 0)] if device.type == "cuda" else [])]


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
