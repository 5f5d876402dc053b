"""Parameters shared out to the processes that train together: FSDP2, experimental.

What was found of torch 2.13 on CPUs: gloo has every collective that ``fully_shard`` asks for (the all-gather of
parameters, the reduce-scatter of gradients). A scalar parameter it refuses.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

__all__ = ["Shard", "Sharded", "summed"]


def summed(values: Tensor) -> Tensor:
    """Return the sum of a tensor over the processes."""
    total = values.clone()
    torch.distributed.all_reduce(total)
    return total


class Shard(nn.Parameter):
    """The rows that this process has of a parameter that is sharded; the optimizer steps them."""

    of: Any  # the DTensor whose local tensor this is, in the same memory

    @classmethod
    def made(cls, of: Any) -> Shard:
        """Return the shard of a DTensor."""
        shard = cls(of.detach().to_local(), requires_grad=of.requires_grad)
        shard.of = of
        return shard

    def whole(self, value: Tensor) -> Tensor:
        """Return a value of the parameter's shape from those that processes have of their shards; all have to ask."""
        from torch.distributed.tensor import DTensor

        like, shape = self.of, self.of.shape
        local = DTensor.from_local(
            value, like.device_mesh, like.placements, run_check=False, shape=shape, stride=like.stride()
        )
        return local.full_tensor()

    def cut(self, whole: Tensor) -> Tensor:
        """Return this process' rows of a value of the parameter's shape."""
        from torch.distributed.tensor import distribute_tensor

        value = whole.to(self.device)
        return distribute_tensor(value, self.of.device_mesh, self.of.placements, src_data_rank=None).to_local()


class _Root(nn.Module):
    """What FSDP2 makes its own: the module itself keeps its class and its hooks."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *arguments: Any) -> Any:
        return self.module(*arguments)


class Sharded(nn.Module):
    """A module whose parameters, gradients and Adam's moments are sharded over the processes, by FSDP2 (experimental).

    Parameters are gathered for a forward and backward pass, gradients are summed and scattered after it. Its own
    parameters are the :class:`Shard` of each, split along the first dimension. A scalar cannot be split (FSDP2 refuses
    it): every process keeps it, and its gradient is averaged.

    Parameters
    ----------
    module : Module
        Whose parameters are taken until :meth:`give_back`. Those of process 0 become those of all.
    world : int
        How many processes share them: all that there are.
    device : torch.device
        Of this one.

    References
    ----------
    Zhao et al. (2023), PyTorch FSDP: Experiences on Scaling Fully Sharded Data Parallel, section 3.
    """

    def __init__(self, module: nn.Module, world: int, device: torch.device) -> None:
        super().__init__()
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        for value in (*module.parameters(), *module.buffers()):
            torch.distributed.broadcast(value.detach(), src=0)
        self._places = [(m, name, p) for m in module.modules() for name, p in m._parameters.items() if p is not None]
        scalars = {p for p in module.parameters() if not p.ndim}
        root, mesh = _Root(module), init_device_mesh(device.type, (world,))
        fully_shard(root, mesh=mesh, reshard_after_forward=False, ignored_params=scalars)
        self._root = [root]  # in a list, where the whole parameters are not this module's
        of = {id(p): m._parameters[name] for m, name, p in self._places}  # in the order of the module's parameters
        self.own = nn.ParameterList(p if p in scalars else Shard.made(p) for p in of.values())
        for _, _, p in self._places:
            if p not in scalars:
                p.data = p.new_empty(0)
        self._world, self._sync = world, True

    def forward(self, *arguments: Any) -> Any:
        """Gather the parameters, and compute."""
        result = self._root[0](*arguments)
        if not torch.is_grad_enabled():  # no backward pass follows, that would let go of them
            cast("Any", self._root[0]).reshard()
        return result

    def train(self, mode: bool = True) -> Sharded:
        """Set the module's mode."""
        self._root[0].train(mode)
        return super().train(mode)

    @contextmanager
    def no_sync(self, *, enabled: bool) -> Iterator[None]:
        """Keep gradients here inside the block, where `enabled`."""
        self._sync = not enabled
        cast("Any", self._root[0]).set_requires_gradient_sync(self._sync)
        yield

    def take_gradients(self) -> None:
        """Hand the gradients that a backward pass scattered over to the shards."""
        for p in self.own:
            if isinstance(p, Shard):
                if p.of.grad is not None:
                    p.grad, p.of.grad = p.of.grad.to_local(), None
            elif p.grad is not None and self._sync:
                torch.distributed.all_reduce(p.grad)
                p.grad /= self._world

    def give_back(self) -> None:
        """Make the module as it was, with all of the parameters; every process has to ask."""
        cast("Any", self._root[0]).reshard()
        whole = {id(p.of): p.whole(p.detach()) for p in self.own if isinstance(p, Shard)}
        for module, name, p in self._places:
            of = module._parameters[name]
            if id(of) in whole:
                p.data = whole[id(of)]
                module._parameters[name] = p
