"""The training loop, on one screen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from isthmus._batch import Batch
from isthmus._torch import derive, reseed, seeded
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

    def shuffled(self, seed: int) -> Iterator[Batch]:
        """Yield the rows in an order that depends on `seed` alone."""


class NonFiniteError(FloatingPointError):
    """A loss or a parameter became infinite or NaN; the parameters are back at what they were before the step.

    Attributes
    ----------
    epoch, step : int
        Where, counted from 1.
    term : str
        The term of the loss that was not finite, or "parameters".
    batch : Batch
        The rows of that step.
    """

    def __init__(self, epoch: int, step: int, term: str, batch: Batch) -> None:
        super().__init__(f"training stopped in epoch {epoch}, step {step}: {term} is not finite.")
        self.epoch, self.step, self.term, self.batch = epoch, step, term, batch


class Trainer:
    """Minimises the weighted mean of ``objective(batch, progress).total()`` by Adam.

    Every epoch draws from generators that are derived from the seed and the epoch's number alone, so an epoch
    can be run again, or run after an interruption, with the same numbers.

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
    ) -> list[Record]:
        """Train for at most `n_epochs` epochs, the first of which has the number `first_epoch` (from 0).

        With a `validation` source, training stops after `patience` epochs without a lower validation loss,
        and ends with the parameters that had the lowest. A callback gets the record of every epoch and stops
        training by returning True.

        Raises
        ------
        NonFiniteError
            If a loss is infinite or NaN.
        """
        history: list[Record] = []
        best, best_state = float("inf"), None
        with flush_denormals(), seeded(self.seed, self.device):
            for index in range(n_epochs):
                record = self.epoch(source, first_epoch + index, (index / n_epochs, 1 / n_epochs))
                history.append(record)
                if validation is not None:
                    record["validation_loss"] = self.evaluate(validation)
                    if record["validation_loss"] < best:
                        best, best_epoch, best_state = record["validation_loss"], index, self._parameters()
                stop = [bool(callback(record)) for callback in callbacks]
                if any(stop) or (best_state is not None and index - best_epoch >= patience):
                    break
        if best_state is not None:
            self._restore(best_state)
        return history

    def epoch(self, source: Source, number: int, share: tuple[float, float] = (0.0, 1.0)) -> Record:
        """Train on every row once; `share` is where the epoch starts in the whole training, and its length."""
        start = time.perf_counter()
        before = self._state()
        terms = [self._step(batch, progress) for _, batch, progress in self._steps(source, number, share)]
        values = torch.stack([row for _, row in terms]).double().cpu()  # the epoch's one synchronisation
        if not bool(values.isfinite().all()) or not self._finite():
            self._diagnose(source, number, share, before)
        weight, means = values[:, :1], values[:, 1:]
        mean = (weight * means).sum(0) / weight.sum().clamp(min=1e-300)
        record: Record = {"epoch": number + 1, "loss": float(mean[0])}
        record |= dict(zip(terms[0][0], mean[1:].tolist(), strict=True))
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

    def _steps(self, source: Source, number: int, share: tuple[float, float]) -> Iterator[tuple[int, Batch, float]]:
        self.objective.train()
        reseed(derive(self.seed, 0, number), self.device)
        for i, batch in enumerate(source.shuffled(derive(self.seed, 1, number))):
            yield i, batch, share[0] + share[1] * i / len(source)

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

    def _parameters(self) -> list[Tensor]:
        return [p.detach().clone() for p in self.parameters]

    def _state(self) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
        moments = [{k: v.clone() for k, v in self.optimizer.state[p].items()} for p in self.parameters]
        return self._parameters(), moments

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
        before: tuple[list[Tensor], list[dict[str, Tensor]]],
    ) -> None:
        """Run the epoch again from its start, looking at every step, and stop before the first bad one."""
        self._restore(before[0])
        for parameter, moments in zip(self.parameters, before[1], strict=True):
            self.optimizer.state[parameter] = moments
        for i, batch, progress in self._steps(source, number, share):
            good = self._parameters()
            names, row = self._step(batch, progress)
            bad = [name for name, value in zip(names, row[2:].tolist(), strict=True) if not abs(value) < float("inf")]
            if bad or not self._finite():
                self._restore(good)
                raise NonFiniteError(number + 1, i + 1, bad[0] if bad else "the gradient", batch)
