"""What a training run is at an instant: parameters, optimizer and position, in memory and in a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from isthmus.engine.adam import Adam, AdamState
from isthmus.engine.checkpoint import Checkpoints
from isthmus.engine.precision import MasterWeights

__all__ = ["Record", "RunProgress", "Snapshot", "TrainState", "resume", "write"]

# {"epoch": 3, "loss": ..., "reconstruction": ..., "kl": ..., "learning_rate": ..., "seconds": ...}
Record = dict[str, float]

_APART = 64  # steps whose rows are kept as tensors of their own


@dataclass
class RunProgress:
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

    def append(self, row: Tensor) -> None:
        """Keep what a step gave: batch weight, loss, terms.

        Thousands of small tensors, each between the large ones that its step frees, would leave holes that the next
        step's no longer fit in: an epoch of 25,000 steps once grew by 5.6 GB. So a few at a time become one.
        """
        self.rows.append(row.unsqueeze(0))
        if len(self.rows) > _APART:
            self.rows = [torch.cat(self.rows)]


class Snapshot(NamedTuple):
    """Parameters and the optimizer's state of each, as they were."""

    parameters: list[Tensor]
    moments: AdamState


class TrainState:
    """Parameters and optimizer of a run.

    Parameters
    ----------
    parameters : list of Parameter
        What is trained.
    optimizer : Adam
        What trains them.
    master_weights : MasterWeights
        Those that are computed with in another number format.
    """

    def __init__(self, parameters: list[nn.Parameter], optimizer: Adam, master_weights: MasterWeights) -> None:
        self.parameters, self.optimizer, self.master_weights = parameters, optimizer, master_weights

    def parameters_copy(self) -> list[Tensor]:
        """Return a copy of the parameters."""
        return [p.detach().clone() for p in self.parameters]

    @torch.no_grad()
    def restore(self, values: list[Tensor]) -> None:
        """Set the parameters."""
        for parameter, value in zip(self.parameters, values, strict=True):
            parameter.copy_(value)
        self.master_weights.sync_to_model()

    def finite(self) -> bool:
        """Return whether every parameter is finite."""
        return bool(torch.stack([p.detach().sum() for p in self.parameters]).isfinite().all())

    def copy(self) -> Snapshot:
        """Return a copy of all of it."""
        return Snapshot(self.parameters_copy(), self.optimizer.state())

    def load(self, copy: Snapshot) -> None:
        """Go back to a copy."""
        self.restore(copy.parameters)
        self.optimizer.load_state(copy.moments)


def write(checkpoints: Checkpoints, run: RunProgress, state: TrainState, generators: list[Tensor]) -> None:
    """Write a checkpoint of everything that training depends on."""
    parameters, moments = state.copy()
    lists: dict[str, Sequence[Tensor]] = {
        "parameter": parameters,
        "generator": generators,
        "best": run.best_parameters or [],
    }
    tensors = {f"{name}.{i}": value for name, values in lists.items() for i, value in enumerate(values)}
    for i, values in enumerate(moments):
        tensors |= {f"optimizer.{i}.{key}": value for key, value in values.items()}
    if run.rows:
        tensors["rows"] = torch.cat(run.rows)
    best = run.best if run.best_parameters is not None else None
    description = {"index": run.index, "step": run.step, "names": run.names, "history": run.history}
    checkpoints.write(description | {"best": best, "best_index": run.best_index}, tensors)


def resume(checkpoints: Checkpoints, state: TrainState) -> RunProgress | None:
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
    moments: AdamState = [{} for _ in state.parameters]
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, i, key = name.split(".")
            moments[int(i)][key] = tensor
    state.load(Snapshot(lists["parameter"], moments))
    return RunProgress(
        index=saved["index"],
        step=saved["step"],
        names=saved["names"],
        rows=[tensors["rows"].to(device)] if "rows" in tensors else [],
        history=saved["history"],
        best=float("inf") if saved["best"] is None else saved["best"],
        best_index=saved["best_index"],
        best_parameters=[v.to(device) for v in lists["best"]] if lists["best"] else None,
        generators=lists["generator"],
    )
