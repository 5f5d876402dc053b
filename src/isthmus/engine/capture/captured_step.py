"""A training step that is captured once and replayed, as long as results are bit-identical to the eager step."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from isthmus._batch import Batch
from isthmus._torch_private import has_hooks
from isthmus.engine.capture.cuda_graph import capture_cuda_graph
from isthmus.engine.capture.operator_graph import capture_operator_graph
from isthmus.engine.protocols import Weights
from isthmus.engine.state import Snapshot, TrainState

__all__ = ["CAPTURES", "MIN_STEPS", "CapturedStep", "ReplayError", "Step"]

Step = Callable[..., Tensor]  # takes a batch, the weights of the loss, and the position of the step

CAPTURES = {"cpu": capture_operator_graph, "cuda": capture_cuda_graph}  # by type of device

MIN_STEPS = 50  # shorter runs are over before capturing a step pays
_WARMUP_STEPS = 3  # eager steps in which libraries choose their kernels and workspaces
_N_CHECKS = 3  # checks before a step with parts from outside isthmus and torch is trusted


class ReplayError(RuntimeError):
    """Replaying a trusted step failed: the state is undefined, and later steps will be eager."""


class CapturedStep:
    """Run training steps; capture one after three eager ones, and replay it from then on.

    A captured step is trusted once it was checked: from the same snapshot, the eager step and the replayed one lead to
    bit-identical parameters, buffers, optimizer state and random generators. Steps with parts from outside isthmus
    and torch are trusted after three such checks. :meth:`check_again` requests one more check, of the next step; one
    that was trusted before and differs now is captured anew.

    Whatever fails, each step is run exactly once, and later steps are eager; a warning names the reason.

    A replayed step reads and writes the memory that it was captured with. Therefore, the learning rate and the weights
    of the terms are tensors, which are set before each step. Python code in a loss does not run in a replayed step, and
    ``Parameter.grad`` is not set.

    Parameters
    ----------
    step : callable
        Runs a step, given a batch and the weights of the loss' terms; returns a tensor.
    state : TrainState
        Everything that the step changes.
    n_parts : int, default=1
        Number of parts in which batches are computed; steps are captured only if it is 1.
    warn : bool, default=True
        Whether to warn when steps become eager.
    """

    def __init__(self, step: Step, state: TrainState, n_parts: int = 1, *, warn: bool = True) -> None:
        self._step, self._state, self._n_parts, self._warn = step, state, n_parts, warn
        self._eager_steps = 0
        self._weights: list[Tensor] = []
        self._format: list[object] = []
        self._replay: Callable[[Batch], Tensor] | None = None
        self._checks_left, self._was_trusted = 0, False
        self._stopped = False
        if reason := self._obstacle():
            self._stop(reason)

    def __call__(self, batch: Batch, weights: Weights, *position: int) -> Tensor:
        """Run a step; its position, the numbers of epoch and step, is for eager steps that are computed in parts."""
        if self._stopped:
            return self._step(batch, weights, *position)
        if len(weights) != len(self._weights):
            self._weights = [torch.zeros((), dtype=torch.float64, device=batch.x.device) for _ in weights]
            self._replay = None
        for tensor, weight in zip(self._weights, weights, strict=True):
            tensor.fill_(weight)
        if self._eager_steps < _WARMUP_STEPS:
            self._eager_steps += 1
            return self._step(batch, self._weights)
        if self._replay is None:
            return self._captured(batch)
        if _format_of(batch) != self._format:
            return self._step(batch, self._weights)
        if self._checks_left:
            before = self._state.snapshot()
            return self._checked(batch, before, self._step(batch, self._weights))
        try:
            return self._replay(batch)
        except Exception as error:
            self._stop(_reason(error))
            raise ReplayError from error

    def check_again(self) -> None:
        """Check the next step: a callback has run, and may have changed what a step does."""
        self._checks_left = max(self._checks_left, 1)
        if not self._stopped and (reason := self._obstacle()):
            self._stop(reason)

    def _stop(self, reason: str) -> None:
        """Run eager steps from now on, and warn with the reason if this was asked for."""
        self._stopped, self._replay = True, None
        if self._warn:
            warnings.warn(f"compile=True: training steps are not captured, but run eagerly: {reason}", stacklevel=2)

    def _obstacle(self) -> str | None:
        """Return why steps cannot be captured, if this is known beforehand."""
        if self._state.device.type not in CAPTURES:
            return f"there is no way to capture steps on the device {self._state.device}."
        if self._n_parts > 1:
            return "batches are computed in several parts."
        if torch.is_anomaly_enabled():
            return "torch's anomaly detection is on."
        if has_hooks(self._state.loss):
            return "a hook is registered on a module or a parameter, and would not be called."
        return None

    def _captured(self, batch: Batch) -> Tensor:
        """Run the step and capture it."""
        before = self._state.snapshot()
        try:
            result, build = CAPTURES[self._state.device.type](self._step, batch, self._weights)
        except Exception as error:
            self._state.load(before)
            self._stop(_reason(error))
            return self._step(batch, self._weights)  # an error of the step itself is raised here once more
        try:
            self._replay, self._format = build(), _format_of(batch)
        except Exception as error:
            self._stop(_reason(error))
            return result
        parts = (type(part).__module__.partition(".")[0] for part in self._state.loss.modules())
        self._checks_left = 1 if {*parts} <= {"isthmus", "torch"} else _N_CHECKS
        self._was_trusted = False
        return self._checked(batch, before, result)

    def _checked(self, batch: Batch, before: Snapshot, result: Tensor) -> Tensor:
        """Replay the eager step that was just run, compare the two states, and keep that of the eager one."""
        assert self._replay is not None
        eager = self._state.snapshot()
        try:
            self._state.load(before)
            replayed = self._replay(batch)
            snapshot = self._state.snapshot()
            same = _same_bits([replayed, *snapshot.all()], [result, *eager.all()])
            reason = "" if same else "a replayed step gives other numbers than an eager one."
        except Exception as error:
            reason = _reason(error)
        self._state.load(eager)
        self._checks_left -= 1
        if not reason:
            self._was_trusted = self._was_trusted or not self._checks_left
        elif self._was_trusted:
            self._replay = None
        else:
            self._stop(reason)
        return result


def _format_of(batch: Batch) -> list[object]:
    """Return shapes, strides and dtypes, on which a captured step relies."""
    return [None if field is None else (field.shape, field.stride(), field.dtype) for field in batch]


def _same_bits(ones: list[Tensor], others: list[Tensor]) -> bool:
    """Return whether tensors are equal bit for bit: NaN equals itself, 0 does not equal -0."""
    pairs = zip(ones, others, strict=True)
    return all(torch.equal(*(tensor.reshape(-1).view(torch.uint8) for tensor in pair)) for pair in pairs)


def _reason(error: Exception) -> str:
    """Return an error as one line."""
    line = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {line}" if line else type(error).__name__
