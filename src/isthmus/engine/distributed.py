"""One process or several: the only module that uses torch.distributed.

Several processes are started by ``torchrun`` or ``isthmus launch``. Each computes its parts of every batch; PyTorch's
DistributedDataParallel, which Lightning Fabric sets up, averages the gradients.
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

__all__ = ["ProcessGroup", "Processes", "SingleProcess", "find_processes", "rank", "world_size"]

_T = TypeVar("_T")


def world_size() -> int:
    """Return the number of processes that were started together: torchrun's WORLD_SIZE, or 1."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def rank() -> int:
    """Return this process' number among those that were started together; number 0 writes files and prints."""
    return int(os.environ["RANK"]) if world_size() > 1 else 0


class Processes(ABC):
    """Base of the communication between processes that train together.

    Attributes
    ----------
    rank, world_size : int
        Number of this process, from 0, and number of processes.
    """

    rank: int
    world_size: int

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files and prints."""
        return self.rank == 0

    @abstractmethod
    def setup(self, module: nn.Module) -> nn.Module:
        """Return the module with gradients that are averaged over the processes in backward passes."""

    @abstractmethod
    def no_backward_sync(self, module: nn.Module, *, enabled: bool) -> AbstractContextManager[Any]:
        """Return a context for part of a batch; if `enabled`, its gradients are averaged with those of a later part."""

    @abstractmethod
    def backward(self, loss: Tensor) -> None:
        """Compute the gradients of a loss that is the sum of the processes' losses."""

    @abstractmethod
    def all_reduce(self, values: Tensor) -> Tensor:
        """Return the sum of a tensor over the processes."""

    @abstractmethod
    def broadcast(self, number: int) -> int:
        """Return the number that process 0 passed."""

    @abstractmethod
    def gather(self, values: Tensor) -> list[Tensor]:
        """Return what each process passed, by rank: tensors (n,) of one type, which may differ in length."""

    def any_rank(self, flag: bool) -> bool:
        """Return whether a flag is set in any process."""
        return flag if self.world_size == 1 else bool(self.all_reduce(torch.tensor(float(flag))))

    def rank_slice(self, n: int) -> slice:
        """Return the slice of `n` items that belongs to this process; slices differ in length by at most one."""
        return slice(self.rank * n // self.world_size, (self.rank + 1) * n // self.world_size)

    def on_all_ranks(self, function: Callable[[], _T]) -> _T:
        """Return what a function returns, after it has returned in every process.

        An exception in one process is raised in all, as a ValueError in the others, so that none waits forever.
        """
        failed: Exception | None = None
        try:
            value = function()
        except Exception as error:
            failed = error
        text = "" if failed is None else str(failed) or type(failed).__name__
        messages = self.gather(torch.tensor(list(text.encode()), dtype=torch.uint8))
        if failed is not None:
            raise failed
        for message in messages:
            if len(message):
                raise ValueError(bytes(message.tolist()).decode())
        return value


class SingleProcess(Processes):
    """A single process, in which nothing needs to be exchanged."""

    rank, world_size = 0, 1

    def setup(self, module: nn.Module) -> nn.Module:
        """Return the module."""
        return module

    def no_backward_sync(self, module: nn.Module, *, enabled: bool) -> AbstractContextManager[Any]:  # noqa: ARG002
        """Return a context that does nothing."""
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        """Compute the gradients."""
        loss.backward()

    def all_reduce(self, values: Tensor) -> Tensor:
        """Return the tensor."""
        return values

    def broadcast(self, number: int) -> int:
        """Return the number."""
        return number

    def gather(self, values: Tensor) -> list[Tensor]:
        """Return the tensor, in a list."""
        return [values]


class ProcessGroup(Processes):
    """The processes that torchrun started, connected by Lightning Fabric.

    Parameters
    ----------
    device : torch.device
        Device of this process. CPUs are connected by gloo, GPUs by NCCL.

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
        local_world_size = int(os.environ["LOCAL_WORLD_SIZE"])
        # Training does not change buffers: they need not be sent before every step. The option has two names.
        known = inspect.signature(nn.parallel.DistributedDataParallel.__init__).parameters
        sync = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
        options: dict[str, Any] = {sync: False}
        self.fabric = Fabric(
            accelerator=device.type,
            devices=local_world_size,
            num_nodes=world_size() // local_world_size,
            strategy=DDPStrategy(process_group_backend="nccl" if device.type == "cuda" else "gloo", **options),
        )
        self.fabric.launch()
        self.rank, self.world_size = self.fabric.global_rank, self.fabric.world_size
        atexit.register(_leave)

    def setup(self, module: nn.Module) -> nn.Module:
        """Wrap the module in DistributedDataParallel; all processes get the parameters and buffers of process 0."""
        wrapped: nn.Module = self.fabric.setup_module(module)
        return wrapped

    def no_backward_sync(self, module: nn.Module, *, enabled: bool) -> AbstractContextManager[Any]:
        """Return Fabric's context manager of this name."""
        return self.fabric.no_backward_sync(cast("Any", module), enabled=enabled)

    def backward(self, loss: Tensor) -> None:
        """Compute the gradients; they are averaged, so that a sum is multiplied by the number of processes."""
        self.fabric.backward(loss * self.world_size)

    def all_reduce(self, values: Tensor) -> Tensor:
        """Return the sum, on the device of the values."""
        moved = values.detach().clone().to(self.fabric.device)
        torch.distributed.all_reduce(moved)
        return moved.to(values.device)

    def broadcast(self, number: int) -> int:
        """Send the number of process 0 to all."""
        sent = torch.tensor([number], dtype=torch.int64, device=self.fabric.device)
        torch.distributed.broadcast(sent, src=0)
        return int(sent)

    def gather(self, values: Tensor) -> list[Tensor]:
        """Return what each process passed, on the device of this one's tensor."""
        sizes = torch.zeros(self.world_size, dtype=torch.int64)
        sizes[self.rank] = len(values)
        sizes = self.all_reduce(sizes)
        sent = torch.zeros(int(sizes.max()), dtype=values.dtype, device=self.fabric.device)
        sent[: len(values)] = values
        found = [torch.empty_like(sent) for _ in range(self.world_size)]
        torch.distributed.all_gather(found, sent)
        return [other[:size].to(values.device) for other, size in zip(found, sizes.tolist(), strict=True)]


_FOUND: list[ProcessGroup] = []  # a process belongs to one group until it ends


def find_processes(device: torch.device | None = None) -> Processes:
    """Return the processes that this one trains with; the first call sets the device, by default the CPU."""
    if world_size() == 1:
        return SingleProcess()
    if not _FOUND:
        _FOUND.append(ProcessGroup(device or torch.device("cpu")))
    return _FOUND[0]


def _leave() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
