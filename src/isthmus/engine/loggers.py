"""Loggers: objects with a method ``log_metrics(metrics, step)``, called with the numbers of every epoch.

The loggers of Lightning Fabric have this method; for another tracking service it is a few lines to write.
"""

from __future__ import annotations

import csv
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

__all__ = ["CSVLogger", "Logger", "TensorBoardLogger"]


class Logger(Protocol):
    """An object that stores the numbers of epochs."""

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Store the numbers of an epoch."""


class CSVLogger:
    """Write a line per epoch to a .csv file.

    Parameters
    ----------
    path : str or Path
        The file. If it has lines of the first logged epoch or of later ones, they come from an interrupted run or from
        another one, and are removed; earlier lines stay. If it cannot be written during training, for instance because
        the disk is full, there is a warning, and training continues.

    Raises
    ------
    ValueError
        If the file exists and is not such a log.
    FileNotFoundError
        If its folder does not exist.

    Examples
    --------
    >>> import tempfile
    >>> from isthmus import VAE
    >>> from isthmus.training import Trainer
    >>> from sklearn.datasets import load_iris
    >>> path = Path(tempfile.mkdtemp()) / "run.csv"
    >>> _ = VAE(2, max_epochs=2, trainer=Trainer(callbacks=[CSVLogger(path)]), random_state=0).fit(load_iris().data)
    >>> path.read_text().splitlines()[0]
    'step,loss,reconstruction,kl,learning_rate,seconds'
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._started = self._warned = False
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"{path}: the folder {self.path.parent} does not exist; make it first.")
        if self.path.is_file() and self.path.stat().st_size:
            with self.path.open(encoding="utf-8", errors="replace") as file:
                if not file.readline().startswith("step,"):
                    raise ValueError(f"{path}: is not a log of training, which would replace it; name another file.")

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Append a line for an epoch."""
        try:
            self._write({"step": step, **metrics}, append=self._started and step > 1)
        except OSError as error:
            if not self._warned:
                warnings.warn(f"{self.path}: an epoch was not logged ({error}); training continues.", stacklevel=2)
            self._warned = True
        self._started = True

    def _write(self, row: dict[str, float], *, append: bool) -> None:
        before: list[dict[str, Any]] = []
        if not append and self.path.exists():
            with self.path.open(newline="") as file:
                before = [line for line in csv.DictReader(file) if int(line.get("step") or row["step"]) < row["step"]]
        mode = "a" if append else "w"
        with self.path.open(mode, newline="") as file:
            writer = csv.DictWriter(file, list(row), extrasaction="ignore", lineterminator="\n")
            if mode == "w":
                writer.writeheader()
            writer.writerows([*before, row])


class TensorBoardLogger:
    """Write scalars for TensorBoard, with tensorboardX (``isthmus[track]``).

    Parameters
    ----------
    folder : str or Path
        Folder of the event file; use one folder per run.

    Raises
    ------
    ModuleNotFoundError
        If tensorboardX is not installed; the message names the extra.
    """

    def __init__(self, folder: str | Path) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise ModuleNotFoundError("TensorBoardLogger needs tensorboardX: pip install 'isthmus[track]'.") from error
        self.folder = Path(folder)
        self._writer = SummaryWriter(str(folder))

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Write each number as a scalar."""
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()
