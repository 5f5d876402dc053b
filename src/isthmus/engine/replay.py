"""Training steps that are recorded once and replayed: on a GPU as a CUDA graph, which Python launches as one.

A recorded step reads and writes the memory that it was recorded with. So batches are copied into one batch, and what
else changes from step to step, the learning rate and the share of training done, are tensors on the device.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from isthmus._batch import Batch

__all__ = ["Replay", "cuda_graph"]

_WARM = 3  # steps before one is recorded: libraries choose their kernels and workspaces in them

_Act = Callable[[], Tensor]


def cuda_graph(act: _Act) -> _Act:
    """Record what a function launches, without running it, and return what runs all of it again.

    The tensor that comes back is the same at every call. torch's default generator of the device goes on from call to
    call as it would outside.

    Raises
    ------
    RuntimeError
        If a part of it cannot be recorded: it waits for the device, or its shapes hang on numbers there.
    """
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = act()

    def again() -> Tensor:
        graph.replay()
        return result

    return again


class Replay:
    """A step that is recorded at its fourth call and replayed from then on.

    Where it cannot be recorded it says so in a UserWarning, once, and is taken as it is, call by call. So is a batch of
    other shapes.

    Parameters
    ----------
    step : callable
        Takes a batch and the share of training done, a tensor of shape (); returns a tensor.
    record : callable
        :func:`cuda_graph`, or another one of its signature.
    device : torch.device
        Of the batches.
    """

    def __init__(
        self, step: Callable[[Batch, Tensor], Tensor], record: Callable[[_Act], _Act], device: torch.device
    ) -> None:
        self._step, self._record, self._calls = step, record, 0
        self._progress = torch.zeros((), device=device)
        self._batch: Batch | None = None
        self._again: _Act | None = None

    def __call__(self, batch: Batch, progress: float) -> Tensor:
        """Take the step."""
        self._progress.fill_(progress)
        self._calls += 1
        if self._calls == _WARM + 1:
            self._try(batch)
        if self._again is None or self._batch is None or not _alike(self._batch, batch):
            return self._step(batch, self._progress)
        for own, field in zip(self._batch, batch, strict=True):
            if own is not None and field is not None:
                own.copy_(field)
        return self._again().clone()

    def _try(self, batch: Batch) -> None:
        own = Batch(*(None if field is None else field.clone() for field in batch))  # type: ignore[arg-type]
        try:
            self._again = self._record(lambda: self._step(own, self._progress))
        except RuntimeError as error:
            why = str(error).strip().partition("\n")[0]
            warnings.warn(f"training steps cannot be recorded and are taken one by one: {why}", stacklevel=2)
        self._batch = own


def _alike(a: Batch, b: Batch) -> bool:
    """Tell whether two batches have the same fields, of the same shapes."""
    return all(getattr(x, "shape", None) == getattr(y, "shape", None) for x, y in zip(a, b, strict=True))
