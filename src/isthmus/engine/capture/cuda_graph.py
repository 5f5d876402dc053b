"""Training steps captured as CUDA graphs: all kernels of a step are launched by one call."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from isthmus._batch import Batch
from isthmus._random import generator

__all__ = ["capture_cuda_graph"]

_ONE_CAPTURE = threading.Lock()  # torch captures all graphs of a process on one stream


def capture_cuda_graph(
    step: Callable[[Batch, list[Tensor]], Tensor], batch: Batch, weights: list[Tensor]
) -> tuple[Tensor, Callable[[], Callable[[Batch], Tensor]]]:
    """Run a step eagerly; return its result, and a function that captures such a step and returns its replay.

    Capturing runs the step's Python code once more, but changes nothing on the device. Batches are copied into the
    memory that the step was captured with. The generator that the step draws from continues from replay to replay as
    from step to step.

    Parameters
    ----------
    step : callable
        Takes a batch and weights; everything else that it reads and writes stays in the same memory.
    batch : Batch
        The samples of the step.
    weights : list of Tensor
        Weights of the loss' terms, in memory of their own.

    Raises
    ------
    RuntimeError
        When capturing, if the step waits for the device, or if its shapes depend on numbers there.
    """
    result = step(batch, weights)

    def build() -> Callable[[Batch], Tensor]:
        static = Batch(*(None if field is None else field.clone() for field in batch))  # type: ignore[arg-type]
        graph, output = _capture(lambda: step(static, weights), batch.x.device)

        def replay(batch: Batch) -> Tensor:
            for target, field in zip(static, batch, strict=True):
                if target is not None and field is not None:
                    target.copy_(field)
            graph.replay()
            return output.clone()

        return replay

    return result, build


def _capture(run: Callable[[], Tensor], device: torch.device) -> tuple[torch.cuda.CUDAGraph, Tensor]:
    """Return the graph of what a function launches, and the tensor that it returns.

    If capturing fails, torch leaves its own stream current, and the device's generators in a state in which they
    refuse to draw. Both are set back, so that eager steps can follow.
    """
    graph, own = torch.cuda.CUDAGraph(), generator(device)
    generators = [torch.cuda.default_generators[device.index or 0]]  # which torch registers with every graph
    if own is not None:
        graph.register_generator_state(own)
        generators.append(own)
    states = [each.get_state() for each in generators]
    current = torch.cuda.current_stream(device)
    with _ONE_CAPTURE, _no_garbage_collection(), torch.cuda.device(device), torch.cuda.stream(current):
        try:
            # Other threads may use the device meanwhile, which the default mode makes an error, in them.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                output = run()
        except Exception as error:
            for each, state in zip(generators, states, strict=True):
                each.graphsafe_set_state(torch.Generator(device))
                each.set_state(state)
            first = error.__context__  # ending the capture raises another error, which is less specific
            raise (first if isinstance(first, RuntimeError) else error) from None
    return graph, output


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Keep the collector from freeing the graph of an earlier fit, which CUDA refuses while a stream is captured."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
