"""Checks of what users pass in: one clear error before any work is done."""

from __future__ import annotations

import math
import secrets
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from isthmus._names import nearest

__all__ = ["check_codes", "check_fields", "check_rows", "check_support", "column_name", "seed_of"]


def seed_of(random_state: Any) -> int:
    """Return one integer from an int, a RandomState, or (None) the operating system's entropy."""
    if random_state is None:
        return secrets.randbits(31)
    if isinstance(random_state, (int, np.integer)):
        return int(random_state)
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def column_name(estimator: BaseEstimator, column: int) -> str:
    """Return what the user calls a column."""
    names = getattr(estimator, "feature_names_in_", None)
    return f"column {column}" if names is None else f"column {names[column]!r}"


def check_rows(estimator: BaseEstimator, X: Any, *, reset: bool) -> np.ndarray:
    """Return X as a float32 or float64 matrix, NaN where missing; in ``fit`` (`reset`) remember its width and names.

    Raises
    ------
    ValueError
        Naming the column and what to do about it.
    """
    name = type(estimator).__name__
    dtype: Any = (np.float64, np.float32)
    if getattr(X, "dtype", None) in (np.uint8, np.int8, np.uint16, np.int16, np.float16, np.bool_):
        dtype = np.float32  # exact, and half the memory of float64
    try:
        X = validate_data(
            estimator,
            X,
            reset=reset,
            dtype=dtype,
            ensure_all_finite=False,
            ensure_min_samples=2 if reset else 1,
        )
    except ValueError as error:
        if "could not convert string to float" in str(error):
            text = str(error).rpartition(": ")[2]
            message = f"{name} takes numbers, and X has text, such as {text}: encode or drop that column."
            raise ValueError(message) from error
        raise
    infinite = np.isinf(X)
    if infinite.any():
        row, column = (int(i) for i in np.argwhere(infinite)[0])
        raise ValueError(
            f"X contains infinity (inf) in row {row}, {column_name(estimator, column)}, and {infinite.sum()} such "
            "cells in all: clip them, or make them NaN if they are missing."
        )
    never = np.flatnonzero(np.isnan(X).all(axis=0))
    if reset and len(never):
        empty = column_name(estimator, int(never[0]))
        raise ValueError(f"X has only NaN in {empty}: drop it, nothing can be learned of it.")
    return np.asarray(X)


def check_codes(estimator: Any, Z: Any) -> np.ndarray:
    """Return codes as a finite float matrix of width K."""
    from sklearn.utils import check_array

    Z = check_array(Z, dtype=(np.float64, np.float32), input_name="Z")
    if Z.shape[1] != estimator.n_components:
        raise ValueError(
            f"Z has {Z.shape[1]} columns, but {type(estimator).__name__} has n_components={estimator.n_components}."
        )
    return np.asarray(Z)


def check_support(estimator: BaseEstimator, inside: np.ndarray, X: np.ndarray, likelihood: Any) -> None:
    """Raise a ValueError that names the first cell outside the likelihood's support."""
    if inside.all():
        return
    row, column = (int(i) for i in np.argwhere(~inside)[0])
    likelihood = likelihood.at(column)
    raise ValueError(
        f"X has {X[row, column]:g} in row {row}, {column_name(estimator, column)}, and likelihood {likelihood!r} takes "
        f"only values {likelihood.support_text} (after scaling): use another likelihood ('gaussian' takes any number) "
        "or another scaling."
    )


_POSITIVE_INTEGERS = ("n_components", "max_epochs", "batch_size", "n_iter_no_change", "n_draws")
_CHOICES = {"schedule": ("constant", "one_cycle"), "precision": ("float32", "float64", "bf16")}


def check_fields(estimator: Any) -> None:
    """Check the fields whose wrong values would show only after work was done.

    Raises
    ------
    ValueError
        Naming the field, its value and what it may be.
    """
    values = estimator.get_params(deep=False)
    for name in _POSITIVE_INTEGERS:
        value = values.get(name, 1)
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{name}={value!r} must be a whole number of at least 1.")
    for name, (low, high) in {
        "learning_rate": (0.0, math.inf),
        "checkpoint_seconds": (-math.inf, math.inf),
        "validation_fraction": (0.0, 1.0),
    }.items():
        if not low < values[name] < high:
            raise ValueError(f"{name}={values[name]!r} must lie strictly between {low:g} and {high:g}.")
    if not values["weight_decay"] >= 0:
        raise ValueError(f"weight_decay={values['weight_decay']!r} must not be negative.")
    for name, known in _CHOICES.items():
        if values[name] not in known:
            raise nearest(name, values[name], list(known))
    if isinstance(values["penalties"], str):
        raise ValueError(f"penalties={values['penalties']!r} must be a list: penalties=[{values['penalties']!r}].")
