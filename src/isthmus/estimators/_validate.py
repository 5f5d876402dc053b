"""Checks of the data that users pass in: bad data raise one clear error before any work is done."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data
from torch import Tensor

from isthmus.data import ArrayRows, RowSource, as_source, resolve
from isthmus.data.dataset import EXACT, TOO_LARGE
from isthmus.estimators._sklearn_private import check_sample_weight
from isthmus.estimators._tables import as_number_frame, encode_table
from isthmus.likelihoods import Likelihood

__all__ = [
    "as_plain_array",
    "as_rows",
    "check_codes",
    "check_finite",
    "check_magnitude",
    "check_rows",
    "check_support",
    "column_name",
    "column_names",
    "is_missing",
    "sample_weights",
    "text_in",
]


# Kinds of dtypes that numpy would convert to floats with a warning, or in its own units, or not at all.
_NOT_NUMBERS = {
    "c": "Complex data not supported; pass real and imaginary parts as columns",
    "M": "pass dates as columns of a DataFrame",
    "m": "divide durations by one, such as np.timedelta64(1, 's')",
    "V": "pass a structured array as a DataFrame, or its fields as columns",
}

_LARGEST = 1e-3  # fraction of the largest float up to which cells are taken
_USUAL_WEIGHTS = 1e-12, 1e12  # largest weights of which float32 holds any sum
_TINY_WEIGHT = 1e-30  # fraction of the largest


def as_plain_array(values: Any) -> Any:
    """Return a tensor as an array, and a masked array with NaN where it is masked; anything else as it is."""
    if isinstance(values, torch.Tensor):
        dense = values.detach().cpu().to_dense()
        return (dense.float() if dense.dtype == torch.bfloat16 else dense).numpy()
    if isinstance(values, np.ma.MaskedArray):
        if not np.ma.is_masked(values):
            return values.data
        kind = values.dtype.kind
        dtype = np.result_type(values.dtype, np.float32) if kind in "biuf" else object
        return np.ma.filled(values.astype(dtype), np.nan)
    return values


def is_missing(values: np.ndarray) -> np.ndarray:
    """Return where an array has NaN, None, NaT or pandas.NA."""
    if values.dtype.kind != "O":
        return values != values  # noqa: PLR0124 - NaN and NaT alone are not equal to themselves

    def missing(value: object) -> bool:
        try:
            return value is None or bool(value != value)  # noqa: PLR0124
        except TypeError:  # pandas.NA is neither equal to itself nor not
            return True

    with np.errstate(invalid="ignore"):  # numpy 2.5 warns of a comparison with NaN
        return np.frompyfunc(missing, 1, 1)(values).astype(bool)


def column_names(estimator: Any) -> Sequence[Any] | None:
    """Return the names of the training data's columns, of any type, or None if they have none."""
    if estimator._codec is not None:
        return estimator._codec.outputs()
    names = estimator._dataframe_columns
    return getattr(estimator, "feature_names_in_", None) if names is None else names


def column_name(names: Sequence[object] | None, column: int) -> str:
    """Return how messages call a column: by its name, or by its index if the columns have no `names`."""
    return f"column {column}" if names is None else f"column {names[column]!r}"


def as_rows(estimator: BaseEstimator, X: Any, *, reset: bool) -> Any:
    """Return X as a float32 or float64 matrix, or as a `RowSource`; in ``fit`` (`reset`) remember its width and names.

    Its cells are not checked here, except that they are numbers, not text, and that no integer is too large for a
    float.
    """
    X = resolve(X, tables=estimator._codec is not None)
    if estimator._codec is not None:
        return encode_table(estimator, X, reset=reset)
    X = as_number_frame(X)
    source = as_source(X)
    if source is not None:
        _check_source(estimator, source, reset=reset)
        return source[:] if isinstance(source, ArrayRows) and source.resident else source
    if reset:
        estimator._dataframe_columns = X.columns if hasattr(X, "columns") and hasattr(X, "dtypes") else None
    if not (type(X) is np.ndarray and X.dtype.kind == "f"):
        X = _as_numbers(X)
    small = getattr(X, "dtype", None) in (np.uint8, np.int8, np.uint16, np.int16, np.float16, np.bool_)
    dtype: Any = np.float32 if small else (np.float64, np.float32)  # float32 is exact there, with half the memory
    least = 2 if reset else 1
    try:
        X = validate_data(estimator, X, reset=reset, dtype=dtype, ensure_all_finite=False, ensure_min_samples=least)
    except ValueError as error:
        if text := text_in(error):
            name = type(estimator).__name__
            message = f"{name} takes numbers, and X has text, such as {text}: encode or drop that column."
            raise ValueError(message) from error
        raise
    return np.asarray(X)


