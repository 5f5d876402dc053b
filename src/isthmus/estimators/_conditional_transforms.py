"""Codes, reconstructions, errors and imputations of samples given a condition, or averaged over its labels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from isthmus.data import resolve
from isthmus.estimators._condition import DiscreteCondition
from isthmus.estimators._conditional import Conditional
from isthmus.estimators._inference import (
    Chunk,
    encode,
    feature_errors,
    fill_missing,
    map_codes,
    map_rows,
    reconstruct,
    reconstruction_errors,
)
from isthmus.estimators._validate import check_codes
from isthmus.model import Model

__all__ = ["ConditionalTransforms"]


class ConditionalTransforms(Conditional):
    """Base of the methods that map samples through a fitted model of p(x|y)."""

    def _map(self, function: Callable[[Model, Chunk], Tensor], X: Any, y: Any) -> np.ndarray:
        """Return `function` of the samples given y, or its average over the labels."""
        if y is None:
            return self._average_over_labels(self._rows(X), partial(map_rows, self, function))
        return map_rows(self, function, *self._given(X, y))

    def fit_transform(self, X: Any, y: Any = None, sample_weight: Any = None) -> np.ndarray:
        """Fit the model, and return the codes of the same samples.

        They are those of ``transform(X)`` if y is labels, and else those of ``transform(X, y)``.

        Parameters
        ----------
        X : array-like or source of shape (N, D)
            Samples.
        y : array-like of shape (N,) or (N, C)
            Labels, or columns of numbers.
        sample_weight : array-like of shape (N,), optional
            Weights of the samples.

        Returns
        -------
        ndarray of shape (N, K)
        """
        self.fit(X, y, sample_weight)
        return self.transform(X, None if isinstance(self._condition, DiscreteCondition) else y)

    def transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Return the posterior mean of each sample given y, or without y averaged over p(y|x). Deterministic.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Samples.
        y : array-like of shape (N,) or (N, C), optional
            Labels or numbers.

        Returns
        -------
        ndarray of shape (N, K)
        """
        return self._map(encode, X, y)

    def inverse_transform(self, X: Any, y: Any = None) -> Any:
        """Return the decoder mean at each code given y, or without y averaged over p(y), in the data's units.

        Parameters
        ----------
        X : array-like of shape (N, K)
            Codes.
        y : label, or array-like of shape (N,) or (N, C), optional
            Labels or numbers.

        Returns
        -------
        ndarray of shape (N, D), or a DataFrame if X is one
        """
        return self._like(X, self._decode_codes(X, y))

    def _decode_codes(self, X: Any, y: Any = None) -> np.ndarray:
        """Return the decoder means of codes, (N, D); of a table, the matrix of its codec."""
        check_is_fitted(self, "model_")
        Z = check_codes(self, X)
        if y is not None:
            return map_codes(self, Z, self._condition.encode(y, len(Z)))
        means = np.stack([map_codes(self, Z, c) for c in self._each_label(len(Z))])
        log_prior, levels = self._require_labels().log_prior, self._level_columns()
        mean = np.tensordot(np.exp(log_prior), means, 1).astype(Z.dtype)
        mean[:, levels] = means[log_prior.argmax()][:, levels]
        return mean

    def reconstruct(self, X: Any, y: Any = None) -> Any:
        """Return the decoder mean at each sample's code given y, or without y averaged over p(y|x).

        It is in the units of the data.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Samples.
        y : array-like of shape (N,) or (N, C), optional
            Labels or numbers.

        Returns
        -------
        ndarray of shape (N, D), or a DataFrame if X is one
        """
        X = resolve(X)
        if y is not None:
            return self._like(X, self._map(reconstruct, X, y))
        function = partial(map_rows, self, reconstruct)
        return self._like(X, self._average_over_labels(self._rows(X), function, levels=self._level_columns()))

    def feature_errors(self, X: Any, y: Any = None) -> np.ndarray:
        """Return -log p(x_d|z, y) of each feature at its sample's code, or without y its average over p(y|x), in nats.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Samples.
        y : array-like of shape (N,) or (N, C), optional
            Labels or numbers.

        Returns
        -------
        ndarray of shape (N, D)
        """
        return self._by_column(self._map(feature_errors, X, y))

    def reconstruction_error(self, X: Any, y: Any = None) -> np.ndarray:
        """Return -log p(x|z, y) of each sample at its code, or without y its average over p(y|x), in nats.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Samples.
        y : array-like of shape (N,) or (N, C), optional
            Labels or numbers.

        Returns
        -------
        ndarray of shape (N,)
        """
        return self._map(reconstruction_errors, X, y)

    def impute(self, X: Any, y: Any = None) -> Any:
        """Return X with missing values (NaN) replaced by their conditional mean given y, or averaged over p(y|x).

        Observed values come back bit for bit.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Samples, NaN where a value is missing.
        y : array-like of shape (N,) or (N, C), optional
            Labels or numbers.

        Returns
        -------
        ndarray of shape (N, D), or a DataFrame if X is one
        """
        X = resolve(X)
        rows = self._rows(X)
        if y is None:
            found = self._means_over_labels(rows)
        else:
            found = self._conditional_means(rows, self._condition.encode(y, len(rows)))
        return self._completed(X, fill_missing(rows, self._without_effective(found)))
