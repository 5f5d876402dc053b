"""A training run: its position, its records and its checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from isthmus._random import Stream, check_generator_states, derive, generator_states, reseed, set_generator_states
from isthmus.engine.checkpoint import Checkpoints
from isthmus.engine.distributed import Processes
from isthmus.engine.progress_bar import ProgressBar
from isthmus.engine.protocols import Record
from isthmus.engine.saved_state import check_entries, check_tensors
from isthmus.engine.state import Snapshot, TrainState

__all__ = ["TrainingRun"]

_MAX_SEPARATE_ROWS = 64


class TrainingRun:
    """A run of epochs, which can resume from a checkpoint.

    Parameters
    ----------
    state : TrainState
        The state that is trained; it is set to that of the checkpoint.
    processes : Processes
        The processes that train together.
    n_steps : int
        Number of steps in an epoch.
    checkpoints : Checkpoints, optional
        Where checkpoints are written.
    progress : ProgressBar, optional
        The progress bar.

    Attributes
    ----------
    epochs, steps : int
        Epochs done, and steps done in the epoch after them.
    ended : bool
        Whether training is complete.
    names : list of str
        Names of the terms of the loss.
    rows : list of Tensor of shape (n, 2 + number of terms)
        Batch weight, loss and terms of those steps: this process' share.
    history : list of Record
        Records of the epochs done.
    best_loss, best_epoch, best_parameters
        Lowest validation loss so far, the epoch that had it (from 0), and its parameters and buffers.
    generators : list of Tensor or None
        States of the generators after the last step, if the run resumed inside an epoch.
    """

    def __init__(
        self,
        state: TrainState,
        processes: Processes,
        n_steps: int,
        checkpoints: Checkpoints | None = None,
        progress: ProgressBar | None = None,
    ) -> None:
        self.state, self.processes, self.n_steps = state, processes, n_steps
        self.checkpoints, self.progress = checkpoints, progress
        self.epochs = self.steps = self.best_epoch = 0
        self.ended = False
        self.names: list[str] = []
        self.rows: list[Tensor] = []
        self.history: list[Record] = []
        self.best_loss = float("inf")
        self.best_parameters: list[Tensor] | None = None
        self.generators: list[Tensor] | None = None

    def resume(self) -> None:
        """Continue from the newest checkpoint, if there is one."""
        if self.checkpoints:
            self.checkpoints.resume(self._load)

    @property
    def started(self) -> bool:
        """Whether a step was done."""
        return self.epochs > 0 or self.steps > 0

    @property
    def epochs_without_improvement(self) -> int:
        """Epochs since the one with the lowest validation loss; 0 without validation."""
        return 0 if self.best_parameters is None else self.epochs - 1 - self.best_epoch

    def begin_epoch(self, seed: int, number: int) -> Snapshot:
        """Seed the generators for an epoch, and return the state before it.

        If the run resumed inside this epoch, the generators have their states in the checkpoint instead.
        """
        reseed(derive(seed, Stream.TRAINING, number), self.state.device)
        if self.steps and self.generators is not None:
            set_generator_states(self.generators, self.state.device)
        return self.state.snapshot()

    def end_step(self, row: Tensor, names: list[str]) -> None:
        """Append a step, and write a checkpoint if one is due.

        Thousands of small tensors, each between the large ones that its step frees, would fragment the memory: an epoch
        of 25,000 steps once grew by 5.6 GB. Therefore, a few at a time are joined.

        Parameters
        ----------
        row : Tensor of shape (2 + number of terms,)
            Batch weight, loss and terms: this process' share.
        names : list of str
            Names of the terms.

        Raises
        ------
        InterruptedTrainingError
            If any process received a signal; the checkpoint has been written then.
        """
        self.rows.append(row.unsqueeze(0))
        if len(self.rows) > _MAX_SEPARATE_ROWS:
            self.rows = [torch.cat(self.rows)]
        self.steps, self.names = self.steps + 1, names
        if self.progress:
            self.progress.update(self.epochs + self.steps / self.n_steps)
        if self.checkpoints and self.processes.any_rank(self.checkpoints.due):
            self._write(self.checkpoints)

    def end_epoch(self, record: Record) -> None:
        """Append the record of an epoch, and keep the parameters if it has the lowest validation loss."""
        self.keep_if_best(record.get("validation_loss", float("inf")), self.epochs)
        self.history.append(record)
        self.epochs, self.steps, self.rows = self.epochs + 1, 0, []
        if self.progress:
            self.progress(record)

    def end(self) -> None:
        """End the run with the parameters that had the lowest validation loss, if there is one.

        A last checkpoint is written if a signal came after the last step, or if :func:`keep_until_saved` needs one.

        Raises
        ------
        InterruptedTrainingError
            If any process received a signal; the checkpoint has been written then.
        """
        self.ended = True
        if self.checkpoints and self.processes.any_rank(self.checkpoints.due_at_end):
            self._write(self.checkpoints)
        if self.best_parameters is not None:
            self.state.load_parameters(self.best_parameters)

    def keep_if_best(self, loss: float, epoch: int) -> None:
        """Keep the parameters if this is the lowest validation loss; the epoch is -1 before training."""
        if loss < self.best_loss:
            self.best_loss, self.best_epoch, self.best_parameters = loss, epoch, self.state.parameters()

    def totals(self) -> Tensor:
        """Return batch weight, loss and terms of the epoch's steps, over all processes: one synchronisation."""
        return self.processes.all_reduce(torch.cat(self.rows)).cpu().double()

    def means(self, totals: Tensor) -> Record:
        """Return the means of loss and terms over steps, weighted by their batches."""
        weight, values = totals[:, :1], totals[:, 1:]
        means = (weight * values).sum(0) / weight.sum().clamp(min=1e-300)
        return dict(zip(["loss", *self.names], means.tolist(), strict=True))

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def _write(self, checkpoints: Checkpoints) -> None:
        """Write a checkpoint in the first process; raise InterruptedTrainingError if any process received a signal."""
        rows = torch.cat(self.rows) if self.rows else torch.empty(0, device=self.state.device)
        self.rows = self._share(self.processes.all_reduce(rows))
        if self.processes.is_main:
            description = {
                "epochs": self.epochs,
                "steps": self.steps,
                "names": self.names,
                "history": self.history,
                "best_loss": None if self.best_parameters is None else self.best_loss,
                "best_epoch": self.best_epoch,
                "ended": self.ended,
            }
            tensors = {name: tensor.clone() for name, tensor in self._named().items()}  # some are views of one tensor
            tensors |= _numbered("generator", generator_states(self.state.device)) | {"rows": self.rows[0]}
            checkpoints.write(description, tensors | _numbered("best", self.best_parameters or []))
        if self.processes.any_rank(checkpoints.received is not None):
            checkpoints.raise_interrupted()

    @torch.no_grad()
    def _load(self, description: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Continue from a checkpoint.

        Raises
        ------
        ValueError
            If something is missing, or has another type or shape; nothing is changed then.
        """
        own, device = self._named(), self.state.device
        if "rows" not in tensors or tensors["rows"].ndim == 0:
            raise ValueError("it has no losses")
        rows, best_loss = tensors["rows"].to(device), description.get("best_loss")
        check_entries(description, self.n_steps, len(rows))
        expected = own if best_loss is None else own | _numbered("best", self.state.trained())
        width = 2 + len(description["names"])
        check_tensors(tensors, expected | {"rows": rows.new_empty(len(rows), width) if len(rows) else rows})
        generators = _numbered("generator", generator_states(device))
        known = tensors.keys() >= generators.keys()  # they may be missing if the run was on another device
        if known:
            check_tensors(tensors, generators)
            check_generator_states([tensors[name] for name in generators], device)
        position = [description[name] for name in ("epochs", "steps", "names", "history", "best_epoch", "ended")]
        if best_loss is not None:
            best = [tensors[f"best.{i}"].to(device) for i in range(len(self.state.trained()))]
            self.best_loss, self.best_parameters = best_loss, best
        self.epochs, self.steps, self.names, self.history, self.best_epoch, self.ended = position
        self.rows = self._share(rows)
        if known:
            self.generators = [tensors[name] for name in generators]
        for name, tensor in own.items():
            tensor.copy_(tensors[name])
        self.state.master_weights.sync_to_model()

    def _share(self, rows: Tensor) -> list[Tensor]:
        """Return this process' share of rows that are sums over all processes: all of it in the first one."""
        return [rows if self.processes.is_main else torch.zeros_like(rows)]

    def _named(self) -> dict[str, Tensor]:
        """Return the tensors of the state that a checkpoint stores, by name; they share the memory of the state."""
        optimizer = self.state.optimizer
        parameters = [p.detach() for p in optimizer.parameters]
        named = _numbered("parameter", parameters) | _numbered("buffer", list(self.state.loss.buffers()))
        for i, own in enumerate(optimizer.views()):
            named |= {f"optimizer.{i}.{name}": tensor for name, tensor in own.items()}
        return named


def _numbered(name: str, values: Sequence[Tensor]) -> dict[str, Tensor]:
    return {f"{name}.{i}": value for i, value in enumerate(values)}
