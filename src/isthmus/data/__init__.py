"""Data from files and by name: everything read is a `Dataset`, and every failure one `DataError`."""

from isthmus.data.bundled import BUNDLED, load_bundled
from isthmus.data.dataset import DataError, Dataset
from isthmus.data.files import READABLE, WRITABLE, check_writable, read, write

__all__ = [
    "BUNDLED",
    "READABLE",
    "WRITABLE",
    "DataError",
    "Dataset",
    "check_writable",
    "load_bundled",
    "read",
    "write",
]
