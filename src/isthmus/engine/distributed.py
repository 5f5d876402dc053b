"""One process or many: the only module that uses torch.distributed.

Many processes are those that ``torchrun`` (or ``isthmus launch``) started. Each computes its parts of every batch; the
gradients are averaged by PyTorch's DistributedDataParallel, which Lightning Fabric sets up.
"""

from __future__ import annotations

import atexit
import inspect
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

__all__ = ["ProcessGroup", "Processes", "SingleProcess", "find_processes", "launched", "rank"]

_T = TypeVar("_T")


def launched() -> int:
    """Return how many processes were started together: torchrun's WORLD_SIZE, or 1."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def rank() -> int:
    """Return this process' number among those that were started together; 0 writes files and speaks."""
    return int(os.environ["RANK"]) if launched() > 1 else 0


class Processes(ABC):
    """Base of what the loop asks of the processes that train together.

    Attributes
    ----------
    rank, world_size : int
        This process' number, from 0, and how many there are.
    """

    rank: int
    world_size: int

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    @abstractmethod
    def setup(self, module: nn.Module) -> nn.Module:
        """Return the module whose backward passes average gradients over the processes."""

    @abstractmethod
    def no_backward_sync(self, module: nn.Module, *, enabled: bool) -> AbstractContextManager[Any]:
        """Return the context of a part of a batch; where `enabled`, its gradients stay here until a later part's go."""

    @abstractmethod
    def backward(self, loss: Tensor) -> None:
        """Go back from a loss of which every process has a summand."""

    @abstractmethod
    def all_reduce(self, values: Tensor) -> Tensor:
        """Return the sum of a tensor over the processes."""

    @abstractmethod
    def broadcast(self, number: int) -> int:
        """Return the number that process 0 gave."""

    @abstractmethod
    def gather(self, values: Tensor) -> list[Tensor]:
        """Return what every process gave, by rank: tensors (n,) of one type, each of its own length."""

    def any_rank(self, flag: bool) -> bool:
        """Tell whether a flag is set in any process."""
        return flag if self.world_size == 1 else bool(self.all_reduce(torch.tensor(float(flag))))

    def rank_slice(self, n: int) -> slice:
        """Return which of n things are this process': consecutive ones, each process as many within one."""
        return slice(self.rank * n // self.world_size, (self.rank + 1) * n // self.world_size)

    def on_all_ranks(self, function: Callable[[], _T]) -> _T:
        """Return what a function returns, once it has returned in every process.

        What it raises in one is raised in all, as a ValueError in the others: none waits for one that has gone.
        """
        failed: Exception | None = None
        try:
            value = function()
        except Exception as error:
            failed = error
        text = "" if failed is None else str(failed) or type(failed).__name__
        said = self.gather(torch.tensor(list(text.encode()), dtype=torch.uint8))
        if failed is not None:
            raise failed
        for other in said:
            if len(other):
                raise ValueError(bytes(other.tolist()).decode())
        return value


class SingleProcess(Processes):
    """One process: nothing to do."""

    rank, world_size = 0, 1

    def setup(self, module: nn.Module) -> nn.Module:
        """Return the module."""
        return module

    def no_backward_sync(self, module: nn.Module, *, enabled: bool) -> AbstractContextManager[Any]:  # noqa: ARG002
        """Return a context that does nothing."""
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        """Go back."""
        loss.backward()

    def all_reduce(self, values: Tensor) -> Tensor:
        """Return the tensor."""
        return values

    def broadcast(self, number: int) -> int:
        """Return the number."""
        return number

    def gather(self, values: Tensor) -> list[Tensor]:
        """Return the tensor, as the one there is."""
        return [values]


class ProcessGroup(Processes):
    """The processes that torchrun started, by Lightning Fabric.

    Parameters
    ----------
    device : torch.device
        Of this process; gloo connects CPUs, NCCL GPUs.

    Raises
    ------
    ModuleNotFoundError
        If Lightning Fabric is not installed; the message names the extra.
    """

    def __init__(self, device: torch.device) -> None:
        try:
            from lightning_fabric import Fabric
            from lightning_fabric.strategies.ddp import DDPStrategy
        except ImportError as error:
            raise ModuleNotFoundError(
                "training in several processes needs Lightning Fabric: pip install 'isthmus[scale]'."
            ) from error
        here = int(os.environ["LOCAL_WORLD_SIZE"])
        self.fabric = Fabric(
            accelerator=device.type,
            devices=here,
            num_nodes=launched() // here,
            strategy=DDPStrategy(
                process_group_backend="nccl" if device.type == "cuda" else "gloo",
                **_quiet_buffers(),
            ),
        )
        self.fabric.launch()
        self.rank, self.world_size = self.fabric.global_rank, self.fabric.world_size
        atexit.register(_leave)

    def setup(self, module: nn.Module) -> nn.Module:
        """Wrap the module in DistributedDataParallel; parameters and buffers become process 0's."""
        wrapped: nn.Module = self.fabric.setup_module(module)
        return wrapped

    def no_backward_sync(self, module: nn.Module, *, enabled: bool) -> AbstractContextManager[Any]:
        """Return Fabric's context."""
        return self.fabric.no_backward_sync(cast("Any", module), enabled=enabled)

    def backward(self, loss: Tensor) -> None:
        """Go back; gradients are averaged, so that a sum over processes has to be multiplied by their number."""
        self.fabric.backward(loss * self.world_size)

    def all_reduce(self, values: Tensor) -> Tensor:
        """Return the sum, on the device that the values came on."""
        moved = values.detach().clone().to(self.fabric.device)
        torch.distributed.all_reduce(moved)
        return moved.to(values.device)

    def broadcast(self, number: int) -> int:
        """Send process 0's number to all."""
        sent = torch.tensor([number], dtype=torch.int64, device=self.fabric.device)
        torch.distributed.broadcast(sent, src=0)
        return int(sent)

    def gather(self, values: Tensor) -> list[Tensor]:
        """Return what every process gave, on the device that this one's came on."""
        sizes = torch.zeros(self.world_size, dtype=torch.int64)
        sizes[self.rank] = len(values)
        sizes = self.all_reduce(sizes)
        sent = torch.zeros(int(sizes.max()), dtype=values.dtype, device=self.fabric.device)
        sent[: len(values)] = values
        found = [torch.empty_like(sent) for _ in range(self.world_size)]
        torch.distributed.all_gather(found, sent)
        return [other[:size].to(values.device) for other, size in zip(found, sizes.tolist(), strict=True)]


_FOUND: list[ProcessGroup] = []  # a process belongs to one group, for as long as it lives


def find_processes(device: torch.device | None = None) -> Processes:
    """Return the processes that this one trains with; the first call says on which device, the CPU by default."""
    if launched() == 1:
        return SingleProcess()
    if not _FOUND:
        _FOUND.append(ProcessGroup(device or torch.device("cpu")))
    return _FOUND[0]


def _quiet_buffers() -> dict[str, Any]:
    """Return what keeps buffers from being sent before every step: nothing changes them after the start."""
    known = inspect.signature(nn.parallel.DistributedDataParallel.__init__).parameters
    return {"forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers": False}


def _leave() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
