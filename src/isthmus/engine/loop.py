"""The training loop, on one screen."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from isthmus._batch import Batch
from isthmus._torch import derive, generator_states, reseed, seeded, set_generator_states
from isthmus.engine.checkpoint import Checkpoints
from isthmus.engine.history import Record
from isthmus.engine.precision import autocast, flush_denormals

__all__ = ["NonFiniteError", "Source", "Terms", "Trainer"]


class Terms(Protocol):
    """What a batch is mapped to."""

    @property
    def values(self) -> dict[str, Tensor]:
        """The terms by name, each (N,)."""

    def total(self) -> Tensor:
        """Return what is minimised, (N,)."""


class Source(Protocol):
    """What yields batches."""

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


@dataclass
class _Run:
    """Where a run is: everything that training depends on beside the parameters and the optimizer."""

    index: int = 0  # epochs done
    step: int = 0  # steps done in the epoch after those
    names: list[str] = field(default_factory=list)
    rows: list[Tensor] = field(default_factory=list)  # of those steps: batch weight, loss, terms
    history: list[Record] = field(default_factory=list)
    best: float = float("inf")
    best_index: int = 0
    best_parameters: list[Tensor] | None = None
    generators: list[Tensor] | None = None  # states after the last step, where training starts inside an epoch


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
    precision : str
        "float32", "float64" or "bf16".
    seed : int
        Where all randomness comes from.
    """

    def __init__(
        self,
        objective: nn.Module,
        *,
        learning_rate: float,
        schedule: Callable[[float], float],
        weight_decay: float,
        precision: str,
        seed: int,
    ) -> None:
        self.objective = objective
        self.learning_rate, self.schedule = learning_rate, schedule
        self.precision, self.seed = precision, seed
        self.parameters = [p for p in objective.parameters() if p.requires_grad]
        self.device = self.parameters[0].device
        fused = self.device.type in ("cpu", "cuda")
        self.optimizer = torch.optim.AdamW(self.parameters, lr=learning_rate, weight_decay=weight_decay, fused=fused)

    def fit(
        self,
        source: Source,
        *,
        first_epoch: int,
        n_epochs: int,
        validation: Source | None = None,
        patience: int = 10,
        callbacks: Sequence[Callable[[Record], object]] = (),
        checkpoints: Checkpoints | None = None,
        tick: Callable[[float], object] | None = None,
    ) -> list[Record]:
        """Train for at most `n_epochs` epochs, the first of which has the number `first_epoch` (from 0).

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
        run = self._resume(checkpoints)
        signals = checkpoints.signals() if checkpoints else nullcontext()
        with flush_denormals(), seeded(self.seed, self.device), signals:
            while run.index < n_epochs:
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
                        run.best_parameters = self._parameters()
                run.index, run.step, run.rows = run.index + 1, 0, []
                stop = [bool(callback(record)) for callback in callbacks]
                if any(stop) or (run.best_parameters is not None and run.index - 1 - run.best_index >= patience):
                    break
        if run.best_parameters is not None:
            self._restore(run.best_parameters)
        return run.history

    def _epoch(
        self,
        source: Source,
        run: _Run,
        first_epoch: int,
        n_epochs: int,
        checkpoints: Checkpoints | None,
        tick: Callable[[float], object] | None,
    ) -> Record:
        """Train on every row once, or on those that an interruption left of the epoch."""
        start = time.perf_counter()
        number, share = first_epoch + run.index, (run.index / n_epochs, 1 / n_epochs)
        self._start(number, run)
        before = self._state(run)
        for batch, progress in self._steps(source, number, share, run.step):
            run.names, row = self._step(batch, progress)
            run.rows.append(row)
            run.step += 1
            if tick:
                tick(run.index + run.step / len(source))
            if checkpoints and checkpoints.due:
                self._write(checkpoints, run)
                checkpoints.stop_if_asked()
        values = torch.stack(run.rows).double().cpu()  # the epoch's one synchronisation
        if not bool(values.isfinite().all()) or not self._finite():
            self._diagnose(source, number, share, before)
        weight, means = values[:, :1], values[:, 1:]
        mean = (weight * means).sum(0) / weight.sum().clamp(min=1e-300)
        record: Record = {"epoch": number + 1, "loss": float(mean[0])}
        record |= dict(zip(run.names, mean[1:].tolist(), strict=True))
        record["learning_rate"] = self.optimizer.param_groups[0]["lr"]
        record["seconds"] = time.perf_counter() - start
        return record

    @torch.no_grad()
    def evaluate(self, source: Source) -> float:
        """Return the weighted mean of the loss with the final weights, with the same draws at every call."""
        self.objective.eval()
        total = weight = 0.0
        with seeded(derive(self.seed, 2), self.device):
            for batch in source:
                loss = self.objective(batch).total()
                total += float((loss * batch.weight).sum())
                weight += float(batch.weight.sum())
        return total / weight

    # ---- one step -------------------------------------------------------------------------------------------

    def _start(self, number: int, run: _Run) -> None:
        """Set mode and generators for an epoch, or for the rest of one."""
        self.objective.train()
        if run.step and run.generators is not None:
            set_generator_states(run.generators, self.device)
        else:
            reseed(derive(self.seed, 0, number), self.device)

    def _steps(
        self, source: Source, number: int, share: tuple[float, float], first: int
    ) -> Iterator[tuple[Batch, float]]:
        """Yield an epoch's batches from the one numbered `first`, each with the share of training done before it."""
        for i, batch in enumerate(source.shuffled(derive(self.seed, 1, number), first), start=first):
            yield batch, share[0] + share[1] * i / len(source)

    def _step(self, batch: Batch, progress: float) -> tuple[list[str], Tensor]:
        """Take one step; return the terms' names and (batch weight, loss, terms...) as they were before it."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate * self.schedule(progress)
        with autocast(self.precision, self.device):
            terms: Terms = self.objective(batch, progress)
        weight = batch.weight.sum()
        share = batch.weight / weight.clamp(min=torch.finfo(weight.dtype).tiny)
        loss = share @ terms.total().to(share)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        means = [share @ value.detach().to(share) for value in terms.values.values()]
        return list(terms.values), torch.stack([weight, loss.detach(), *means])

    # ---- state ----------------------------------------------------------------------------------------------

    def _parameters(self) -> list[Tensor]:
        return [p.detach().clone() for p in self.parameters]

    def moments(self) -> list[dict[str, Tensor]]:
        """Return a copy of the optimizer's state of every parameter."""
        return [{k: v.clone() for k, v in self.optimizer.state[p].items()} for p in self.parameters]

    def set_moments(self, moments: list[dict[str, Tensor]]) -> None:
        """Go on with the optimizer's state that :meth:`moments` returned."""
        for parameter, values in zip(self.parameters, moments, strict=True):
            self.optimizer.state[parameter] = {
                key: value if key == "step" else value.to(parameter.device) for key, value in values.items()
            }

    def _state(self, run: _Run) -> tuple[list[Tensor], list[dict[str, Tensor]], list[Tensor], int]:
        """Return parameters, moments, generators and step: what :meth:`_diagnose` starts again from."""
        return self._parameters(), self.moments(), generator_states(self.device), run.step

    @torch.no_grad()
    def _restore(self, values: list[Tensor]) -> None:
        for parameter, value in zip(self.parameters, values, strict=True):
            parameter.copy_(value)

    def _finite(self) -> bool:
        return bool(torch.stack([p.detach().sum() for p in self.parameters]).isfinite().all())

    def _diagnose(
        self,
        source: Source,
        number: int,
        share: tuple[float, float],
        before: tuple[list[Tensor], list[dict[str, Tensor]], list[Tensor], int],
    ) -> None:
        """Run the epoch again from where it started, looking at every step, and stop before the first bad one."""
        parameters, moments, generators, first = before
        self._restore(parameters)
        self.set_moments(moments)
        set_generator_states(generators, self.device)
        for i, (batch, progress) in enumerate(self._steps(source, number, share, first), start=first + 1):
            good = self._parameters()
            names, row = self._step(batch, progress)
            bad = [name for name, finite in zip(names, row[2:].isfinite().tolist(), strict=True) if not finite]
            if bad or not self._finite():
                self._restore(good)
                raise NonFiniteError(number + 1, i, bad[0] if bad else "the gradient", batch)

    def _write(self, checkpoints: Checkpoints, run: _Run) -> None:
        """Write everything that training depends on."""
        lists: dict[str, Sequence[Tensor]] = {
            "parameter": self._parameters(),
            "generator": generator_states(self.device),
            "best": run.best_parameters or [],
        }
        tensors = {f"{name}.{i}": value for name, values in lists.items() for i, value in enumerate(values)}
        for i, parameter in enumerate(self.parameters):
            tensors |= {f"optimizer.{i}.{key}": value for key, value in self.optimizer.state[parameter].items()}
        if run.rows:
            tensors["rows"] = torch.stack(run.rows)
        best = run.best if run.best_parameters is not None else None
        description = {"index": run.index, "step": run.step, "names": run.names, "history": run.history}
        checkpoints.write(description | {"best": best, "best_index": run.best_index}, tensors)

    def _resume(self, checkpoints: Checkpoints | None) -> _Run:
        """Return the run of the newest checkpoint, with parameters and optimizer as they were, or a new one."""
        latest = checkpoints.latest() if checkpoints else None
        if latest is None:
            return _Run()
        saved, tensors = latest
        lists: dict[str, list[Tensor]] = {"parameter": [], "generator": [], "best": []}
        for name, values in lists.items():
            while f"{name}.{len(values)}" in tensors:
                values.append(tensors[f"{name}.{len(values)}"])
        moments: list[dict[str, Tensor]] = [{} for _ in self.parameters]
        for name, tensor in tensors.items():
            if name.startswith("optimizer."):
                _, i, key = name.split(".")
                moments[int(i)][key] = tensor
        self._restore(lists["parameter"])
        self.set_moments(moments)
        return _Run(
            index=saved["index"],
            step=saved["step"],
            names=saved["names"],
            rows=list(tensors["rows"].to(self.device)) if "rows" in tensors else [],
            history=saved["history"],
            best=float("inf") if saved["best"] is None else saved["best"],
            best_index=saved["best_index"],
            best_parameters=[value.to(self.device) for value in lists["best"]] or None,
            generators=lists["generator"],
        )
