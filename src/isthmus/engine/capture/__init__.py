"""Whole training steps, captured once and replayed: an operator graph on a CPU, a CUDA graph on a GPU."""

from __future__ import annotations

import torch
from torch import nn

from isthmus.engine.capture.captured_step import Capture
from isthmus.engine.capture.cuda_graph import capture_cuda_graph
from isthmus.engine.capture.operator_graph import capture_operator_graph

__all__ = ["Capture", "choose_capture"]

_MODULE_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_PARAMETER_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")


def choose_capture(loss: nn.Module, device: torch.device) -> Capture | None:
    """Return how the training steps of a loss are captured on a device, or None if they cannot be.

    Parameters
    ----------
    loss : Module
        What is trained.
    device : torch.device
        Where.
    """
    if device.type == "cuda":
        return capture_cuda_graph
    if device.type != "cpu" or torch.is_anomaly_enabled():
        return None
    known = all(type(part).__module__.partition(".")[0] in ("isthmus", "torch") for part in loss.modules())
    return capture_operator_graph if known and not _has_hooks(loss) else None


def _has_hooks(loss: nn.Module) -> bool:
    """Return whether a hook is registered on a part of the loss or on a parameter."""
    parts = [(part, _MODULE_HOOKS) for part in loss.modules()]
    parameters = [(parameter, _PARAMETER_HOOKS) for parameter in loss.parameters()]
    return any(getattr(owner, name) for owner, names in (*parts, *parameters) for name in names)
