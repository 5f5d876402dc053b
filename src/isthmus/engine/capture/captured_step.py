"""Training steps that are recorded once and replayed: on a GPU as a CUDA graph, which Python launches as one.

A recorded step reads and writes the memory that it was recorded with. So what changes from step to step beside the
rows, the learning rate and the share of training done, are tensors on the device.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from isthmus._batch import Batch
from isthmus._device import scalar_buffer

__all__ = ["MIN_STEPS", "Capture", "CapturedStep", "Step"]

Step = Callable[[Batch, Tensor], Tensor]  # takes a batch and the share of training done
Capture = Callable[[Step, Batch, Tensor], tuple[Tensor, Step | None]]

MIN_STEPS = 50  # steps in which it pays to record one
_WARMUP_STEPS = 3  # steps before one is recorded: libraries choose their kernels and workspaces in them


class CapturedStep:
    """A step that is recorded at its fourth call and replayed from then on.

    Where it cannot be recorded it is taken as it is, call by call; if trying raised an error, a UserWarning says so,
    once. A batch of other shapes is taken as it is, too.

    Parameters
    ----------
    step : callable
        Takes a batch and the share of training done, a tensor of shape (); returns a tensor.
    capture : callable
        Takes such a step, a batch and the share of training done; takes the step, and returns its result with what
        takes further ones, or with None: :func:`~isthmus.engine.capture.cuda_graph.capture_cuda_graph`, say.
    device : torch.device
        Of the batches.
    """

    def __init__(self, step: Step, capture: Capture, device: torch.device) -> None:
        self._step, self._capture, self._calls = step, capture, 0
        self._progress = scalar_buffer(device)
        self._forms: list[tuple[object, ...] | None] = []
        self._places: list[int] = []
        self._again: Step | None = None

    def __call__(self, batch: Batch, progress: float) -> Tensor:
        """Take the step."""
        self._progress.fill_(progress)
        self._calls += 1
        if self._calls == _WARMUP_STEPS + 1:
            return self._first(batch)
        if self._again is None or _forms(batch) != self._forms:
            return self._step(batch, self._progress)
        return self._again(batch, self._progress)

    def invalidate_if_moved(self, tensors: Iterable[Tensor]) -> None:
        """Record anew if what a step reads and writes lies elsewhere than at the last call: a callback may move it."""
        places = [tensor.data_ptr() for tensor in tensors]
        if places != self._places:
            self._calls, self._again, self._places = 0, None, places

    def _first(self, batch: Batch) -> Tensor:
        self._forms = _forms(batch)
        try:
            result, self._again = self._capture(self._step, batch, self._progress)
        except RuntimeError as error:
            why = str(error).strip().partition("\n")[0]
            warnings.warn(f"training steps cannot be recorded and are taken one by one: {why}", stacklevel=2)
            return self._step(batch, self._progress)
        return result


def _forms(batch: Batch) -> list[tuple[object, ...] | None]:
    """Return what a recorded step relies on."""
    return [None if field is None else (field.shape, field.stride(), field.dtype) for field in batch]
