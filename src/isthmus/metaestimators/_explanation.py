"""Which cells make a row odd, by how many nats, and what was expected there."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from isthmus.estimators._given import column_labels
from isthmus.metaestimators._inner import matrix_of
from isthmus.tables import is_table, to_pandas

__all__ = ["Explanation", "explain", "usual_surprise"]

_LEAST = 3.0  # nats above the usual from which a further cell is named: 20 times less probable


class Explanation(NamedTuple):
    """Why rows are odd. ``print`` shows one sentence for each row.

    Attributes
    ----------
    cells : DataFrame
        One line per odd cell, those of the oddest row first, in this order: ``row``, its number in X; ``index``, its
        label in pandas; ``column``; ``value``; ``expected``, given the other cells of the row; ``nats``,
        -log p(value | other cells); ``excess``, nats above the median of held-out rows, which can be compared between
        columns; and ``p_value`` of the row. The other cells are those that have not been named before.
    sentences : list of str
        The same in words, one sentence per row.
    """

    cells: Any
    sentences: list[str]

    def __str__(self) -> str:
        return "\n".join(self.sentences) or "No row is an outlier."


class _Cells(NamedTuple):
    """Odd cells: numbers of rows and columns, nats, excess, and the expected values, (n,) each."""

    row: np.ndarray
    column: np.ndarray
    nats: np.ndarray
    excess: np.ndarray
    expected: list[Any]


def usual_surprise(inner: Any, X: Any) -> np.ndarray:
    """Return the median of -log p(x_d | other cells) of each column, (C,); 0 if it has no observed cell."""
    nats = -inner._score_cells(matrix_of(inner, X))
    return np.array([np.nanmedian(own) if np.isfinite(own).any() else 0.0 for own in nats.T])


def explain(
    inner: Any, X: Any, numbers: np.ndarray, p_values: np.ndarray, usual: np.ndarray, n_cells: int
) -> Explanation:
    """Return the explanation of rows.

    The oddest cell of a row is named first. It then counts as missing, since other cells look odd given it, and the
    next one is named if it is still odd.

    Parameters
    ----------
    inner : estimator
        The fitted autoencoder.
    X : array-like or table of shape (N, C)
        The rows, the oddest first.
    numbers, p_values : ndarray of shape (N,)
        Their numbers and p-values.
    usual : ndarray of shape (C,)
        Surprise of each column in other rows.
    n_cells : int
        Number of cells to name in each row, at most.
    """
    import pandas as pd

    nothing = np.empty(0, dtype=int)
    found = _Cells(nothing, nothing, nothing, nothing, [])
    if len(numbers):
        found = _odd_cells(inner, matrix_of(inner, X), usual, n_cells)
    labels = column_labels(inner)
    index = X.index if hasattr(X, "iloc") else numbers
    cells = pd.DataFrame(
        {
            "row": numbers[found.row],
            "index": [index[row] for row in found.row],
            "column": [labels[column] for column in found.column],
            "value": pd.Series(_values(X, found.row, found.column), dtype=object),
            "expected": pd.Series(found.expected, dtype=object),
            "nats": found.nats,
            "excess": found.excess,
            "p_value": p_values[found.row],
        }
    )
    by_row = [cells[cells["row"] == number] for number in numbers]
    return Explanation(cells, [_sentence(*row) for row in zip(by_row, numbers, p_values, strict=True)])


def _odd_cells(inner: Any, matrix: np.ndarray, usual: np.ndarray, n_cells: int) -> _Cells:
    """Return the odd cells of the rows of a matrix, in the order of rows, the oddest cell of a row first."""
    matrix, own = np.array(matrix, copy=True), inner._feature_columns()
    rows, steps = np.arange(len(matrix)), []
    for step in range(n_cells):
        nats = -inner._score_cells(matrix[rows])
        excess = np.where(np.isfinite(nats), nats - usual, np.where(nats > 0, np.inf, -np.inf))
        column = excess.argmax(axis=1)
        largest = excess.max(axis=1)
        odd = largest > (_LEAST if step else -np.inf)
        rows, column, largest, nats = rows[odd], column[odd], largest[odd], nats[odd, column[odd]]
        if not len(rows):
            break
        for row, i in zip(rows, column, strict=True):
            matrix[row, own[i]] = np.nan
        steps.append(_Cells(rows, column, nats, largest, _expected(inner, matrix[rows], column)))
    row, column, nats, excess = (np.concatenate(parts) for parts in zip(*(step[:4] for step in steps), strict=True))
    order = np.argsort(row, kind="stable")
    expected = [value for step in steps for value in step.expected]
    return _Cells(row[order], column[order], nats[order], excess[order], [expected[i] for i in order])


def _expected(inner: Any, matrix: np.ndarray, columns: np.ndarray) -> list[Any]:
    """Return what is expected in one column of each row of a matrix, where it is missing, given the other cells."""
    # Not impute, whose warning of few effective draws would name rows of this matrix.
    complete = inner._impute
    if inner.has_density:
        complete = inner._means_over_labels if inner.conditional else inner._conditional_means
    guess = complete(matrix)[:, : matrix.shape[1]]
    if inner._table is None:
        return [guess[i, column] for i, column in enumerate(columns)]
    table = to_pandas(inner._table.decode(guess, missing=False))
    return [table.iloc[i, column] for i, column in enumerate(columns)]


def _values(X: Any, rows: np.ndarray, columns: np.ndarray) -> list[Any]:
    """Return the cells of samples at some rows and columns."""
    if is_table(X):
        table = to_pandas(X)
        return [table.iloc[row, column] for row, column in zip(rows, columns, strict=True)]
    X = np.asarray(X)
    return [X[row, column] for row, column in zip(rows, columns, strict=True)]


def _sentence(cells: Any, number: int, p_value: float) -> str:
    """Return what is odd in a row, in words."""
    said = []
    for cell in cells.itertuples():
        name = f"column {cell.column}" if isinstance(cell.column, int) else cell.column
        about = "" if isinstance(cell.value, (str, bool, np.bool_)) else "about "
        said.append(f"{name} is {_text(cell.value)}, expected {about}{_text(cell.expected)} ({cell.excess:+.1f} nats)")
    return f"Row {number} (p = {p_value:.2g}): {'; '.join(said)}."


def _text(value: Any) -> str:
    if isinstance(value, (float, np.floating)):
        return f"{value:.4g}"
    return repr(value) if isinstance(value, str) else str(value)
