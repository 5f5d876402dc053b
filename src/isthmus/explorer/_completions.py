"""Rows with cells cleared, completed by the model; and new rows."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from isthmus.tables import is_table, to_pandas

__all__ = ["complete", "draw_rows"]

N_DRAWS = 512  # weighted draws of the code that completions are taken from
MAX_COMPLETIONS = 1024
MAX_ROWS = 256


def complete(explorer: Any, X: Any, y: Any, cleared: Sequence[int], n: int, seed: int) -> tuple[dict[str, Any], bytes]:
    """Return `n` completions of a row, drawn from p(missing | observed).

    A model without a density has one completion, by its decoder.

    Parameters
    ----------
    explorer : Explorer
        Model and data.
    X : table or array of shape (1, D)
        The row.
    y : sequence of one label, optional
        Its label.
    cleared : sequence of int
        Numbers of the cells (columns, or pixels) that are missing, besides those that are missing already.
    n : int
        Number of completions.
    seed : int
        Seed of the draws.

    Raises
    ------
    ValueError
        If a number is wrong, or no cell is missing.
    """
    if not 1 <= n <= MAX_COMPLETIONS:
        raise ValueError(f"{n} completions: ask for 1 to {MAX_COMPLETIONS}.")
    rows = explorer.rows
    n_cells = rows.n_cells
    if not all(isinstance(k, int) and 0 <= k < n_cells for k in cleared):
        raise ValueError(f"cleared: must be numbers from 0 to {n_cells - 1}.")
    X = to_pandas(X) if is_table(X) else X  # what a code stands for is of the library that the model was fitted with
    gap = clear(X, rows.groups(sorted(set(cleared))))
    if not _has_missing(gap):
        raise ValueError("No cell is missing: clear one.")
    model, given = explorer.model, explorer.given(y)
    with explorer.lock, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if not model.has_density:
            made = [model.impute(gap, *given)]
        else:
            more = copy.copy(model).set_params(n_draws=max(model.n_draws, N_DRAWS))
            made = list(more.sample_imputations(gap, n, random_state=seed, **({"y": given[0]} if given else {})))
        unreliable = any("unreliable" in str(warning.message) for warning in caught)
    header, body = rows.pack(_join(made))
    return header | {"drawn": model.has_density, "unreliable": unreliable}, body


def clear(X: Any, features: Sequence[int]) -> Any:
    """Return a row whose features are missing."""
    if hasattr(X, "iloc"):
        gone = np.ones(len(X), dtype=bool)
        plain = {name: X[name].dtype.kind in "biu" for name in X.columns[list(features)]}  # have no missing cells
        return X.assign(**{n: (X[n].astype(object) if plain[n] else X[n]).mask(gone) for n in plain})
    X = np.array(X, dtype=np.float64 if np.asarray(X).dtype.kind != "f" else None)
    X[:, list(features)] = np.nan
    return X


def _has_missing(X: Any) -> bool:
    return bool(X.isna().to_numpy().any() if hasattr(X, "iloc") else np.isnan(X).any())


def _join(copies: list[Any]) -> Any:
    """Return copies of a row as one table or array."""
    if not is_table(copies[0]):
        return np.concatenate([np.asarray(rows) for rows in copies])
    import pandas as pd

    return pd.concat([to_pandas(rows) for rows in copies], ignore_index=True)


def draw_rows(explorer: Any, n: int, condition: Any, seed: int) -> tuple[dict[str, Any], bytes]:
    """Return `n` new rows, drawn from p(x), or from p(x|y) for a class or condition columns.

    Raises
    ------
    ValueError
        If the model has no density, or a number is wrong.
    """
    if not 1 <= n <= MAX_ROWS:
        raise ValueError(f"{n} rows: ask for 1 to {MAX_ROWS}.")
    if not explorer.model.has_density:
        raise ValueError(f"{type(explorer.model).__name__} has no density to draw rows from.")
    given = explorer.given(explorer.conditions.parse(condition))
    with explorer.lock:
        drawn = explorer.model.sample(n, random_state=seed, **({"y": given[0]} if given else {}))
    return explorer.rows.pack(drawn)
