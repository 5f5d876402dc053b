"""Tables in files that are read block by block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

__all__ = ["TableBlocks"]


class TableBlocks(ABC):
    """Base of tables in files, with columns of any type, of which only a block of rows is in memory.

    Parameters
    ----------
    path : Path
        The file or folder.
    n_rows : int
        Number of rows.
    columns : sequence of str
        Names of the columns.
    """

    def __init__(self, path: Path, n_rows: int, columns: Sequence[str]) -> None:
        self.path, self.n_rows, self.columns = path, n_rows, tuple(columns)

    @abstractmethod
    def blocks(self) -> Iterator[Any]:
        """Yield pyarrow Tables with all rows in their order; each call starts from the first row."""

    @abstractmethod
    def to_frame(self, table: Any) -> Any:
        """Return a block, or rows of several, as the pandas DataFrame that reading the whole file would give."""

    @property
    def name(self) -> str:
        """The name of the table in error messages."""
        return str(self.path)

    @property
    def shape(self) -> tuple[int, int]:
        """(N, C)."""
        return self.n_rows, len(self.columns)

    @property
    def ndim(self) -> int:
        """Always 2."""
        return 2

    @property
    def nbytes(self) -> int:
        """About as many bytes as the table would take in memory: eight for each cell."""
        return self.n_rows * len(self.columns) * 8

    def __len__(self) -> int:
        return self.n_rows
