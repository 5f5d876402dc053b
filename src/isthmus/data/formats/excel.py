"""Excel files. They need openpyxl: ``isthmus[excel]``."""

from __future__ import annotations

import contextlib
import importlib
import zipfile
from collections.abc import Callable, Iterator
from functools import reduce
from pathlib import Path
from typing import IO, Any
from xml.parsers.expat import ExpatError, ParserCreate

import numpy as np
from numpy.typing import NDArray

from isthmus.data.dataset import Dataset
from isthmus.data.errors import AGAIN, DECOMPRESSION, HEADER, DataError
from isthmus.data.formats._base import Format, Layout, as_table, has_index
from isthmus.data.formats._frames import as_frame_dataset, import_pandas, whole_numbers
from isthmus.data.formats._unpacking import check_cells, check_unpacked

__all__ = ["Excel"]

_MOST_ROWS = 1 << 20  # of a sheet


class Excel(Format):
    """The first sheet of an Excel file, or the one named by ``FILE:SHEET``."""

    def check_library(self) -> None:
        """Raise `DataError` if pandas or openpyxl is not installed."""
        import_pandas(self.path, "Excel", "excel")
        try:
            importlib.import_module("openpyxl")
        except ImportError as error:
            raise DataError(f'{self.path}: Excel needs openpyxl; pip install "isthmus[excel]".') from error

    def read(self) -> Dataset:
        """Return the table of a sheet."""
        self.check_library()
        import pandas as pd

        try:
            with zipfile.ZipFile(self.path) as archive:
                self._check_sizes(archive)
            with pd.ExcelFile(self.path, engine="openpyxl") as book:
                sheet = self._choose(book.sheet_names)
                frame = pd.read_excel(book, sheet_name=sheet, na_values=["?"])
        except (OSError, AttributeError, *DECOMPRESSION, *HEADER) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{self.path}: is damaged, or not an Excel file; {AGAIN}.") from error
        frame = frame.dropna(how="all").reset_index(drop=True)
        if sum(str(name).startswith("Unnamed: ") for name in frame.columns[1:]) > len(frame.columns) / 2:
            raise DataError(
                f"{self.path}: the first row of {sheet!r} has no names of columns; delete the rows above it."
            )
        others = [name for name in book.sheet_names if name != sheet]
        notes = (f"read the sheet {sheet!r}; others are {', '.join(map(repr, others[:6]))}",) if others else ()
        return as_frame_dataset(whole_numbers(frame), self.path, notes if self.member is None else ())

    def _check_sizes(self, archive: zipfile.ZipFile) -> None:
        """Raise `DataError` if the archive is a bomb, or a sheet has a cell far away from all others.

        openpyxl fills the rows and columns between them with empty cells. Any part may be a sheet.
        """
        for part in archive.infolist():
            check_unpacked(self.path, part.file_size, part.compress_size)
            if not part.is_dir():
                extent = _Extent()
                with archive.open(part) as stream, contextlib.suppress(ExpatError):  # no XML: no sheet
                    extent.add(stream)
                check_cells(self.path, extent.n_rows, extent.n_columns, extent.n_cells)

    def _choose(self, sheets: list[Any]) -> Any:
        """Return the name of the sheet to read."""
        if self.member is not None and self.member not in sheets:
            raise DataError(f"{self.path}: has no sheet {self.member!r}; it has {', '.join(map(repr, sheets))}.")
        return self.member or sheets[0]

    @contextlib.contextmanager
    def writer(self, file: Path, layout: Layout) -> Iterator[Callable[[NDArray[Any]], object]]:
        """Write a table of numbers when all blocks are there: the file is one archive."""
        import pandas as pd

        names, blocks = layout.table_columns(self.path), []
        yield lambda block: blocks.append(as_table(block))
        self.write_frame(file, pd.DataFrame(np.concatenate(blocks), columns=names))

    def write_frame(self, file: Path, frame: Any, like: Any = None) -> None:  # noqa: ARG002
        """Write a DataFrame to one sheet. Excel has no time zones: times are local."""
        zoned = [name for name, dtype in frame.dtypes.items() if getattr(dtype, "tz", None) is not None]
        frame = frame.assign(**{name: frame[name].dt.tz_localize(None) for name in zoned}) if zoned else frame
        frame.to_excel(file, index=has_index(frame), engine="openpyxl")


class _Extent:
    """The rows and columns of a sheet, counted as openpyxl counts them.

    Attributes
    ----------
    n_rows, n_columns : int
        The last row and the last column.
    n_cells : int
        Cells that are there.
    """

    def __init__(self) -> None:
        self.n_rows = self.n_columns = self.n_cells = 0
        self._row = self._column = 0

    def add(self, stream: IO[bytes]) -> None:
        """Read a sheet.

        Raises
        ------
        ExpatError
            If it is no XML.
        ValueError or ArithmeticError
            If it has a row that Excel does not have.
        """
        parser = ParserCreate()
        parser.StartElementHandler = self._start
        parser.ParseFile(stream)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        element, place = name.rpartition(":")[2], attributes.get("r")
        if element == "row":
            self._row, self._column = self._row + 1 if place is None else int(float(place)), 0
            if self._row > _MOST_ROWS:
                raise ValueError(f"row {place}")
            self.n_rows = max(self.n_rows, self._row)
        elif element == "c":
            letters = place.rstrip("0123456789") if place else ""
            self._column = reduce(lambda n, letter: 26 * n + int(letter, 36) - 9, letters, 0) or self._column + 1
            self.n_columns, self.n_cells = max(self.n_columns, self._column), self.n_cells + 1
