"""Choosing the latent size by held-out log p(x), beside classical densities on the same rows."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from isthmus.estimators._validate import as_seed
from isthmus.estimators._variational import LogLikelihoodEstimate

__all__ = ["Baseline", "Choice", "Size", "choose_n_components"]

_MIXTURES = (1, 2, 4, 8, 16)
_FLOORS = (1e-4, 1e-2)  # of a mixture's variances, as shares of the columns' mean variance
_WIDEST = 128  # columns from which on a mixture's covariances are diagonal: full ones take D^3 work each


class Size(NamedTuple):
    """What a latent size reaches on the held-out rows, in nats per row of the data's units.

    Attributes
    ----------
    n_components : int
        K.
    log_px : float
        Mean of log p(x).
    standard_error : float
        Of that mean, over rows.
    below_best : float
        By how much the best size's mean is higher.
    below_best_error : float
        Standard error of that difference, row by row: it is much smaller than that of either mean.
    n_untrusted : int
        Rows whose log p(x) cannot be trusted (and is too low as a rule).
    seconds : float
        For fitting.
    """

    n_components: int
    log_px: float
    standard_error: float
    below_best: float
    below_best_error: float
    n_untrusted: int
    seconds: float


class Baseline(NamedTuple):
    """What a density of scikit-learn reaches on the same rows, in nats per row.

    Attributes
    ----------
    name : str
        "PCA" (probabilistic), "FactorAnalysis" or "GaussianMixture".
    n_components : int
        Of latent units, or of the mixture.
    log_px : float
        Mean of log p(x).
    standard_error : float
        Of that mean, over rows.
    """

    name: str
    n_components: int
    log_px: float
    standard_error: float


class Choice(NamedTuple):
    """What :func:`choose_n_components` found.

    Attributes
    ----------
    best : int
        The smallest size within one standard error of the best one.
    best_estimator : estimator
        The estimator of that size, as fitted to the training rows.
    table : list of Size
        Every size, in rising order.
    baselines : list of Baseline
        PCA and FactorAnalysis of every size that the columns admit, and GaussianMixture; empty where log p(x) of the
        estimator is no density, or X has missing cells.
    n_train, n_test : int
        Rows.
    """

    best: int
    best_estimator: Any
    table: list[Size]
    baselines: list[Baseline]
    n_train: int
    n_test: int


def choose_n_components(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    sizes: Sequence[int] = (2, 4, 8, 16),
    test_size: float = 0.2,
    random_state: Any = None,
    n_draws: int = 1000,
    proposal_scale: float = 1.3,
) -> Choice:
    """Fit an estimator with several latent sizes and choose one by held-out log p(x), beside scikit-learn's densities.

    One split serves all. The size chosen is the smallest whose mean is within one standard error, paired over the
    held-out rows, of the best.

    Parameters
    ----------
    estimator : VAE or ConditionalVAE
        Cloned for every size; its other fields are kept.
    X : array-like of shape (N, D)
        Rows.
    y : array-like of shape (N,) or (N, C), optional
        Conditions of a ConditionalVAE. Labels are summed over in log p(x); given numbers it is log p(x|y).
    sizes : sequence of int, default=(2, 4, 8, 16)
        Sizes to try.
    test_size : float, default=0.2
        Share of the rows that is held out.
    random_state : int, RandomState or None, default=None
        Of the split and the mixtures; that of the fits is the estimator's own.
    n_draws : int, default=1000
        Draws for each held-out row.
    proposal_scale : float, default=1.3
        How much wider than q(z|x) they are.

    Returns
    -------
    Choice

    Raises
    ------
    ValueError
        If the estimator has no p(x), or a size is no positive whole number.

    Notes
    -----
    Every size starts afresh. Started from the next smaller size's weights, new units with small ones, a VAE of
    dequantised digits was worse on held-out rows at every size and seed: by 3.6 to 6.2 nats after 10 epochs of its own,
    by 1.2 to 4.0 after 30 and by 1.6 to 11.3 after 100 (sizes 4, 8 and 16, two seeds).

    A density of rows that are whole numbers, or have a constant column, has no upper bound: a model that narrows on
    the values wins without having learned anything, and FactorAnalysis does so in constant columns. Add uniform noise
    of one step to such rows (dequantisation), or use a likelihood of whole numbers; then there are no baselines, since
    probabilities do not compare with densities.

    The mixture's number of components (1 to 16) and the floor of its variances are chosen on a quarter of the training
    rows; its covariances are full up to 128 columns, diagonal above.

    References
    ----------
    Breiman, Friedman, Olshen & Stone (1984), Classification and Regression Trees, section 3.4.3, for the rule of one
    standard error; Theis, van den Oord & Bethge (2016), A note on the evaluation of generative models, for
    dequantisation; Tipping & Bishop (1999) for PCA's likelihood.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from isthmus import VAE
    >>> choice = choose_n_components(
    ...     VAE(hidden_layer_sizes=(), max_epochs=20, random_state=0), load_iris().data, sizes=(1, 2), random_state=0
    ... )
    >>> [row.n_components for row in choice.table], sorted({row.name for row in choice.baselines})
    ([1, 2], ['FactorAnalysis', 'GaussianMixture', 'PCA'])
    """
    from sklearn.model_selection import train_test_split

    sizes = _checked(estimator, sizes)
    parts = [X] if y is None else [X, y]
    split = train_test_split(*parts, test_size=test_size, random_state=random_state)
    train, test = split[::2], split[1::2]  # X, and y where there is one
    fits, log_px, notes = [], [], []
    for k in sizes:
        start = time.perf_counter()
        fits.append(clone(estimator).set_params(n_components=k).fit(*train))
        seconds = time.perf_counter() - start
        estimate = _estimate(fits[-1], test, n_draws, proposal_scale)
        log_px.append(estimate.value.astype(np.float64))
        notes.append((len(estimate.unreliable()), seconds))
    best, table = _table(sizes, np.stack(log_px), notes)
    rivals = list(_baselines(train[0], test[0], sizes, random_state)) if _compares(fits[0], *train) else []
    return Choice(sizes[best], fits[best], table, rivals, _length(train[0]), _length(test[0]))


def _length(X: Any) -> int:
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)


def _checked(estimator: Any, sizes: Sequence[int]) -> list[int]:
    """Return the sizes in rising order, each once."""
    if not hasattr(estimator, "score_samples_estimate"):
        raise ValueError(
            f"{type(estimator).__name__} has no p(x), by which a size could be chosen; use VAE or ConditionalVAE."
        )
    whole = [isinstance(k, (int, np.integer)) and not isinstance(k, bool) and k > 0 for k in sizes]
    if not (whole and all(whole)):
        raise ValueError(f"sizes={sizes!r} must be whole numbers of at least 1, such as (2, 4, 8).")
    return sorted({int(k) for k in sizes})


def _estimate(model: Any, test: Sequence[Any], n_draws: int, proposal_scale: float) -> LogLikelihoodEstimate:
    """Return log p(x) of the test rows; labels are summed over, other conditions given."""
    given = test[:1] if hasattr(model, "classes_") else test
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"log p\(x\) is unreliable")  # their number is in the table
        found: LogLikelihoodEstimate = model.score_samples_estimate(
            *given, n_draws=n_draws, proposal_scale=proposal_scale
        )
    return found


def _table(sizes: list[int], log_px: np.ndarray, notes: list[tuple[int, float]]) -> tuple[int, list[Size]]:
    """Return the index of the size to take, and a row for each of them, from log p(x) of (sizes, rows)."""
    below = log_px[log_px.mean(axis=1).argmax()] - log_px
    gap, error = below.mean(axis=1), _standard_error(below)
    numbers = np.stack([log_px.mean(axis=1), _standard_error(log_px), gap, error], axis=1).tolist()
    table = [Size(k, m, e, g, ge, n, s) for k, (m, e, g, ge), (n, s) in zip(sizes, numbers, notes, strict=True)]
    return int((gap <= error).argmax()), table


def _standard_error(values: np.ndarray) -> np.ndarray:
    """Return standard errors of the means over the last axis; infinite for a single row."""
    n = values.shape[-1]
    if n < 2:
        return np.full(values.shape[:-1], math.inf)
    return np.asarray(values.std(axis=-1, ddof=1) / math.sqrt(n))


# ---- the rivals ----------------------------------------------------------------------------------------------


def _compares(model: Any, X: Any, y: Any = None) -> bool:
    """Tell whether log p(x) of a model is a density of whole rows, as that of the baselines is."""
    marginal = y is None or hasattr(model, "classes_")
    density = bool(model.model_.likelihood.density_columns().all())
    return marginal and density and bool(np.isfinite(np.asarray(X, dtype=np.float64)).all())


def _baselines(train: Any, test: Any, sizes: list[int], random_state: Any) -> Iterator[Baseline]:
    """Yield what scikit-learn's densities reach."""
    from sklearn.decomposition import PCA, FactorAnalysis

    train, test = (np.asarray(rows, dtype=np.float64) for rows in (train, test))
    for cls in (PCA, FactorAnalysis):
        # With as many components as columns, or as rows, no variance is left for the noise.
        for k in (k for k in sizes if k < min(train.shape)):
            yield _baseline(cls.__name__, k, cls(k, random_state=0).fit(train).score_samples(test))
    mixture = _mixture(train, random_state)
    yield _baseline("GaussianMixture", mixture.n_components, mixture.score_samples(test))


def _baseline(name: str, n_components: int, log_px: np.ndarray) -> Baseline:
    return Baseline(name, n_components, float(log_px.mean()), float(_standard_error(log_px)))


def _mixture(train: np.ndarray, random_state: Any) -> Any:
    """Return the mixture whose settings were best on a quarter of the training rows, fitted to all of them."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture
    from sklearn.model_selection import train_test_split

    seed = as_seed(random_state)
    inner, held = train_test_split(train, test_size=0.25, random_state=seed % 2**32)
    shape = "full" if train.shape[1] <= _WIDEST else "diag"
    variance = float(train.var(axis=0).mean()) or 1.0
    candidates = [
        GaussianMixture(k, covariance_type=shape, reg_covar=floor * variance, random_state=seed % 2**32)
        for k in _MIXTURES
        for floor in _FLOORS
        if k <= len(inner)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # what was reached is what counts
        best = max(candidates, key=lambda mixture: float(mixture.fit(inner).score(held)))
        return best.fit(train)
