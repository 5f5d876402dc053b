"""Data from files and by name: everything read is a `Dataset`, and every failure one `DataError`.

Rows larger than memory are a `RowSource`: a file, a folder of Parquet files, a torch ``Dataset``, or one of your own.
"""

from isthmus.data.bundled import BUNDLED, load_bundled
from isthmus.data.dataset import DataError, Dataset
from isthmus.data.files import READABLE, WRITABLE, check_writable, read, write
from isthmus.data.formats.parquet import ParquetRows
from isthmus.data.opening import STREAM_ABOVE, as_source, open_rows
from isthmus.data.sources import ArrayRows, DatasetRows, FileRows, RowSource
from isthmus.data.writing import open_writer

__all__ = [
    "BUNDLED",
    "READABLE",
    "STREAM_ABOVE",
    "WRITABLE",
    "ArrayRows",
    "DataError",
    "Dataset",
    "DatasetRows",
    "FileRows",
    "ParquetRows",
    "RowSource",
    "as_source",
    "check_writable",
    "load_bundled",
    "open_rows",
    "open_writer",
    "read",
    "write",
]
