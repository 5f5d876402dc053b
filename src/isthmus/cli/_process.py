"""The process of the command: its standard streams, and what SIGTERM does."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import TextIO

__all__ = ["Terminated", "raise_on_sigterm", "with_streams"]


class Terminated(KeyboardInterrupt):
    """SIGTERM, where no checkpoint was written for it."""


@contextlib.contextmanager
def raise_on_sigterm() -> Iterator[None]:
    """Raise :class:`Terminated` for SIGTERM inside the block, so that temporary files are removed.

    A second signal ends the process at once. Nothing changes if somebody else handles the signal, and outside the main
    thread, where Python receives none.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise Terminated

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextlib.contextmanager
def with_streams() -> Iterator[None]:
    """Replace standard streams that are closed by ones that lead nowhere.

    Otherwise `sys.stderr` is None, and the first file that is opened takes its number: what a library prints there
    would be written into a result.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it takes the lowest free number, which is this one
    closed = [name for name in ("stdin", "stdout", "stderr") if getattr(sys, name) is None]
    with contextlib.ExitStack() as stack:
        for name in closed:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, stack.enter_context(open(os.devnull, mode, encoding="utf-8")))  # noqa: PTH123 - no path
        try:
            yield
        finally:
            for name in closed:
                setattr(sys, name, None)
            for number, name in ((1, "stdout"), (2, "stderr")):
                _forget_broken(number, getattr(sys, name))


def _forget_broken(number: int, stream: TextIO | None) -> None:
    """Drop what cannot be written: Python would try to write it again when it exits, and fail with exit code 120."""
    try:
        if stream is not None:
            stream.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)
