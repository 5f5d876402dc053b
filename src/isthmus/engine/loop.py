"""The training loop, on one screen."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Protocol

import torch
from torch import Tensor, nn

from isthmus._batch import Batch
from isthmus._random import Stream, derive, generator_states, reseed, seeded, set_generator_states
from isthmus.engine.adam import Adam
from isthmus.engine.capture.captured_step import MIN_STEPS, Capture, CapturedStep
from isthmus.engine.checkpoint import Checkpoints
from isthmus.engine.distributed import Processes, SingleProcess
from isthmus.engine.memory import raise_malloc_threshold
from isthmus.engine.precision import MasterWeights, flush_denormals
from isthmus.engine.state import Record, RunProgress, Snapshot, TrainState, resume, write

__all__ = ["LossTerms", "NonFiniteError", "Source", "Trainer"]


class LossTerms(Protocol):
    """What a batch is mapped to."""

    @property
    def values(self) -> dict[str, Tensor]:
        """The terms by name, each (N,)."""

    def total(self) -> Tensor:
        """Return what is minimised, (N,)."""


class Source(Protocol):
    """What yields batches: in many processes, each process its own part of every batch."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Batch]: ...

    def shuffled(self, seed: int, start: int = 0) -> Iterator[Batch]:
        """Yield the rows in an order that depends on `seed` alone, from the batch numbered `start` on."""


class NonFiniteError(FloatingPointError):
    """A loss or a parameter became infinite or NaN; the parameters are back at what they were before the step.

    Attributes
    ----------
    epoch, step : int
        Where, counted from 1.
    term : str
        The term of the loss that was not finite, or "the gradient".
    batch : Batch
        The rows of that step.
    """

    def __init__(self, epoch: int, step: int, term: str, batch: Batch) -> None:
        super().__init__(f"training stopped in epoch {epoch}, step {step}: {term} is not finite.")
        self.epoch, self.step, self.term, self.batch = epoch, step, term, batch


