"""Settings during training: number formats, kernels, memory, generators, signals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

from isthmus._random import seeded
from isthmus.engine.checkpoint import Checkpoints
from isthmus.engine.memory import raise_malloc_threshold
from isthmus.engine.precision import flush_denormals
from isthmus.engine.state import TrainState

__all__ = ["deterministic_convolutions", "training_environment"]


@contextmanager
def training_environment(state: TrainState, seed: int, checkpoints: Checkpoints | None) -> Iterator[None]:
    """Set number formats, kernels, generators and signals inside the block, and restore them after it.

    The thresholds of the C library's memory stay raised.

    Parameters
    ----------
    state : TrainState
        The state that is trained.
    seed : int
        Seed of the generators.
    checkpoints : Checkpoints or None
        If given, signals wait until the current step is in a checkpoint.
    """
    if state.device.type == "cpu":
        raise_malloc_threshold()
    signals = checkpoints.signals() if checkpoints else nullcontext()
    with flush_denormals(), deterministic_convolutions(), seeded(seed, state.device, state.loss), signals:
        state.master_weights.to_bf16()
        try:
            yield
        finally:
            state.master_weights.to_float32()


@contextmanager
def deterministic_convolutions() -> Iterator[None]:
    """Let convolutions on a GPU give the same bits in every run inside the block.

    By default, cuDNN may take kernels that add in an order that differs from run to run: a seed would then not
    determine the result, and a captured step would differ from an eager one.
    """
    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic = before
