"""The state of a training run: what a step changes, and where the run is; in memory and in a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from isthmus._random import generator_states, set_generator_states
from isthmus.engine.adam import Adam
from isthmus.engine.checkpoint import Checkpoints
from isthmus.engine.distributed import Processes
from isthmus.engine.precision import MasterWeights

__all__ = ["Record", "RunProgress", "Snapshot", "TrainState", "resume", "write_checkpoint"]

# The numbers of an epoch: {"epoch": 3, "loss": ..., "reconstruction": ..., "learning_rate": ..., "seconds": ...}
Record = dict[str, float]

_MAX_SEPARATE_ROWS = 64


@dataclass
class RunProgress:
    """Where a run is, beside the parameters and the optimizer.

    Attributes
    ----------
    epochs, steps : int
        Epochs done, and steps done in the epoch after them.
    names : list of str
        Names of the terms of the loss.
    rows : list of Tensor
        Batch weight, loss and terms of those steps, (n, 2 + number of terms) each.
    history : list of Record
        The epochs done.
    best_loss, best_epoch, best_parameters
        Lowest validation loss so far, the epoch that had it (from 0), and its parameters.
    generators : list of Tensor or None
        States of the generators after the last step, if the run resumes inside an epoch.
    """

    epochs: int = 0
    steps: int = 0
    names: list[str] = field(default_factory=list)
    rows: list[Tensor] = field(default_factory=list)
    history: list[Record] = field(default_factory=list)
    best_loss: float = float("inf")
    best_epoch: int = 0
    best_parameters: list[Tensor] | None = None
    generators: list[Tensor] | None = None

    @property
    def epochs_without_improvement(self) -> int:
        """Epochs since the one with the lowest validation loss; 0 without validation."""
        return 0 if self.best_parameters is None else self.epochs - 1 - self.best_epoch

    def append(self, row: Tensor, names: list[str]) -> None:
        """Append a step: batch weight, loss and terms, and the names of these.

        Thousands of small tensors, each between the large ones that its step frees, would fragment the memory: an epoch
        of 25,000 steps once grew by 5.6 GB. Therefore, a few at a time are joined.
        """
        self.rows.append(row.unsqueeze(0))
        if len(self.rows) > _MAX_SEPARATE_ROWS:
            self.rows = [torch.cat(self.rows)]
        self.steps, self.names = self.steps + 1, names

    def means(self, rows: Tensor) -> Record:
        """Return the loss and its terms, (batch weight, loss, terms...) of steps averaged by the weights of batches."""
        weight, values = rows[:, :1], rows[:, 1:]
        means = (weight * values).sum(0) / weight.sum().clamp(min=1e-300)
        return dict(zip(["loss", *self.names], means.tolist(), strict=True))

    def keep_best(self, loss: float, state: TrainState) -> None:
        """Keep the parameters if their validation loss is the lowest so far."""
        if loss < self.best_loss:
            self.best_loss, self.best_epoch, self.best_parameters = loss, self.epochs, state.parameters()

    def end_epoch(self, record: Record) -> None:
        """Append the record of the epoch, and start the next one."""
        self.history.append(record)
        self.epochs, self.steps, self.rows = self.epochs + 1, 0, []


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
    optimizer : Adam
        Its optimizer.
    master_weights : MasterWeights
        The parameters that compute in bf16.
    """

    def __init__(self, loss: nn.Module, optimizer: Adam, master_weights: MasterWeights) -> None:
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
        """Return to a copy of the state."""
        for tensor, value in zip(self.tensors(), snapshot.tensors, strict=True):
            tensor.copy_(value)
        set_generator_states(snapshot.generators, self.device)

    def parameters(self) -> list[Tensor]:
        """Return a copy of the parameters that the optimizer steps."""
        return [p.detach().clone() for p in self.optimizer.parameters]

    @torch.no_grad()
    def load_parameters(self, values: Sequence[Tensor]) -> None:
        """Set the parameters that the optimizer steps, and those that compute with them."""
        for parameter, value in zip(self.optimizer.parameters, values, strict=True):
            parameter.copy_(value)
        self.master_weights.sync_to_model()

    def is_finite(self) -> bool:
        """Return whether every parameter is finite."""
        return bool(torch.stack([p.detach().sum() for p in self.optimizer.parameters]).isfinite().all())