def check_rows(estimator: BaseEstimator, X: Any) -> Any:
    """Return X as a matrix without infinite cells, NaN where missing; cells of a source are checked when they are read.

    Raises
    ------
    ValueError
        If X is not a matrix of numbers with the features of ``fit``, or has an infinite cell; the message names it.
    """
    rows = as_rows(estimator, X, reset=False)
    if not isinstance(rows, RowSource):
        check_finite(rows, column_names(estimator))
    return rows


def text_in(error: ValueError) -> str | None:
    """Return the quoted text that could not be converted to a number; None for any other error."""
    found = re.search(r"could not convert string to float: (?:np\.str_\()?(['\"].*['\"])", str(error))
    return found[1] if found else None


def _as_numbers(X: Any) -> Any:
    """Return X as an array or table, with NaN for None and pandas.NA, which only objects of Python can be.

    Raises
    ------
    ValueError
        If float64 cannot hold a whole number, of which the message names the first one; or if X has another dtype.
    """
    X = as_plain_array(X)
    if isinstance(X, np.ndarray) and X.dtype.kind in _NOT_NUMBERS:
        raise ValueError(f"X has dtype {X.dtype}: {_NOT_NUMBERS[X.dtype.kind]}.")
    if isinstance(X, np.ndarray) and X.dtype.kind == "O":
        X = np.where(is_missing(X), np.nan, X)
    elif hasattr(X, "iloc") and any(dtype.kind == "O" for dtype in X.dtypes):
        X = X.mask(X.isna(), np.nan)
    if isinstance(X, np.ndarray):
        columns = enumerate(X.T) if X.ndim == 2 and _is_inexact(X) else ()
    else:
        columns = X.items() if hasattr(X, "iloc") and X.ndim == 2 else ()
    for column, cells in columns:
        values = np.asarray(cells.fillna(0) if hasattr(cells, "fillna") and cells.dtype.kind in "iu" else cells)
        if _is_inexact(values):
            row = int(((values > EXACT) | (values < -EXACT)).argmax())
            raise ValueError(f"X, row {row}, column {column!r}: {values[row]} {TOO_LARGE}.")
    return X


def _is_inexact(values: np.ndarray) -> bool:
    """Return whether an array of 64-bit integers has one that float64 cannot hold."""
    return (
        values.dtype in (np.int64, np.uint64)
        and values.size > 0
        and not -EXACT <= values.min() <= values.max() <= EXACT
    )


def _check_source(estimator: Any, source: RowSource, *, reset: bool) -> None:
    """Compare a source's width and names with those of ``fit``, or remember them, as scikit-learn does."""
    name, names = type(estimator).__name__, source.columns
    if reset:
        if len(source) < 2:
            raise ValueError(f"{source.name} has 1 sample, and {name} learns from at least 2: give it more rows.")
        estimator.n_features_in_, estimator._dataframe_columns = source.n_features, None
        if hasattr(estimator, "feature_names_in_"):
            del estimator.feature_names_in_
        if names is not None:
            estimator.feature_names_in_ = np.array(names, dtype=object)
        return
    if source.n_features != estimator.n_features_in_:
        raise ValueError(
            f"X has {source.n_features} features, but {name} is expecting {estimator.n_features_in_} features as input."
        )
    fitted = getattr(estimator, "feature_names_in_", None)
    if names is not None and fitted is not None and list(fitted) != list(names):
        raise ValueError(
            f"the columns of {source.name} are not those of fit, or are in another order: select them by "
            f"source.select(...), as {', '.join(map(str, fitted))}."
        )


