"""A fitted estimator and rows for it, seen from inside: valid rows, their conditions, tensors in the model's units."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from isthmus._random import derive
from isthmus.estimators._inference import Chunk, as_tensor, to_model_units
from isthmus.estimators._validate import check_rows
from isthmus.model import Model
from isthmus.scaling import Standard

__all__ = ["Context", "context_of", "log_det", "scaled_by"]

Array = np.ndarray


class Context(NamedTuple):
    """An estimator with rows X (N, D), their conditions y where they were given, and a seed."""

    estimator: Any
    X: Array
    y: Array | None
    seed: int

    @property
    def name(self) -> str:
        """The estimator's class."""
        return type(self.estimator).__name__

    @property
    def variational(self) -> bool:
        """Whether there is a p(x)."""
        return hasattr(self.estimator, "score_samples_estimate")

    @property
    def conditional(self) -> bool:
        """Whether rows have conditions."""
        return hasattr(self.estimator, "_condition")

    @property
    def latent_given(self) -> bool:
        """Whether q(z|x) is one distribution, and no mixture over labels."""
        return self.variational and (not self.conditional or self.y is not None)

    def generator(self, stream: int) -> np.random.Generator:
        """Return a generator of its own for each purpose."""
        return np.random.default_rng(derive(self.seed, stream))

    def some(self, n: int, *, complete: bool = False) -> Array:
        """Return the indices of at most n rows in rising order, drawn at random; of `complete` ones if so asked."""
        rows = np.flatnonzero(~np.isnan(self.X).any(axis=1)) if complete else np.arange(len(self.X))
        return np.sort(self.generator(0).permutation(rows)[:n])

    def call(self, method: str, index: Array | None = None, X: Array | None = None, **options: Any) -> Any:
        """Return ``estimator.method(X, y, ...)`` for rows of an index, or for other rows `X` of the same conditions."""
        rows = self.X if X is None else X
        y = self.y
        if index is not None:
            rows, y = rows[index] if X is None else rows, None if y is None else y[index]
        given = {} if y is None else {"y": y}
        return getattr(self.estimator, method)(rows, **given, **options)

    def tensors(self, index: Array) -> tuple[Model, Chunk]:
        """Return a float64 copy of the model on the CPU and rows in its units; unknown labels are predicted."""
        model = copy.deepcopy(self.estimator.model_).double()
        raw = as_tensor(self.X[index]).double()
        x, mask = to_model_units(model, raw, torch.float64)
        c = None
        if self.conditional:
            y = self.estimator.predict(self.X[index]) if self.y is None else self.y[index]
            c = torch.from_numpy(self.estimator._condition.encode(y, len(index))).double()
        return model, Chunk(raw, x, c, mask)


def context_of(estimator: Any, X: Any, y: Any, seed: int) -> Context:
    """Return a fitted estimator with valid rows.

    Raises
    ------
    ValueError
        For rows that the estimator does not take.
    """
    check_is_fitted(estimator, "model_")
    return Context(estimator, check_rows(estimator, X, reset=False), None if y is None else np.asarray(y), seed)


def log_det(model: Model, rows: Chunk) -> Tensor:
    """Return what log p(x) gains when given in the data's units, () or (N,)."""
    each = model.log_det().double()
    return each.sum() if rows.mask is None else rows.mask @ each


def scaled_by(X: Array) -> Array:
    """Return each column's divisor, (D,): its standard deviation, or one for all where they are alike in range."""
    scaling = Standard()
    scaling.build(X.shape[1])
    scaling.set_from_data(torch.from_numpy(X.astype(np.float64)), torch.ones(len(X), dtype=torch.float64))
    return scaling.scale.numpy()
