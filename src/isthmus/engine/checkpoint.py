"""Checkpoints: written to a temporary file and renamed; the last few are kept, and the newest intact one is used."""

from __future__ import annotations

import re
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import FrameType
from typing import IO, Any, Self, TypeVar

from torch import Tensor

from isthmus.engine.folder_lock import lock_folder, remove_folder
from isthmus.serialization import open_saved, quoted, write

__all__ = ["Checkpoints", "InterruptedTrainingError", "keep_until_saved"]

_T = TypeVar("_T")

_FILE = re.compile(r"checkpoint-(\d{8,})\.safetensors")
_KEPT: ContextVar[list[Checkpoints] | None] = ContextVar("kept", default=None)


class InterruptedTrainingError(KeyboardInterrupt):
    """Training was stopped by a signal; its state is in the checkpoint.

    Attributes
    ----------
    signal : int
        SIGINT or SIGTERM.
    """

    def __init__(self, number: int, folder: Path) -> None:
        name = signal.Signals(number).name
        super().__init__(f"stopped by {name}; to resume, call fit again with Trainer(checkpoint_dir={str(folder)!r}).")
        self.signal = number


@contextmanager
def keep_until_saved() -> Iterator[None]:
    """Keep the checkpoints of runs that complete inside the block until it ends without an error.

    A fit removes its checkpoints when it is complete. Fit and save the model in this block, so that the run
    can be resumed if the model cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from isthmus import VAE
    >>> from isthmus.training import Trainer
    >>> from sklearn.datasets import load_iris
    >>> folder = Path(tempfile.mkdtemp())
    >>> trainer = Trainer(checkpoint_dir=str(folder / "run"), checkpoint_seconds=0)
    >>> model = VAE(2, max_epochs=1, trainer=trainer, random_state=0)
    >>> with keep_until_saved():
    ...     model.fit(load_iris().data).save(folder / "model.safetensors")
    >>> [path.name for path in folder.iterdir()]
    ['model.safetensors']
    """
    kept: list[Checkpoints] = []
    token = _KEPT.set(kept)
    try:
        yield
    finally:
        _KEPT.reset(token)
    for checkpoints in kept:
        checkpoints.clear()


