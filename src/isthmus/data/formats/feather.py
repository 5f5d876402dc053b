"""Arrow files, also called Feather. They need pyarrow: ``isthmus[table]``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from isthmus.data.dataset import Dataset
from isthmus.data.errors import AGAIN, DataError
from isthmus.data.formats._base import Format, Layout, has_index
from isthmus.data.formats._frames import arrow_to_frame, as_frame_dataset, import_pandas
from isthmus.data.formats._unpacking import check_cells

__all__ = ["Feather"]


class Feather(Format):
    """A table in an Arrow file, of random access or a stream."""

    def check_library(self) -> None:
        """Raise `DataError` if pyarrow or pandas is not installed."""
        self._library()
        import_pandas(self.path, "Arrow")

    def read(self) -> Dataset:
        """Return the table, whose values are checked first."""
        pyarrow = self._library()
        with self.path.open("rb") as stream:
            data = stream.read()  # not mapped: the file may change while it is read
        error: Exception | None = None
        for opened in (pyarrow.ipc.open_file, pyarrow.ipc.open_stream):
            try:
                table = opened(data).read_all()
                check_cells(self.path, table.num_rows, table.num_columns, len(data))
                return as_frame_dataset(arrow_to_frame(table, self.path), self.path)
            except (pyarrow.ArrowException, OSError) as failed:
                error = failed
        raise DataError(f"{self.path}: is damaged, cut short, or no Arrow file; {AGAIN}.") from error

    @contextlib.contextmanager
    def writer(self, file: Path, layout: Layout) -> Iterator[Callable[[NDArray[Any]], object]]:
        """Write a table of numbers; each block is a record batch."""
        pyarrow = self._library()
        from isthmus.data.formats.parquet import block_writer

        schema, to_table = block_writer(layout, self.path)
        with file.open("wb") as stream, pyarrow.ipc.new_file(stream, schema) as writer:
            yield lambda block: writer.write_table(to_table(block))

    def write_frame(self, file: Path, frame: Any, like: Any = None) -> None:  # noqa: ARG002
        """Write a DataFrame with its types."""
        pyarrow = self._library()
        table = pyarrow.Table.from_pandas(frame, preserve_index=has_index(frame))
        with file.open("wb") as stream, pyarrow.ipc.new_file(stream, table.schema) as writer:
            writer.write_table(table)

    def _library(self) -> Any:
        try:
            import pyarrow.ipc
        except ImportError as error:
            raise DataError(f'{self.path}: Arrow files need pyarrow; pip install "isthmus[table]".') from error
        return pyarrow
