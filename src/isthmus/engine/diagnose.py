"""Find the step in which something is not finite: after the epoch, so that steps need not wait for the device."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from torch import Tensor

from isthmus._batch import Batch
from isthmus.engine.protocols import Weights
from isthmus.engine.run import TrainingRun

__all__ = ["NonFiniteError", "check_validation_loss", "raise_at_bad_step"]


class NonFiniteError(FloatingPointError):
    """A loss or a parameter became infinite or NaN; the parameters are those before the step.

    Attributes
    ----------
    epoch, step : int
        The step, counted from 1.
    term : str
        The term of the loss that was not finite, or "the gradient".
    batch : Batch
        The samples of the step.
    """

    def __init__(self, epoch: int, step: int, term: str, batch: Batch) -> None:
        super().__init__(f"training stopped in epoch {epoch}, step {step}: {term} is not finite.")
        self.epoch, self.step, self.term, self.batch = epoch, step, term, batch


def raise_at_bad_step(
    train_step: Callable[[Batch, Weights, int, int], Tensor],
    steps: Iterable[tuple[Batch, Weights]],
    epoch: int,
    first: int,
    run: TrainingRun,
) -> None:
    """Run the steps of an epoch again, check each, and raise at the first after which something is not finite.

    Parameters
    ----------
    train_step : callable
        Runs a step and returns (batch weight, loss, terms...).
    steps : iterable of (Batch, sequence of float)
        Batches and weights of the loss.
    epoch, first : int
        Numbers of the epoch and of its first step, from 0.
    run : TrainingRun
        The run; its state is restored to that before the bad step.

    Raises
    ------
    NonFiniteError
        At the first bad step.
    FloatingPointError
        If every step is finite this time.
    """
    for step, (batch, weights) in enumerate(steps, start=first):
        before = run.state.snapshot()
        means = run.processes.all_reduce(train_step(batch, weights, epoch, step).unsqueeze(0))[0, 2:]
        bad = [name for name, finite in zip(run.names, means.isfinite().tolist(), strict=True) if not finite]
        if bad or not run.state.is_finite():
            run.state.load(before)
            raise NonFiniteError(epoch + 1, step + 1, bad[0] if bad else "the gradient", batch)
    raise FloatingPointError(
        f"training stopped in epoch {epoch + 1}: a loss or a parameter was not finite, "
        "but is finite when the epoch is run again."
    )


def check_validation_loss(loss: float, epoch: int) -> None:
    """Raise a FloatingPointError if the validation loss after an epoch, numbered from 0, is not finite."""
    if not math.isfinite(loss):
        raise FloatingPointError(
            f"training stopped after epoch {epoch + 1}: the validation loss is not finite. Look for extreme values in "
            "the samples held out, or scale them."
        )
