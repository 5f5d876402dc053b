"""What the C library does with memory that a step frees."""

from __future__ import annotations

import torch

__all__ = ["raise_malloc_threshold"]

_LARGEST = 31 << 20  # glibc's limit is 32 MiB, with its own header


def raise_malloc_threshold() -> None:
    """Have the C library keep freed memory for the next step, up to 62 MiB, instead of giving it back to the system.

    glibc gives large blocks back, and asking for them anew costs a page fault for every 4 KiB: for the gradient of a
    784-512 layer more time than the matrix product that fills it. Its limits adapt to the largest block of up to 32 MiB
    that was ever freed (mallopt(3), M_MMAP_THRESHOLD), so one block that nobody writes to is enough. Other allocators
    are not moved by it.
    """
    torch.empty(_LARGEST, dtype=torch.uint8)
