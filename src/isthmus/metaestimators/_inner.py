"""The autoencoder inside a meta-estimator: which one it is, and the tables that it is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import clone

from isthmus.data import RowSource
from isthmus.estimators._check_fields import as_seed
from isthmus.tables import is_table, to_pandas

__all__ = ["add_columns", "in_fitted_order", "inner_estimator", "keep_features", "matrix_of", "missing_cells"]


def inner_estimator(estimator: Any, default: Any, method: str, random_state: Any) -> Any:
    """Return an unfitted copy of `estimator`, or the default one; it gets a seed if it has none.

    Raises
    ------
    TypeError
        If it is no autoencoder with this method.
    """
    if estimator is not None and not (hasattr(estimator, "feature_errors") and hasattr(estimator, method)):
        raise TypeError(
            f"estimator={estimator!r} has no method {method}: pass an estimator of isthmus, such as VAE(), or None."
        )
    inner = default if estimator is None else clone(estimator)
    if random_state is not None and inner.get_params(deep=False).get("random_state", 0) is None:
        inner.set_params(random_state=as_seed(random_state))
    return inner


def keep_features(outer: Any, inner: Any) -> None:
    """Give the meta-estimator the number of features of its fitted estimator, and their names if they have any."""
    outer.n_features_in_ = inner.n_features_in_
    if hasattr(outer, "feature_names_in_"):
        del outer.feature_names_in_
    if hasattr(inner, "feature_names_in_"):
        outer.feature_names_in_ = inner.feature_names_in_


def matrix_of(inner: Any, X: Any) -> np.ndarray:
    """Return the matrix (N, M) that a fitted estimator makes of samples."""
    rows = inner._rows(X)
    return np.asarray(rows[:] if isinstance(rows, RowSource) else rows)


def in_fitted_order(inner: Any, X: Any) -> Any:
    """Return a table with its columns in the order of ``fit``; anything else, or one with other columns, as it is.

    A pandas DataFrame of floats is left as it is, since scikit-learn requires the order of ``fit`` there, and an error
    otherwise.
    """
    if inner._table is None or not is_table(X):
        return X
    names = inner._table.names
    if isinstance(X, list):
        return (
            [{name: row.get(name) for name in names} for row in X] if {n for row in X for n in row} == {*names} else X
        )
    own = list(X.column_names if hasattr(X, "column_names") else X.columns)
    if own == names or sorted(map(str, own)) != sorted(map(str, names)):
        return X
    return X[names] if hasattr(X, "iloc") else X.select(names)


def missing_cells(inner: Any, X: Any) -> np.ndarray:
    """Return which cells of samples are missing, (N, C)."""
    if not is_table(X):
        return np.isnan(matrix_of(inner, X))
    table = to_pandas(X)
    nan = table.select_dtypes("number").columns  # an Arrow column may hold NaN beside nulls
    gone = table.isna()
    for name in nan:
        gone[name] |= np.isnan(table[name].to_numpy(dtype=np.float64, na_value=np.nan))
    return gone.to_numpy(dtype=bool)


def add_columns(X: Any, columns: Mapping[str, np.ndarray]) -> Any:
    """Return a table or array with further columns, at the end."""
    if isinstance(X, np.ndarray):
        return np.column_stack([X, *columns.values()]).astype(X.dtype) if columns else X
    if isinstance(X, list):
        added = zip(*columns.values(), strict=True) if columns else [()] * len(X)
        return [row | dict(zip(columns, map(bool, cells), strict=True)) for row, cells in zip(X, added, strict=True)]
    if hasattr(X, "iloc"):
        return X.assign(**columns)
    if hasattr(X, "append_column"):  # pyarrow
        for name, cells in columns.items():
            X = X.append_column(name, [cells])
        return X
    import polars

    return X.with_columns(**{name: polars.Series(cells) for name, cells in columns.items()})
