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
from isthmus.engine.checkpoint import Checkpoints
from isthmus.engine.distributed import Alone, Processes
from isthmus.engine.history import Record
from isthmus.engine.memory import keep_freed
from isthmus.engine.precision import Twins, flush_denormals
from isthmus.engine.replay import WORTH, Recorder, Replay
from isthmus.engine.state import Copy, Run, State, resume, write

__all__ = ["NonFiniteError", "Source", "Terms", "Trainer"]


class Terms(Protocol):
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
    """Minimises the weighted mean of ``objective(batch, progress).total()`` by Adam.

    Every epoch draws from generators that are derived from the seed and the epoch's number alone, so an epoch can be
    run again, or run after an interruption, with the same numbers.

    Parameters
    ----------
    objective : Module
        Maps a batch and the share of training done to :class:`Terms`.
    learning_rate : float
        Peak learning rate.
    schedule : callable
        Maps the share of training done to a factor of it.
    weight_decay : float
        Decoupled weight decay.
    betas : tuple of float, default=(0.9, 0.999)
        Adam's.
    factors : sequence of float, optional
        What the learning rate is multiplied by for each of the objective's parameters that are trained.
    seed : int
        Where all randomness comes from.
    half : sequence of Parameter, default=()
        Those of the objective's parameters that compute in bf16 while training; the optimizer steps float32 copies.
    accumulate : int, default=1
        Parts that a process computes its batches in, one after the other, before it takes the step.
    record : callable, optional
        Takes a step and records it to be replayed, as :class:`isthmus.engine.replay.Replay` says; where batches are
        of one part.
    processes : Processes, optional
        Those that train together; this one alone by default. Each part of a batch, whoever computes it, draws from a
        generator of its own: so many parts in one process or in several give the same parameters.
    """

    def __init__(
        self,
        objective: nn.Module,
        *,
        learning_rate: float,
        schedule: Callable[[float], float],
        weight_decay: float,
        betas: tuple[float, float] = (0.9, 0.999),
        factors: Sequence[float] | None = None,
        seed: int,
        half: Sequence[nn.Parameter] = (),
        accumulate: int = 1,
        record: Recorder | None = None,
        processes: Processes | None = None,
    ) -> None:
        self.accumulate, self.processes = accumulate, processes or Alone()
        self.n_parts = accumulate * self.processes.world
        self.learning_rate, self.schedule, self.seed = learning_rate, schedule, seed
        twins = Twins(half)
        parameters = twins.replace(p for p in objective.parameters() if p.requires_grad)
        self.device = parameters[0].device
        self.optimizer = Adam(parameters, weight_decay, betas, factors)
        self.state = State(parameters, self.optimizer, twins)
        self.objective = objective
        self._names: list[str] = []
        self._replay = Replay(self._moved, record, self.device) if record and self.n_parts == 1 else None

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
        tick: Callable[[float], object] | None = None,
    ) -> list[Record]:
        """Train for at most `n_epochs` epochs, the first of which has the number `first_epoch` (from 0).

        Without `n_epochs` nobody knows how long training goes on: one epoch, and what warms up has its full weight.
        With a `validation` source, training stops after `patience` epochs without a lower validation loss, and ends
        with the parameters that had the lowest. A callback gets the record of every epoch and stops training by
        returning True. With `checkpoints`, training goes on from the newest one, if any. `tick` is called after every
        step with the epochs done so far, a fraction, and should return at once.

        Raises
        ------
        NonFiniteError
            If a loss is infinite or NaN.
        InterruptedTrainingError
            If a signal came; only with `checkpoints`.
        """
        signals = checkpoints.signals() if checkpoints else nullcontext()
        if self.device.type == "cpu":
            keep_freed()
        if len(source) * (n_epochs or 1) < WORTH:
            self._replay = None
        with self._set_up(), flush_denormals(), seeded(self.seed, self.device), signals:
            run = self._resumed(checkpoints)
            while run.index < (1 if n_epochs is None else n_epochs):
                record = self._epoch(source, run, first_epoch, n_epochs, checkpoints, tick)
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
                stop = [bool(callback(record)) for callback in callbacks] if self.processes.main else []
                if self.processes.any(any(stop)) or (
                    run.best_parameters is not None and run.index - 1 - run.best_index >= patience
                ):
                    break
            if run.best_parameters is not None:
                self.state.restore(run.best_parameters)
        return run.history

    @contextmanager
    def _set_up(self) -> Iterator[None]:
        """Let parameters compute in their format, and gradients meet, inside the block."""
        alone, twins = self.objective, self.state.twins
        twins.narrow()
        try:
            self.objective = self.processes.setup(alone)
            yield
        finally:
            self.objective = alone
            twins.widen()

    def _epoch(
        self,
        source: Source,
        run: Run,
        first_epoch: int,
        n_epochs: int | None,
        checkpoints: Checkpoints | None,
        tick: Callable[[float], object] | None,
    ) -> Record:
        """Train on every row once, or on those that an interruption left of the epoch."""
        start = time.perf_counter()
        number, share = first_epoch + run.index, (run.index / n_epochs, 1 / n_epochs) if n_epochs else (1.0, 0.0)
        self._start(number, run)
        before = self.state.copy(), generator_states(self.device), run.step
        for batch, progress in self._steps(source, number, share, run.step):
            run.names, row = self._step(batch, progress, number, run.step)
            run.note(row)
            run.step += 1
            if tick:
                tick(run.index + run.step / len(source))
            if checkpoints and self.processes.any(checkpoints.due):
                self._checkpoint(checkpoints, run)
                checkpoints.stop_if_asked(self.processes.any(checkpoints.received is not None))
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
        self.objective.eval()
        total = weight = 0.0
        with seeded(derive(self.seed, Stream.VALIDATION), self.device):
            for i, batch in enumerate(source):
                for j, part in enumerate(batch.split(self.accumulate)):
                    self._draw_for(j, Stream.VALIDATION, i)
                    loss = self.objective(part).total()
                    total += float((loss * part.weight).sum())
                    weight += float(part.weight.sum())
        total, weight = self.processes.total(torch.tensor([total, weight], dtype=torch.float64)).tolist()
        return total / weight

    # ---- one step -------------------------------------------------------------------------------------------

    def _start(self, number: int, run: Run) -> None:
        """Set mode and generators for an epoch, or for the rest of one."""
        self.objective.train()
        if self._replay:
            self._replay.watch([*self.objective.parameters(), *self.objective.buffers(), *self.optimizer.parameters])
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
        if self._replay:
            self.optimizer.set_rate(self._rate(progress))
            row = self._replay(batch, progress)
        else:
            self.optimizer.learning_rate = self._rate(progress)
            row = self._moved(batch, progress, number, step)
        return self._names, row

    def _moved(self, batch: Batch, progress: float | Tensor, number: int = 0, step: int = 0) -> Tensor:
        """Move the parameters; return (weight, loss, terms...) and note the terms' names."""
        twins = self.state.twins
        self.optimizer.zero_grad()
        own = batch.weight.sum()
        weight = self.processes.total(own).clamp(min=torch.finfo(own.dtype).tiny)
        parts, shares = batch.split(self.accumulate), []
        for i, part in enumerate(parts):
            self._draw_for(i, Stream.TRAINING, number, step)
            with self.processes.no_backward_sync(self.objective, enabled=i < len(parts) - 1):
                shares.append(self._part(part, progress, weight))
        twins.take_gradients()
        self.optimizer.step()
        twins.follow()
        values = shares[0] if len(shares) == 1 else [sum(several) for several in zip(*shares, strict=True)]
        return torch.stack([own, *values])

    def _rate(self, progress: float) -> float:
        return self.learning_rate * self.schedule(progress)

    def _part(self, part: Batch, progress: float | Tensor, weight: Tensor) -> list[Tensor]:
        """Go forward and back through a part of a batch of `weight`; return its shares of loss, terms..."""
        terms: Terms = self.objective(part, progress)
        share = part.weight / weight
        loss = share @ terms.total().to(share)
        self.processes.backward(loss)
        self._names = list(terms.values)
        return [loss.detach(), *(share @ value.detach().to(share) for value in terms.values.values())]

    def _draw_for(self, i: int, *place: int) -> None:
        """Seed the generators for this process' part `i` of a batch, where batches have more than one part."""
        if self.n_parts > 1:
            reseed(derive(self.seed, *place, self.processes.rank * self.accumulate + i), self.device)

    def _summed(self, rows: list[Tensor]) -> Tensor:
        """Return the steps' (batch weight, loss, terms...) summed over the processes."""
        return self.processes.total(torch.cat(rows))

    def _own(self, rows: Tensor) -> list[Tensor]:
        """Return this process' share of what :meth:`_summed` gave: all of it in the first one."""
        return [rows if self.processes.main else torch.zeros_like(rows)]

    # ---- when something goes wrong -----------------------------------------------------------------------------

    def _diagnose(
        self,
        source: Source,
        number: int,
        share: tuple[float, float],
        before: tuple[Copy, list[Tensor], int],
    ) -> None:
        """Run the epoch again from where it started, looking at every step, and stop before the first bad one."""
        copy, generators, first = before
        self._replay = None  # what was recorded steps the optimizer's state as it was
        self.state.put(copy)
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

    def _checkpoint(self, checkpoints: Checkpoints, run: Run) -> None:
        """Write everything that training depends on; what processes have of the epoch so far is summed in the first."""
        if run.rows:
            run.rows = self._own(self._summed(run.rows))
        if self.processes.main:
            write(checkpoints, run, self.state, generator_states(self.device))

    def _resumed(self, checkpoints: Checkpoints | None) -> Run:
        """Return the run of the newest checkpoint, with parameters and optimizer as they were, or a new one."""
        run = (resume(checkpoints, self.state) if checkpoints else None) or Run()
        if run.rows:
            run.rows = self._own(torch.cat(run.rows))
        return run
