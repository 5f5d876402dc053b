"""Arrow files, also called Feather. They need pyarrow: ``isthmus[table]``."""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from numpy.typing import NDArray

from isthmus.data.dataset import Dataset
from isthmus.data.errors import AGAIN, DataError
from isthmus.data.formats._arrow_messages import unpacked_bytes
from isthmus.data.formats._base import Format, Layout, check_names, has_index
from isthmus.data.formats._frames import arrow_to_frame, as_frame_dataset, import_pandas
from isthmus.data.formats._unpacking import check_cells, check_unpacked
from isthmus.data.table_blocks import TableBlocks

__all__ = ["Feather"]


_COMPRESSION = 16  # a file with a smaller share of the size in memory is not looked at


class _ArrowBlocks(TableBlocks):
    """An Arrow file in blocks of rows: its record batches."""

    def __init__(self, path: Path, library: Any) -> None:
        self.path, self._library, n_rows, schema = path, library, 0, None
        with path.open("rb") as file:
            _check_compressed(path, file)
        for table in self.blocks():
            n_rows, schema = n_rows + len(table), schema or table.schema
        if schema is None:
            raise DataError(f"{path}: has no rows; write at least one.")
        try:
            names = schema.names
        except UnicodeDecodeError as error:
            raise _damaged(path) from error
        check_names(names, path)
        check_cells(path, n_rows, len(names), path.stat().st_size)
        types = library.types
        self.has_only_numbers = all(types.is_integer(f.type) or types.is_floating(f.type) for f in schema)
        super().__init__(path, n_rows, names)

    def blocks(self) -> Iterator[Any]:
        """Yield the record batches as tables; the file is read, not mapped, since it may change meanwhile."""
        library = self._library
        try:
            with library.OSFile(str(self.path)) as file:
                yield from map(_as_table, _batches(library, file))
        except (library.ArrowException, OSError) as error:
            raise _damaged(self.path) from error

    def to_frame(self, table: Any) -> Any:
        """Return a block as a DataFrame, whose values are checked first."""
        return arrow_to_frame(table, self.path)


def _check_compressed(path: Path, file: IO[bytes]) -> None:
    """Raise `DataError` if a file decompresses to far more than it stores."""
    try:
        unpacked = unpacked_bytes(file)
    except (struct.error, ValueError, OSError, IndexError) as error:
        raise _damaged(path) from error
    check_unpacked(path, unpacked, path.stat().st_size)


def _damaged(path: Path) -> DataError:
    return DataError(f"{path}: is damaged, cut short, or not an Arrow file; {AGAIN}.")


def _batches(library: Any, file: Any) -> Iterator[Any]:
    """Yield the record batches of a file of random access, or of a stream."""
    try:
        reader = library.ipc.open_file(file)
    except library.ArrowInvalid:
        file.seek(0)
        yield from library.ipc.open_stream(file)
        return
    for i in range(reader.num_record_batches):
        yield reader.get_batch(i)


def _as_table(batch: Any) -> Any:
    import pyarrow

    return pyarrow.Table.from_batches([batch])


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
        _check_compressed(self.path, io.BytesIO(data))
        error: Exception | None = None
        for opened in (pyarrow.ipc.open_file, pyarrow.ipc.open_stream):
            try:
                table = opened(data).read_all()
                check_cells(self.path, table.num_rows, table.num_columns, len(data))
                return as_frame_dataset(arrow_to_frame(table, self.path), self.path)
            except (pyarrow.ArrowException, OSError) as failed:
                error = failed
        raise _damaged(self.path) from error

    def table_blocks(self, max_bytes: int) -> TableBlocks | None:
        """Return a large table, unless all its columns are numbers: those are learned as an array."""
        if self.path.stat().st_size <= max_bytes // _COMPRESSION:
            return None
        blocks = _ArrowBlocks(self.path, self._library())
        return blocks if blocks.nbytes > max_bytes and not blocks.has_only_numbers else None

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
