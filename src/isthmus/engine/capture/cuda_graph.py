"""Training steps captured as a CUDA graph, which Python launches as one."""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus._batch import Batch
from isthmus.engine.capture.captured_step import Step

__all__ = ["capture_cuda_graph"]


def capture_cuda_graph(step: Step, batch: Batch, progress: Tensor) -> tuple[Tensor, Step]:
    """Record what a step launches, take it, and return its result with what takes such a step with other batches.

    torch's default generator of the device goes on from call to call as it would outside. Batches are copied into the
    memory that the step was recorded with.

    Raises
    ------
    RuntimeError
        If a part of it cannot be recorded: it waits for the device, or its shapes hang on numbers there. Nothing has
        been done then.
    """
    own = Batch(*(None if field is None else field.clone() for field in batch))  # type: ignore[arg-type]
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = step(own, progress)

    def again(batch: Batch, progress: Tensor) -> Tensor:  # noqa: ARG001 - the graph reads it where it is
        for mine, field in zip(own, batch, strict=True):
            if mine is not None and field is not None:
                mine.copy_(field)
        graph.replay()
        return result.clone()

    return again(batch, progress), again
