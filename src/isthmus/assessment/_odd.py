"""The rows that a model understands least, and their odd cells."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from isthmus.assessment._cells import column_means
from isthmus.assessment._context import Context, quiet

__all__ = ["OddCell", "OddRow", "cell_scores", "cell_text", "odd_rows"]

Array = np.ndarray

_N_CELLS = 3
_N_USUAL = 20  # rows whose cells have usual scores
_MAX_SCORED = 100  # columns whose cells are scored given all others, which costs a log p(x) for each


class OddCell(NamedTuple):
    """A cell that is odd given the other cells of its row.

    Attributes
    ----------
    column : str
        Name of the column.
    value, expected : str
        What the cell holds, and what the model reconstructs.
    nats : float
        log p of the cell given all others, or at the code where there are more than 100 columns, minus the mean of that
        over all rows.
    """

    column: str
    value: str
    expected: str
    nats: float


class OddRow(NamedTuple):
    """A row that the model understands poorly: its number in the data, its score in nats, and its oddest cells."""

    row: int
    score: float
    cells: list[OddCell]


def cell_scores(ctx: Context, rows: Array) -> tuple[list[str], Array]:
    """Return the names of the columns, and the score of each cell of some rows, (n, D), NaN where it is missing.

    For a VAE and at most 100 columns it is log p(x_d | all other cells); otherwise log p(x_d|code).
    """
    estimator = ctx.estimator
    names = ctx.cells(ctx.rows(rows[:1])).names if ctx.table is None else list(map(str, estimator._codec.names))
    if hasattr(estimator, "score_features") and len(names) <= _MAX_SCORED:
        with quiet():
            return names, np.asarray(estimator.score_features(ctx.rows(rows)), dtype=np.float64)
    return names, -np.asarray(ctx.call("feature_errors", rows), dtype=np.float64)


def odd_rows(ctx: Context, scores: Array, indices: Array, n: int = 5) -> list[OddRow]:
    """Return the n rows with the lowest scores, with their odd cells.

    Parameters
    ----------
    ctx : Context
        The model and the rows.
    scores, indices : ndarray of shape (N,)
        The score of each row, and its index in the data.
    n : int, default=5
        How many.
    """
    worst = np.argsort(scores, kind="stable")[:n]
    names, own = cell_scores(ctx, worst)
    usual = column_means(cell_scores(ctx, ctx.subset(_N_USUAL))[1])
    excess = own - usual
    rows, rebuilt = ctx.rows(worst), ctx.call("reconstruct", worst)
    result = []
    for i, row in enumerate(worst):
        order = [d for d in np.argsort(excess[i], kind="stable")[:_N_CELLS] if np.isfinite(excess[i, d])]
        cells = [OddCell(names[d], cell_text(rows, i, d), cell_text(rebuilt, i, d), float(excess[i, d])) for d in order]
        result.append(OddRow(int(indices[row]), float(scores[row]), cells))
    return result


def cell_text(rows: Any, i: int, d: int) -> str:
    """Return a cell of an array or of a pandas DataFrame as text."""
    import pandas as pd

    value = rows.iloc[i, d] if hasattr(rows, "iloc") else rows[i, d]
    if value is None or pd.isna(value):
        return "missing"
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, (float, np.floating)):
        return f"{value:.4g}"
    text = str(value)
    return text.removesuffix(" 00:00:00")
