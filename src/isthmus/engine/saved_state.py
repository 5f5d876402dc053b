"""Check the contents of a checkpoint before anything is changed, so that the previous one can still be used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from isthmus.serialization import quoted

__all__ = ["check_entries", "check_tensors"]


def check_entries(description: Mapping[str, Any], n_steps: int, n_rows: int) -> None:
    """Raise a ValueError that names the first entry of a description that is missing or not valid.

    Parameters
    ----------
    description : dict
        Position and records of a run, as JSON.
    n_steps : int
        Number of steps in an epoch.
    n_rows : int
        Number of steps whose losses the checkpoint holds.
    """
    best_loss, history, names = (description.get(name) for name in ("best_loss", "history", "names"))
    valid = {
        "epochs": _is_count(description.get("epochs")),
        "steps": _is_count(description.get("steps")) and description["steps"] <= n_steps,
        "names": isinstance(names, list) and all(isinstance(name, str) for name in names),
        "history": isinstance(history, list) and all(isinstance(record, dict) for record in history),
        "best_loss": best_loss is None or type(best_loss) in (int, float),
        "best_epoch": _is_count(description.get("best_epoch"), least=-1),
        "ended": isinstance(description.get("ended"), bool),
    }
    wrong = [name for name in valid if name not in description or not valid[name]]
    if wrong:
        raise ValueError(f"it has no valid {wrong[0]!r}")
    if description["steps"] != n_rows:
        raise ValueError(f"it has the losses of {n_rows} steps for {description['steps']}")


def _is_count(value: Any, least: int = 0) -> bool:
    return type(value) is int and least <= value < 2**63


def check_tensors(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Raise a ValueError unless there is a tensor of the same shape and dtype, without NaN, for each expected one."""
    for name, own in expected.items():
        if name not in tensors:
            raise ValueError(f"it has no tensor {quoted(name)}")
        tensor = tensors[name]
        if tensor.shape != own.shape or tensor.dtype != own.dtype:
            raise ValueError(f"{name} has the shape {tuple(tensor.shape)}, not {tuple(own.shape)}, or another dtype")
        if tensor.is_floating_point() and bool(torch.isnan(tensor).any()):
            raise ValueError(f"{name} holds a value that is not a number")
