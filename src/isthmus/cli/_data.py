"""What goes in and what comes out: rows, labels, results."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from isthmus._formats import any_of, split_member, writable_suffixes
from isthmus._names import suggestion
from isthmus.cli._errors import note

if TYPE_CHECKING:
    import numpy as np

    from isthmus.data import Dataset

__all__ = ["aligned", "by_rows", "check_log", "check_output", "read_rows", "save_array", "save_by_rows", "stream_rows"]

OUTPUT = click.option(
    "-o", "--output", metavar="FILE", required=True, help=f"File to write: {any_of(writable_suffixes())}."
)
LABELS = click.option(
    "--y",
    "labels",
    metavar="SOURCE",
    help="Labels or conditions of the rows: a file, a column of DATA by its name, or `y` for DATA's own.",
)


def check_output(path: str, *inputs: str | None, suffix: str | None = None) -> None:
    """Raise an error now if a result could not be written to `path` later, or would replace a file it depends on.

    Every file that a command writes is checked here, before any work.

    Parameters
    ----------
    path : str
        The file to be written.
    *inputs : str or None
        What the command reads, and other files that it writes: files, folders of data, bundled names, or None.
    suffix : str, optional
        The one suffix that the file may have; by default those of data files.
    """
    from isthmus.data import check_writable
    from isthmus.data.writing import check_replaceable

    if suffix is None:
        check_writable(path)
    elif Path(path).suffix != suffix:
        raise ValueError(f"{path}: must end in {suffix}; name it {Path(path).with_suffix(suffix)}.")
    else:
        check_replaceable(Path(path))
    _refuse_inputs(path, inputs)


def check_log(path: str, *others: str | None) -> None:
    """Raise an error now if --log could not be written to `path`, a .csv or a folder for TensorBoard."""
    if path.endswith(".csv"):
        check_output(path, *others, suffix=".csv")
    elif Path(path).is_file():
        raise ValueError(f"--log {path}: is a file; name a .csv, or a folder for TensorBoard.")
    elif any(other and _is_same(Path(path), Path(other)) for other in others):
        raise ValueError(f"--log {path}: is a file of the same command; name another folder for TensorBoard.")


def _refuse_inputs(path: str, others: Iterable[str | None]) -> None:
    """Raise an error if `path` is one of the other files of a command, also through a link."""
    for other in others:
        if other is None:
            continue
        source = Path(split_member(other)[0])
        files = list(source.iterdir()) if source.is_dir() else [source]
        if any(_is_same(Path(path), file) for file in files):
            raise ValueError(
                f"{path}: would replace {other}, which the same command reads or writes; name another file."
            )


def _is_same(a: Path, b: Path) -> bool:
    """Return whether two paths are the same file, which need not exist yet."""
    return a.samefile(b) if a.exists() and b.exists() else os.path.realpath(a) == os.path.realpath(b)


def read_rows(source: str, labels: str | None = None) -> Dataset:
    """Read rows, and with them the labels that were asked for.

    Parameters
    ----------
    source : str
        A file or a bundled name.
    labels : str, optional
        A column of the rows by its name, which is taken out of them; "y", the data's own; or a file.

    Returns
    -------
    Dataset
        X of shape (N, D); y as asked for, else the data's own.
    """
    from isthmus.data import read

    return _labelled(read(source), source, labels)


def stream_rows(source: str, labels: str | None = None) -> Dataset:
    """Return what :func:`read_rows` does, with a source for X where the rows are large."""
    from isthmus.data import open_rows

    return _labelled(open_rows(source), source, labels)


def _labelled(rows: Dataset, source: str, labels: str | None) -> Dataset:
    from isthmus.data import DataError

    if rows.X.ndim != 2:
        raise DataError(f"{source}: holds one number a row, as labels do; rows need columns, an array of shape (N, D).")
    if labels is None:
        return rows
    if rows.columns is not None and labels in rows.columns:
        return _without_column(rows, labels)
    y = rows.y if labels == "y" and rows.y is not None else _read_labels(labels, rows)
    if len(y) != len(rows.X):
        raise DataError(f"{labels}: {len(y)} labels for the {len(rows.X)} rows of {source}; they must belong together.")
    return rows._replace(y=y)


def _without_column(rows: Dataset, name: str) -> Dataset:
    assert rows.columns is not None
    column = rows.columns.index(name)
    if len(rows.columns) == 1:
        raise ValueError(f"{rows.name}: {name!r} is its only column; nothing is left beside the labels.")
    rest = [i for i in range(len(rows.columns)) if i != column]
    return _with_columns(rows, rest)._replace(y=_with_columns(rows, [column]).X[:].ravel())


def _with_columns(rows: Dataset, columns: list[int]) -> Dataset:
    """Return some columns of the rows, which have names."""
    from isthmus.data import RowSource

    assert rows.columns is not None
    X = rows.X.select(columns) if isinstance(rows.X, RowSource) else rows.X[:, columns]
    return rows._replace(X=X, columns=tuple(rows.columns[i] for i in columns))


def _read_labels(labels: str, rows: Dataset) -> np.ndarray:
    """Read labels from a file of their own."""
    from isthmus.data import DataError, read

    if not (Path(labels).suffix or Path(labels).exists()):
        close = suggestion(labels, rows.columns or ())
        raise DataError(f"--y {labels}: neither a file, nor a column of {rows.name}, nor y where that has one.{close}")
    return read(labels).X


def aligned(model: Any, rows: Dataset, source: str) -> Dataset:
    """Return the columns that a model was fitted on, by their names where both sides have names.

    Raises
    ------
    ValueError
        If one is missing.
    """
    wanted = getattr(model, "feature_names_in_", None)
    if wanted is None or rows.columns is None or tuple(wanted) == rows.columns:
        return rows
    missing = [name for name in wanted if name not in rows.columns]
    if missing:
        raise ValueError(
            f"{source}: has no column {missing[0]!r} ({len(missing)} of the model's {len(wanted)} are missing); "
            f"the model was fitted on: {', '.join(wanted)}."
        )
    extra = [name for name in rows.columns if name not in wanted]
    if extra:
        note(f"{source}: left out what the model does not know: {', '.join(extra)}")
    return _with_columns(rows, [rows.columns.index(name) for name in wanted])


def by_rows(title: str, call: Callable[[Any, Any], np.ndarray], rows: Dataset, y: Any, width: int) -> np.ndarray:
    """Return ``call(X, y)`` chunk by chunk, with a bar on a terminal if there are several.

    Parameters
    ----------
    title : str
        For the bar.
    call : callable
        Maps rows and their conditions to an array whose last axis but one, or only axis, is the rows'.
    rows : Dataset
        The rows.
    y : array or None
        Their conditions.
    width : int
        Numbers that the estimator needs for a row: the chunks are then its own, and the numbers the same bits.
    """
    import numpy as np

    return np.concatenate(list(_by_rows(title, call, rows, y, width)), axis=0)


def _by_rows(
    title: str,
    call: Callable[[Any, Any], np.ndarray],
    rows: Dataset,
    y: Any,
    width: int,
    own: tuple[int, int] = (0, 1),
) -> Iterator[np.ndarray]:
    """Yield ``call(X, y)`` chunk by chunk; of several processes each has its run of them, `own` of how many."""
    from isthmus.data import ArrayRows, RowSource
    from isthmus.estimators._chunking import row_chunks

    source = rows.X if isinstance(rows.X, RowSource) else ArrayRows(rows.X, rows.columns, rows.name)
    slices = list(row_chunks(len(rows.X), width))
    slices = slices[len(slices) * own[0] // own[1] : len(slices) * (own[0] + 1) // own[1]]
    hidden = len(slices) < 2 or not sys.stderr.isatty()
    with click.progressbar(slices, label=title, file=sys.stderr, hidden=hidden) as bar:
        for part in bar:
            # A part's errors speak of rows of the whole.
            yield call(source.part(part.start, part.stop), None if y is None else y[part])


def save_by_rows(
    path: str,
    title: str,
    call: Callable[[Any, Any], np.ndarray],
    rows: Dataset,
    y: Any,
    width: int,
    columns: Sequence[str] | None,
) -> None:
    """Write ``call(X, y)`` chunk by chunk: neither the rows nor the result need be in memory. Parameters: `by_rows`.

    Processes that were launched together each write their rows aside; the first one then joins them.
    """
    from isthmus.data import open_writer
    from isthmus.engine.distributed import launched, rank

    if launched() > 1:
        blocks = _joined(path, _by_rows(title, call, rows, y, width, (rank(), launched())))
        if rank() > 0:
            return
    else:
        blocks = _by_rows(title, call, rows, y, width)
    with open_writer(path, len(rows.X), columns) as write:
        for block in blocks:
            write(block)
    _wrote(path, (len(rows.X), *block.shape[1:]), block.dtype)


def _joined(path: str, blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Write this process' blocks aside, wait for the others, and return all of them in their order."""
    import numpy as np
    import torch

    from isthmus._atomic import atomic_write
    from isthmus.engine.distributed import find_processes

    processes = find_processes(torch.device("cpu"))
    aside = [Path(path).with_name(f".{Path(path).name}.{i}.part") for i in range(processes.world_size)]
    with atomic_write(aside[processes.rank]) as temporary, temporary.open("wb") as file:
        for block in blocks:
            np.lib.format.write_array(file, block, allow_pickle=False)
    processes.all_reduce(torch.zeros(()))  # all have written

    def read() -> Iterator[np.ndarray]:
        try:
            for part in aside:
                with part.open("rb") as file:
                    while file.peek(1):
                        yield np.lib.format.read_array(file, allow_pickle=False)
        finally:
            for part in aside:
                part.unlink(missing_ok=True)

    return read()


def save_array(path: str, array: Any, columns: Sequence[str] | None) -> None:
    """Write a result, and say so."""
    import numpy as np

    from isthmus.data import write

    array = np.asarray(array)
    write(path, array, columns)
    _wrote(path, array.shape, array.dtype)


def _wrote(path: str, shape: tuple[int, ...], dtype: object) -> None:
    note(f"wrote {path}: {' x '.join(map(str, shape))} {dtype}")
