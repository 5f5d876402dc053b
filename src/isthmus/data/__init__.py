"""Data from files and by name: everything that is read is a `Dataset`, and every failure a `DataError`.

Rows larger than memory are a `RowSource`: a file, a folder of Parquet files, a torch ``Dataset``, or one of your own.
Tables that are larger than memory, with columns of any type, are `TableBlocks`.
"""

from isthmus._formats import BUNDLED, readable_suffixes, writable_suffixes
from isthmus.data.bundled import load_bundled
from isthmus.data.dataset import Dataset
from isthmus.data.errors import DataError, MissingFileError
from isthmus.data.file_rows import FileRows
from isthmus.data.formats.parquet import ParquetRows
from isthmus.data.reading import STREAM_ABOVE, as_source, open_rows, read, resolve
from isthmus.data.sources import ArrayRows, RowSource
from isthmus.data.table_blocks import TableBlocks
from isthmus.data.torch_dataset import DatasetRows
from isthmus.data.writing import check_writable, open_writer, write, write_frame

__all__ = [
    "BUNDLED",
    "STREAM_ABOVE",
    "ArrayRows",
    "DataError",
    "Dataset",
    "DatasetRows",
    "FileRows",
    "MissingFileError",
    "ParquetRows",
    "RowSource",
    "TableBlocks",
    "as_source",
    "check_writable",
    "load_bundled",
    "open_rows",
    "open_writer",
    "read",
    "readable_suffixes",
    "resolve",
    "writable_suffixes",
    "write",
    "write_frame",
]
