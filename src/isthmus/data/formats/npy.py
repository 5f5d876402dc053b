"""One array saved by numpy."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.data.dataset import Dataset, as_dataset
from isthmus.data.file_rows import FileRows
from isthmus.data.formats._base import Format, Layout
from isthmus.data.formats._npy_header import read_array, write_header

__all__ = ["Npy"]


class Npy(Format):
    """One array of numbers, as ``numpy.save`` writes it."""

    def read(self) -> Dataset:
        """Return the array."""
        with self.path.open("rb") as stream:
            return as_dataset(read_array(stream, self.path.stat().st_size, str(self.path)), self.path)

    def stream(self, max_bytes: int) -> FileRows | None:
        """Return the rows of a large file."""
        return FileRows.npy(self.path) if self.path.stat().st_size > max_bytes else None

    @contextlib.contextmanager
    def writer(self, file: Path, layout: Layout) -> Iterator[Callable[[NDArray[Any]], object]]:
        """Write an array block by block; the names of columns have no place in it."""
        with file.open("wb") as stream:
            write_header(stream, layout.dtype, layout.shape)
            yield lambda block: stream.write(np.ascontiguousarray(block).data)
