"""Several arrays saved by numpy in one zip archive."""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.data.dataset import NUMERIC, Dataset, as_dataset
from isthmus.data.errors import AGAIN, DataError, damaged
from isthmus.data.formats._base import INFLATE, Format, Layout
from isthmus.data.formats._npy_header import read_array, write_header
from isthmus.data.formats._unpacking import check_unpacked

__all__ = ["Npz"]

_LABELS = NUMERIC + "U"  # labels may be strings


class Npz(Format):
    """Arrays as ``numpy.savez`` writes them: "X" and perhaps "y", one array only, or the one named by ``FILE:NAME``."""

    def read(self) -> Dataset:
        """Return the array `member`; by default "X" with "y", or the only one."""
        with damaged(self.path):
            archive = zipfile.ZipFile(self.path)
        with archive:
            names = sorted(name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy"))
            has_labels = not self.member and "X" in names and "y" in names
            X = self._load(archive, self._choose(names))
            y = self._load(archive, "y", _LABELS) if has_labels else None
        if y is not None and (y.ndim == 0 or X.ndim == 0 or len(y) != len(X)):
            raise DataError(
                f"{self.path}: 'X' has shape {X.shape} and 'y' {y.shape}; give both the same number of rows."
            )
        return as_dataset(X, self.path, y)

    @contextlib.contextmanager
    def writer(self, file: Path, layout: Layout) -> Iterator[Callable[[NDArray[Any]], object]]:
        """Write one array, "X", block by block; the names of columns have no place in it."""
        with zipfile.ZipFile(file, "w") as archive, archive.open("X.npy", "w", force_zip64=True) as stream:
            write_header(stream, layout.dtype, layout.shape)
            yield lambda block: stream.write(np.ascontiguousarray(block).data)

    def _choose(self, names: list[str]) -> str:
        """Return the name of the array to read."""
        if not names:
            raise DataError(f"{self.path}: holds no arrays; write one with the name 'X'.")
        member = self.member or ("X" if "X" in names else names[0] if len(names) == 1 else None)
        if member not in names:
            what = f"no array {member!r}" if member else "several arrays, none of them 'X'"
            held = f"it holds {', '.join(names[:12])}{', ...' if len(names) > 12 else ''}"
            raise DataError(f"{self.path}: {what}; {held}. Use {self.path}:NAME for one of them.")
        return member

    def _load(self, archive: zipfile.ZipFile, name: str, kinds: str = NUMERIC) -> NDArray[Any]:
        """Return one array, unless its declared size is more than its bytes can hold."""
        info = archive.getinfo(f"{name}.npy")
        where = f"{self.path}, array {name!r}"
        if info.file_size > INFLATE * info.compress_size:
            raise DataError(f"{where}: claims a size that its bytes cannot hold; {AGAIN}.")
        check_unpacked(where, info.file_size, info.compress_size)
        with damaged(where), archive.open(info) as stream:
            return read_array(stream, info.file_size, where, kinds)
