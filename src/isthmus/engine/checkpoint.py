"""Checkpoints: written aside and renamed, the last ones kept, read back with everything that training depends on."""

from __future__ import annotations

import signal
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO, Any, Self

from torch import Tensor

from isthmus.serialization import FileError, read, write

__all__ = ["Checkpoints", "InterruptedTrainingError"]


class InterruptedTrainingError(KeyboardInterrupt):
    """Training was stopped by a signal; its state is in the checkpoint.

    Attributes
    ----------
    signal : int
        SIGINT or SIGTERM.
    """

    def __init__(self, number: int, folder: Path) -> None:
        super().__init__(
            f"stopped by {signal.Signals(number).name}; to go on, fit again with checkpoint_dir={str(folder)!r}."
        )
        self.signal = number


class Checkpoints:
    """The checkpoints of one run in a folder of its own.

    Parameters
    ----------
    folder : str or Path
        Made if it does not exist. One process at a time may use it.
    run : dict
        What the run is, its fields and data. A checkpoint of another run is refused, not overwritten.
    every : float, default=30.0
        Seconds between two checkpoints.
    keep : int, default=2
        How many to keep.

    Raises
    ------
    ValueError
        If another process uses the folder.
    """

    def __init__(self, folder: str | Path, run: dict[str, Any], *, every: float = 30.0, keep: int = 2) -> None:
        self.folder, self.run, self.every, self.keep = Path(folder), run, every, keep
        self.seed: int | None = None
        self.received: int | None = None
        self._written = time.monotonic()
        self._number = 0
        self._lock: IO[str] | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / "lock").open("w")
        try:
            import fcntl

            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:  # no such locks on this system; nothing else depends on them
            pass
        except OSError as error:
            self._lock.close()
            raise ValueError(
                f"checkpoint_dir={str(self.folder)!r} is in use by another process; name another."
            ) from error
        for half in self.folder.glob(".isthmus-*"):  # of a process that was killed while it wrote
            half.unlink(missing_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is None:
            return
        if not self.files():  # nothing to go on with: leave nothing behind
            (self.folder / "lock").unlink(missing_ok=True)
            with suppress(OSError):
                self.folder.rmdir()
        self._lock.close()

    def files(self) -> list[Path]:
        """Return the checkpoints, oldest first."""
        return sorted(self.folder.glob("checkpoint-*.safetensors"))

    def latest(self) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        """Return description and tensors of the newest whole checkpoint, or None if there is none.

        Raises
        ------
        ValueError
            If it belongs to another run; the message names what differs.
        """
        for path in reversed(self.files()):
            try:
                description, tensors = read(path)
            except FileError as error:
                warnings.warn(f"{error} Going on from the checkpoint before it.", stacklevel=2)
                continue
            self._check(description["run"])
            self._number = int(path.stem.rpartition("-")[2])
            return description, tensors
        return None

    def stored_seed(self) -> int | None:
        """Return the seed of the run that is to go on, or None if there is none."""
        latest = self.latest()
        return None if latest is None else int(latest[0]["seed"])

    def _check(self, run: dict[str, Any]) -> None:
        differ = [
            f"{name} ({run.get(name)!r}, now {self.run.get(name)!r})"
            for name in sorted({*run, *self.run})
            if run.get(name) != self.run.get(name)
        ]
        if differ:
            raise ValueError(
                f"checkpoint_dir={str(self.folder)!r} holds an unfinished run that differs in {', '.join(differ)}: "
                "give the same again to go on with it, or name another folder."
            )

    @property
    def due(self) -> bool:
        """Whether to write one after this step."""
        return self.received is not None or time.monotonic() - self._written >= self.every

    def write(self, description: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Write a checkpoint, and remove those that are too old.

        A full disk does not end training: it is warned of, and the checkpoint before stays as it is.
        """
        path = self.folder / f"checkpoint-{self._number + 1:08d}.safetensors"
        try:
            write(path, {"run": self.run, "seed": self.seed, **description}, tensors)
        except OSError as error:
            warnings.warn(f"{path}: no checkpoint was written ({error}); training goes on.", stacklevel=2)
        else:
            self._number += 1
            for old in self.files()[: -self.keep]:
                old.unlink(missing_ok=True)
        self._written = time.monotonic()

    def clear(self) -> None:
        """Remove the checkpoints of a run that is complete."""
        for path in self.files():
            path.unlink(missing_ok=True)

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Note SIGINT and SIGTERM inside the block, so that the step in hand is finished and written first.

        A second signal acts at once. Outside the main thread signals are not ours, and nothing changes.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers: tuple[int, ...] = (signal.SIGINT, signal.SIGTERM)
        before: dict[int, Any] = {number: signal.getsignal(number) for number in numbers}

        def note(number: int, _frame: FrameType | None) -> None:
            self.received = number
            signal.signal(number, before[number])

        for number in numbers:
            signal.signal(number, note)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def raise_if_stopped(self, asked: bool) -> None:
        """Raise :class:`InterruptedTrainingError` if a signal came, to this process or to another."""
        if asked:
            raise InterruptedTrainingError(self.received or signal.SIGTERM, self.folder)
