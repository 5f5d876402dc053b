"""Progress of training several models, one bar each, on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

__all__ = ["TrainingProgress"]


class TrainingProgress:
    """A bar per model on a terminal; elsewhere, or without rich, one line per model when it is trained.

    Parameters
    ----------
    epochs : mapping of str to int
        The number of epochs of each model, by title.
    """

    def __init__(self, epochs: Mapping[str, int]) -> None:
        self.epochs = dict(epochs)
        self.seconds: dict[str, float] = {}
        self._bars: Any = _rich_progress() if sys.stderr.isatty() else None
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
            for title, total in self.epochs.items():
                self._tasks[title] = self._bars.add_task(title, total=total, start=False, loss="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    @contextmanager
    def track(self, title: str) -> Iterator[Callable[[dict[str, float]], None]]:
        """Measure the time of the block; yield a callback for the estimator, which advances the bar."""
        start = time.perf_counter()
        if self._bars is not None:
            self._bars.start_task(self._tasks[title])

        def advance(record: dict[str, float]) -> None:
            if self._bars is not None:
                self._bars.update(self._tasks[title], advance=1, loss=f"loss {record['loss']:.1f}")

        yield advance
        self.seconds[title] = time.perf_counter() - start
        if self._bars is not None:  # a run that was stopped early also ends with a full bar
            self._bars.update(self._tasks[title], completed=self.epochs[title])
        else:
            sys.stderr.write(f"{title}: {self.epochs[title]} epochs, {self.seconds[title]:.1f} s\n")


def _rich_progress() -> Any:
    """Return rich's progress display, or None if rich is not installed."""
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    except ImportError:
        return None
    return Progress(
        TextColumn("{task.description:<23}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[loss]}"),
        console=Console(stderr=True),
    )
