"""Loggers: anything with ``log_metrics(metrics, step)``, called with every epoch's numbers.

Lightning Fabric's loggers have that method as well, and so have a few lines around any tracking service.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

__all__ = ["CSVLogger", "Logger", "TensorBoardLogger"]


class Logger(Protocol):
    """What a logger is."""

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Keep the numbers of an epoch."""


class CSVLogger:
    """Writes a line an epoch to a .csv file, at once.

    Parameters
    ----------
    path : str or Path
        The file. Lines of this epoch and later ones that it holds are of a run that was interrupted, or of another one:
        they are dropped, and those before them stay.

    Examples
    --------
    >>> import tempfile
    >>> from isthmus import VAE
    >>> from sklearn.datasets import load_iris
    >>> path = Path(tempfile.mkdtemp()) / "run.csv"
    >>> _ = VAE(2, max_epochs=2, loggers=[CSVLogger(path)], random_state=0).fit(load_iris().data)
    >>> path.read_text().splitlines()[0]
    'step,loss,reconstruction,kl,learning_rate,seconds'
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._going = False
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"{path}: the folder {self.path.parent} does not exist; make it first.")
        if self.path.is_file() and self.path.stat().st_size:
            with self.path.open(encoding="utf-8", errors="replace") as file:
                if not file.readline().startswith("step,"):
                    raise ValueError(f"{path}: is not a log of training, which would replace it; name another file.")

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Append a line."""
        row = {"step": step, **metrics}
        lines = [] if self._going and step > 1 else self._before(step)
        mode = "a" if self._going and step > 1 else "w"
        with self.path.open(mode, newline="") as file:
            writer = csv.DictWriter(file, list(row), extrasaction="ignore", lineterminator="\n")
            if mode == "w":
                writer.writeheader()
            writer.writerows([*lines, row])
        self._going = True

    def _before(self, step: int) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        with self.path.open(newline="") as file:
            return [row for row in csv.DictReader(file) if int(row.get("step") or step) < step]


class TensorBoardLogger:
    """Writes scalars for TensorBoard, by tensorboardX (``isthmus[track]``).

    Parameters
    ----------
    folder : str or Path
        Where the event file goes; one folder a run.

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
        """Write every number as a scalar."""
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()
