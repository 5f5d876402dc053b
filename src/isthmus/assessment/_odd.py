"""The rows that a model understands least, and their odd cells."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from isthmus.assessment._cells import column_means
from isthmus.assessment._context import Context, quiet

__all__ = ["AT_CODE", "OddCell", "OddRow", "cell_scores", "cell_text", "odd_rows", "why_at_code"]

Array = np.ndarray

AT_CODE = "Odd cells given the other cells of their row"  # what a report lacks if cells are scored at the code
_N_CELLS = 3
_N_USUAL = 20  # rows whose cells have usual scores
_MAX_SCORED = 100  # columns whose cells are scored given all others, which costs a log p(x) for each
_MAX_COST = 1 << 19  # of that, as columns times squared units


class OddCell(NamedTuple):
    """A cell that is odd given the other cells of its row.

    Attributes
    ----------
    column : str
        Name of the column.
    value, expected : str
        What the cell holds, and what the model reconstructs.
    nats : float
        log p of the cell given all others, or at the code where :func:`why_at_code` has a reason, minus the mean of
        that over all rows.
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


def why_at_code(ctx: Context) -> str | None:
    """Return why cells are scored at the code of their row, and not given all other cells; None if they are not."""
    estimator = ctx.estimator
    if not estimator.has_density:
        return "the model has no density p(x)"
    if not hasattr(estimator, "score_features"):
        return "the model has conditions"
    n_columns, n_units = len(_names(ctx)), estimator.n_components_
    if n_columns > _MAX_SCORED or n_columns * n_units**2 > _MAX_COST:
        return f"log p(x) without each of {n_columns:,} cells takes too long with {n_units:,} latent units"
    return None


def _names(ctx: Context) -> list[str]:
    if ctx.table is None:
        return ctx.cells(ctx.rows(np.arange(1))).names
    return list(map(str, ctx.estimator._codec.names))


def cell_scores(ctx: Context, rows: Array) -> tuple[list[str], Array]:
    """Return the names of the columns, and the score of each cell of some rows, (n, D), NaN where it is missing.

    It is log p(x_d | all other cells), or log p(x_d|code) if :func:`why_at_code` has a reason.
    """
    estimator, names = ctx.estimator, _names(ctx)
    if why_at_code(ctx) is None:
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
