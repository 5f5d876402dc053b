"""What fitted autoencoders compute of samples: codes, reconstructions, errors, and guesses of missing cells."""

from __future__ import annotations

from functools import partial as bound
from typing import Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from isthmus.corruptions import Corruption
from isthmus.estimators._inference import (
    encode,
    feature_errors,
    fill_missing,
    iterate_imputation,
    map_codes,
    map_rows,
    reconstruct,
    reconstruction_errors,
)
from isthmus.estimators._validate import check_codes, check_rows

__all__ = ["AutoencoderTransforms"]


class AutoencoderTransforms(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Base of the methods that map samples through a fitted autoencoder."""

    def _corruption(self) -> Corruption:
        raise NotImplementedError

    def _rows(self, X: Any) -> Any:
        check_is_fitted(self, "model_")
        return check_rows(self, X)

    def transform(self, X: Any) -> np.ndarray:
        """Return the code of every row: the encoder's output, for a VAE the posterior mean. Deterministic.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Rows.

        Returns
        -------
        ndarray of shape (N, K)
        """
        return map_rows(self, encode, self._rows(X))

    def inverse_transform(self, X: Any) -> Any:
        """Return the decoder's mean for every code, in the data's own units.

        Parameters
        ----------
        X : array-like of shape (N, K)
            Codes, as :meth:`transform` returns them.

        Returns
        -------
        ndarray of shape (N, D), or a DataFrame where X is one
        """
        check_is_fitted(self, "model_")
        return self._like(X, map_codes(self, check_codes(self, X)))

    def reconstruct(self, X: Any) -> Any:
        """Return what is left of every row after the isthmus: decoder mean of its code, in the data's units.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Rows.

        Returns
        -------
        ndarray of shape (N, D), or a DataFrame where X is one
        """
        return self._like(X, map_rows(self, reconstruct, self._rows(X)))

    def feature_errors(self, X: Any) -> np.ndarray:
        """Return -log p(x_d|z) of every cell at its row's code, in nats of the data's units: which column is odd.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Rows.

        Returns
        -------
        ndarray of shape (N, D)
        """
        return map_rows(self, feature_errors, self._rows(X))

    def reconstruction_error(self, X: Any) -> np.ndarray:
        """Return -log p(x|z) of every row at its code, in nats of the data's units, summed over columns.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Rows.

        Returns
        -------
        ndarray of shape (N,)
        """
        return map_rows(self, reconstruction_errors, self._rows(X))

    def impute(self, X: Any) -> Any:
        """Return X with every missing cell (NaN) filled; observed cells come back bit for bit.

        A deterministic autoencoder fills with what its decoder says at the code of the observed cells: a good guess,
        but of no probability. (One that never saw missing or masked cells is applied to its own guess, up to 20 times.)
        A VAE fills with E[x_missing | x_observed] by importance sampling with ``n_draws`` draws.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Rows, NaN where a cell is missing. A row of which nothing was observed is filled as well.

        Returns
        -------
        ndarray of shape (N, D), or a DataFrame where X is one
        """
        rows = self._rows(X)
        return self._like(X, fill_missing(rows, self._impute(rows)))

    def _impute(self, X: np.ndarray) -> np.ndarray:
        """Return a guess of every cell of valid rows, (N, D)."""
        return map_rows(self, bound(iterate_imputation, once=self._corruption().simulates_missing), X)

    def _like(self, X: Any, values: np.ndarray) -> Any:
        """Return `values` in the container that X came in: a DataFrame gives one with the fitted columns."""
        if not (hasattr(X, "columns") and hasattr(X, "index")):
            return values
        return type(X)(values, index=X.index, columns=getattr(self, "feature_names_in_", None))
