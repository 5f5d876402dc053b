"""Everything that a training step changes, and copies of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from isthmus._random import generator_states, set_generator_states
from isthmus.engine.adam import FusedAdam
from isthmus.engine.precision import MasterWeights

__all__ = ["Snapshot", "TrainState"]


class Snapshot(NamedTuple):
    """Copies of everything that a training step changes."""

    tensors: list[Tensor]
    generators: list[Tensor]

    def all(self) -> list[Tensor]:
        """Return the copies as one list."""
        return [*self.tensors, *self.generators]


class TrainState:
    """Everything that a training step changes: parameters, buffers, the optimizer's state, the random generators.

    Parameters
    ----------
    loss : Module
        The module that is trained.
    optimizer : FusedAdam
        Its optimizer.
    master_weights : MasterWeights
        The parameters that compute in bf16.
    """

    def __init__(self, loss: nn.Module, optimizer: FusedAdam, master_weights: MasterWeights) -> None:
        self.loss, self.optimizer, self.master_weights = loss, optimizer, master_weights
        self.device = optimizer.parameters[0].device

    def tensors(self) -> list[Tensor]:
        """Return all tensors, in the memory that steps read and write."""
        module = [*self.loss.parameters(), *self.loss.buffers()]
        return [p.detach() for p in (*module, *self.master_weights.master, *self.optimizer.tensors())]

    def snapshot(self) -> Snapshot:
        """Return a copy of the state."""
        return Snapshot([tensor.clone() for tensor in self.tensors()], generator_states(self.device))

    @torch.no_grad()
    def load(self, snapshot: Snapshot) -> None:
        """Restore a copy of the state."""
        for tensor, value in zip(self.tensors(), snapshot.tensors, strict=True):
            tensor.copy_(value)
        set_generator_states(snapshot.generators, self.device)

    def trained(self) -> list[Tensor]:
        """Return what training changes in the module: the parameters that the optimizer updates, and buffers."""
        return [*(p.detach() for p in self.optimizer.parameters), *self.loss.buffers()]

    def parameters(self) -> list[Tensor]:
        """Return a copy of the parameters that the optimizer updates, and of the buffers."""
        return [tensor.clone() for tensor in self.trained()]

    @torch.no_grad()
    def load_parameters(self, values: Sequence[Tensor]) -> None:
        """Set the parameters that the optimizer updates, their copies in bf16, and the buffers."""
        for tensor, value in zip(self.trained(), values, strict=True):
            tensor.copy_(value)
        self.master_weights.sync_to_model()

    def is_finite(self) -> bool:
        """Return whether every parameter is finite."""
        return bool(torch.stack([p.detach().sum() for p in self.optimizer.parameters]).isfinite().all())
