"""Every private name of scikit-learn that isthmus uses, in one place, and what replaces it if it no longer exists.

==============================  ====================================  =================================================
scikit-learn's name             used for                              without it
==============================  ====================================  =================================================
``_check_sample_weight``        checking sample weights               the same checks, by ``check_array``
``_num_samples``                number of samples of anything         its shape, or its length
``_check_feature_names_in``     names of a transformer's features     the names of ``fit``, or x0, x1, ...
``_doc_link_template``          address in an estimator's drawing     no link
``_repr_html_inner``            an estimator's drawing in a notebook  scikit-learn's own
``_init_callback_context``      callbacks of scikit-learn 1.9         callbacks of scikit-learn are not called
==============================  ====================================  =================================================

The last three are names that scikit-learn looks for, or gives to estimators that have callbacks: nothing breaks without
them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_array, validation

__all__ = ["check_feature_names", "check_sample_weight", "count_samples", "take_rows"]


def check_sample_weight(values: Any, X: Any) -> np.ndarray:
    """Return the weights of the samples X as float64 (N,), 1 by default.

    Raises
    ------
    ValueError
        If they are not N finite numbers of at least 0, or all are 0.
    """
    if hasattr(validation, "_check_sample_weight"):
        weight = validation._check_sample_weight(values, X, dtype=np.float64, ensure_non_negative=True)
    else:
        n_samples = count_samples(X)
        whole = np.full(n_samples, 1.0 if values is None else values) if np.ndim(values) == 0 else values
        weight = check_array(whole, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
        if weight.shape != (n_samples,):
            raise ValueError(f"sample_weight.shape == {weight.shape}, expected {(n_samples,)}!")
        if (weight < 0).any():
            raise ValueError("Negative values in data passed to `sample_weight`.")
    if not (weight > 0).any():  # which scikit-learn checks since 1.8
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return np.asarray(weight)


def count_samples(X: Any) -> int:
    """Return the number of samples of a matrix, a table, a list or a source."""
    if hasattr(validation, "_num_samples"):
        return int(validation._num_samples(X))
    if getattr(X, "shape", None) == () or not (hasattr(X, "shape") or hasattr(X, "__len__")):
        raise TypeError(f"Expected sequence or array-like, got {type(X)}")
    return int(X.shape[0] if hasattr(X, "shape") else len(X))


def take_rows(X: Any, index: np.ndarray) -> Any:
    """Return some rows of a table: a DataFrame of pandas or polars, or a pyarrow Table."""
    if hasattr(X, "iloc"):
        return X.iloc[index]
    return X.take(index) if hasattr(X, "take") else X[index.tolist()]


def check_feature_names(estimator: Any, names: Any) -> np.ndarray:
    """Return the names of the features in ``fit``, which are x0, x1, ... by default; `names` must equal them, if given.

    Raises
    ------
    ValueError
        If they do not.
    """
    if hasattr(validation, "_check_feature_names_in"):
        return np.asarray(validation._check_feature_names_in(estimator, names), dtype=object)
    known = getattr(estimator, "feature_names_in_", None)
    if names is not None and known is not None and not np.array_equal(known, np.asarray(names, dtype=object)):
        raise ValueError("input_features is not equal to feature_names_in_")
    if names is not None and len(names) != estimator.n_features_in_:
        expected = f"({estimator.n_features_in_}), got {len(names)}"
        raise ValueError(f"input_features should have length equal to number of features {expected}")
    if names is None:
        names = [f"x{i}" for i in range(estimator.n_features_in_)] if known is None else known
    return np.asarray(names, dtype=object)
