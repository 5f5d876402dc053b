"""Progress of long work, on stderr."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any, Self

from isthmus.engine.history import Record

__all__ = ["Progress"]


class Progress:
    """A callback that shows epochs: a bar with rate and time left on a terminal, else a line an epoch.

    Parameters
    ----------
    title : str
        What is trained.
    n_epochs : int
        Epochs at most.
    shown : bool
        Whether to show anything at all.
    """

    def __init__(self, title: str, n_epochs: int, *, shown: bool) -> None:
        self.title, self.n_epochs, self.shown = title, n_epochs, shown
        self._bar: Any = None
        self._done = 0

    def __enter__(self) -> Self:
        if self.shown and sys.stderr.isatty():
            self._bar = _bar()
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task(self.title, total=self.n_epochs, terms="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, record: Record) -> None:
        """Show an epoch's record."""
        self._done += 1
        terms = "  ".join(f"{k} {v:.4g}" for k, v in record.items() if k not in ("epoch", "learning_rate", "seconds"))
        if self._bar is not None:
            self._bar.update(self._task, advance=1, terms=terms)
        elif self.shown:
            seconds = record["seconds"]
            sys.stderr.write(f"{self.title}: epoch {self._done}/{self.n_epochs}  {terms}  {seconds:.2f} s\n")


def _bar() -> Any:
    """Return a rich progress bar, or None where rich is not installed (lines are written then)."""
    try:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
    except ImportError:
        return None
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[terms]}"),
        console=Console(stderr=True),
    )
