"""What a training run is at an instant: parameters, optimizer and position, in memory and in a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from isthmus.engine.adam import Adam, Moments
from isthmus.engine.checkpoint import Checkpoints
from isthmus.engine.history import Record
from isthmus.engine.precision import Twins
from isthmus.engine.sharding import Shard, summed

__all__ = ["Copy", "Run", "State", "resume", "write"]

_APART = 64  # steps whose rows are kept as tensors of their own


@dataclass
class Run:
    """Where a run is: everything that training depends on beside the parameters and the optimizer."""

    index: int = 0  # epochs done
    step: int = 0  # steps done in the epoch after those
    names: list[str] = field(default_factory=list)
    rows: list[Tensor] = field(default_factory=list)  # (n, ...) each, of those steps: batch weight, loss, terms
    history: list[Record] = field(default_factory=list)
    best: float = float("inf")
    best_index: int = 0
    best_parameters: list[Tensor] | None = None
    generators: list[Tensor] | None = None  # states after the last step, where training starts inside an epoch

    def note(self, row: Tensor) -> None:
        """Keep what a step gave: batch weight, loss, terms.

        Thousands of small tensors, each between the large ones that its step frees, would leave holes that the next
        step's no longer fit in: an epoch of 25,000 steps once grew by 5.6 GB. So a few at a time become one.
        """
        self.rows.append(row.unsqueeze(0))
        if len(self.rows) > _APART:
            self.rows = [torch.cat(self.rows)]


class Copy(NamedTuple):
    """Parameters and the optimizer's state of each, as they were."""

    parameters: list[Tensor]
    moments: Moments


class State:
    """Parameters and optimizer of a run.

    Parameters
    ----------
    parameters : list of Parameter
        What is trained.
    optimizer : Adam
        What trains them.
    twins : Twins
        Those that are computed with in another number format.
    """

    def __init__(self, parameters: list[nn.Parameter], optimizer: Adam, twins: Twins) -> None:
        self.parameters, self.optimizer, self.twins = parameters, optimizer, twins

    def parameters_copy(self) -> list[Tensor]:
        """Return a copy of the parameters."""
        return [p.detach().clone() for p in self.parameters]

    @torch.no_grad()
    def restore(self, values: list[Tensor]) -> None:
        """Set the parameters."""
        for parameter, value in zip(self.parameters, values, strict=True):
            parameter.copy_(value)
        self.twins.follow()

    def finite(self) -> bool:
        """Tell whether every parameter is finite: of shards, those of all processes, which all have to ask."""
        sums = torch.stack([p.detach().sum() for p in self.parameters])
        shared = any(isinstance(p, Shard) for p in self.parameters)
        return bool((summed(sums) if shared else sums).isfinite().all())

    def copy(self) -> Copy:
        """Return a copy of all of it."""
        return Copy(self.parameters_copy(), self.optimizer.moments())

    def put(self, copy: Copy) -> None:
        """Go back to a copy."""
        self.restore(copy.parameters)
        self.optimizer.set_moments(copy.moments)


def _whole(state: State, values: Sequence[Tensor]) -> list[Tensor]:
    """Return a value of each parameter, whole where processes have shards of it."""
    pairs = zip(state.parameters, values, strict=True)
    return [p.whole(value) if isinstance(p, Shard) and value.ndim else value for p, value in pairs]


def _cut(state: State, values: Sequence[Tensor]) -> list[Tensor]:
    """Return this process' share of a value of each parameter."""
    pairs = zip(state.parameters, values, strict=True)
    return [p.cut(value) if isinstance(p, Shard) and value.ndim else value for p, value in pairs]


def _moments(state: State, moments: Moments, change: Callable[[State, Sequence[Tensor]], list[Tensor]]) -> Moments:
    """Return the optimizer's state with every tensor changed."""
    changed = {key: change(state, [of[key] for of in moments]) for key in moments[0]}
    return [{key: values[i] for key, values in changed.items()} for i in range(len(moments))]


def write(checkpoints: Checkpoints | None, run: Run, state: State, generators: list[Tensor]) -> None:
    """Write a checkpoint of everything that training depends on.

    Processes that share the parameters put them together here: all of them call this, and those that do not write
    with None.
    """
    parameters, moments = state.copy()
    lists: dict[str, Sequence[Tensor]] = {
        "parameter": _whole(state, parameters),
        "generator": generators,
        "best": _whole(state, run.best_parameters) if run.best_parameters else [],
    }
    moments = _moments(state, moments, _whole)
    if checkpoints is None:
        return
    tensors = {f"{name}.{i}": value for name, values in lists.items() for i, value in enumerate(values)}
    for i, values in enumerate(moments):
        tensors |= {f"optimizer.{i}.{key}": value for key, value in values.items()}
    if run.rows:
        tensors["rows"] = torch.cat(run.rows)
    best = run.best if run.best_parameters is not None else None
    description = {"index": run.index, "step": run.step, "names": run.names, "history": run.history}
    checkpoints.write(description | {"best": best, "best_index": run.best_index}, tensors)


def resume(checkpoints: Checkpoints, state: State) -> Run | None:
    """Return the run of the newest checkpoint, with parameters and optimizer as they were; None if there is none."""
    latest = checkpoints.latest()
    if latest is None:
        return None
    saved, tensors = latest
    device = state.parameters[0].device
    lists: dict[str, list[Tensor]] = {"parameter": [], "generator": [], "best": []}
    for name, values in lists.items():
        while f"{name}.{len(values)}" in tensors:
            values.append(tensors[f"{name}.{len(values)}"])
    moments: Moments = [{} for _ in state.parameters]
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, i, key = name.split(".")
            moments[int(i)][key] = tensor
    state.put(Copy(_cut(state, lists["parameter"]), _moments(state, moments, _cut)))
    return Run(
        index=saved["index"],
        step=saved["step"],
        names=saved["names"],
        rows=[tensors["rows"].to(device)] if "rows" in tensors else [],
        history=saved["history"],
        best=float("inf") if saved["best"] is None else saved["best"],
        best_index=saved["best_index"],
        best_parameters=[v.to(device) for v in _cut(state, lists["best"])] if lists["best"] else None,
        generators=lists["generator"],
    )
