"""Simple models on the same rows: what a model has to be better than."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from isthmus.assessment._cells import column_means
from isthmus.assessment._context import Context, column_scales
from isthmus.assessment._metrics import explained_share, standard_deviations
from isthmus.assessment.model_selection import fit_mixture

__all__ = ["LinearReconstruction", "Reference", "density_references", "independent_columns", "linear_reconstruction"]

Array = np.ndarray

_N_FOLDS = 3
_Fit = Callable[[Array], Any]


class Reference(NamedTuple):
    """A density model of scikit-learn, or of independent columns.

    Attributes
    ----------
    name : str
        "PCA", "FactorAnalysis", "GaussianMixture" or "independent columns".
    n_components : int or None
        Its latent units, or components.
    scores : ndarray of shape (N,)
        log p(x) of each row, in nats of the data's units.
    """

    name: str
    n_components: int | None
    scores: Array

    def __str__(self) -> str:
        if self.n_components is None:
            return f"a model of {self.name}"
        what = "components" if self.name == "GaussianMixture" else "units"
        return f"{self.name} with {self.n_components} {what}"


class LinearReconstruction(NamedTuple):
    """Reconstructions by PCA and by the model: explained shares of the variance, or of wrong levels."""

    n_components: int
    explained: float
    explained_by_model: float


def folds(n: int, seed: int) -> Iterator[tuple[Array, Array]]:
    """Yield the indices to fit to and those to score, for three folds."""
    order = np.random.default_rng(seed).permutation(n)
    for fold in range(_N_FOLDS):
        chosen = np.zeros(n, dtype=bool)
        chosen[order[fold::_N_FOLDS]] = True
        yield np.flatnonzero(~chosen), np.flatnonzero(chosen)


def held_out(fit: _Fit, use: Callable[[Any, Array], Array], X: Array, train: Array | None, seed: int) -> Array:
    """Return what a model says of rows that it was not fitted to: fitted to `train`, or to the other folds of X."""
    if train is not None:
        return use(fit(train), X)
    parts = [(score, use(fit(X[own]), X[score])) for own, score in folds(len(X), seed)]
    result = np.empty((len(X), *parts[0][1].shape[1:]))
    for index, values in parts:
        result[index] = values
    return result


# ---- densities -----------------------------------------------------------------------------------------------


def density_references(ctx: Context, train: Context | None, n_components: int) -> list[Reference]:
    """Return log p(x) of PCA, FactorAnalysis and GaussianMixture for the rows, from the best to the worst.

    Raises
    ------
    ValueError
        If they cannot be compared with the model; the message is the reason.
    """
    from sklearn.decomposition import PCA, FactorAnalysis

    reason = _incomparable(ctx)
    if reason:
        raise ValueError(reason)
    X, own = ctx.X.astype(np.float64), None if train is None else train.X.astype(np.float64)
    k = min(n_components, X.shape[1] - 1, (2 * len(X)) // 3 - 1)
    found = []
    if k >= 1:
        for cls in (PCA, FactorAnalysis):
            scores = held_out(lambda rows, c=cls: c(k, random_state=0).fit(rows), _score, X, own, ctx.seed)  # type: ignore[misc]
            found.append(Reference(cls.__name__, k, scores))
    first = own if own is not None else X[next(folds(len(X), ctx.seed))[0]]
    mixture = fit_mixture(first, ctx.seed)
    scores = held_out(mixture.fit, _score, X, own, ctx.seed)
    found.append(Reference("GaussianMixture", int(mixture.n_components), scores))
    finite = [reference for reference in found if np.isfinite(reference.scores).all()]
    return sorted(finite, key=lambda reference: -float(reference.scores.mean()))


def _score(model: Any, rows: Array) -> Array:
    return np.asarray(model.score_samples(rows), dtype=np.float64)


def _incomparable(ctx: Context) -> str:  # noqa: PLR0911 - one line per reason
    """Return why densities of scikit-learn's models cannot be compared with the model's, or nothing."""
    estimator, X = ctx.estimator, ctx.X
    if not estimator.has_density:
        return f"{ctx.name} has no density p(x)"
    if ctx.table is not None or not bool(estimator.model_.likelihood.density_columns().all()):
        return "the model has probabilities of levels or counts, which cannot be compared with densities"
    if estimator.conditional:
        return "the model is conditional on y, and these models are not"
    if np.isnan(X).any():
        return "cells are missing, which these models do not take"
    if (np.round(X) == X).all():
        return (
            "all values are whole numbers, whose density has no upper bound (fit to X + uniform noise on [0, 1) to "
            "compare)"
        )
    if (X[0] == X).all(axis=0).any():
        return "a column is constant, where the density of these models has no upper bound"
    if len(X) < _MIN_ROWS:
        return f"{len(X)} rows are too few to fit them to"
    return ""


_MIN_ROWS = 30


def independent_columns(ctx: Context, train: Context | None) -> Reference:
    """Return log p(x) of a model of independent columns: normal ones, and levels with their frequencies.

    Numbers of a table are normal after the map of its codec, and the result is in the units of the table, so that it
    is comparable with the model's log p(x) for tables of any columns.

    Raises
    ------
    ValueError
        If the likelihood of a column is neither normal nor that of levels; the message is the reason.
    """
    estimator = ctx.estimator
    if not estimator.has_density:
        raise ValueError(f"{ctx.name} has no density p(x)")
    levels = _levels(ctx)
    if ctx.table is None and not bool(estimator.model_.likelihood.density_columns().all()):
        raise ValueError("the likelihood is that of levels or counts, not a density")
    if ctx.table is None and (np.round(ctx.X) == ctx.X).all():
        raise ValueError("all values are whole numbers, whose density has no upper bound")
    scores = held_out(
        lambda rows: _Independent(rows, levels),
        lambda model, rows: model.score_samples(rows),
        ctx.X.astype(np.float64),
        None if train is None else train.X.astype(np.float64),
        ctx.seed,
    )
    if ctx.table is not None:
        gains = estimator._codec.log_det(ctx.X)
        scores = scores + np.where(np.isnan(ctx.X), 0.0, gains).sum(axis=1)
    return Reference("independent columns", None, scores)


def _levels(ctx: Context) -> Array:
    """Return the number of levels of each column of the matrix, (D,): 0 for numbers.

    Raises
    ------
    ValueError
        If a column has another likelihood.
    """
    codec = ctx.estimator._codec
    if codec is None:
        return np.zeros(ctx.X.shape[1], dtype=int)
    likelihoods = [likelihood for column in codec.columns for likelihood in column.likelihoods()]
    likelihoods += ["bernoulli"] * (ctx.X.shape[1] - len(likelihoods))
    result = []
    for likelihood in likelihoods:
        name = likelihood if isinstance(likelihood, str) else type(likelihood).__name__.lower()
        if name == "gaussian":
            result.append(0)
        elif name == "bernoulli":
            result.append(2)
        elif hasattr(likelihood, "n_levels") and likelihood.n_levels:
            result.append(int(likelihood.n_levels[0]))
        else:
            raise ValueError(f"a column has the likelihood {likelihood!r}")
    return np.array(result)


class _Independent:
    """Independent columns: normal distributions, and levels with their frequencies."""

    def __init__(self, X: Array, levels: Array) -> None:
        self.levels = levels
        self.mean = np.nan_to_num(column_means(X))
        self.variance = np.nan_to_num(column_means(np.square(X - self.mean)), nan=1.0)
        self.variance[self.variance <= 0] = 1.0
        self.frequencies = {
            d: np.log((_counts(X[:, d], levels[d]) + 0.5) / (np.isfinite(X[:, d]).sum() + 0.5 * levels[d]))
            for d in np.flatnonzero(levels)
        }

    def score_samples(self, X: Array) -> Array:
        """Return log p(x), (N,), of the observed cells."""
        scores = -0.5 * (np.square(X - self.mean) / self.variance + np.log(2 * math.pi * self.variance))
        for d, log_frequency in self.frequencies.items():
            seen = ~np.isnan(X[:, d])
            scores[seen, d] = log_frequency[X[seen, d].astype(int)]
        result: Array = np.nansum(scores, axis=1)
        return result


def _counts(column: Array, n_levels: int) -> Array:
    return np.bincount(column[~np.isnan(column)].astype(int), minlength=n_levels)[:n_levels]


# ---- reconstructions -----------------------------------------------------------------------------------------


def linear_reconstruction(ctx: Context, train: Context | None, n_components: int) -> LinearReconstruction:
    """Return the reconstructions of PCA with as many components, and those of the model.

    Columns are divided by their standard deviations, or by one number where their ranges are similar. In a table, each
    level is a column of 0 and 1, and the largest one is the reconstructed level.

    Raises
    ------
    ValueError
        If there are too few rows or columns; the message is the reason.
    """
    from sklearn.decomposition import PCA

    cells = ctx.cells(ctx.rows())
    table = ctx.table is not None
    scales = standard_deviations(cells.values) if table else column_scales(cells.values)
    scales = np.where(np.isfinite(scales) & (scales > 0), scales, 1.0)
    points = cells.points(cells.values, scales)
    own = None if train is None else cells.points(train.cells(train.rows()).values, scales)
    k = min(n_components, points.shape[1], (len(points) if own is None else len(own)) * 2 // 3)
    if k < 1 or len(points) < _MIN_ROWS:
        raise ValueError(f"{len(points)} rows are too few to fit PCA to")
    rebuilt = held_out(
        lambda rows: PCA(k, random_state=0).fit(rows),
        lambda pca, rows: pca.inverse_transform(pca.transform(rows)),
        points,
        own,
        ctx.seed,
    )
    values = cells.from_points(rebuilt, scales)
    shares = [
        explained_share(
            part, cells.errors(np.broadcast_to(cells.guess(), cells.values.shape)), scales, pooled=not table
        )
        for part in (cells.errors(values), cells.errors(ctx.cells(ctx.call("reconstruct")).values))
    ]
    return LinearReconstruction(k, *shares)
