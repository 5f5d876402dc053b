"""Imputation of missing values with an autoencoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from isthmus.estimators import VAE
from isthmus.estimators._check_fields import as_seed, check_positive_integer
from isthmus.estimators._given import column_labels
from isthmus.estimators._sklearn_private import check_feature_names
from isthmus.metaestimators._inner import add_columns, in_fitted_order, inner_estimator, keep_features, missing_cells
from isthmus.metaestimators._saving import SaveMixin

__all__ = ["AutoencoderImputer"]


class AutoencoderImputer(SaveMixin, TransformerMixin, BaseEstimator):
    """Fill in missing values of arrays and tables with an autoencoder that is fitted to the same data.

    Missing numbers are replaced by E[x_missing | x_observed] in the units of the data, rounded as the numbers of their
    column are; in columns with few values, by the value that is nearest to it. Missing categories are replaced by their
    most probable level, ordered ones by their median. With ``sample_posterior``, all are drawn from
    p(x_missing | x_observed).
    Observed values are returned unchanged, bit for bit. A table is returned as a table of the same library, columns and
    dtypes; it may hold numbers, categories, dates and missing values together.

    Parameters
    ----------
    estimator : estimator of isthmus, optional
        The autoencoder, which is cloned; by default ``VAE()``. ``FrozenEstimator(model)`` of scikit-learn is for a
        model that is fitted already, such as one from :func:`isthmus.load`; ``fit`` does not change it.
    sample_posterior : bool, default=False
        Whether ``transform`` draws missing values instead of returning their conditional mean. The draw is the same in
        each call; :meth:`sample_imputations` returns several.
    n_imputations : int, default=5
        Number of completed copies that :meth:`sample_imputations` returns.
    add_indicator : bool, default=False
        Whether to append, for each column with missing values in ``fit``, a column that says where they are missing.
    random_state : int, RandomState or None, default=None
        Seed of the estimator, if it has none, and of draws.

    Attributes
    ----------
    estimator_ : estimator
        The fitted autoencoder. ``estimator_.save(path)`` saves it alone.
    n_features_in_ : int
        D, number of features seen in ``fit``.
    feature_names_in_ : ndarray of shape (D,)
        Names of the features, if X had string names.
    indicator_features_ : ndarray of int
        Indices of the features that had missing values in ``fit``.

    See Also
    --------
    isthmus.VAE.impute : What ``transform`` calls.
    sklearn.impute.IterativeImputer : Regression of each feature on the others, for numbers only.

    Notes
    -----
    Columns of a table are found by name, and are returned in the order of ``fit``. In a pandas DataFrame of floats
    only, scikit-learn's rule holds: another order is an error. A category that was not in the training data is treated
    as missing when other cells of its row are filled in, with a warning, and is itself returned as it is. Identifiers
    and texts that differ in most rows are returned as they are; see :class:`isthmus.tables.TableCodec`.

    References
    ----------
    Mattei & Frellsen (2019), MIWAE: Deep Generative Modelling and Imputation of Incomplete Data Sets; Rubin (1987),
    Multiple Imputation for Nonresponse in Surveys.

    Examples
    --------
    >>> import pandas as pd
    >>> from isthmus import VAE, AutoencoderImputer
    >>> table = pd.DataFrame({"size": [1.0, 2.0, None, 9.0] * 10, "kind": ["cat", "cat", "cat", None] * 10})
    >>> imputer = AutoencoderImputer(VAE(1, max_epochs=5), random_state=0)
    >>> int(imputer.fit_transform(table).isna().sum().sum())
    0
    """

    estimator_: Any
    n_features_in_: int
    feature_names_in_: np.ndarray

    def __init__(
        self,
        estimator: Any = None,
        *,
        sample_posterior: bool = False,
        n_imputations: int = 5,
        add_indicator: bool = False,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.sample_posterior = sample_posterior
        self.n_imputations = n_imputations
        self.add_indicator = add_indicator
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit the autoencoder.

        Parameters
        ----------
        X : array-like or table of shape (N, D)
            Samples; NaN, None and the missing values of the table's library count as missing.
        y : array-like of shape (N,), optional
            Labels, for a :class:`ConditionalVAE`; otherwise ignored.

        Returns
        -------
        self : object

        Raises
        ------
        TypeError
            If the estimator is not an autoencoder, or ``sample_posterior`` is set and the estimator has no p(x).
        ValueError
            If X is an array with text or infinite values, or with a column that has only missing values.
        """
        check_positive_integer("n_imputations", self.n_imputations)
        default = VAE(random_state=self.random_state)
        method = "sample_imputations" if self.sample_posterior else "impute"
        inner = inner_estimator(self.estimator, default, method, self.random_state)
        self.estimator_ = inner.fit(X, y)
        self.seed_ = as_seed(self.random_state)
        keep_features(self, inner)
        gone = missing_cells(inner, in_fitted_order(inner, X)).any(axis=0) if self.add_indicator else ()
        self.indicator_features_ = np.flatnonzero(gone)
        return self

    def transform(self, X: Any) -> Any:
        """Return X with missing values filled in; observed values are returned unchanged.

        Parameters
        ----------
        X : array-like or table of shape (N, D)
            Samples, also new ones.

        Returns
        -------
        ndarray of shape (N, D + number of indicators), or a table of the same library
            The columns in the order of ``fit``, followed by the indicators.
        """
        check_is_fitted(self, "estimator_")
        X = in_fitted_order(self.estimator_, X)
        if self.sample_posterior:
            return self._draws(X, 1, self.seed_)[0]
        return self._with_indicator(X, self.estimator_.impute(X))

    def sample_imputations(self, X: Any, n_samples: int | None = None, *, random_state: Any = None) -> list[Any]:
        """Return completed copies of X, each drawn from p(x_missing | x_observed), for multiple imputation.

        Estimate what is of interest from each copy; the mean of the results is the final estimate, and their variance
        between copies is what the missing values add to its variance (Rubin, 1987).

        Parameters
        ----------
        X : array-like or table of shape (N, D)
            Samples.
        n_samples : int, optional
            Number of copies; by default ``n_imputations``.
        random_state : int, RandomState or None, default=None
            Seed; None gives the same copies in each call.

        Returns
        -------
        list
            Copies, each as :meth:`transform` returns it.
        """
        check_is_fitted(self, "estimator_")
        n_samples = self.n_imputations if n_samples is None else n_samples
        seed = self.seed_ if random_state is None else as_seed(random_state)
        return self._draws(in_fitted_order(self.estimator_, X), n_samples, seed)

    def _draws(self, X: Any, n_samples: int, seed: int) -> list[Any]:
        """Return completed copies of samples whose columns are in the order of ``fit``."""
        inner = self.estimator_
        if not hasattr(inner, "sample_imputations"):
            raise TypeError(f"{inner!r} has no p(x) to draw missing values from: use a VAE.")
        copies = inner.sample_imputations(X, n_samples, random_state=seed)
        if isinstance(copies, np.ndarray):
            copies = [inner._completed(X, copy) for copy in copies]
        return [self._with_indicator(X, copy) for copy in copies]

    def _with_indicator(self, X: Any, completed: Any) -> Any:
        """Return completed samples, followed by the columns that say where values were missing."""
        if not len(self.indicator_features_):
            return completed
        gone = missing_cells(self.estimator_, X)[:, self.indicator_features_]
        names = _indicator_names(column_labels(self.estimator_), self.indicator_features_)
        return add_columns(completed, dict(zip(names, gone.T, strict=True)))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns that :meth:`transform` returns.

        Parameters
        ----------
        input_features : array-like of str, optional
            Names of the features, if ``fit`` saw none.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self, "estimator_")
        names = list(check_feature_names(self, input_features))
        return np.array([*names, *_indicator_names(names, self.indicator_features_)], dtype=object)

    # ---- saving ---------------------------------------------------------------------------------------------

    _saved_tensors = frozenset[str]()

    def _saved_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        return {"seed": self.seed_, "indicator_features": tuple(self.indicator_features_.tolist())}, {}

    def _set_saved_state(self, state: dict[str, Any], _: dict[str, np.ndarray]) -> bool:
        """Set what ``fit`` learned besides the autoencoder; return whether it is valid."""
        features = state.get("indicator_features")
        if state.keys() != {"seed", "indicator_features"} or not isinstance(features, tuple):
            return False
        whole = all(type(number) is int and number >= 0 for number in (state["seed"], *features))
        if not whole or list(features) != sorted({*features}) or max(features, default=0) >= self.n_features_in_:
            return False
        self.seed_, self.indicator_features_ = state["seed"], np.array(features, dtype=int)
        return True

    @staticmethod
    def _are_valid_fields(fields: dict[str, Any]) -> bool:
        kinds: dict[str, Any] = {"sample_posterior": bool, "add_indicator": bool, "n_imputations": int}
        return fields.keys() == {*kinds, "random_state"} and (
            all(type(fields[name]) is kind for name, kind in kinds.items())
            and fields["n_imputations"] > 0
            and (fields["random_state"] is None or type(fields["random_state"]) is int)
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _indicator_names(labels: Sequence[Any], features: np.ndarray) -> list[str]:
    """Return the names of the columns that say where these features are missing."""
    return [f"missingindicator_{labels[i]}" for i in features]
