"""The progress of training, on stderr."""

from __future__ import annotations

import math
import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from isthmus.engine.protocols import Record

__all__ = ["ProgressBar"]

_SHOWN_EVERY = 0.1  # seconds between two updates of the bar
_NOT_TERMS = ("epoch", "learning_rate", "seconds")


class ProgressBar:
    """Show training: on a terminal a bar with rate, time left and terms, otherwise a line per epoch.

    Parameters
    ----------
    title : str
        Name of what is trained.
    n_epochs : int
        Maximum number of epochs.
    n_rows : int
        Number of rows in an epoch, for the rate.
    shown : bool
        Whether to show anything at all.
    plan : str, default=""
        What is going to happen, shown first.
    """

    def __init__(self, title: str, n_epochs: int, n_rows: int, *, shown: bool, plan: str = "") -> None:
        self.title, self.n_epochs, self.n_rows, self.plan = title, n_epochs, n_rows, plan
        self.shown = shown and sys.stderr is not None  # it is None in a program without a terminal
        self._bar: Any = None
        self._start = self._next = self._done = 0.0
        self._first = -1.0  # where training starts; above 0 if it resumes from a checkpoint

    def __enter__(self) -> Self:
        self._start = time.monotonic()
        if self.shown and self.plan:
            with suppress(OSError):
                sys.stderr.write(f"{self.title}: {self.plan}\n")
        if self.shown and sys.stderr.isatty():
            self._bar = _bar()
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task(self.title, total=self.n_epochs, epoch="", rate="", terms="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            with suppress(OSError):
                self._bar.stop()

    def update(self, epochs: float) -> None:
        """Set the number of epochs done, with a fraction; the bar moves at most ten times per second."""
        if self._first < 0:
            self._first = epochs
        self._done = epochs
        now = time.monotonic()
        if self._bar is not None and now >= self._next:
            self._next = now + _SHOWN_EVERY
            self._show()

    def _show(self, **fields: str) -> None:
        rate = (self._done - self._first) * self.n_rows / max(time.monotonic() - self._start, 1e-9)
        epoch = f"{math.ceil(self._done)}/{self.n_epochs}"
        with suppress(OSError):
            self._bar.update(self._task, completed=self._done, epoch=epoch, rate=f"{rate:,.0f} rows/s", **fields)

    def __call__(self, record: Record) -> None:
        """Show the record of an epoch."""
        terms = "  ".join(f"{k} {v:.4g}" for k, v in record.items() if k not in _NOT_TERMS)
        if self._bar is not None:
            self._show(terms=terms)
        elif self.shown:
            epoch, seconds = int(record["epoch"]), record["seconds"]
            try:
                sys.stderr.write(f"{self.title}: epoch {epoch}/{self.n_epochs}  {terms}  {seconds:.2f} s\n")
            except OSError:  # nobody reads it any more, or the disk is full; training goes on
                self.shown = False


def _bar() -> Any:
    """Return a rich progress bar, or None if rich is not installed."""
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError:
        return None
    fixed = [
        TextColumn("{task.description} {task.fields[epoch]}"),
        BarColumn(bar_width=16),
        TextColumn("{task.fields[rate]}, left"),
        TimeRemainingColumn(),
    ]
    return Progress(*fixed, TextColumn("{task.fields[terms]}", style="dim"), console=Console(stderr=True))
