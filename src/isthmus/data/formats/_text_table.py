"""A table of text: its cells as they are written, and as columns of numbers and texts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from isthmus.data.dataset import EXACT, Dataset
from isthmus.data.errors import DataError
from isthmus.data.formats._base import check_names
from isthmus.data.formats._text_cells import libraries, line_of_row, read_cells
from isthmus.data.formats._text_columns import TextColumn
from isthmus.data.formats._text_header import is_header, looks_like_index
from isthmus.data.formats._text_layout import TextLayout, find_layout
from isthmus.data.formats._text_style import NumberStyle, fill_cells
from isthmus.data.formats._text_values import Converted, convert, find_decimal, observed_cells

__all__ = ["TextTable"]

_SHOWN = 3  # columns or words that a message names


@dataclass(eq=False)
class TextTable:
    """A table of text.

    Parameters
    ----------
    path : Path
        The file.
    layout : TextLayout
        How it is laid out.
    decimal : {".", ","}
        The decimal sign of its numbers.
    header : bool
        Whether the first row has the names of the columns.
    names : tuple of str
        Names of the columns.
    cells : tuple of pyarrow.ChunkedArray
        The cells of each column, as they are written.
    index : (str, pyarrow.ChunkedArray) or None
        Name and cells of the first column, if it is an index that pandas or R wrote.
    notes : list of str
        What was decided about the file that its reader may not expect.
    parts : tuple of TextTable
        The tables that were joined, if `path` is a folder.
    columns : mapping of str to TextColumn
        What the columns of the whole file hold, if these are some of its rows.
    first_row : int
        The number of the first of these rows.
    """

    path: Path
    layout: TextLayout
    decimal: str
    header: bool
    names: tuple[str, ...]
    cells: tuple[Any, ...]
    index: tuple[str, Any] | None = None
    notes: list[str] = field(default_factory=list)
    parts: tuple[TextTable, ...] = ()
    columns: Mapping[str, TextColumn] = field(default_factory=dict)
    first_row: int = 0

    @classmethod
    def read(cls, path: Path, *, quoted_header: bool = False, like: TextTable | None = None) -> Self:
        """Read a file.

        Parameters
        ----------
        path : Path
            The file.
        quoted_header : bool
            Whether the first line is known to be a header.
        like : TextTable, optional
            Another table, which should have the same columns: a first line with its names is a header.

        Raises
        ------
        DataError
            If it is no table, has no rows, or two columns have the same name.
        """
        libraries(path)
        layout = find_layout(path)
        return cls.of_cells(path, layout, read_cells(path, layout), quoted_header=quoted_header, like=like)

    @classmethod
    def of_cells(
        cls,
        path: Path,
        layout: TextLayout,
        table: Any,
        *,
        quoted_header: bool = False,
        like: TextTable | None = None,
    ) -> Self:
        """Return the table of all cells of a file, or of its first block, a pyarrow Table of strings.

        For the other parameters and the errors, see :meth:`read`.
        """
        cells = [table.column(i) for i in range(table.num_columns)]
        names, header = layout.names, False
        if names is None:
            first = [column[0].as_py() for column in cells]
            decimal = find_decimal([column[1:] for column in cells], layout.delimiter)
            named = like is not None and {str(name).strip() for name in first} >= {*like.names}
            header = quoted_header or named or is_header(first, [column[1:] for column in cells], decimal)
            cells = [column[1:] for column in cells] if header else cells
            names = tuple(first if header else (f"x{i}" for i in range(len(cells))))
        names = tuple(name.strip() or (f"x{i}" if i else "") for i, name in enumerate(names))
        check_names(names, path)
        if len(names) != len(cells):
            raise DataError(
                f"{path}: {len(names)} names, but {len(cells)} cells in the lines below; complete the lines."
            )
        if not len(cells[0]):
            raise DataError(f"{path}: has a header and no rows; add lines of cells.")
        made = cls(path, layout, find_decimal(cells, layout.delimiter), header, names, tuple(cells))
        made._note_layout()
        made._take_index()
        return made

    @classmethod
    def join(cls, folder: Path, tables: Sequence[TextTable]) -> Self:
        """Return the rows of tables, which have the same columns, one after the other."""
        first = tables[0]
        by_name = [dict(zip(table.names, table.cells, strict=True)) for table in tables]
        cells = tuple(_joined([table[name] for table in by_name]) for name in first.names)
        indices = [table.index for table in tables if table.index]
        index = (indices[0][0], _joined([own for _, own in indices])) if len(indices) == len(tables) else None
        notes = list(dict.fromkeys(note for table in tables for note in table.notes))
        decimal = find_decimal(list(cells), first.layout.delimiter)
        return cls(folder, first.layout, decimal, first.header, first.names, cells, index, notes, tuple(tables))

    def _note_layout(self) -> None:
        """Note what is not as it is in most files."""
        above = self.layout.preamble - bool(self.layout.names and self.layout.names[0] == "")
        if (lines := above) and not self.layout.comments:
            self.notes.append(f"skipped {lines} line{'s' if lines > 1 else ''} above the table")
        if self.layout.encoding in ("cp1252", "latin-1"):
            self.notes.append(f"is not UTF-8; read as {self.layout.encoding}")
        if self.header and any(name.isdecimal() for name in self.names):
            named = [name for name in self.names if name]
            shown = ", ".join(named[:4]) + (", ..." if len(named) > 4 else "")
            self.notes.append(f"the first line has the names of the columns: {shown}")

    def _take_index(self) -> None:
        """Take the first column as the index if it is one."""
        if len(self.cells) > 1 and self.header | bool(self.layout.names) and looks_like_index(*self._first()):
            self.index = self._first()
            self.names, self.cells = self.names[1:], self.cells[1:]
            what = f"the column {self.index[0]!r}" if self.index[0] else "the first column, which has no name,"
            self.notes.append(f"{what} is taken for the names or numbers of the rows, and is not learned")
        elif not self.names[0]:
            self.names = ("x0", *self.names[1:])

    def _first(self) -> tuple[str, Any]:
        return self.names[0], self.cells[0]

    # ---- columns ------------------------------------------------------------------------------------------------

    def dataset(self, texts: Collection[str] = (), numbers: Collection[str] = ()) -> Dataset:
        """Return the table as a data set: X is an array if all columns are numbers, else a pandas DataFrame.

        Parameters
        ----------
        texts : collection of str
            Names of columns that stay texts.
        numbers : collection of str
            Names of columns that must be numbers.

        Raises
        ------
        DataError
            If a column of `numbers` has text; the message names all such columns, and a cell of each.
        """
        import pandas as pd

        found = {
            name: self._convert(name, cells, texts=name in texts, codes=name not in numbers)
            for name, cells in zip(self.names, self.cells, strict=True)
        }
        self._check_numbers(found, numbers)
        notes = [*self.notes, *self._notes_on_columns(found, texts)]
        frame = pd.DataFrame({name: column.series for name, column in found.items()})
        if self.index is not None:
            frame.index = self.index_values()
        name = self.path.name.partition(".")[0] or self.path.name
        unnamed = not self.header and self.layout.names is None
        if _has_only_numbers(frame) and not texts and not frame.isna().all().any():
            X = frame.astype(np.float64).to_numpy(na_value=np.nan)
            return Dataset(X, None if unnamed else self.names, None, None, name, tuple(notes), self)
        if unnamed:
            notes.insert(0, "the first line is data, not names: columns are named x0, x1, ...")
        return Dataset(frame, self.names, None, None, name, tuple(notes), self)

    def _convert(self, name: str, cells: Any, *, texts: bool = False, codes: bool = True) -> Converted:
        """Return the cells of a column in the type of its cells, or of all cells in the file."""
        if name in self.columns:
            return self.columns[name].convert(cells, texts=texts, codes=codes)
        return convert(cells, self.decimal, texts=texts, codes=codes)

    def index_values(self) -> Any:
        """Return the index, or None if there is none."""
        import pandas as pd

        return (
            None
            if self.index is None
            else pd.Index(convert(self.index[1], self.decimal).series, name=self.index[0] or None)
        )

    def fill_missing(self, values: Any) -> Any:
        """Return the cells as they are written, with those that are missing filled in by a DataFrame of values."""
        import pandas as pd

        own = dict(zip(self.names, self.cells, strict=True))
        columns = {}
        for name in values.columns:
            cells = own[str(name)]
            gone = self._convert(str(name), cells).series.isna().to_numpy()
            column = self.columns.get(str(name))
            style = NumberStyle.of(observed_cells(cells), self.decimal) if column is None else column.style
            columns[name] = fill_cells(cells, values[name], gone, style, self.decimal)
        texts = pd.DataFrame(columns)
        if self.index is not None:
            texts.index = pd.Index(self.index[1].to_pandas(), name=self.index[0] or None)
        return texts

    def _check_numbers(self, found: dict[str, Converted], numbers: Collection[str]) -> None:
        """Raise DataError if a column of numbers has text."""
        bad = [name for name, column in found.items() if name in numbers and column.series.dtype.kind not in "iufb"]
        if not bad:
            return
        texts = []
        for name in bad[:_SHOWN]:
            cells = self.cells[self.names.index(name)]
            row = found[name].others[0] if found[name].others else _first_text(found[name].series)
            texts.append(f"column {name!r} has {cells[row].as_py()!r:.40} in {self.place_of(row)}")
        more = f"; and {len(bad) - _SHOWN} more columns" if len(bad) > _SHOWN else ""
        raise DataError(
            f"{self.path}: {'; '.join(texts)}{more}, where the model has numbers: correct the cells, or leave them "
            "empty if they are missing."
        )

    def _notes_on_columns(self, found: dict[str, Converted], texts: Collection[str]) -> list[str]:
        """Return notes on columns whose cells were not taken as they are written."""
        notes = []
        if self.decimal == ",":
            notes.append("numbers have decimal commas")
        for name, column in found.items():
            if name in texts:
                continue
            if column.removed:
                notes.append(f"column {name!r} has numbers, read without {column.removed}")
            if column.placeholders:
                shown = ", ".join(map(repr, column.placeholders[:_SHOWN]))
                verb = "s" if len(column.placeholders) == 1 else ""
                notes.append(f"column {name!r} has numbers; {shown} count{verb} as missing there")
            if column.others:
                cell = self.cells[self.names.index(name)][column.others[0]].as_py()
                notes.append(
                    f"column {name!r} is text because of {column.n_others} of {len(column.series)} cells, such as "
                    f"{cell!r:.40} in {self.place_of(column.others[0])}: leave them empty if they are missing"
                )
        return notes

    def place_of(self, row: int) -> str:
        """Return where a row of cells is, for messages: "line 3", with the name of the file if it is one of several."""
        for part in self.parts:
            if row < len(part.cells[0]):
                return f"{part.place_of(row)} of {part.path.name}"
            row -= len(part.cells[0])
        return f"line {line_of_row(self.path, self.layout, self.first_row + row, header=self.header)}"


def _joined(columns: Sequence[Any]) -> Any:
    """Return columns of cells one after the other."""
    import pyarrow as pa

    return pa.chunked_array([chunk for cells in columns for chunk in cells.chunks], pa.string())


def _first_text(series: Any) -> int:
    """Return the row of the first cell that is text and no number."""
    import pandas as pd

    wrong = pd.to_numeric(series, errors="coerce").isna() & series.notna()
    return int(wrong.to_numpy().argmax()) if wrong.any() else int(series.notna().to_numpy().argmax())


def _has_only_numbers(frame: Any) -> bool:
    """Return whether all columns are of numbers that float64 holds."""
    if not all(dtype.kind in "iuf" for dtype in frame.dtypes):
        return False
    whole = [frame[name] for name, dtype in frame.dtypes.items() if dtype.kind in "iu"]
    return all(column.isna().all() or column.abs().max() <= EXACT for column in whole)
