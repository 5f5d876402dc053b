"""Tables of text that are read block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from isthmus.data.dataset import EXACT, Dataset
from isthmus.data.errors import DataError
from isthmus.data.formats._text_cells import cell_blocks, libraries
from isthmus.data.formats._text_columns import TextColumn
from isthmus.data.formats._text_layout import find_layout
from isthmus.data.formats._text_table import TextTable
from isthmus.data.formats._text_values import all_numbers
from isthmus.data.table_blocks import TableBlocks, rebatched

__all__ = ["TextBlocks"]


class TextBlocks(TableBlocks):
    """A table of text in blocks of rows.

    One pass over the file counts its rows and finds the type of each column, from all of its cells. Its layout, its
    header and its decimal sign are found out from the first block.

    Parameters
    ----------
    path : Path
        The file.
    quoted_header : bool
        Whether all cells of the first line are quoted, and not all of the second: it is a header above numbers.

    Raises
    ------
    DataError
        As for :meth:`TextTable.read`.
    """

    def __init__(self, path: Path, *, quoted_header: bool = False) -> None:
        libraries(path)
        self._layout = find_layout(path)
        blocks = cell_blocks(path, self._layout)
        first = next(blocks)
        quoted_header = quoted_header and all(map(all_numbers, first.slice(1).columns))
        self.head = TextTable.of_cells(path, self._layout, first, quoted_header=quoted_header)
        self._columns = {name: TextColumn(name, self.head.decimal) for name in self.head.names}
        n_rows = 0
        for table in self._without_header(first, blocks):
            n_rows += len(table)
            for column, cells in zip(self._columns.values(), self._own(table), strict=True):
                column.add(cells)
        super().__init__(path, n_rows, self.head.names)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided about the file that its reader may not expect."""
        decimal = ["numbers have decimal commas"] if self.head.decimal == "," else []
        return (*self.head.notes, *decimal, *(note for c in self._columns.values() for note in c.notes()))

    @property
    def has_only_numbers(self) -> bool:
        """Whether all columns are of numbers."""
        return all(column.kind() in ("integer", "float") for column in self._columns.values())

    def _without_header(self, first: Any, rest: Iterator[Any]) -> Iterator[Any]:
        """Yield blocks of cells without the row of names."""
        yield first.slice(int(self.head.header))
        yield from rest

    def _cells(self) -> Iterator[Any]:
        """Yield the cells of all rows as they are written, in blocks."""
        blocks = cell_blocks(self.path, self._layout)
        return self._without_header(next(blocks), blocks)

    def _own(self, table: Any) -> list[Any]:
        """Return the cells of the columns without those of the index."""
        return table.columns[int(self.head.index is not None) :]

    def blocks(self) -> Iterator[Any]:
        """Yield tables in which each column has the type of all of its cells."""
        import pyarrow as pa

        for table in self._cells():
            pairs = zip(self._columns.values(), self._own(table), strict=True)
            yield pa.table({column.name: column.arrow(cells) for column, cells in pairs})

    def to_frame(self, table: Any) -> Any:
        """Return a block as a DataFrame."""
        import pandas as pd

        return pd.DataFrame({name: self._columns[name].to_series(table.column(name)) for name in table.column_names})

    def datasets(self, n_rows: int) -> Iterator[Dataset]:
        """Yield all rows with their cells as they are written."""
        start = 0
        for table in rebatched(self._cells(), n_rows):
            first = table.column(0).slice(0)  # a slice has no name, which pandas would take for that of the index
            index = None if self.head.index is None else (self.head.index[0], first)
            cells = tuple(self._own(table))
            text = replace(self.head, cells=cells, index=index, columns=self._columns, first_row=start, notes=[])
            start += len(table)
            yield text.dataset()

    def matrices(self) -> Iterator[Any]:
        """Yield blocks of a table of numbers as arrays of float64, NaN where a cell is missing.

        Raises
        ------
        DataError
            If an integer is beyond 2^53.
        """
        import numpy as np
        import pyarrow.compute as pc

        for table in self.blocks():
            for name, cells in zip(table.column_names, table.columns, strict=True):
                largest = pc.max(pc.abs(cells)).as_py()
                if self._columns[name].kind() == "integer" and largest is not None and largest > EXACT:
                    raise DataError(f"{self.path}: column {name!r} has integers beyond 2^53, where float64 has gaps.")
            yield np.column_stack([cells.cast("float64").to_numpy() for cells in table.columns])
