"""The training loop: fit, epoch, step, evaluation."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from isthmus._batch import Batch
from isthmus._random import Stream, derive, reseed, seeded, set_generator_states
from isthmus.engine.adam import Adam
from isthmus.engine.capture import MIN_STEPS, CapturedStep, ReplayError
from isthmus.engine.checkpoint import Checkpoints
from isthmus.engine.diagnose import check_validation_loss, raise_at_bad_step
from isthmus.engine.distributed import Processes, SingleProcess
from isthmus.engine.environment import training_environment
from isthmus.engine.precision import MasterWeights
from isthmus.engine.progress_bar import ProgressBar
from isthmus.engine.protocols import Loader, LossTerms, Weights
from isthmus.engine.schedules import EpochSpan
from isthmus.engine.state import Record, RunProgress, TrainState, resume, write_checkpoint

__all__ = ["Trainer"]


class Trainer:
    """Minimise the weighted mean of a loss by Adam.

    The random numbers of an epoch depend only on the seed and on the number of the epoch, so that an epoch can be run
    again, or continued after an interruption, with the same numbers.

    Parameters
    ----------
    loss : Module
        ``loss(batch, weights)`` returns :class:`~isthmus.engine.protocols.LossTerms`; ``loss.weights(progress)``, which
        is called once per step, returns the weights when the share `progress` of training is done.
    learning_rate : float
        Peak learning rate.
    schedule : callable
        Maps the share of training done to a factor of the learning rate.
    weight_decay : float
        Decoupled weight decay.
    betas : tuple of float, default=(0.9, 0.999)
        Adam's decay rates.
    lr_multipliers : sequence of float, optional
        Factor of the learning rate for each parameter of the loss that is trained.
    seed : int
        Seed of all random numbers.
    bf16_parameters : sequence of Parameter, default=()
        Parameters of the loss that compute in bf16; the optimizer steps float32 copies.
    gradient_accumulation : int, default=1
        Number of parts in which a process computes its batches, one after the other.
    capture : bool, default=False
        Whether to capture whole steps and replay them (:class:`~isthmus.engine.capture.CapturedStep`).
    processes : Processes, optional
        The processes that train together; this one alone by default. Each part of a batch has its own random numbers,
        whichever process computes it: as many parts in one process or in several give the same parameters.

    Attributes
    ----------
    history : list of dict
        The record of each epoch that the last :meth:`fit` completed, also if it was interrupted.
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
        capture: bool = False,
        processes: Processes | None = None,
    ) -> None:
        self.loss, self.learning_rate, self.schedule, self.seed = loss, learning_rate, schedule, seed
        self.gradient_accumulation, self.capture = gradient_accumulation, capture
        self.processes = processes or SingleProcess()
        self.n_parts = gradient_accumulation * self.processes.world_size
        master_weights = MasterWeights(bf16_parameters)
        parameters = master_weights.replace(p for p in loss.parameters() if p.requires_grad)
        self.optimizer = Adam(parameters, weight_decay, betas, lr_multipliers)
        self.state = TrainState(loss, self.optimizer, master_weights)
        self.history: list[Record] = []
        self._weights = cast("Callable[[float], Weights]", loss.weights)
        self._module = loss  # the loss, or what averages its gradients over processes
        self._captured: CapturedStep | None = None
        self._names: list[str] = []

    def fit(
        self,
        loader: Loader,
        *,
        first_epoch: int,
        n_epochs: int | None,
        validation: Loader | None = None,
        patience: int = 10,
        callbacks: Sequence[Callable[[Record], object]] = (),
        checkpoints: Checkpoints | None = None,
        progress: ProgressBar | None = None,
    ) -> list[Record]:
        """Train for at most `n_epochs` epochs, the first of which has the number `first_epoch`; return their records.

        If `n_epochs` is None, nobody knows how long training will continue: one epoch is run, with the final weights of
        the loss. With `validation`, training stops after `patience` epochs without a lower validation loss, and ends
        with the parameters that had the lowest. A callback gets each epoch's record, and stops training by returning
        True. With `checkpoints`, training resumes from the newest one.

        Raises
        ------
        NonFiniteError
            If a loss or a parameter becomes infinite or NaN.
        InterruptedTrainingError
            If a signal came; only with `checkpoints`.
        """
        with training_environment(self.state, self.seed, checkpoints):
            self._module = self.processes.setup(self.loss)
            captures = self.capture and len(loader) * (n_epochs or 1) >= MIN_STEPS
            self._captured = CapturedStep(self._train_step, self.state, self.n_parts) if captures else None
            run = resume(checkpoints, self.state, self.processes)
            self.history = run.history
            while run.epochs < (n_epochs or 1):
                epoch = EpochSpan.of(first_epoch + run.epochs, run.epochs, n_epochs, len(loader))
                record = self._train_epoch(loader, epoch, run, checkpoints, progress)
                if validation is not None:
                    record["validation_loss"] = self.evaluate(validation)
                    check_validation_loss(record["validation_loss"], epoch.number)
                    run.keep_best(record["validation_loss"], self.state)
                run.end_epoch(record)
                if progress:
                    progress(record)
                if self._stops(callbacks, record) or run.epochs_without_improvement >= patience:
                    break
            if run.best_parameters is not None:
                self.state.load_parameters(run.best_parameters)
        return run.history

    def _train_epoch(
        self,
        loader: Loader,
        epoch: EpochSpan,
        run: RunProgress,
        checkpoints: Checkpoints | None,
        progress: ProgressBar | None,
    ) -> Record:
        """Train on every sample once, or on those that an interruption left of the epoch."""
        start, first, rows = time.perf_counter(), run.steps, list(run.rows)
        self._module.train()
        if run.steps and run.generators is not None:
            set_generator_states(run.generators, self.state.device)
        else:
            reseed(derive(self.seed, Stream.TRAINING, epoch.number), self.state.device)
        before = self.state.snapshot()
        train_step = self._captured or self._train_step
        try:
            for batch, weights in self._scheduled(loader, epoch, first):
                run.append(train_step(batch, weights, epoch.number, run.steps), self._names)
                if progress:
                    progress.update(run.epochs + run.steps / epoch.n_steps)
                if checkpoints and self.processes.any_rank(checkpoints.due):
                    write_checkpoint(checkpoints, run, self.state, self.processes)
        except ReplayError:  # the captured step is given up: train the epoch again, with eager steps
            self.state.load(before)
            run.steps, run.rows = first, rows
            return self._train_epoch(loader, epoch, run, checkpoints, progress)
        values = self.processes.all_reduce(torch.cat(run.rows)).double().cpu()  # the epoch's only synchronisation
        if not bool(values.isfinite().all()) or not self.state.is_finite():
            self.state.load(before)
            raise_at_bad_step(
                self._train_step, self._scheduled(loader, epoch, first), epoch=epoch.number, first=first,
                names=self._names, state=self.state, processes=self.processes,
            )  # fmt: skip
        rate = self.learning_rate * self.schedule(epoch.progress(epoch.n_steps - 1))
        record = {"epoch": epoch.number + 1, **run.means(values), "learning_rate": rate}
        return record | {"seconds": time.perf_counter() - start}

    def _train_step(self, batch: Batch, weights: Weights, epoch: int = 0, step: int = 0) -> Tensor:
        """Take one step; return this process' share of (batch weight, loss, terms...), as they were before it."""
        self.optimizer.zero_grad()
        own = batch.weight.sum()
        total = self.processes.all_reduce(own).clamp(min=torch.finfo(own.dtype).tiny)
        parts, shares = batch.split(self.gradient_accumulation), []
        for i, part in enumerate(parts):
            self._seed_part(i, Stream.TRAINING, epoch, step)
            with self.processes.no_backward_sync(self._module, enabled=i < len(parts) - 1):
                terms: LossTerms = self._module(part, weights)
                share = part.weight / total
                loss = share @ terms.total().to(share)
                self.processes.backward(loss)
            shares.append([loss.detach(), *(share @ value.detach().to(share) for value in terms.values.values())])
        self._names = list(terms.values)
        self.state.master_weights.sync_grads()
        self.optimizer.step()
        self.state.master_weights.sync_to_model()
        values = shares[0] if len(shares) == 1 else [sum(several) for several in zip(*shares, strict=True)]
        return torch.stack([own, *values])

    @torch.no_grad()
    def evaluate(self, loader: Loader) -> float:
        """Return the weighted mean of the loss with its final weights, with the same random numbers at every call."""
        self._module.eval()
        sums, weights = torch.zeros(2, dtype=torch.float64), self._weights(1.0)
        with seeded(derive(self.seed, Stream.VALIDATION), self.state.device):
            for step, batch in enumerate(loader):
                for i, part in enumerate(batch.split(self.gradient_accumulation)):
                    self._seed_part(i, Stream.VALIDATION, step)
                    loss = self._module(part, weights).total()
                    sums += torch.stack([(loss * part.weight).sum(), part.weight.sum()]).double().cpu()
        total, weight = self.processes.all_reduce(sums).tolist()
        return total / weight

    def _scheduled(self, loader: Loader, epoch: EpochSpan, first: int) -> Iterator[tuple[Batch, Weights]]:
        """Yield the batches from number `first` with the weights of the loss, and set the learning rate for each."""
        seed = derive(self.seed, Stream.SHUFFLING, epoch.number)
        for step, batch in enumerate(loader.shuffled(seed, first), start=first):
            progress = epoch.progress(step)
            self.optimizer.set_learning_rate(self.learning_rate * self.schedule(progress))
            yield batch, self._weights(progress)

    def _seed_part(self, part: int, *stream: int) -> None:
        """Seed the generators for part number `part` of this process' batch, if batches have several parts."""
        if self.n_parts > 1:
            number = self.processes.rank * self.gradient_accumulation + part
            reseed(derive(self.seed, *stream, number), self.state.device)

    def _stops(self, callbacks: Sequence[Callable[[Record], object]], record: Record) -> bool:
        """Call the callbacks in the first process; return in all whether one of them stops training."""
        stop = [bool(callback(record)) for callback in callbacks] if self.processes.is_main else []
        if callbacks and self._captured:
            self._captured.check_again()
        return self.processes.any_rank(any(stop))
