"""Read the rows and labels that a command is given."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from isthmus._formats import any_of, writable_suffixes
from isthmus._names import suggestion
from isthmus.cli._errors import note
from isthmus.cli._tables import align_frame, check_columns, with_whole_numbers

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from isthmus.data import Dataset, TableBlocks

__all__ = ["LABELS", "OUTPUT", "AlignedBlocks", "align_columns", "named_rows", "open_data", "read_data"]

OUTPUT = click.option(
    "-o", "--output", metavar="FILE", required=True, help=f"File to write: {any_of(writable_suffixes())}."
)
LABELS = click.option(
    "--y",
    "labels",
    metavar="SOURCE",
    help="Labels or conditions: a file, the name of a column of DATA (or NAME,NAME), or `y` for the labels in DATA.",
)


def read_data(source: str, labels: str | None = None) -> Dataset:
    """Read rows, and their labels, into memory.

    Parameters
    ----------
    source : str
        A file, a folder of tables or images, or a bundled name.
    labels : str, optional
        The name of a column, which is then removed from the rows; "y" for the labels in the source; or a file.

    Returns
    -------
    Dataset
        X of shape (N, D), and y: the labels asked for, or those in the source.
    """
    from isthmus.data import read

    return _with_labels(_noted(read(source), source), source, labels)


def open_data(
    source: str, labels: str | None = None, *, columns: bool = True, tables: bool = False, in_order: bool = False
) -> Dataset:
    """Read rows as :func:`read_data` does, but leave large ones on the disk: X is then a source.

    With `columns` false, notes on single columns are not printed: a model knows the columns. With `tables` true, large
    tables with columns of any type stay on the disk, too, unless one of their columns is to be the labels; with
    `in_order` true, their rows are needed in their order only.
    """
    from isthmus.data import open_rows

    rows = open_rows(source, tables=tables and labels is None, in_order=in_order)
    return _with_labels(_noted(rows, source, columns=columns), source, labels)


def _noted(rows: Dataset, source: str, *, columns: bool = True) -> Dataset:
    """Print the notes on a file, and return its rows."""
    for text in rows.notes:
        if columns or not text.startswith("column "):
            note(f"{source}: {text}")
    return rows


class AlignedBlocks:
    """A table that is read block by block, with the columns that a model was fitted on.

    Parameters
    ----------
    blocks : TableBlocks
        The table.
    model : estimator
        The model.
    source : str
        The file.
    """

    def __init__(self, blocks: TableBlocks, model: Any, source: str) -> None:
        self.blocks, self.model, self.source = blocks, model, source
        self.shape, self.ndim = blocks.shape, blocks.ndim

    def __len__(self) -> int:
        return len(self.blocks)

    def datasets(self, n_rows: int) -> Iterator[Dataset]:
        """Yield all rows, `n_rows` at a time."""
        for i, rows in enumerate(self.blocks.datasets(n_rows)):
            yield align_frame(self.model, rows, self.source, notes=i == 0)  # notes are about the file's columns


def align_columns(model: Any, rows: Dataset, source: str) -> Dataset:
    """Return the columns that a model was fitted on, matched by name if both the model and the rows have names.

    Those of a table that is read block by block are `AlignedBlocks`.

    Raises
    ------
    ValueError
        If a column is missing, or holds something else than in the training data.
    """
    from isthmus.data import TableBlocks

    if isinstance(rows.X, TableBlocks):
        return rows._replace(X=AlignedBlocks(rows.X, model, source))
    if rows.is_frame or model._codec is not None:
        return align_frame(model, rows, source)
    wanted = getattr(model, "feature_names_in_", None)
    if wanted is None or rows.columns is None or tuple(wanted) == rows.columns:
        return rows
    check_columns(list(wanted), rows.columns, source)
    return _select(rows, [rows.columns.index(name) for name in wanted])


def named_rows(rows: Dataset) -> Any:
    """Return X to fit to, with the names of its columns if those are a table's; pixels have no names.

    A table of numbers with columns of whole numbers is a DataFrame, so that samples have whole numbers there, too.
    """
    from isthmus.data import BUNDLED, ArrayRows, RowSource, TableBlocks

    if (
        isinstance(rows.X, (RowSource, TableBlocks))
        or rows.is_frame
        or rows.columns is None
        or rows.image_shape is not None
    ):
        return rows.X
    frame = None if rows.name in BUNDLED else with_whole_numbers(rows)
    return ArrayRows(rows.X, rows.columns, rows.name) if frame is None else frame


def _with_labels(rows: Dataset, source: str, labels: str | None) -> Dataset:
    """Return the rows with the labels that were asked for."""
    from isthmus.data import DataError

    if rows.X.ndim != 2:
        raise DataError(f"{source}: holds one number per row, as labels do; DATA must be a table of shape (N, D).")
    if labels is None:
        return rows
    if rows.columns is not None and labels in rows.columns:
        if len(rows.columns) == 1:
            raise ValueError(f"{rows.name}: {labels!r} is its only column; no other column is left.")
        place = rows.columns.index(labels)
        rest = [i for i in range(len(rows.columns)) if i != place]
        if rows.is_frame:
            return _select(rows, rest)._replace(y=_labels_of(rows.X.iloc[:, place], source))
        return _select(rows, rest)._replace(y=_select(rows, [place]).X[:].ravel())
    if rows.is_frame and set(named := [name.strip() for name in labels.split(",")]) <= set(rows.columns or ()):
        rest = [i for i, name in enumerate(rows.columns or ()) if name not in named]
        if not rest:
            raise ValueError(f"{rows.name}: --y {labels} takes all columns; no other column is left.")
        return _select(rows, rest)._replace(y=rows.X[named])
    y = rows.y if labels == "y" and rows.y is not None else _read_labels(labels, rows)
    if len(y) != len(rows.X):
        raise DataError(f"{labels}: {len(y)} labels for the {len(rows.X)} rows of {source}; pass one label per row.")
    return rows._replace(y=y)


def _select(rows: Dataset, columns: list[int]) -> Dataset:
    """Return some columns of rows whose columns have names."""
    from isthmus.data import RowSource

    assert rows.columns is not None
    if rows.is_frame:
        return rows._replace(X=rows.X.iloc[:, columns], columns=tuple(rows.columns[i] for i in columns))
    X = rows.X.select(columns) if isinstance(rows.X, RowSource) else rows.X[:, columns]
    return rows._replace(X=X, columns=tuple(rows.columns[i] for i in columns))


def _labels_of(series: Any, source: str) -> np.ndarray:
    """Return the labels in a column of a table: numbers, or texts."""
    import numpy as np

    from isthmus.data import DataError

    gone = series.isna().to_numpy()
    if gone.any():
        raise DataError(f"{source}: column {series.name!r} has no label in row {int(gone.argmax())}; fill it in.")
    numbers = series.dtype.kind in "iufb"
    return np.asarray(series if numbers else series.astype(str), dtype=None if numbers else str)


def _read_labels(labels: str, rows: Dataset) -> np.ndarray:
    """Read labels from a file."""
    from isthmus.data import DataError, read

    if not (Path(labels).suffix or Path(labels).exists()):
        close = suggestion(labels, rows.columns or ())
        raise DataError(
            f"--y {labels}: is neither a file nor a column of {rows.name}, nor `y` for labels that it has.{close}"
        )
    words = _read_words(Path(labels), len(rows.X))
    try:
        found = read(labels)
    except DataError:
        if words is None:
            raise
        return words
    if not found.is_frame:
        return found.X
    return _labels_of(found.X.iloc[:, 0], labels) if words is None else words


def _read_words(path: Path, n_rows: int) -> np.ndarray | None:
    """Read labels that are strings from a .npy file or a .csv file of one column; return None if it holds none."""
    import csv

    import numpy as np

    try:
        if path.suffix == ".npy":
            words = np.load(path, allow_pickle=False)
        elif path.suffix == ".csv":
            with path.open(newline="", encoding="utf-8-sig") as file:
                words = np.array([cells[0] for cells in csv.reader(file) if len(cells) == 1])
            words = words[1:] if len(words) == n_rows + 1 else words  # the first one is a header
        else:
            return None
    except (OSError, ValueError):
        return None
    return words if words.dtype.kind == "U" and words.ndim == 1 else None
