"""The training loop: fit, epoch, step, evaluation."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from isthmus._batch import Batch
from isthmus._random import Stream, derive, reseed, seeded
from isthmus.engine.adam import FusedAdam
from isthmus.engine.capture import MIN_STEPS, CapturedStep, ReplayError
from isthmus.engine.checkpoint import Checkpoints
from isthmus.engine.diagnose import check_validation_loss, raise_at_bad_step
from isthmus.engine.distributed import Processes, SingleProcess
from isthmus.engine.environment import training_environment
from isthmus.engine.precision import MasterWeights
from isthmus.engine.progress_bar import ProgressBar
from isthmus.engine.protocols import Loader, LossTerms, Record, Weights
from isthmus.engine.run import TrainingRun
from isthmus.engine.schedules import EpochSpan
from isthmus.engine.state import TrainState

__all__ = ["TrainingLoop"]


class TrainingLoop:
    """Minimise the weighted mean of a loss by gradient descent.

    Parameters
    ----------
    loss : Module
        ``loss(batch, weights)`` returns :class:`~isthmus.engine.protocols.LossTerms`; ``loss.weights(progress)``, which
        is called once per step, returns the weights when the fraction `progress` of training is done.
    optimizer : callable
        Maps the trained parameters to their :class:`~isthmus.engine.adam.FusedAdam`.
    learning_rate : callable
        Maps the fraction of training done to the learning rate.
    seed : int
        Seed of all random numbers. Those of an epoch depend only on it and on the number of the epoch.
    bf16_parameters : sequence of Parameter, default=()
        Parameters of the loss that compute in bf16; the optimizer updates float32 copies.
    gradient_accumulation : int, default=1
        Number of parts in which a process computes its batches, one after the other.
    capture : bool or "auto", default=False
        Whether to capture whole steps and replay them (:class:`~isthmus.engine.capture.CapturedStep`). "auto" captures
        on a GPU, and does not warn of steps that cannot be captured.
    processes : Processes, optional
        The processes that train together. The same number of parts per batch gives the same parameters in one or more.
    """

    def __init__(
        self,
        loss: nn.Module,
        *,
        optimizer: Callable[[list[nn.Parameter]], FusedAdam],
        learning_rate: Callable[[float], float],
        seed: int,
        bf16_parameters: Sequence[nn.Parameter] = (),
        gradient_accumulation: int = 1,
        capture: bool | str = False,
        processes: Processes | None = None,
    ) -> None:
        self.loss, self.seed, self.processes = loss, seed, processes or SingleProcess()
        self.gradient_accumulation, self.capture = gradient_accumulation, capture
        self.n_parts = gradient_accumulation * self.processes.world_size
        master = MasterWeights(bf16_parameters)
        parameters = master.replace(p for p in loss.parameters() if p.requires_grad)
        self.optimizer = optimizer(parameters)
        self.state = TrainState(loss, self.optimizer, master)
        self.history: list[Record] = []
        self._rate = learning_rate
        self._weights: Callable[[float], Weights] = loss.weights  # type: ignore[assignment]
        self._module = loss  # the loss, or a wrapper that averages its gradients over processes
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
        """Train for at most `n_epochs` epochs, numbered from `first_epoch`, and return their records.

        If `n_epochs` is None, one epoch is run with the final weights of the loss. With `validation`, training stops
        after `patience` epochs without a lower validation loss, and ends with the parameters of the lowest. A callback
        gets each epoch's record, and stops training by returning True. ``history`` has the epochs completed so far.

        Raises
        ------
        NonFiniteError
            If a loss or a parameter becomes infinite or NaN.
        InterruptedTrainingError
            If a signal was received; only with `checkpoints`.
        """
        with training_environment(self.state, self.seed, checkpoints):
            run = TrainingRun(self.state, self.processes, len(loader), checkpoints, progress)
            self._begin(run, n_epochs, validation)
            while run.epochs < (n_epochs or 1) and not run.ended:
                epoch = EpochSpan.of(first_epoch + run.epochs, run.epochs, n_epochs, run.n_steps)
                record = self._train_epoch(loader, epoch, run)
                if validation is not None:
                    record["validation_loss"] = self.evaluate(validation)
                    check_validation_loss(record["validation_loss"], epoch.number)
                run.end_epoch(record)
                stops = [callback(record) for callback in callbacks] if self.processes.is_main else []
                if callbacks and self._captured:
                    self._captured.check_again()
                if self.processes.any_rank(any(stops)) or run.epochs_without_improvement >= patience:
                    break
            run.end()
            self.best_loss, self.best_epoch = run.best_loss, run.best_epoch + 1  # reached after so many epochs
        return run.history

    def _begin(self, run: TrainingRun, n_epochs: int | None, validation: Loader | None) -> None:
        """Set up the processes, resume from a checkpoint, or validate the parameters to start from."""
        self._module = self.processes.setup(self.loss)
        auto = self.capture == "auto"
        asked = self.state.device.type == "cuda" if auto else self.capture
        pays = asked and run.n_steps * (n_epochs or 1) >= MIN_STEPS
        self._captured = CapturedStep(self._train_step, self.state, self.n_parts, warn=not auto) if pays else None
        run.resume()
        self.history = run.history
        if validation is not None and not run.started:  # they may be the best
            run.keep_if_best(self.evaluate(validation), epoch=-1)

    def _train_epoch(self, loader: Loader, epoch: EpochSpan, run: TrainingRun) -> Record:
        """Train on every sample once, or on those that remain after an interruption."""
        start, first, rows = time.perf_counter(), run.steps, list(run.rows)
        self._module.train()
        before = run.begin_epoch(self.seed, epoch.number)
        train_step = self._captured or self._train_step
        try:
            for batch, weights in self._scheduled(loader, epoch, first):
                run.end_step(train_step(batch, weights, epoch.number, run.steps), self._names)
        except ReplayError:  # steps are eager from now on: train the epoch again
            self.state.load(before)
            run.steps, run.rows = first, rows
            return self._train_epoch(loader, epoch, run)
        totals = run.totals()
        if not bool(totals.isfinite().all()) or not self.state.is_finite():
            self.state.load(before)
            raise_at_bad_step(self._train_step, self._scheduled(loader, epoch, first), epoch.number, first, run)
        rate, seconds = self._rate(epoch.progress(epoch.n_steps - 1)), time.perf_counter() - start
        return {"epoch": epoch.number + 1, **run.means(totals), "learning_rate": rate, "seconds": seconds}

    def _train_step(self, batch: Batch, weights: Weights, epoch: int = 0, step: int = 0) -> Tensor:
        """Run one step; return this process' share of (batch weight, loss, terms...), computed before the update."""
        self.optimizer.zero_grad()
        weight = batch.weight.sum()
        total = self.processes.all_reduce(weight).clamp(min=torch.finfo(weight.dtype).tiny)
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
        return torch.stack([weight, *values])

    @torch.no_grad()
    def evaluate(self, loader: Loader) -> float:
        """Return the weighted mean of the loss with its final weights, with the same random numbers at every call."""
        self._module.eval()
        sums, weights = torch.zeros(2, dtype=torch.float64), self._weights(1.0)
        with seeded(derive(self.seed, Stream.VALIDATION), self.state.device, self.loss):
            for step, batch in enumerate(loader):
                for i, part in enumerate(batch.split(self.gradient_accumulation)):
                    self._seed_part(i, Stream.VALIDATION, step)
                    loss = self._module(part, weights).total()
                    sums += torch.stack([(loss * part.weight).sum(), part.weight.sum()]).cpu().double()
        sums = self.processes.all_reduce(sums)
        return float(sums[0] / sums[1])

    def _scheduled(self, loader: Loader, epoch: EpochSpan, first: int) -> Iterator[tuple[Batch, Weights]]:
        """Yield the batches from number `first` with the weights of the loss, and set the learning rate for each."""
        batches = loader.shuffled(derive(self.seed, Stream.SHUFFLING, epoch.number), first)
        for step, batch in enumerate(batches, start=first):
            self.optimizer.set_learning_rate(self._rate(epoch.progress(step)))
            yield batch, self._weights(epoch.progress(step))

    def _seed_part(self, part: int, *stream: int) -> None:
        """Seed the generators for part number `part` of this process' batch, if batches have several parts."""
        if self.n_parts > 1:
            number = self.processes.rank * self.gradient_accumulation + part
            reseed(derive(self.seed, *stream, number), self.state.device)
