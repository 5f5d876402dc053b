"""The methods that map samples through a fitted autoencoder: codes, reconstructions, errors and imputations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from isthmus.data import resolve
from isthmus.estimators._inference import (
    encode,
    feature_errors,
    fill_missing,
    map_codes,
    map_rows,
    reconstruct,
    reconstruction_errors,
)
from isthmus.estimators._validate import check_codes, check_rows, column_names
from isthmus.model import Model
from isthmus.tables import TableCodec, is_table

__all__ = ["AutoencoderTransforms"]


class AutoencoderTransforms(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Base of the methods that map samples through a fitted autoencoder."""

    _table: TableCodec | None
    _encodes: bool
    _codec: Any
    model_: Model
    _dataframe_columns: Sequence[Any] | None

    def _rows(self, X: Any) -> Any:
        check_is_fitted(self, "model_")
        return check_rows(self, X)

    def transform(self, X: Any) -> np.ndarray:
        """Return the code of each sample: the encoder's output, for the VAE family the mean of q(z|x).

        For samples with missing values, the VAE family returns the mode of p(z|x) if ``fit`` had no missing values. The
        result is deterministic.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Samples; NaN is a missing value.

        Returns
        -------
        ndarray of shape (N, K)
            Codes, in the type of X.
        """
        return map_rows(self, encode, self._rows(X))

    def inverse_transform(self, X: Any) -> Any:
        """Decode each code: return the mean of p(x|z) in the data's units.

        Parameters
        ----------
        X : array-like of shape (N, K)
            Codes, as returned by :meth:`transform`.

        Returns
        -------
        ndarray of shape (N, D), or a DataFrame if X is one
            Means of p(x|z).
        """
        return self._like(X, self._decode_codes(X))

    def _decode_codes(self, X: Any) -> np.ndarray:
        """Return the decoder means of codes, (N, D); of a table, the matrix of its codec."""
        check_is_fitted(self, "model_")
        return map_codes(self, check_codes(self, X))

    def reconstruct(self, X: Any) -> Any:
        """Return the reconstruction of each sample: the mean of p(x|z) at its code, in the data's units.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Samples; NaN is a missing value.

        Returns
        -------
        ndarray of shape (N, D), or a DataFrame if X is one
            Reconstructions, of missing values too.
        """
        X = resolve(X)
        return self._like(X, map_rows(self, reconstruct, self._rows(X)))

    def feature_errors(self, X: Any) -> np.ndarray:
        """Return -log p(x_d|z) of each value at its sample's code: large where a feature is anomalous.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Samples; NaN is a missing value.

        Returns
        -------
        ndarray of shape (N, D)
            Errors in nats, for densities of the data's units; NaN where a value is missing. The errors of a table with
            other columns than floats are a DataFrame with the same columns.
        """
        return self._by_column(map_rows(self, feature_errors, self._rows(X)))

    def reconstruction_error(self, X: Any) -> np.ndarray:
        """Return -log p(x|z) of each sample at its code, summed over its observed features.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Samples; NaN is a missing value.

        Returns
        -------
        ndarray of shape (N,)
            Errors in nats, for densities of the data's units.
        """
        return map_rows(self, reconstruction_errors, self._rows(X))

    def impute(self, X: Any) -> Any:
        """Return X with each missing value (NaN) filled in; observed values are returned unchanged, bit for bit.

        A deterministic autoencoder fills missing values with the decoder output; this is a point estimate, not a
        conditional expectation. If it was trained on complete data, the reconstruction is iterated up to 20 times. The
        VAE family fills them with E[x_missing | x_observed] in the units of the data, by importance sampling with
        ``n_draws`` draws, and ten times as many for samples of which fewer than 20 are effective; it warns of samples
        of which fewer than 3 are. Numbers of a table are rounded as those of their column are.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Samples, NaN where a value is missing. A sample may have no observed value.

        Returns
        -------
        ndarray of shape (N, D), or a DataFrame if X is one
            X without missing values.
        """
        X = resolve(X)
        rows = self._rows(X)
        return self._completed(X, fill_missing(rows, self._impute(rows)))

    def _score_cells(self, X: np.ndarray) -> np.ndarray:
        """Return log p of each cell of valid samples, (N, C), NaN where missing: log p(x_d | z), or better."""
        errors = map_rows(self, feature_errors, X)
        return -(errors if self._codec is None else self._codec.sum_by_column(errors))

    def _impute(self, X: np.ndarray) -> np.ndarray:
        """Return an imputed value for every cell, (N, D)."""
        raise NotImplementedError

    def _completed(self, X: Any, values: np.ndarray) -> Any:
        """Return X with its missing values filled in by `values` (N, D)."""
        return self._like(X, values) if self._table is None else self._table.complete(X, values)

    def _by_column(self, values: np.ndarray) -> Any:
        """Return `values` (N, D) of features; those of a table's matrix are summed by column."""
        return values if self._codec is None else self._as_features(self._codec.sum_by_column(values))

    def _as_features(self, values: np.ndarray) -> Any:
        """Return `values`, one for each feature; of a table with a codec, as a DataFrame with its columns."""
        if self._codec is None:
            return values
        import pandas as pd

        return pd.DataFrame(values, columns=pd.Index(self._codec.names))

    def _feature_columns(self) -> list[list[int]]:
        """Return the columns that each feature has in the samples of the model: those of a table may have several."""
        if self._codec is None:
            return [[i] for i in range(self.model_.network.sizes.n_features)]
        return self._codec.matrix_columns()

    def _like(self, X: Any, values: np.ndarray) -> Any:
        """Return `values` in the container of X: a DataFrame for a DataFrame, with the fitted columns."""
        if self._table is not None and (self._encodes or is_table(X)):
            return self._table.decode(values, like=X, missing=False)
        if not (hasattr(X, "columns") and hasattr(X, "index")):
            return values
        return type(X)(values, index=X.index, columns=column_names(self))

    def _like_training_data(self, values: np.ndarray) -> Any:
        """Return samples as a DataFrame with the columns of the training data if that was one, else as they are."""
        if self._table is not None:
            return self._table.decode(values)
        if self._dataframe_columns is None:
            return values
        import pandas as pd

        return pd.DataFrame(values, columns=self._dataframe_columns)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