def write_checkpoint(checkpoints: Checkpoints, run: RunProgress, state: TrainState, processes: Processes) -> None:
    """Write a checkpoint in the first process; then raise InterruptedTrainingError if a signal came to any process."""
    if run.rows:
        run.rows = _shared(processes.all_reduce(torch.cat(run.rows)), processes)
    if processes.is_main:
        checkpoints.write(*_to_checkpoint(run, state))
    if processes.any_rank(checkpoints.received is not None):
        checkpoints.raise_interrupted()


def resume(checkpoints: Checkpoints | None, state: TrainState, processes: Processes) -> RunProgress:
    """Return where the run of the newest checkpoint is, and set the state to its; without one, a run begins."""
    run = checkpoints.resume(partial(_from_checkpoint, state)) if checkpoints else None
    if run is None:
        return RunProgress()
    run.rows = _shared(run.rows[0], processes) if run.rows else []
    return run


def _shared(rows: Tensor, processes: Processes) -> list[Tensor]:
    """Return this process' share of rows that are sums over all processes: all of it in the first one."""
    return [rows if processes.is_main else torch.zeros_like(rows)]


def _to_checkpoint(run: RunProgress, state: TrainState) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return a description and tensors of everything that the rest of the run depends on."""
    tensors = {name: tensor.clone() for name, tensor in _named(state).items()}  # some are views of one tensor
    tensors |= _numbered("generator", generator_states(state.device))
    if run.best_parameters is not None:
        tensors |= _numbered("best", run.best_parameters)
    if run.rows:
        tensors["rows"] = torch.cat(run.rows)
    description = {
        "epochs": run.epochs,
        "steps": run.steps,
        "names": run.names,
        "history": run.history,
        "best_loss": None if run.best_parameters is None else run.best_loss,
        "best_epoch": run.best_epoch,
    }
    return description, tensors


@torch.no_grad()
def _from_checkpoint(state: TrainState, description: dict[str, Any], tensors: dict[str, Tensor]) -> RunProgress:
    """Set the state to that of a checkpoint, and return where its run is.

    Raises
    ------
    KeyError, ValueError
        If something is missing or has another shape; the state is unchanged then.
    """
    own = _named(state)
    for name, tensor in own.items():
        if tensors[name].shape != tensor.shape:
            raise ValueError(f"{name} has the shape {tuple(tensors[name].shape)}, not {tuple(tensor.shape)}")
    best, n_parameters = description["best_loss"], len(state.optimizer.parameters)
    generators = [f"generator.{i}" for i in range(len(generator_states(state.device)))]
    run = RunProgress(
        epochs=description["epochs"],
        steps=description["steps"],
        names=description["names"],
        rows=[tensors["rows"].to(state.device)] if "rows" in tensors else [],
        history=description["history"],
        best_loss=float("inf") if best is None else best,
        best_epoch=description["best_epoch"],
        best_parameters=None if best is None else [tensors[f"best.{i}"].to(state.device) for i in range(n_parameters)],
        generators=[tensors[name] for name in generators] if tensors.keys() >= set(generators) else None,
    )
    for name, tensor in own.items():
        tensor.copy_(tensors[name])
    state.master_weights.sync_to_model()
    return run


def _named(state: TrainState) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint that have a place in the state, in that place."""
    moments = {
        f"optimizer.{i}.{name}": tensor for i, own in enumerate(state.optimizer.views()) for name, tensor in own.items()
    }
    parameters = [p.detach() for p in state.optimizer.parameters]
    return _numbered("parameter", parameters) | _numbered("buffer", list(state.loss.buffers())) | moments


def _numbered(name: str, values: Sequence[Tensor]) -> dict[str, Tensor]:
    return {f"{name}.{i}": value for i, value in enumerate(values)}
