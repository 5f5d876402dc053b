"""Compute results chunk by chunk, and write them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from isthmus.cli._data import AlignedBlocks
from isthmus.cli._errors import note

if TYPE_CHECKING:
    import numpy as np

    from isthmus.data import Dataset

__all__ = ["compute_by_chunks", "datasets", "write_by_chunks", "write_frame_result", "write_frames", "write_result"]

_Function = Callable[[Any, Any], "np.ndarray"]


def compute_by_chunks(title: str, function: _Function, rows: Dataset, y: Any, width: int) -> np.ndarray:
    """Return ``function(X, y)``, computed chunk by chunk with a progress bar.

    Parameters
    ----------
    title : str
        Title of the progress bar, which is shown on a terminal if there are several chunks.
    function : callable
        Maps rows (n, D) and their conditions to an array whose first axis is that of the rows.
    rows : Dataset
        The rows.
    y : array or None
        Their conditions.
    width : int
        Numbers per row that the estimator needs. It decides the size of the chunks: they are those of the estimator, so
        that results have the same bits.
    """
    import numpy as np

    return np.concatenate(list(_chunks(title, function, rows, y, width)), axis=0)


def write_by_chunks(
    path: str, title: str, function: _Function, rows: Dataset, y: Any, width: int, columns: Sequence[str] | None
) -> None:
    """Write ``function(X, y)`` chunk by chunk, so that neither the rows nor the result have to be in memory.

    Each of several processes computes its share of the chunks, and the first one writes them all. For the other
    parameters, see :func:`compute_by_chunks`.

    Parameters
    ----------
    path : str
        The file to write.
    columns : sequence of str or None
        Names of the columns of the result.
    """
    from isthmus.data import open_writer
    from isthmus.engine.distributed import rank, world_size

    if world_size() > 1:
        blocks = _gather(path, _chunks(title, function, rows, y, width, (rank(), world_size())))
        if rank() > 0:
            return
    else:
        blocks = _chunks(title, function, rows, y, width)
    with open_writer(path, len(rows.X), columns) as write_block:
        for block in blocks:
            write_block(block)
    _note_written(path, (len(rows.X), *block.shape[1:]), block.dtype)


def write_result(path: str, array: Any, columns: Sequence[str] | None) -> None:
    """Write a result that is in memory."""
    import numpy as np

    from isthmus.data import write

    array = np.asarray(array)
    write(path, array, columns)
    _note_written(path, array.shape, array.dtype)


def write_frame_result(path: str, frame: Any, like: Any = None) -> None:
    """Write a table, laid out as the file `like` if both are text."""
    from isthmus.data import write_frame
    from isthmus.engine.distributed import rank

    if rank() > 0:
        return
    write_frame(path, frame, like)
    _note_written(path, frame.shape, "table")


def write_frames(path: str, frames: Iterator[Any], like: Any) -> None:
    """Write a table in parts, laid out as the file `like` if both are text."""
    from isthmus.data.writing import open_frame_writer
    from isthmus.engine.distributed import rank

    if rank() > 0:
        return
    n_rows, width = 0, 0
    with open_frame_writer(path, like) as write_part:
        for frame in frames:
            write_part(frame)
            n_rows, width = n_rows + len(frame), frame.shape[1]
    _note_written(path, (n_rows, width), "table")


def _chunks(
    title: str, function: _Function, rows: Dataset, y: Any, width: int, part: tuple[int, int] = (0, 1)
) -> Iterator[np.ndarray]:
    """Yield ``function(X, y)`` for each chunk, or for one of several equal parts of the chunks."""
    from isthmus.data import ArrayRows, RowSource
    from isthmus.estimators._chunking import row_chunks

    if isinstance(rows.X, AlignedBlocks):
        for part_of_rows in datasets(title, rows, width):
            yield function(part_of_rows.X, None)
        return
    if rows.is_frame:  # in memory, and so warnings about its columns come once
        yield function(rows.X, y)
        return
    source = rows.X if isinstance(rows.X, RowSource) else ArrayRows(rows.X, rows.columns, rows.name)
    slices = list(row_chunks(len(rows.X), width))
    slices = slices[len(slices) * part[0] // part[1] : len(slices) * (part[0] + 1) // part[1]]
    hidden = len(slices) < 2 or not sys.stderr.isatty()
    with click.progressbar(slices, label=title, file=sys.stderr, hidden=hidden) as bar:
        for chunk in bar:  # a part of the source, whose errors count rows as the whole does
            yield function(source.part(chunk.start, chunk.stop), None if y is None else y[chunk])


def datasets(title: str, rows: Dataset, width: int) -> Iterator[Dataset]:
    """Yield the rows of a table that is read block by block, in chunks of the estimator, with a progress bar."""
    from isthmus.estimators._chunking import row_chunks

    size = next(row_chunks(len(rows.X), width)).stop
    n_parts = -(-len(rows.X) // size)
    hidden = n_parts < 2 or not sys.stderr.isatty()
    with click.progressbar(rows.X.datasets(size), n_parts, title, file=sys.stderr, hidden=hidden) as bar:
        yield from bar


def _gather(path: str, blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Write the blocks of this process to a file next to `path`; return an iterator over those of all processes."""
    import numpy as np
    import torch

    from isthmus._atomic import atomic_write
    from isthmus.engine.distributed import find_processes

    processes = find_processes(torch.device("cpu"))
    files = [Path(path).with_name(f".{Path(path).name}.{i}.part") for i in range(processes.world_size)]

    def write_own() -> None:
        with atomic_write(files[processes.rank]) as temporary, temporary.open("wb") as stream:
            for block in blocks:
                np.lib.format.write_array(stream, block, allow_pickle=False)

    try:
        processes.on_all_ranks(write_own)
    except Exception:
        files[processes.rank].unlink(missing_ok=True)
        raise

    def read() -> Iterator[np.ndarray]:
        try:
            for file in files:
                with file.open("rb") as stream:
                    while stream.peek(1):
                        yield np.lib.format.read_array(stream, allow_pickle=False)
        finally:
            for file in files:
                file.unlink(missing_ok=True)

    return read()


def _note_written(path: str, shape: tuple[int, ...], dtype: object) -> None:
    note(f"wrote {path}: {' x '.join(map(str, shape))} {dtype}")
