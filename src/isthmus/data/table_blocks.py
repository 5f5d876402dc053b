"""Tables in files that are read block by block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from isthmus.data.dataset import Dataset

__all__ = ["TableBlocks", "rebatched"]


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

    def datasets(self, n_rows: int) -> Iterator[Dataset]:
        """Yield all rows, `n_rows` at a time and fewer at the end, as reading the file would give them."""
        for table in rebatched(self.blocks(), n_rows):
            yield Dataset(self.to_frame(table), self.columns, None, None, self.path.stem)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided about the file that its reader may not expect."""
        return ()

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


def rebatched(tables: Iterator[Any], n_rows: int) -> Iterator[Any]:
    """Yield the rows of pyarrow Tables in tables of `n_rows`, and fewer at the end."""
    import pyarrow as pa

    held: list[Any] = []
    for table in tables:
        held.append(table)
        if sum(map(len, held)) < n_rows:
            continue
        whole = pa.concat_tables(held, promote_options="permissive")
        starts = range(0, len(whole) - n_rows + 1, n_rows)
        yield from (whole.slice(start, n_rows) for start in starts)
        held = [whole.slice(len(starts) * n_rows)]
    rest = pa.concat_tables(held, promote_options="permissive") if held else held
    if len(rest):
        yield rest
