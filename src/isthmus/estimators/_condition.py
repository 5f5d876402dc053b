"""How a conditional model encodes y: labels as one-hot vectors, numbers as standardised columns."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np
from sklearn.utils import check_array, column_or_1d

from isthmus.estimators._given import as_columns
from isthmus.estimators._table_condition import TableCondition, n_columns
from isthmus.estimators._validate import as_plain_array, is_missing, text_in
from isthmus.tables import is_table, to_pandas

__all__ = ["Condition", "ContinuousCondition", "DiscreteCondition", "fit_condition", "of_given"]


class DiscreteCondition:
    """Labels, one-hot encoded.

    Parameters
    ----------
    classes : ndarray of shape (C,)
        The labels, sorted.
    class_weight : ndarray of shape (C,), optional
        Sum of the sample weights of each class, from which p(y) is estimated; by default 0.
    """

    def __init__(self, classes: np.ndarray, class_weight: np.ndarray | None = None) -> None:
        self.classes = classes
        self.name: Any = None  # of the column, if y had one
        self.class_weight = np.zeros(len(classes)) if class_weight is None else class_weight
        self.width = len(classes)

    @property
    def log_prior(self) -> np.ndarray:
        """Log p(y) of each class, (C,)."""
        # A class whose samples all have weight 0 was never learned, but its label stays known.
        return np.log(np.maximum(self.class_weight / self.class_weight.sum(), np.finfo(float).tiny))

    def check_classes(self, classes: Any) -> None:
        """Raise a ValueError unless `classes` (C,) are the labels known already, in any order."""
        given = _sorted(np.asarray(classes))
        if not np.array_equal(given, self.classes):
            raise ValueError(
                f"classes={_listed(given)} are not those of the first call, {_listed(self.classes)}: pass those, "
                "or fit a new estimator."
            )

    def encode(self, y: Any, n_samples: int) -> np.ndarray:
        """Return labels (N,), or one label for all samples, as (N, C).

        Raises
        ------
        ValueError
            If a label is missing, or was not seen in ``fit``; the message names it and the known ones.
        """
        labels = np.asarray(as_plain_array(_without_table(y)))
        if labels.ndim == 0:
            labels = np.full(n_samples, labels)
        labels = column_or_1d(labels, warn=False)
        if len(labels) != n_samples:
            raise ValueError(f"y has {len(labels)} labels for {n_samples} samples.")
        _check_complete(labels)
        one_hot = labels[:, None] == self.classes
        unseen = ~one_hot.any(axis=1)
        if unseen.any():
            raise ValueError(
                f"y has {labels[unseen][0]!s}, which was not among the classes seen in fit: {_listed(self.classes)}."
            )
        return one_hot.astype(np.float64)


class ContinuousCondition:
    """Columns of numbers, standardised.

    Parameters
    ----------
    mean, scale : ndarray of shape (C,)
        Mean and standard deviation of each column of the training data.
    """

    def __init__(self, mean: np.ndarray, scale: np.ndarray) -> None:
        self.mean, self.scale = mean, scale
        self.name: Any = None  # of the column, if y had one
        self.width = len(mean)

    def check_classes(self, classes: Any) -> None:
        """Raise a ValueError: numbers have no classes."""
        raise ValueError(
            f"classes={classes!r}: y was continuous in the first call, and has no classes; leave them out."
        )

    def encode(self, y: Any, n_samples: int) -> np.ndarray:
        """Return conditions (N, C), or one of shape (C,) for all samples, standardised.

        Raises
        ------
        ValueError
            If y has text, missing or infinite values, or another number of columns than in ``fit``.
        """
        values = np.asarray(as_plain_array(_without_table(y)))
        if values.ndim < 2:
            one_column = self.width == 1 and values.size == n_samples
            values = values.reshape(-1, 1) if one_column else values.reshape(1, -1)
        values = _as_numbers(values)
        if values.shape[1] != self.width:
            raise ValueError(f"y has {values.shape[1]} columns, but fit saw {self.width}: pass the same columns.")
        if len(values) not in (1, n_samples):
            raise ValueError(f"y has {len(values)} rows for {n_samples} samples.")
        return np.broadcast_to((values - self.mean) / self.scale, (n_samples, self.width)).copy()


def fit_condition(
    y: Any, weight: np.ndarray, classes: Any = None
) -> DiscreteCondition | ContinuousCondition | TableCondition:
    """Return how `y` (N,) or (N, C) is encoded: as labels if it is one column of a few values, else as numbers.

    A table of several columns is encoded by column.

    One column of strings or booleans is labels, and so is one of whole numbers with at most 20 or sqrt(N) distinct
    values, whichever is more: ten digits are classes, ages or counts are numbers. Anything else is numbers.

    Parameters
    ----------
    y : array-like or table of shape (N,) or (N, C)
        Labels, numbers, or columns of any kinds.
    weight : ndarray of shape (N,)
        Sample weights.
    classes : array-like of shape (C,), optional
        All labels, if y has only some of them.

    Raises
    ------
    ValueError
        If a value is missing or infinite, labels are of several types, or one of several columns is text.
    """
    if is_table(y) and n_columns(y) > 1:
        return TableCondition.fit(y, weight)
    condition = _fit_array(_without_table(y), weight, classes)
    condition.name = to_pandas(y).columns[0] if is_table(y) else getattr(y, "name", None)
    return condition


def _without_table(y: Any) -> Any:
    """Return the cells of a table of one column; anything else as it is."""
    return to_pandas(y).iloc[:, 0].to_numpy() if is_table(y) else y


def _fit_array(y: Any, weight: np.ndarray, classes: Any) -> DiscreteCondition | ContinuousCondition:
    """Return how an array is encoded."""
    values = np.asarray(as_plain_array(y))
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    _check_complete(values)
    if values.dtype == object and all(isinstance(v, numbers.Real) and not isinstance(v, bool) for v in values.flat):
        values = np.array(values.tolist())
    if classes is not None:
        return DiscreteCondition(_sorted(np.asarray(classes)))
    if values.ndim == 1 and _are_labels(values):
        return DiscreteCondition(_sorted(values))
    columns = _as_numbers(values.reshape(len(values), -1))
    mean = np.average(columns, axis=0, weights=weight)
    with np.errstate(over="ignore"):
        scale = np.sqrt(np.average((columns - mean) ** 2, axis=0, weights=weight))
    scale = np.where(np.isfinite(scale), scale, 0.5 * np.ptp(columns, axis=0))  # of squares that float64 does not hold
    return ContinuousCondition(mean, np.where(scale > 0, scale, 1.0))


Condition = DiscreteCondition | ContinuousCondition | TableCondition


def of_given(condition: Condition, given: Any, n_samples: int) -> Any:
    """Return the y of conditions given by name, such as ``{"sex": "F"}``.

    Raises
    ------
    ValueError
        If y had no names in ``fit``, or the names do not fit.
    """
    if isinstance(condition, TableCondition):
        return condition.of_given(given, n_samples)
    if condition.name is None:
        raise ValueError("given names columns, but y had no names in fit: pass y instead.")
    (column,) = as_columns(given, [condition.name], n_samples).values()
    return np.array(column.tolist()) if len(column) > 1 or n_samples == 1 else np.array(column.tolist())[0]


def _are_labels(values: np.ndarray) -> bool:
    if values.dtype.kind in "OUSb":
        return True
    whole = np.isfinite(values).all() and (values == np.round(values)).all()
    return bool(whole) and len(np.unique(values)) <= max(20, math.sqrt(len(values)))


def _listed(labels: np.ndarray) -> str:
    """Return the first labels as text."""
    return ", ".join(str(label) for label in labels[:10]) + (", ..." if len(labels) > 10 else "")


def _sorted(labels: np.ndarray) -> np.ndarray:
    """Return the distinct labels, sorted."""
    try:
        return np.unique(labels)
    except TypeError as error:  # labels that cannot be sorted
        types = ", ".join(sorted({type(label).__name__ for label in labels}))
        message = f"y has labels of several types ({types}): convert them to one, as with y.astype(str)."
        raise ValueError(message) from error


def _as_numbers(values: np.ndarray) -> np.ndarray:
    """Return a table of finite numbers."""
    _check_complete(values)
    try:
        return np.asarray(check_array(values, dtype=np.float64, input_name="y"))
    except ValueError as error:
        text = text_in(error)
        if text is None:
            raise
        message = f"y has text, such as {text}, among numbers: pass one column of labels, numbers alone, or a table."
        raise ValueError(message) from error


def _check_complete(values: np.ndarray) -> None:
    """Raise a ValueError that names the first missing value."""
    missing = is_missing(values)
    if missing.any():
        row, *column = (int(i) for i in np.argwhere(missing)[0])
        what, where = ("value", f", column {column[0]}") if column else ("label", "")
        raise ValueError(
            f"y has no {what} in row {row}{where} ({missing.sum()} missing in all): drop these samples, or give them a "
            f"{what} of their own."
        )
