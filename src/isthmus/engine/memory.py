"""The C library's thresholds for memory that a training step frees."""

from __future__ import annotations

import torch

__all__ = ["raise_malloc_threshold"]

_LARGEST = 31 << 20  # glibc's limit is 32 MiB, with its own header


def raise_malloc_threshold() -> None:
    """Make the C library keep up to 62 MiB of freed memory for the next step.

    By default glibc returns large blocks to the system, and allocating them again costs a page fault per 4 KiB: for the
    gradient of a 784-512 layer this takes longer than the matrix product that fills it. glibc adapts its thresholds to
    the largest block of up to 32 MiB that was ever freed (mallopt(3), M_MMAP_THRESHOLD), so that freeing one unused
    block is enough. Other allocators ignore it.
    """
    torch.empty(_LARGEST, dtype=torch.uint8)
