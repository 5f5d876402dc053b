"""Condition: what a conditional model sees of y, as numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import type_of_target

__all__ = ["Columns", "Labels", "condition_of"]


class Labels:
    """Discrete conditions, one-hot encoded.

    Parameters
    ----------
    classes : ndarray of shape (C,)
        The labels, sorted.
    log_prior : ndarray of shape (C,)
        log p(y), from the (weighted) shares of the training rows.
    """

    def __init__(self, classes: np.ndarray, log_prior: np.ndarray) -> None:
        self.classes, self.log_prior = classes, log_prior
        self.width = len(classes)

    def encode(self, y: Any, n_rows: int) -> np.ndarray:
        """Return labels (N,), or one label for all rows, as (N, C).

        Raises
        ------
        ValueError
            If a label was not seen in ``fit``; the message names it and the known ones.
        """
        labels = np.asarray(y)
        labels = np.full(n_rows, labels) if labels.ndim == 0 else column_or_1d(labels, warn=False)
        if len(labels) != n_rows:
            raise ValueError(f"y has {len(labels)} labels for {n_rows} rows.")
        one_hot = labels[:, None] == self.classes
        unseen = ~one_hot.any(axis=1)
        if unseen.any():
            known = ", ".join(str(c) for c in self.classes[:10]) + (", ..." if self.width > 10 else "")
            raise ValueError(f"y has {labels[unseen][0]!s}, which was not among the classes seen in fit: {known}.")
        return one_hot.astype(np.float64)


class Columns:
    """Continuous conditions, standardised.

    Parameters
    ----------
    mean, scale : ndarray of shape (C,)
        Of the training rows.
    """

    def __init__(self, mean: np.ndarray, scale: np.ndarray) -> None:
        self.mean, self.scale = mean, scale
        self.width = len(mean)

    def encode(self, y: Any, n_rows: int) -> np.ndarray:
        """Return conditions (N, C), or one row (C,) for all, standardised."""
        values = np.asarray(y, dtype=np.float64)
        if values.ndim < 2:
            one_column = len(self.mean) == 1 and values.size == n_rows
            values = values.reshape(-1, 1) if one_column else values.reshape(1, -1)
        values = check_array(values, input_name="y")
        if values.shape[1] != len(self.mean):
            raise ValueError(f"y has {values.shape[1]} columns, but fit saw {len(self.mean)}.")
        if len(values) not in (1, n_rows):
            raise ValueError(f"y has {len(values)} rows for {n_rows} rows.")
        return np.broadcast_to((values - self.mean) / self.scale, (n_rows, len(self.mean))).copy()


def condition_of(y: Any, weight: np.ndarray) -> Labels | Columns:
    """Return what `y` (N,) or (N, C) is to condition on: labels where it is one column of a few values, else columns.

    One column of strings or booleans is labels, and so is one of whole numbers with at most 20 or sqrt(N) distinct
    values, whichever is more: ten digits are classes, ages or counts are numbers. Anything else is numbers.
    """
    values = np.asarray(y)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 1 and _are_labels(values):
        classes, index = np.unique(values, return_inverse=True)
        share = np.bincount(index, weights=weight, minlength=len(classes)) / weight.sum()
        # A class whose rows all have weight 0 was never learned, but its label stays known.
        return Labels(classes, np.log(np.maximum(share, np.finfo(float).tiny)))
    numbers = check_array(values.reshape(len(values), -1), dtype=np.float64, input_name="y")
    mean = np.average(numbers, axis=0, weights=weight)
    scale = np.sqrt(np.average((numbers - mean) ** 2, axis=0, weights=weight))
    return Columns(mean, np.where(scale > 0, scale, 1.0))


def _are_labels(values: np.ndarray) -> bool:
    if values.dtype.kind in "OUSb":
        return True
    whole = type_of_target(values) in ("binary", "multiclass")
    return whole and len(np.unique(values)) <= max(20, math.sqrt(len(values)))
