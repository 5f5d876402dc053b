"""Devices and the number formats that they compute in."""

from __future__ import annotations

import os

import torch
from torch import Tensor

from isthmus._torch_private import cpu_has_bf16

__all__ = ["check_device", "check_precision", "scalar_buffer"]


def check_device(name: str) -> torch.device:
    """Return the device called `name`; "auto" is a GPU (under torchrun, one for each process) or else the CPU.

    Raises
    ------
    ValueError
        If this machine has no such device, or it is "mps"; the message lists those that can be used.
    """
    available = ["cpu"] + [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    if name == "auto":
        gpus = torch.cuda.device_count()
        return torch.device(f"cuda:{int(os.environ.get('LOCAL_RANK', '0')) % gpus}" if gpus else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        device = torch.device("meta")  # never among the available ones
    if device.type == "mps":
        raise ValueError(
            f"device={name!r}: it has no float64, in which data are scaled. Use one of: {', '.join(available)}."
        )
    full = "cuda:0" if str(device) == "cuda" else str(device)
    if full not in available:
        raise ValueError(f"device={name!r} is not on this machine. Use 'auto' or one of: {', '.join(available)}.")
    return torch.device(full)


def check_precision(name: str, device: torch.device) -> None:
    """Check that `device` computes in the number format called `name`.

    Raises
    ------
    ValueError
        If it cannot, or only by converting to another format, which takes many times as long.
    """
    if name == "bf16" and device.type == "cpu" and not cpu_has_bf16():
        raise ValueError(
            "precision='bf16': this processor has no bf16 arithmetic (AVX-512 or AMX), and would take many times as "
            "long as with 'float32'."
        )
    if name == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise ValueError(f"precision='bf16': {device} has no bf16 arithmetic; use 'float32'.")


def scalar_buffer(device: torch.device) -> Tensor:
    """Return a scalar tensor whose value captured steps read: float64 on the CPU, otherwise float32."""
    return torch.zeros((), device=device, dtype=torch.float64 if device.type == "cpu" else torch.float32)
