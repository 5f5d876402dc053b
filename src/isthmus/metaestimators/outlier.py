"""Detection of outliers with an autoencoder."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from isthmus.data import as_source
from isthmus.estimators import VAE
from isthmus.estimators._budget import choose_budget
from isthmus.estimators._check_fields import as_seed, check_positive_integer
from isthmus.estimators._sklearn_private import count_samples, take_rows
from isthmus.estimators._tables import fit_codec
from isthmus.estimators._validate import as_plain_array
from isthmus.metaestimators._calibration import held_out_rows, p_values, threshold
from isthmus.metaestimators._explanation import Explanation, explain, usual_surprise
from isthmus.metaestimators._inner import in_fitted_order, inner_estimator, keep_features
from isthmus.metaestimators._saving import SaveMixin
from isthmus.optimizers import Adam
from isthmus.tables import TableCodec, is_table

__all__ = ["AutoencoderOutlierDetector"]

_MAX_EPOCHS = 60  # of the default estimator
_REFERENCE_ROWS = 100  # held-out rows whose cells say what surprise is usual


class AutoencoderOutlierDetector(SaveMixin, OutlierMixin, BaseEstimator):
    r"""Detect rows that are improbable under an autoencoder, with p-values and the cells that are responsible.

    The score of a row is log p(x): the higher, the more normal. Some of the training rows are held out to calibrate the
    scores: the p-value of a new row is

    .. math:: \frac{1 + \#\{i : s_i \le s(x)\}}{m + 1}, \qquad i = 1, \dots, m \text{ held-out rows},

    and the row is an outlier if its p-value is at most ``false_alarm_rate``. This is the fraction of normal rows that
    are called outliers, whatever the data and however good the autoencoder, even in data without outliers.

    Parameters
    ----------
    estimator : estimator of isthmus, optional
        The autoencoder, which is cloned; by default a small VAE, which cannot memorise outliers: ``VAE(8,
        prior="standard_normal", hidden_layer_sizes=32, max_epochs=60, optimizer=Adam(weight_decay=0.1))``, with fewer
        epochs for more than about 10,000 rows. With ``FrozenEstimator(model)`` of scikit-learn, a model that is fitted
        already is used, and all rows of ``fit`` set the threshold: pass rows that it was not trained on.
    contamination : "auto" or float, default="auto"
        "auto" sets the threshold by ``false_alarm_rate``. A number in (0, 0.5] is the fraction of the rows of ``fit``
        that are outliers, as in scikit-learn's detectors.
    false_alarm_rate : float, default=0.05
        Fraction of normal rows that may be called outliers, if contamination is "auto".
    random_state : int, RandomState or None, default=None
        Seed of the estimator, if it has none, and of the choice of held-out rows.

    Attributes
    ----------
    estimator_ : estimator
        The fitted autoencoder. ``estimator_.save(path)`` saves it alone.
    offset_ : float
        Threshold: ``decision_function`` is ``score_samples`` minus this.
    calibration_scores_ : ndarray of shape (m,)
        Scores of the held-out rows.
    n_features_in_ : int
        D, number of features seen in ``fit``.
    feature_names_in_ : ndarray of shape (D,)
        Names of the features, if X had string names.

    See Also
    --------
    sklearn.ensemble.IsolationForest : Random trees.
    sklearn.neighbors.LocalOutlierFactor : Density of neighbours.

    Notes
    -----
    The fraction of false alarms is right on average over training sets; for one of them, its standard deviation is
    about sqrt(rate (1 - rate) / m). Outliers among the held-out rows make it smaller.

    Rows are scored one by one: the score of a row does not depend on the other rows that are passed.

    References
    ----------
    Laxhammar & Falkman (2010), Conformal Prediction for Distribution-Independent Anomaly Detection; Bates, Candès, Lei,
    Romano & Sesia (2023), Testing for Outliers with Conformal p-values.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from isthmus import VAE, AutoencoderOutlierDetector
    >>> X = load_iris().data
    >>> detector = AutoencoderOutlierDetector(VAE(2, max_epochs=20), random_state=0).fit(X)
    >>> odd = X[:1].copy(); odd[0, 2] = 6.0  # a petal of 6 cm beside the sepals of a flower with short petals
    >>> detector.predict(odd), int(detector.explain(odd).cells["column"][0])
    (array([-1]), 2)
    """

    estimator_: Any
    n_features_in_: int
    feature_names_in_: np.ndarray
    _usual: np.ndarray | None

    def __init__(
        self,
        estimator: Any = None,
        *,
        contamination: float | str = "auto",
        false_alarm_rate: float = 0.05,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.contamination = contamination
        self.false_alarm_rate = false_alarm_rate
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit the autoencoder to a part of the rows, and set the threshold by the others.

        Parameters
        ----------
        X : array-like or table of shape (N, D)
            Samples; missing values are integrated out.
        y : array-like of shape (N,), optional
            Labels, for a :class:`ConditionalVAE`; otherwise ignored.

        Returns
        -------
        self : object

        Raises
        ------
        TypeError
            If the estimator is not an autoencoder.
        ValueError
            If a parameter is out of range, or there are fewer than three rows.
        """
        self._check_parameters()
        X = self._as_rows(X)
        default = self._default(X) if self.estimator is None else None
        inner = inner_estimator(self.estimator, default, "reconstruction_error", self.random_state)
        if isinstance(self.estimator, FrozenEstimator):
            self.estimator_, held = inner, in_fitted_order(inner, X)
        else:
            n_samples = count_samples(X)
            index = held_out_rows(n_samples, self.false_alarm_rate, as_seed(self.random_state))
            kept = np.setdiff1d(np.arange(n_samples), index)
            self.estimator_ = inner.fit(_take(X, kept), None if y is None else _take(y, kept))
            held = _take(X, index)
        keep_features(self, inner)
        self.calibration_scores_ = self._score(held)
        self._reference, self._usual = _take(held, np.arange(min(count_samples(held), _REFERENCE_ROWS))), None
        if self.contamination == "auto":
            self.offset_ = threshold(self.calibration_scores_, self.false_alarm_rate)
        else:
            self.offset_ = float(np.percentile(self._score(X), 100.0 * float(self.contamination)))
        return self

    def _default(self, X: Any) -> Any:
        """Return the default estimator; in tables with categories, those that `fit` did not see are odd."""
        model = VAE(
            8,
            prior="standard_normal",
            hidden_layer_sizes=32,
            max_epochs=min(_MAX_EPOCHS, choose_budget(max(count_samples(X), 1), "cpu").max_epochs),
            optimizer=Adam(weight_decay=0.1),
            random_state=self.random_state,
        )
        if is_table(X) and fit_codec(model, _take(X, np.arange(min(count_samples(X), 2))))[1]:
            model.set_params(scaling=TableCodec(unseen="other"))
        return model

    def _check_parameters(self) -> None:
        if self.contamination != "auto" and not (
            isinstance(self.contamination, (int, float)) and 0 < self.contamination <= 0.5
        ):
            raise ValueError(f"contamination={self.contamination!r} must be 'auto' or a number in (0, 0.5].")
        if not (isinstance(self.false_alarm_rate, (int, float)) and 0 < self.false_alarm_rate < 1):
            raise ValueError(f"false_alarm_rate={self.false_alarm_rate!r} must be a number between 0 and 1.")

    def _as_rows(self, X: Any) -> Any:
        """Return X as something whose rows can be selected."""
        if isinstance(self.estimator, FrozenEstimator) or is_table(X):
            return X
        if not isinstance(X, np.ndarray) and as_source(X) is not None:
            raise ValueError(
                f"{type(self).__name__} holds out rows of arrays and tables in memory: fit an estimator to {X!r}, and "
                "pass it as FrozenEstimator(estimator) with other rows."
            )
        return check_array(as_plain_array(X), dtype=None, ensure_all_finite=False, ensure_min_samples=0)

    def _score(self, X: Any) -> np.ndarray:
        inner = self.estimator_
        scores = inner.score_samples(X) if hasattr(inner, "score_samples") else -inner.reconstruction_error(X)
        return np.asarray(scores)

    # ---- rows -----------------------------------------------------------------------------------------------

    def score_samples(self, X: Any) -> np.ndarray:
        """Return log p(x) of each row in nats of the data's units: low for outliers.

        It is that of ``estimator_.score_samples``; for an autoencoder without p(x), the negative reconstruction error.

        Parameters
        ----------
        X : array-like or table of shape (N, D)
            Samples, also new ones. A category that ``fit`` did not see is improbable under the default estimator; for
            other estimators, unless their codec has another ``unseen``, it counts as missing, with a warning.

        Returns
        -------
        ndarray of shape (N,)
        """
        check_is_fitted(self, "estimator_")
        return self._score(in_fitted_order(self.estimator_, X))

    def decision_function(self, X: Any) -> np.ndarray:
        """Return ``score_samples(X) - offset_``, which is negative for outliers.

        Parameters
        ----------
        X : array-like or table of shape (N, D)
            Samples.

        Returns
        -------
        ndarray of shape (N,)
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """Return -1 for outliers and 1 for other rows.

        Parameters
        ----------
        X : array-like or table of shape (N, D)
            Samples.

        Returns
        -------
        ndarray of shape (N,)
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def p_values(self, X: Any) -> np.ndarray:
        """Return the fraction of normal rows that would be as odd as each row; see the class.

        With m held-out rows the smallest value is 1 / (m + 1). If many rows are looked at, some p-values are small
        without any outlier: ``scipy.stats.false_discovery_control`` corrects for that.

        Parameters
        ----------
        X : array-like or table of shape (N, D)
            Samples.

        Returns
        -------
        ndarray of shape (N,)
        """
        return p_values(self.score_samples(X), self.calibration_scores_)

    def explain(self, X: Any, *, rows: Any = None, n_cells: int = 3) -> Explanation:
        """Return the odd cells of each outlier, by how many nats they are odd, and what was expected there.

        Cells are compared by -log p(x_d | other cells of the row) of :meth:`VAE.score_features`, minus its median over
        held-out rows; for an estimator without p(x) by -log p(x_d | z). A :class:`ConditionalVAE` sums over its
        labels, as in its scores. The oddest cell is named first, and then counts
        as missing; the next one is named if it is still more than 3 nats above its median.

        Parameters
        ----------
        X : array-like or table of shape (N, D)
            Samples.
        rows : array-like of int, optional
            Numbers of the rows to explain; by default the outliers.
        n_cells : int, default=3
            Number of cells to name in each row, at most.

        Returns
        -------
        Explanation
            Named tuple of ``cells``, a DataFrame, and ``sentences``, a list of str; ``print`` shows the sentences.

        Raises
        ------
        ModuleNotFoundError
            If pandas is not installed.
        """
        check_is_fitted(self, "estimator_")
        check_positive_integer("n_cells", n_cells)
        try:
            import pandas  # noqa: F401
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("explain returns a DataFrame: pip install 'isthmus[table]'") from error
        X, inner = in_fitted_order(self.estimator_, self._as_rows(X)), self.estimator_
        scores = self._score(X)
        chosen = np.flatnonzero(scores < self.offset_) if rows is None else np.asarray(rows, dtype=int)
        chosen = chosen[np.argsort(scores[chosen], kind="stable")]
        with warnings.catch_warnings():  # of new categories: the scores have warned already
            warnings.simplefilter("ignore")
            values = p_values(scores[chosen], self.calibration_scores_)
            return explain(inner, _take(X, chosen), chosen, values, self._usual_surprise(), n_cells)

    def _usual_surprise(self) -> np.ndarray:
        """Return the surprise of each column in held-out rows, which is computed when it is first needed."""
        if self._usual is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._usual = usual_surprise(self.estimator_, self._reference)
        return self._usual

    # ---- saving ---------------------------------------------------------------------------------------------

    _saved_tensors = frozenset({"calibration_scores"})

    def _saved_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return the threshold, and scores and surprises of held-out rows, but no row."""
        usual = tuple(float(nats) for nats in self._usual_surprise())
        return {"offset": self.offset_, "usual": usual}, {"calibration_scores": self.calibration_scores_}

    def _set_saved_state(self, state: dict[str, Any], tensors: dict[str, np.ndarray]) -> bool:
        """Set what ``fit`` learned besides the autoencoder; return whether it is valid."""
        scores, usual = tensors["calibration_scores"], state.get("usual")
        if state.keys() != {"offset", "usual"} or not isinstance(usual, tuple):
            return False
        numbers = all(type(number) is float for number in (state["offset"], *usual))
        if not (numbers and scores.ndim == 1 and scores.dtype.kind == "f" and len(scores)):
            return False
        if np.isnan([state["offset"], *usual]).any() or np.isnan(scores).any() or len(usual) != self.n_features_in_:
            return False
        self.offset_, self.calibration_scores_ = state["offset"], scores
        self._usual, self._reference = np.array(usual), None
        return True

    @staticmethod
    def _are_valid_fields(fields: dict[str, Any]) -> bool:
        if fields.keys() != {"contamination", "false_alarm_rate", "random_state"}:
            return False
        numbers = all(type(fields[name]) in (int, float, str) for name in ("contamination", "false_alarm_rate"))
        return numbers and (fields["random_state"] is None or type(fields["random_state"]) is int)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _take(X: Any, index: np.ndarray) -> Any:
    """Return some rows of an array or table."""
    if hasattr(X, "column_names"):  # pyarrow
        return X.take(index)
    if is_table(X):
        return [X[i] for i in index] if isinstance(X, list) else take_rows(X, index)
    return np.asarray(X)[index]