class Trainer:
    """Minimises the weighted mean of ``loss(batch, progress).total()`` by Adam.

    Every epoch draws from generators that are derived from the seed and the epoch's number alone, so an epoch can be
    run again, or run after an interruption, with the same numbers.

    Parameters
    ----------
    loss : Module
        Maps a batch and the share of training done to :class:`LossTerms`.
    learning_rate : float
        Peak learning rate.
    schedule : callable
        Maps the share of training done to a factor of it.
    weight_decay : float
        Decoupled weight decay.
    betas : tuple of float, default=(0.9, 0.999)
        Adam's.
    lr_multipliers : sequence of float, optional
        What the learning rate is multiplied by for each of the loss's parameters that are trained.
    seed : int
        Where all randomness comes from.
    bf16_parameters : sequence of Parameter, default=()
        Those of the loss's parameters that compute in bf16 while training; the optimizer steps float32 copies.
    gradient_accumulation : int, default=1
        Parts that a process computes its batches in, one after the other, before it takes the step.
    capture : callable, optional
        Takes a step and captures it to be replayed (:class:`isthmus.engine.capture.captured_step.CapturedStep`); only
        where batches are computed in one part.
    processes : Processes, optional
        Those that train together; this one alone by default. Each part of a batch, whoever computes it, draws from a
        generator of its own: so many parts in one process or in several give the same parameters.
    """

    def __init__(
        self,
        loss: nn.Module,
        *,
        learning_rate: float,
        schedule: Callable[[float], float],
        weight_decay: float,
        betas: tuple[float, float] = (0.9, 0.999),
        lr_multipliers: Sequence[float] | None = None,
        seed: int,
        bf16_parameters: Sequence[nn.Parameter] = (),
        gradient_accumulation: int = 1,
        capture: Capture | None = None,
        processes: Processes | None = None,
    ) -> None:
        self.gradient_accumulation, self.processes = gradient_accumulation, processes or SingleProcess()
        self.n_parts = gradient_accumulation * self.processes.world_size
        self.learning_rate, self.schedule, self.seed = learning_rate, schedule, seed
        master_weights = MasterWeights(bf16_parameters)
        parameters = master_weights.replace(p for p in loss.parameters() if p.requires_grad)
        self.device = parameters[0].device
        self.optimizer = Adam(parameters, weight_decay, betas, lr_multipliers)
        self.state = TrainState(parameters, self.optimizer, master_weights)
        self.loss = loss
        self._names: list[str] = []
        self._captured = CapturedStep(self._moved, capture, self.device) if capture and self.n_parts == 1 else None

    def fit(
        self,
        source: Source,
        *,
        first_epoch: int,
        n_epochs: int | None,
        validation: Source | None = None,
        patience: int = 10,
        callbacks: Sequence[Callable[[Record], object]] = (),
        checkpoints: Checkpoints | None = None,
        on_step: Callable[[float], object] | None = None,
    ) -> list[Record]:
        """Train for at most `n_epochs` epochs, the first of which has the number `first_epoch` (from 0).

        Without `n_epochs` nobody knows how long training goes on: one epoch, and what warms up has its full weight.
        With a `validation` source, training stops after `patience` epochs without a lower validation loss, and ends
        with the parameters that had the lowest. A callback gets the record of every epoch and stops training by
        returning True. With `checkpoints`, training resumes from the newest one, if any. `on_step` is called after
        every step with the epochs done so far, a fraction, and should return at once.

        Raises
        ------
        NonFiniteError
            If a loss is infinite or NaN.
        InterruptedTrainingError
            If a signal came; only with `checkpoints`.
        """
        signals = checkpoints.signals() if checkpoints else nullcontext()
        if self.device.type == "cpu":
            raise_malloc_threshold()
        if len(source) * (n_epochs or 1) < MIN_STEPS:
            self._captured = None
        with self._set_up(), flush_denormals(), seeded(self.seed, self.device), signals:
            run = self._resumed(checkpoints)
            while run.index < (1 if n_epochs is None else n_epochs):
                record = self._epoch(source, run, first_epoch, n_epochs, checkpoints, on_step)
                run.history.append(record)
                if validation is not None:
                    record["validation_loss"] = self.evaluate(validation)
                    if not math.isfinite(record["validation_loss"]):
                        raise FloatingPointError(
                            f"training stopped after epoch {first_epoch + run.index + 1}: the validation loss is not "
                            "finite. Look for extreme values in the rows held out, or scale them."
                        )
                    if record["validation_loss"] < run.best:
                        run.best, run.best_index = record["validation_loss"], run.index
                        run.best_parameters = self.state.parameters_copy()
                run.index, run.step, run.rows = run.index + 1, 0, []
                stop = [bool(callback(record)) for callback in callbacks] if self.processes.is_main else []
                if self.processes.any_rank(any(stop)) or (
                    run.best_parameters is not None and run.index - 1 - run.best_index >= patience
                ):
                    break
            if run.best_parameters is not None:
                self.state.restore(run.best_parameters)
        return run.history

    @contextmanager
    def _set_up(self) -> Iterator[None]:
        """Let parameters compute in their format, and gradients meet, inside the block."""
        alone, master_weights = self.loss, self.state.master_weights
        master_weights.to_bf16()
        try:
            self.loss = self.processes.setup(alone)
            yield
        finally:
            self.loss = alone
            master_weights.to_float32()

    def _epoch(
        self,
        source: Source,
        run: RunProgress,
        first_epoch: int,
        n_epochs: int | None,
        checkpoints: Checkpoints | None,
        on_step: Callable[[float], object] | None,
    ) -> Record:
        """Train on every row once, or on those that an interruption left of the epoch."""
        start = time.perf_counter()
        number, share = first_epoch + run.index, (run.index / n_epochs, 1 / n_epochs) if n_epochs else (1.0, 0.0)
        self._start(number, run)
        before = self.state.copy(), generator_states(self.device), run.step
        for batch, progress in self._steps(source, number, share, run.step):
            run.names, row = self._step(batch, progress, number, run.step)
            run.append(row)
            run.step += 1
            if on_step:
                on_step(run.index + run.step / len(source))
            if checkpoints and self.processes.any_rank(checkpoints.due):
                self._checkpoint(checkpoints, run)
                checkpoints.raise_if_stopped(self.processes.any_rank(checkpoints.received is not None))
        values = self._summed(run.rows).double().cpu()  # the epoch's one synchronisation
        if not bool(values.isfinite().all()) or not self.state.finite():
            self._diagnose(source, number, share, before)
        weight, means = values[:, :1], values[:, 1:]
        mean = (weight * means).sum(0) / weight.sum().clamp(min=1e-300)
        record: Record = {"epoch": number + 1, "loss": float(mean[0])}
        record |= dict(zip(run.names, mean[1:].tolist(), strict=True))
        record["learning_rate"] = self._rate(share[0] + share[1] * (len(source) - 1) / len(source))
        record["seconds"] = time.perf_counter() - start
        return record

    @torch.no_grad()
    def evaluate(self, source: Source) -> float:
        """Return the weighted mean of the loss with the final weights, with the same draws at every call."""
        self.loss.eval()
        total = weight = 0.0
        with seeded(derive(self.seed, Stream.VALIDATION), self.device):
            for i, batch in enumerate(source):
                for j, part in enumerate(batch.split(self.gradient_accumulation)):
                    self._draw_for(j, Stream.VALIDATION, i)
                    loss = self.loss(part).total()
                    total += float((loss * part.weight).sum())
                    weight += float(part.weight.sum())
        total, weight = self.processes.all_reduce(torch.tensor([total, weight], dtype=torch.float64)).tolist()
        return total / weight

    # ---- one step -------------------------------------------------------------------------------------------

    def _start(self, number: int, run: RunProgress) -> None:
        """Set mode and generators for an epoch, or for the rest of one."""
        self.loss.train()
        if self._captured:
            self._captured.invalidate_if_moved(
                [*self.loss.parameters(), *self.loss.buffers(), *self.optimizer.parameters]
            )
        if run.step and run.generators is not None:
            set_generator_states(run.generators, self.device)
        else:
            reseed(derive(self.seed, Stream.TRAINING, number), self.device)

    def _steps(
        self, source: Source, number: int, share: tuple[float, float], first: int
    ) -> Iterator[tuple[Batch, float]]:
        """Yield an epoch's batches from the one numbered `first`, each with the share of training done before it."""
        for i, batch in enumerate(source.shuffled(derive(self.seed, Stream.SHUFFLING, number), first), start=first):
            yield batch, share[0] + share[1] * i / len(source)

    def _step(self, batch: Batch, progress: float, number: int, step: int) -> tuple[list[str], Tensor]:
        """Take one step; return the terms' names and this process' share of (weight, loss, terms...) before it."""
        if self._captured:
            self.optimizer.set_learning_rate(self._rate(progress))
            row = self._captured(batch, progress)
        else:
            self.optimizer.learning_rate = self._rate(progress)
            row = self._moved(batch, progress, number, step)
        return self._names, row

    def _moved(self, batch: Batch, progress: float | Tensor, number: int = 0, step: int = 0) -> Tensor:
        """Move the parameters; return (weight, loss, terms...) and note the terms' names."""
        master_weights = self.state.master_weights
        self.optimizer.zero_grad()
        own = batch.weight.sum()
        weight = self.processes.all_reduce(own).clamp(min=torch.finfo(own.dtype).tiny)
        parts, shares = batch.split(self.gradient_accumulation), []
        for i, part in enumerate(parts):
            self._draw_for(i, Stream.TRAINING, number, step)
            with self.processes.no_backward_sync(self.loss, enabled=i < len(parts) - 1):
                shares.append(self._part(part, progress, weight))
        master_weights.sync_grads()
        self.optimizer.step()
        master_weights.sync_to_model()
        values = shares[0] if len(shares) == 1 else [sum(several) for several in zip(*shares, strict=True)]
        return torch.stack([own, *values])

    def _rate(self, progress: float) -> float:
        return self.learning_rate * self.schedule(progress)

    def _part(self, part: Batch, progress: float | Tensor, weight: Tensor) -> list[Tensor]:
        """Go forward and back through a part of a batch of `weight`; return its shares of loss, terms..."""
        terms: LossTerms = self.loss(part, progress)
        share = part.weight / weight
        loss = share @ terms.total().to(share)
        self.processes.backward(loss)
        self._names = list(terms.values)
        return [loss.detach(), *(share @ value.detach().to(share) for value in terms.values.values())]

    def _draw_for(self, i: int, *place: int) -> None:
        """Seed the generators for this process' part `i` of a batch, where batches have more than one part."""
        if self.n_parts > 1:
            reseed(derive(self.seed, *place, self.processes.rank * self.gradient_accumulation + i), self.device)

    def _summed(self, rows: list[Tensor]) -> Tensor:
        """Return the steps' (batch weight, loss, terms...) summed over the processes."""
        return self.processes.all_reduce(torch.cat(rows))

    def _own(self, rows: Tensor) -> list[Tensor]:
        """Return this process' share of what :meth:`_summed` gave: all of it in the first one."""
        return [rows if self.processes.is_main else torch.zeros_like(rows)]

    # ---- when something goes wrong -----------------------------------------------------------------------------

    def _diagnose(
        self,
        source: Source,
        number: int,
        share: tuple[float, float],
        before: tuple[Snapshot, list[Tensor], int],
    ) -> None:
        """Run the epoch again from where it started, looking at every step, and stop before the first bad one."""
        copy, generators, first = before
        self._captured = None  # what was recorded steps the optimizer's state as it was
        self.state.load(copy)
        set_generator_states(generators, self.device)
        for i, (batch, progress) in enumerate(self._steps(source, number, share, first), start=first + 1):
            good = self.state.parameters_copy()
            names, row = self._step(batch, progress, number, i - 1)
            means = self._summed([row.unsqueeze(0)])[0, 2:]
            bad = [name for name, finite in zip(names, means.isfinite().tolist(), strict=True) if not finite]
            if bad or not self.state.finite():
                self.state.restore(good)
                raise NonFiniteError(number + 1, i, bad[0] if bad else "the gradient", batch)

    # ---- checkpoints --------------------------------------------------------------------------------------------

    def _checkpoint(self, checkpoints: Checkpoints, run: RunProgress) -> None:
        """Write everything that training depends on; what processes have of the epoch so far is summed in the first."""
        if run.rows:
            run.rows = self._own(self._summed(run.rows))
        if self.processes.is_main:
            write(checkpoints, run, self.state, generator_states(self.device))

    def _resumed(self, checkpoints: Checkpoints | None) -> RunProgress:
        """Return the run of the newest checkpoint, with parameters and optimizer as they were, or a new one."""
        run = (resume(checkpoints, self.state) if checkpoints else None) or RunProgress()
        if run.rows:
            run.rows = self._own(torch.cat(run.rows))
        return run