class Checkpoints:
    """The checkpoints of one run, in a folder of their own.

    As a context manager, it locks the folder.

    Parameters
    ----------
    folder : str or Path
        Created if it does not exist. One fit at a time may use it.
    settings : dict
        What identifies the run: its fields and data. Checkpoints of a run with other settings are refused, not
        overwritten.
    every : float, default=30.0
        Seconds between two checkpoints.
    keep : int, default=2
        Number of checkpoints to keep.

    Attributes
    ----------
    seed : int or None
        Seed of the run, stored in its checkpoints.
    received : int or None
        The signal that was received, if any.

    Raises
    ------
    ValueError
        If another fit uses the folder, in this process or in another one.
    """

    def __init__(self, folder: str | Path, settings: dict[str, Any], *, every: float = 30.0, keep: int = 2) -> None:
        self.folder, self.settings, self.every, self.keep = Path(folder), settings, every, keep
        self.seed: int | None = None
        self.received: int | None = None
        self._written = time.monotonic()
        self._number = 0
        self._damaged: set[Path] = set()
        self._full = False
        self._lock: IO[str] | None = None

    def __enter__(self) -> Self:
        try:
            self._lock = lock_folder(self.folder)
        except BlockingIOError as error:
            raise ValueError(
                f"checkpoint_dir={str(self.folder)!r} is in use by another fit; name another folder."
            ) from error
        for temporary in self.folder.glob(".isthmus-*"):  # of a process that was killed while it wrote
            temporary.unlink(missing_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            self._remove_empty_folder()
            self._lock.close()
            self._lock = None

    def files(self) -> list[Path]:
        """Return the checkpoints, oldest first."""
        return sorted(path for path in self.folder.glob("checkpoint-*") if _FILE.fullmatch(path.name))

    # ---- reading ---------------------------------------------------------------------------------------------------

    def stored_seed(self) -> int | None:
        """Return the seed of the run that will be resumed, or None if there is none."""
        return self.resume(lambda description, _: _seed(description))

    def resume(self, load: Callable[[dict[str, Any], dict[str, Tensor]], _T]) -> _T | None:
        """Return what `load` returns for the newest intact checkpoint, or None if there is none.

        If a checkpoint is damaged, or `load` raises a ValueError for it, there is a warning, and the one before it is
        used.

        Parameters
        ----------
        load : callable
            Maps the description and the tensors of a checkpoint to the result; it changes nothing if it raises.

        Raises
        ------
        ValueError
            If the checkpoint belongs to a run with other settings; the message names what differs.
        """
        for path in reversed(self.files()):
            try:
                with open_saved(path, kind="checkpoint") as file:
                    description, tensors = file.description, file.read_tensors()
                then, now = _settings(description), self.settings
                differ = [
                    f"{quoted(name)[1:-1]} ({quoted(then.get(name))}, now {quoted(now.get(name))})"
                    for name in sorted({*then, *now})
                    if then.get(name) != now.get(name)
                ]
                result = None if differ else load(description, tensors)
            except (OSError, ValueError) as error:  # a FileError is a ValueError
                self._warn_damaged(path, error)
                continue
            if differ:
                raise ValueError(
                    f"checkpoint_dir={str(self.folder)!r} holds an unfinished run that differs in {', '.join(differ)}: "
                    "resume with identical settings, or choose another checkpoint_dir."
                )
            self._number = int(path.stem.rpartition("-")[2])
            return result
        return None

    def _warn_damaged(self, path: Path, error: Exception) -> None:
        """Warn once of a checkpoint that cannot be used."""
        if path not in self._damaged:
            reason = str(error).removeprefix(f"{path}: ").partition(";")[0]
            text = f"{path}: cannot be resumed ({reason}); the checkpoint before it is used, if there is one."
            warnings.warn(text, stacklevel=3)
        self._damaged.add(path)

    # ---- writing ---------------------------------------------------------------------------------------------------

    @property
    def due(self) -> bool:
        """Whether to write a checkpoint after this step."""
        return self.received is not None or time.monotonic() - self._written >= self.every

    @property
    def due_at_end(self) -> bool:
        """Whether to write a checkpoint after the last epoch: for a signal, or for :func:`keep_until_saved`."""
        return self.received is not None or (_KEPT.get() is not None and not self.files())

    def write(self, description: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Write a checkpoint, and remove those that are too old.

        If it cannot be written, for instance because the disk is full, there is one warning, and training continues;
        earlier checkpoints stay as they are. There is no warning for the checkpoint of a complete run, which serves
        only if the model cannot be saved: the error of saving it follows.
        """
        path = self.folder / f"checkpoint-{self._number + 1:08d}.safetensors"
        try:
            write(path, {"settings": self.settings, "seed": self.seed, **description}, tensors, kind="checkpoint")
        except OSError as error:
            of_complete_run = description.get("ended", False) and self.received is None
            if not (self._full or of_complete_run):
                warnings.warn(f"{path}: no checkpoint was written ({error}); training continues.", stacklevel=2)
            self._full = True
        else:
            self._number += 1
            for old in self.files()[: -self.keep]:
                old.unlink(missing_ok=True)
        self._written = time.monotonic()

    def complete(self) -> None:
        """Remove the checkpoints of a complete run: now, or at the end of a :func:`keep_until_saved` block."""
        kept = _KEPT.get()
        if kept is None:
            self.clear()
        else:
            kept.append(self)

    def clear(self) -> None:
        """Remove the checkpoints, and their folder if nothing else is in it."""
        for path in self.files():
            path.unlink(missing_ok=True)
        self._remove_empty_folder()

    def _remove_empty_folder(self) -> None:
        if not self.files():
            remove_folder(self.folder)

    # ---- signals ---------------------------------------------------------------------------------------------------

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Delay SIGINT and SIGTERM inside the block, so that the current step is finished and written first.

        A second signal acts at once. Outside the main thread Python receives no signals, and nothing changes.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers: tuple[int, ...] = (signal.SIGINT, signal.SIGTERM)
        before: dict[int, Any] = {number: signal.getsignal(number) for number in numbers}

        def receive(number: int, _frame: FrameType | None) -> None:
            self.received = number
            signal.signal(number, before[number])

        for number in numbers:
            signal.signal(number, receive)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if self.received is not None:  # after the end of training
            signal.raise_signal(self.received)

    def raise_interrupted(self) -> None:
        """Raise :class:`InterruptedTrainingError` for the signal that this process or another one received."""
        raise InterruptedTrainingError(self.received or signal.SIGTERM, self.folder)


def _settings(description: dict[str, Any]) -> dict[str, Any]:
    """Return what identifies the run of a checkpoint."""
    settings = description.get("settings")
    if not isinstance(settings, dict):
        raise ValueError("it has no valid 'settings'")
    return settings


def _seed(description: dict[str, Any]) -> int:
    """Return the seed of the run of a checkpoint."""
    seed = description.get("seed")
    if type(seed) is not int or not 0 <= seed < 2**63:
        raise ValueError("it has no valid 'seed'")
    return seed
