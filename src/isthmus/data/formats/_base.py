"""Base of the file formats."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isthmus.data.dataset import Dataset
from isthmus.data.errors import DataError
from isthmus.data.sources import RowSource
from isthmus.data.table_blocks import TableBlocks

__all__ = ["INFLATE", "Format", "Layout", "as_table", "check_names", "check_same_columns", "has_index"]

INFLATE = 1032  # deflate expands no byte of a gzip or zip file to more bytes than this


class Layout(NamedTuple):
    """The type, shape and column names of an array whose rows are about to be written.

    Attributes
    ----------
    dtype : numpy.dtype
        Type of its numbers.
    shape : tuple of int
        Its shape, (N, ...).
    columns : sequence of str, or None
        The names of the columns.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    columns: Sequence[str] | None

    def table_columns(self, path: Path) -> list[str]:
        """Return the names of the columns of a table, x0, x1, ... by default.

        Raises
        ------
        DataError
            If the array has more than two dimensions, or the names do not suit it.
        """
        if len(self.shape) > 2:
            raise DataError(f"{path}: a table cannot hold an array of shape {self.shape}; write .npy instead.")
        width = self.shape[1] if len(self.shape) > 1 else 1
        if self.columns is None:
            return [f"x{i}" for i in range(width)]
        if len(self.columns) != width:
            raise DataError(f"{path}: {len(self.columns)} column names for {width} columns; pass one name per column.")
        names = [str(name) for name in self.columns]
        check_names(names, path)
        return names


class Format(ABC):
    """Base of the file formats: how a file is recognized, read, streamed and written.

    A new format is a subclass in a module of its own here, and one row of ``isthmus._formats.TABLE``.

    Parameters
    ----------
    path : Path
        The file, or for some formats a folder of files.
    member : str, optional
        The array to read, in formats whose files hold several.
    """

    def __init__(self, path: Path, member: str | None = None) -> None:
        self.path, self.member = path, member

    @classmethod
    def sniff(cls, path: Path) -> bool:  # noqa: ARG003
        """Return whether a file or folder whose name says nothing is in this format by its content."""
        return False

    @abstractmethod
    def read(self) -> Dataset:
        """Return everything in the file."""

    def stream(self, max_bytes: int) -> RowSource | None:  # noqa: ARG002
        """Return the rows without reading them, or None if they take at most `max_bytes` or cannot be streamed."""
        return None

    def table_blocks(self, max_bytes: int) -> TableBlocks | None:  # noqa: ARG002
        """Return a table of more than `max_bytes` without reading it; None if it is smaller or cannot be streamed."""
        return None

    def check_library(self) -> None:  # noqa: B027
        """Raise `DataError` if an optional library that the format needs is not installed."""

    def writer(self, file: Path, layout: Layout) -> AbstractContextManager[Callable[[NDArray[Any]], object]]:
        """Return a context that writes `file`: it yields a function that appends a block of rows.

        Parameters
        ----------
        file : Path
            What to write; it is renamed to `path` afterwards, so that errors speak of `path`.
        layout : Layout
            Type, shape and column names of the whole array.
        """
        raise NotImplementedError(f"{type(self).__name__} files are not written.")

    def write_frame(self, file: Path, frame: Any, like: Any = None) -> None:  # noqa: ARG002
        """Write a pandas DataFrame; arrays can only be written of one that has nothing but numbers.

        Parameters
        ----------
        file : Path
            What to write; it is renamed to `path` afterwards.
        frame : DataFrame
            The table.
        like : TextTable, optional
            The file that the table came from, whose layout another table of text has.

        Raises
        ------
        DataError
            If the format cannot hold the table.
        """
        texts = [str(name) for name, dtype in frame.dtypes.items() if dtype.kind not in "iufb"]
        if texts:
            shown = ", ".join(map(repr, texts[:4])) + (", ..." if len(texts) > 4 else "")
            raise DataError(f"{self.path}: cannot hold columns of text or dates ({shown}); write .csv or .parquet.")
        array = frame.astype(float).to_numpy(na_value=np.nan)
        with self.writer(file, Layout(array.dtype, array.shape, [str(name) for name in frame])) as append:
            append(array)

    @contextlib.contextmanager
    def frame_writer(self, file: Path, like: Any = None) -> Iterator[Callable[[Any], object]]:
        """Write DataFrames with the same columns, one below the other: the context yields a function that appends one.

        The default keeps them until all are there. For the parameters and errors, see :meth:`write_frame`.
        """
        import pandas as pd

        frames: list[Any] = []
        yield frames.append
        self.write_frame(file, pd.concat(frames, ignore_index=not has_index(frames[0])), like)


def as_table(block: NDArray[Any]) -> NDArray[Any]:
    """Return rows as a matrix: a vector is one column."""
    return block[:, None] if block.ndim == 1 else block


def has_index(frame: Any) -> bool:
    """Return whether the rows of a DataFrame have names or numbers of their own."""
    import pandas as pd

    index = frame.index
    return not (isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1 and index.name is None)


def check_names(names: Sequence[str], where: object) -> None:
    """Raise `DataError` if two columns have the same name."""
    twice = [repr(name) for name, count in Counter(names).items() if count > 1]
    if len(twice) == 1:
        raise DataError(f"{where}: two columns are named {twice[0]}; rename one.")
    if twice:
        shown = ", ".join(twice[:6]) + (f" and {len(twice) - 6} more" if len(twice) > 6 else "")
        raise DataError(f"{where}: columns have the same name: {shown}; rename one of each.")


def check_same_columns(path: Path, names: Sequence[str], first: Path, wanted: Sequence[str]) -> None:
    """Raise `DataError` if a file has other columns than the first file of its folder; their order does not matter."""
    lacking, more = [n for n in wanted if n not in set(names)], [n for n in names if n not in set(wanted)]
    if lacking or more:
        said = [f"{verb} {_listed(found)}" for verb, found in (("lacks", lacking), ("has", more)) if found]
        raise DataError(
            f"{path}: has other columns than {first.name}: it {' and '.join(said)}; give all files of a folder the "
            "same columns."
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:6])) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
