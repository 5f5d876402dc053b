"""Conditioning on y: ``fit`` encodes it; other methods draw labels that are not passed, or average over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from isthmus._random import Stream, derive
from isthmus.estimators._cells import score_cells
from isthmus.estimators._check_fields import as_seed, check_positive_integer
from isthmus.estimators._condition import DiscreteCondition, fit_condition, of_given
from isthmus.estimators._table_condition import TableCondition
from isthmus.estimators._variational import Variational

__all__ = ["Conditional"]


class Conditional(Variational):
    """Base of models of p(x|y)."""

    conditional = True
    _all_classes: Any = None  # the argument of partial_fit

    # ---- conditions -----------------------------------------------------------------------------------------

    def _fit_condition(self, y: Any, weight: np.ndarray, *, reset: bool) -> np.ndarray:
        if y is None:
            raise ValueError(
                "ConditionalVAE requires y to be passed, but the target y is None: pass labels, numbers, or a table."
            )
        check_consistent_length(weight, y)
        if reset:
            self._condition = fit_condition(y, weight, self._all_classes)
            if isinstance(self._condition, DiscreteCondition):
                self.classes_ = self._condition.classes
            elif hasattr(self, "classes_"):
                del self.classes_
        elif self._all_classes is not None:
            self._condition.check_classes(self._all_classes)
        encoded = self._condition.encode(y, len(weight))
        if isinstance(self._condition, DiscreteCondition):
            self._condition.class_weight = self._condition.class_weight + weight @ encoded
        return encoded

    def _require_labels(self) -> DiscreteCondition:
        if not isinstance(self._condition, DiscreteCondition):
            what, option = "continuous", ""
            if isinstance(self._condition, TableCondition):
                what, option = "a table", self._condition.option
            raise ValueError(f"y was {what} in fit, so p(x) cannot be summed over it: pass y{option}.")
        return self._condition

    def _given(self, X: Any, y: Any) -> tuple[Any, np.ndarray]:
        """Return the checked samples and their encoded condition."""
        rows = self._rows(X)
        return rows, self._condition.encode(y, len(rows))

    def _each_label(self, n_samples: int) -> Iterator[np.ndarray]:
        """Yield each label as the condition (N, C) of all samples."""
        for label in self._require_labels().classes:
            yield self._condition.encode(label, n_samples)

    def _joint_log_likelihood(self, X: np.ndarray) -> np.ndarray:
        """Return log p(x, y) of each label, (N, C)."""
        log_likelihoods = [self._log_likelihood(X, c) for c in self._each_label(len(X))]
        return (np.stack(log_likelihoods, axis=1) + self._require_labels().log_prior).astype(X.dtype)

    def _log_proba(self, X: np.ndarray) -> np.ndarray:
        """Return log p(y|x) of each label, (N, C)."""
        joint = self._joint_log_likelihood(X)
        return np.asarray(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))

    def _score_cells(self, X: np.ndarray) -> np.ndarray:
        def log_likelihood(rows: np.ndarray) -> np.ndarray:
            return np.asarray(np.logaddexp.reduce(self._joint_log_likelihood(rows), axis=1))

        return score_cells(X, self._feature_columns(), log_likelihood)

    def _average_over_labels(
        self, X: np.ndarray, function: Callable[[np.ndarray, np.ndarray], np.ndarray], *, levels: Any = ()
    ) -> np.ndarray:
        """Return sum_y p(y|x) function(x, y); its columns `levels` for the most probable y."""
        share = np.exp(self._log_proba(X))  # (N, C)
        best = share.argmax(axis=1)
        total: Any = 0.0
        kept = np.empty((len(X), len(levels)))
        for k, c in enumerate(self._each_label(len(X))):
            result = function(X, c)
            total = total + share[:, k].reshape(-1, *[1] * (result.ndim - 1)) * result
            if len(levels):
                kept[best == k] = result[best == k][:, levels]
        if len(levels):
            total[:, levels] = kept
        return np.asarray(total, dtype=X.dtype)

    def _means_over_labels(self, X: np.ndarray) -> np.ndarray:
        """Return imputed values averaged over p(y|x), followed by their effective sample sizes, (N, D + 1)."""
        return self._average_over_labels(X, self._conditional_means, levels=self._level_columns())

    def _level_columns(self) -> np.ndarray:
        """Return the indices of the features whose values number levels, which cannot be averaged."""
        return np.flatnonzero(self.model_.likelihood.level_columns().cpu().numpy())

    def _sample_over_labels(
        self,
        draw: Callable[[np.ndarray, int, int, np.ndarray | None], np.ndarray],
        X: Any,
        y: Any,
        n_samples: int,
        seed: int,
    ) -> np.ndarray:
        """Return ``draw(X, n_samples, seed, c)``; without y, each draw has a label of its own, from p(y|x)."""
        if y is not None:
            rows, c = self._given(X, y)
            return draw(rows, n_samples, seed, c)
        rows = self._rows(X)
        draws = np.stack([draw(rows, n_samples, seed, c) for c in self._each_label(len(rows))])  # (C, S, N, ...)
        cumulative = np.exp(self._log_proba(rows)).cumsum(axis=1)  # (N, C)
        u = np.random.default_rng(derive(seed, Stream.POSTERIOR_LABELS)).random((n_samples, len(rows), 1))
        label = (u > cumulative[None, :, :-1]).sum(axis=-1)  # (S, N)
        return np.take_along_axis(draws, label[None, :, :, None], axis=0)[0]

    # ---- fitting --------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the model to samples X given conditions y.

        Parameters
        ----------
        X : array-like or source of shape (N, D)
            Samples, as for :meth:`VAE.fit`.
        y : array-like or table of shape (N,) or (N, C)
            Labels, or columns of numbers; or a table with columns of any kinds, such as ``people[["sex", "age"]]``.
        sample_weight : array-like of shape (N,), optional
            Weights of the samples, in the loss and in p(y).

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If y is None or has missing values, or for the reasons of :meth:`VAE.fit`.
        """
        self._all_classes = None
        return super().fit(X, y, sample_weight)

    def partial_fit(  # type: ignore[override]  # the order of arguments is that of scikit-learn's classifiers
        self, X: Any, y: Any = None, classes: Any = None, sample_weight: Any = None
    ) -> Self:
        """Train for one epoch from the current parameters, at a constant learning rate.

        Parameters
        ----------
        X : array-like or source of shape (N, D)
            Samples.
        y : array-like of shape (N,) or (N, C)
            Labels, or columns of numbers. p(y) is estimated from the labels of all calls.
        classes : array-like of shape (C,), optional
            All labels of this and later calls. Pass them in the first call if its y has only some of them; a later call
            may repeat them.
        sample_weight : array-like of shape (N,), optional
            Weights of the samples.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If `classes` are not those of the first call, or for the reasons of :meth:`fit`.
        """
        self._all_classes = classes
        return super().partial_fit(X, y, sample_weight)

    # ---- random samples -------------------------------------------------------------------------------------

    def sample(self, n_samples: int = 1, *, y: Any = None, given: Any = None, random_state: Any = None) -> Any:
        """Draw samples from p(x|y), including the noise of p(x|z, y); without y, labels are drawn from p(y) first.

        Parameters
        ----------
        n_samples : int, default=1
            Number of samples.
        y : label, or array-like of shape (n_samples,) or (n_samples, C), optional
            Labels, numbers or rows of a table to condition on; one label, or one row, serves for all samples.
        given : dict, optional
            The same by the names that the columns of y had in ``fit``: ``given={"sex": "F", "age": 30}``. A value is
            one for all samples, or there are n_samples of them.
        random_state : int, RandomState or None, default=None
            Seed; no global generator is used.

        Returns
        -------
        ndarray of shape (n_samples, D), or a DataFrame if ``fit`` got one
            float32 if ``fit`` got float32 or integers of up to 16 bits, else float64.
        """
        check_is_fitted(self, "model_")
        check_positive_integer("n_samples", n_samples)
        seed = as_seed(random_state)
        if given is not None:
            if y is not None:
                raise ValueError("y and given are both passed: they are the same thing, so leave one out.")
            y = of_given(self._condition, given, n_samples)
        if y is None:
            labels = self._require_labels()
            share = np.exp(labels.log_prior)
            generator = np.random.default_rng(derive(seed, Stream.SAMPLED_LABELS))
            y = generator.choice(labels.classes, size=n_samples, p=share / share.sum())
        return self._like_training_data(self._sample_rows(n_samples, seed, self._condition.encode(y, n_samples)))

    def sample_latent(self, X: Any, n_samples: int = 1, *, y: Any = None, random_state: Any = None) -> np.ndarray:
        """Draw codes from q(z|x, y); without y, each draw first draws a label from p(y|x).

        Parameters
        ----------
        X : array-like of shape (N, D)
            Samples.
        n_samples : int, default=1
            Number of draws for each sample.
        y : array-like of shape (N,) or (N, C), optional
            Labels or numbers.
        random_state : int, RandomState or None, default=None
            Seed; no global generator is used.

        Returns
        -------
        ndarray of shape (n_samples, N, K)
        """
        return self._sample_over_labels(self._sample_codes, X, y, n_samples, as_seed(random_state))

    def sample_imputations(self, X: Any, n_samples: int = 1, *, y: Any = None, random_state: Any = None) -> Any:
        """Draw completed copies of X, as :meth:`VAE.sample_imputations`; without y, each draw draws a label first.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Samples, NaN where a value is missing.
        n_samples : int, default=1
            Number of completed copies.
        y : array-like of shape (N,) or (N, C), optional
            Labels or numbers.
        random_state : int, RandomState or None, default=None
            Seed; no global generator is used.

        Returns
        -------
        ndarray of shape (n_samples, N, D), or list of tables
        """
        draws = self._sample_over_labels(self._conditional_draws, X, y, n_samples, as_seed(random_state))
        return self._completed_copies(X, draws)
