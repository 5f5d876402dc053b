"""Base of the file formats."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isthmus.data.dataset import Dataset
from isthmus.data.errors import DataError
from isthmus.data.sources import RowSource

__all__ = ["INFLATE", "Format", "Layout", "as_table", "check_names"]

INFLATE = 1032  # deflate expands no byte of a gzip or zip file to more bytes than this


class Layout(NamedTuple):
    """The type, shape and column names of an array whose rows are about to be written.

    Attributes
    ----------
    dtype : numpy.dtype
        Type of its numbers.
    shape : tuple of int
        Its shape, (N, ...).
    columns : sequence of str, or None
        The names of the columns.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    columns: Sequence[str] | None

    def table_columns(self, path: Path) -> list[str]:
        """Return the names of the columns of a table, x0, x1, ... by default.

        Raises
        ------
        DataError
            If the array has more than two dimensions, or the names do not suit it.
        """
        if len(self.shape) > 2:
            raise DataError(f"{path}: a table cannot hold an array of shape {self.shape}; write .npy instead.")
        width = self.shape[1] if len(self.shape) > 1 else 1
        if self.columns is None:
            return [f"x{i}" for i in range(width)]
        if len(self.columns) != width:
            raise DataError(f"{path}: {len(self.columns)} column names for {width} columns; pass one name per column.")
        names = [str(name) for name in self.columns]
        check_names(names, path)
        return names


class Format(ABC):
    """Base of the file formats: how a file is recognized, read, streamed and written.

    A new format is a subclass in a module of its own here, and one row of ``isthmus._formats.TABLE``.

    Parameters
    ----------
    path : Path
        The file, or for some formats a folder of files.
    member : str, optional
        The array to read, in formats whose files hold several.
    """

    def __init__(self, path: Path, member: str | None = None) -> None:
        self.path, self.member = path, member

    @classmethod
    def sniff(cls, path: Path) -> bool:  # noqa: ARG003
        """Return whether a file or folder whose name says nothing is in this format by its content."""
        return False

    @abstractmethod
    def read(self) -> Dataset:
        """Return everything in the file."""

    def stream(self, above: int) -> RowSource | None:  # noqa: ARG002
        """Return the rows without reading them, or None if they take at most `above` bytes or cannot be streamed."""
        return None

    def check_library(self) -> None:  # noqa: B027
        """Raise `DataError` if an optional library that the format needs is not installed."""

    def writer(self, file: Path, layout: Layout) -> AbstractContextManager[Callable[[NDArray[Any]], object]]:
        """Return a context that writes `file`: it yields a function that appends a block of rows.

        Parameters
        ----------
        file : Path
            What to write; it is renamed to `path` afterwards, so that errors speak of `path`.
        layout : Layout
            Type, shape and column names of the whole array.
        """
        raise NotImplementedError(f"{type(self).__name__} files are not written.")


def as_table(block: NDArray[Any]) -> NDArray[Any]:
    """Return rows as a matrix: a vector is one column."""
    return block[:, None] if block.ndim == 1 else block


def check_names(names: Sequence[str], where: object) -> None:
    """Raise `DataError` if two columns have the same name."""
    counts = Counter(names)
    twice = next((name for name in names if counts[name] > 1), None)
    if twice is not None:
        raise DataError(f"{where}: two columns are named {twice!r}; rename one.")
