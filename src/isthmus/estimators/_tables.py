"""Tables of any columns: which need a codec, and what estimators do with one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from isthmus.data import RowSource, TableBlocks
from isthmus.estimators._table_stream import encode_blocks, fit_blocks
from isthmus.tables import NumberColumn, TableCodec, is_table, to_pandas

__all__ = ["as_number_frame", "encode_table", "fit_codec"]

_BY_KIND = ("gaussian", "auto")  # likelihoods of columns of numbers that leave the choice to the codec


def fit_codec(estimator: Any, X: Any) -> tuple[TableCodec | None, bool]:
    """Return the codec of a table, and whether the model learns the matrix that it makes of it.

    A table of numbers only is learned as an array is; its codec rounds decoded numbers as those of their column are.
    There is none for arrays, for pandas DataFrames of floats that are not rounded, and for labels such as dates.

    Parameters
    ----------
    estimator : BaseAutoencoder
        Its ``likelihood`` may be a dictionary by column, or the likelihood of all columns of numbers; its ``scaling``
        may be a codec.
    X : table, array or source
        Training data.

    Raises
    ------
    ValueError
        If the table does not fit the codec.
    """
    likelihood, scaling = estimator.likelihood, estimator.scaling
    asked = isinstance(scaling, TableCodec) or isinstance(likelihood, Mapping)
    blocks = X if isinstance(X, TableBlocks) else None
    if blocks is None and not asked and not is_table(X):
        return None, False
    if blocks is None and not asked and _has_only(X, "iuf" if likelihood in _BY_KIND else "iufb"):
        return _codec_of_numbers(X), False
    if not (isinstance(scaling, TableCodec) or scaling == "auto"):
        raise ValueError(
            f"scaling={scaling!r}: X is a table, which its codec scales: leave it out, or pass a TableCodec."
        )
    codec = scaling.clone() if isinstance(scaling, TableCodec) else TableCodec()
    if blocks is None:
        codec = _fit(codec, likelihood, X)
    elif codec.columns is None:
        codec = fit_blocks(blocks, lambda frame: _fit(codec, likelihood, frame), codec)
    if not codec.outputs():
        raise ValueError("X has no column of which anything can be learned: each is empty, or left out.")
    return codec, True


def _codec_of_numbers(X: Any) -> TableCodec | None:
    """Return the codec of a table of numbers; None if all are floats that are not rounded, or labels are not saved."""
    codec = TableCodec.of_numbers(X)
    columns = codec.columns or ()
    is_plain = hasattr(X, "iloc") and _has_only(X, "f") and not any(c.is_rounded() for c in columns)  # type: ignore[attr-defined]
    return None if is_plain or not all(isinstance(c.name, (str, int, tuple)) for c in columns) else codec


def _has_only(X: Any, kinds: str) -> bool:
    """Return whether all columns of a table are of some of numpy's kinds of dtypes."""
    return not isinstance(X, list) and all(dtype.kind in kinds for dtype in to_pandas(X[:1]).dtypes)


def _fit(codec: TableCodec, likelihood: Any, X: Any) -> TableCodec:
    """Fit a codec, unless it is fitted, with the likelihoods that an estimator has."""
    if codec.columns is not None:
        return codec
    by_name = likelihood if isinstance(likelihood, Mapping) else {}
    codec.likelihoods = {**(codec.likelihoods or {}), **by_name} or None
    codec.fit(X)
    if not by_name and likelihood not in _BY_KIND:
        numbers = [c.name for c in codec.columns or () if isinstance(c, NumberColumn)]  # type: ignore[var-annotated]
        codec.likelihoods = {**dict.fromkeys(numbers, likelihood), **(codec.likelihoods or {})}
        codec.fit(X)
    return codec


def encode_table(estimator: Any, X: Any, *, reset: bool) -> np.ndarray | RowSource:
    """Return the matrix of a table by the estimator's codec; in ``fit`` (`reset`) remember its columns.

    Raises
    ------
    ValueError
        If the table has one row only to learn from, or does not fit the codec.
    """
    matrix: np.ndarray | RowSource
    if isinstance(X, TableBlocks):
        matrix = encode_blocks(estimator._codec, X, noise=reset)
    else:
        matrix = estimator._codec.encode(X, noise_seed=0 if reset else None)
    if not reset:
        return matrix
    if len(matrix) < 2:
        raise ValueError(f"X has 1 row, and {type(estimator).__name__} learns from at least 2: give it more rows.")
    names = estimator._codec.names
    estimator.n_features_in_, estimator._dataframe_columns = len(names), None
    if hasattr(estimator, "feature_names_in_"):
        del estimator.feature_names_in_
    if all(isinstance(name, str) for name in names):
        estimator.feature_names_in_ = np.array(names, dtype=object)
    return matrix


def as_number_frame(X: Any) -> Any:
    """Return a polars DataFrame or pyarrow Table of numbers as a pandas DataFrame of floats; anything else as it is."""
    if not is_table(X) or isinstance(X, list) or hasattr(X, "iloc") or not _has_only(X, "iufb"):
        return X
    return to_pandas(X).astype("float64")