def check_finite(rows: np.ndarray, names: Sequence[object] | None, first_row: int | None = None) -> None:
    """Raise a ValueError that names the first infinite cell.

    For a chunk, `first_row` is the number of its first row.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(rows.sum()):  # far quicker than testing every cell
            return
    infinite = np.isinf(rows)
    if infinite.any():
        row, column = (int(i) for i in np.argwhere(infinite)[0])
        first = first_row or 0
        span = "in all" if first_row is None else f"in rows {first} to {first + len(rows) - 1}"
        raise ValueError(
            f"X contains infinity (inf) in row {first + row}, {column_name(names, column)}, and "
            f"{infinite.sum()} such cells {span}: clip them, or make them NaN if they are missing."
        )


def check_magnitude(
    low: Tensor, high: Tensor, mean: Tensor, dtype: np.dtype[Any], names: Sequence[object] | None
) -> None:
    """Raise a ValueError that names the first column (D,) whose values are so large that their sums overflow."""
    largest, most = torch.maximum(low.abs(), high.abs()), float(np.finfo(dtype).max)
    beyond = ((largest > _LARGEST * most) | (mean.isinf() | (mean.isnan() & ~low.isnan()))).nonzero()
    if len(beyond):
        column = int(beyond[0])
        raise ValueError(
            f"X has {largest[column]:g} in {column_name(names, column)}, and sums of such numbers are beyond the "
            f"largest {dtype.name}, {most:g}: divide the column by a constant, or make the cell NaN if it is wrong."
        )


def sample_weights(values: Any, rows: Any) -> np.ndarray:
    """Return the weights of samples (N,), 1 by default, as float32 holds them: only their ratios count.

    They are divided by the largest if that is far from 1, and 0 where they are far smaller than it.

    Raises
    ------
    ValueError
        If they are not N finite numbers of at least 0, or all are 0.
    """
    weight = check_sample_weight(as_plain_array(values), rows)
    largest = weight.max(initial=0.0)
    if not _USUAL_WEIGHTS[0] <= largest <= _USUAL_WEIGHTS[1] and largest > 0:
        weight = weight / largest
    tiny = _TINY_WEIGHT * weight.max(initial=0.0)
    return weight if not ((weight > 0) & (weight < tiny)).any() else np.where(weight < tiny, 0.0, weight)


def check_codes(estimator: Any, Z: Any) -> np.ndarray:
    """Return codes as a finite float matrix of width K."""
    Z = check_array(as_plain_array(Z), dtype=(np.float64, np.float32), input_name="Z")
    if Z.shape[1] != estimator._n_features_out:
        raise ValueError(
            f"Z has {Z.shape[1]} columns, but {type(estimator).__name__} has n_components={estimator._n_features_out}."
        )
    return np.asarray(Z)


def check_support(
    likelihood: Likelihood,
    values: np.ndarray,
    x: Tensor,
    mask: Tensor | None,
    names: Sequence[object] | None,
    first_row: int = 0,
) -> None:
    """Raise a ValueError that names the first observed cell of a chunk outside the likelihood's support.

    Parameters
    ----------
    likelihood : Likelihood
        The likelihood.
    values, x : ndarray and Tensor of shape (N, D)
        The chunk in the data's units, and in the model's.
    mask : Tensor of shape (N, D) or None
        1 where a cell was observed; None if every cell was.
    names : sequence, optional
        Names of the columns.
    first_row : int, default=0
        Number of the chunk's first row.
    """
    if mask is None and likelihood.interval_support:
        extremes = torch.stack(x.aminmax()).unsqueeze(-1).expand(-1, x.shape[1])  # of all columns: ten times as fast
        if likelihood.supports(extremes).all():
            return
    inside = likelihood.supports(x)
    inside = inside if mask is None else inside | (mask == 0)
    if inside.all():
        return
    row, column = (int(i) for i in np.argwhere(~inside.cpu().numpy())[0])
    part = likelihood.for_column(column)
    raise ValueError(
        f"X has {values[row, column]:g} in row {first_row + row}, {column_name(names, column)}, and likelihood "
        f"{part!r} takes only values {part.support_text} (after scaling): use another likelihood ('gaussian' takes any "
        "number) or another scaling."
    )
