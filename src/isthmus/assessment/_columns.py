"""Metrics of single columns: the effect of each unit, marginal distributions, and dependencies."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from isthmus.assessment._cells import Cells, as_pandas, column_means, learned_columns
from isthmus.assessment._context import Context
from isthmus.assessment._metrics import standard_deviations
from isthmus.assessment._results import ReconstructionResult
from isthmus.tables import CategoryColumn, TimeColumn
from isthmus.tables._cells import as_text, level_from_json

__all__ = [
    "Dependencies",
    "Effects",
    "Marginal",
    "decode",
    "dependencies",
    "marginals",
    "strongest_dependence",
    "unit_effects",
]

Array = np.ndarray

_N_ROWS = 200  # whose units are changed
_MAX_UNITS = 32
_MAX_COLUMNS = 30  # that are shown
_N_BINS = 20
_MAX_LEVELS = 12  # that a marginal distribution lists; the others are one
_N_CLASSES = 5  # of numbers, for dependencies


class Effects(NamedTuple):
    """The effect of each latent unit on the columns.

    Attributes
    ----------
    units : list of int
        Units, the most active first.
    columns : list of str
        Columns, at most 30: those that change most.
    values : list of list of float
        For each unit and column, the change when the unit goes from its 10 % to its 90 % quantile and all others stay:
        of the decoded mean, in standard deviations of the column, or for categories the share of rows whose most
        probable level changes.
    is_category : list of bool
        Which columns are categories.
    n_columns : int
        Number of all columns.
    """

    units: list[int]
    columns: list[str]
    values: list[list[float]]
    is_category: list[bool]
    n_columns: int


class Marginal(NamedTuple):
    """The distribution of a column in the rows and in samples of the model.

    Attributes
    ----------
    name : str
        Name of the column.
    distance : float
        Total variation distance of both histograms: 0 if they are equal, 1 if they do not overlap.
    is_date : bool
        Whether numbers are days since 1970.
    edges : list of float or None
        Edges of the bins; the first and the last bin also hold what lies outside.
    levels : list of str or None
        Levels of a category, by frequency.
    rows, samples : list of float
        Share of each bin or level.
    """

    name: str
    distance: float
    is_date: bool
    edges: list[float] | None
    levels: list[str] | None
    rows: list[float]
    samples: list[float]


class Dependencies(NamedTuple):
    """Dependencies between pairs of columns, in the rows and in samples of the model.

    Attributes
    ----------
    columns : list of str
        At most 30 columns, those that depend most on others.
    rows, samples : list of list of float
        Cramer's V of each pair, with numbers in five classes of equal frequency: 0 if they are independent, and 1 if
        one determines the other. The diagonal is 1.
    difference : float
        Mean absolute difference between both.
    """

    columns: list[str]
    rows: list[list[float]]
    samples: list[list[float]]
    difference: float


def decode(ctx: Context, Z: Array, index: Array) -> Any:
    """Return the decoded means of codes, with the conditions of some rows; without y, labels are predicted."""
    estimator = ctx.estimator
    if not estimator.conditional:
        decoded = estimator.inverse_transform(Z)
    else:
        y = ctx.call("predict", index) if ctx.y is None else ctx.given(index)
        decoded = estimator.inverse_transform(Z, y=y)
    return decoded if ctx.table is None else as_pandas(decoded, estimator._codec)


def unit_effects(ctx: Context, Z: Array) -> Effects:
    """Return what each unit moves, from the codes Z (N, K) of the rows."""
    index = ctx.subset(_N_ROWS)
    cells, codes = ctx.cells(ctx.rows()), np.asarray(Z)[index]
    units = np.argsort(-np.var(Z, axis=0), kind="stable")[:_MAX_UNITS]
    deviation = standard_deviations(cells.values)
    values = []
    for k in units:
        ends = []
        for level in (0.1, 0.9):
            moved = codes.copy()
            moved[:, k] = np.quantile(Z[:, k], level)
            ends.append(ctx.cells(decode(ctx, moved, index)).values.astype(np.float64))
        low, high = ends
        changed = np.mean(low != high, axis=0)
        values.append(np.where(cells.is_category, changed, column_means(high - low) / deviation))
    effects = np.array(values)
    shown = np.sort(np.argsort(-np.nanmax(np.abs(effects), axis=0), kind="stable")[:_MAX_COLUMNS])
    return Effects(
        units.tolist(),
        [cells.names[d] for d in shown],
        np.nan_to_num(effects[:, shown]).tolist(),
        cells.is_category[shown].tolist(),
        len(cells.names),
    )


# ---- distributions -------------------------------------------------------------------------------------------


def marginals(ctx: Context, drawn: Any) -> list[Marginal]:
    """Return the distributions of the 30 columns in which rows and samples differ most, the worst first."""
    real, generated = ctx.cells(ctx.rows()), ctx.cells(drawn)
    names, codec = _level_names(ctx), ctx.estimator._codec
    dates = {str(c.name) for c in codec.columns if isinstance(c, TimeColumn)} if codec else set()
    found = [
        _marginal(
            name, real.values[:, d].astype(np.float64), generated.values[:, d].astype(np.float64), names.get(name)
        )
        for d, name in enumerate(real.names)
    ]
    kept = [m._replace(is_date=m.name in dates and m.edges is not None) for m in found if m is not None]
    return sorted(kept, key=lambda marginal: -marginal.distance)[:_MAX_COLUMNS]


def _level_names(ctx: Context) -> dict[str, list[str]]:
    """Return the names of the levels of categories, by column."""
    if ctx.table is None:
        return {}
    columns = [c for c in learned_columns(ctx.estimator._codec) if isinstance(c, CategoryColumn)]
    return {str(c.name): [as_text(level_from_json(level)) for level in c.values] for c in columns}


def _marginal(name: str, real: Array, generated: Array, levels: list[str] | None) -> Marginal | None:
    """Return the distributions of one column; None if nothing of it is observed."""
    real, generated = real[~np.isnan(real)], generated[~np.isnan(generated)]
    if not len(real) or not len(generated):
        return None
    if levels is None:
        distinct = np.unique(real)
        if len(distinct) <= _MAX_LEVELS and np.isin(generated, distinct).all():
            levels = [f"{value:g}" for value in distinct]
            real, generated = (np.searchsorted(distinct, part) for part in (real, generated))
        else:
            return _histogram(name, real, generated)
    counts = [np.bincount(part.astype(int), minlength=len(levels))[: len(levels)] for part in (real, generated)]
    order = np.argsort(-counts[0], kind="stable")
    shares = [count[order] / max(1, count.sum()) for count in counts]
    distance = 0.5 * float(np.abs(shares[0] - shares[1]).sum())
    shown = [levels[i] for i in order]
    if len(shown) > _MAX_LEVELS:
        shares = [np.append(share[: _MAX_LEVELS - 1], share[_MAX_LEVELS - 1 :].sum()) for share in shares]
        shown = [*shown[: _MAX_LEVELS - 1], f"{len(levels) - _MAX_LEVELS + 1} others"]
    return Marginal(name, distance, False, None, shown, *(share.tolist() for share in shares))


def _histogram(name: str, real: Array, generated: Array) -> Marginal:
    """Return the distributions of a column of numbers in bins of equal width, most of which hold rows."""
    low, high = np.quantile(real, [0.01, 0.99])
    if not high > low:
        low, high = float(real.min()), float(real.max())
    high = high if high > low else low + 1.0
    edges = np.linspace(low, high, _N_BINS + 1)
    shares = [np.histogram(np.clip(part, low, high), edges)[0] / len(part) for part in (real, generated)]
    distance = 0.5 * float(np.abs(shares[0] - shares[1]).sum())
    return Marginal(name, distance, False, edges.tolist(), None, *(share.tolist() for share in shares))


# ---- dependencies --------------------------------------------------------------------------------------------


def dependencies(ctx: Context, drawn: Any) -> Dependencies:
    """Return the dependencies between the 30 columns that depend most on others.

    Raises
    ------
    ValueError
        If fewer than two columns vary; the message is the reason.
    """
    real, generated = ctx.cells(ctx.rows()), ctx.cells(drawn)
    varies = [d for d in range(len(real.names)) if len(np.unique(real.values[~np.isnan(real.values[:, d]), d])) > 1]
    if len(varies) < 2:
        raise ValueError("fewer than two columns vary")
    varies = _most_correlated(real, varies)
    classes = [_classes(real, d) for d in varies]
    own, other = (
        np.array([[_cramers_v(a(values), b(values)) for b in classes] for a in classes])
        for values in (real.values, generated.values)
    )
    strength = own.sum(axis=1)
    shown = np.sort(np.argsort(-strength, kind="stable")[:_MAX_COLUMNS])
    own, other = own[np.ix_(shown, shown)], other[np.ix_(shown, shown)]
    pairs = ~np.eye(len(shown), dtype=bool)
    return Dependencies(
        [real.names[varies[i]] for i in shown], own.tolist(), other.tolist(), float(np.abs(own - other)[pairs].mean())
    )


def strongest_dependence(ctx: Context, reconstruction: ReconstructionResult) -> dict[str, float]:
    """Return the largest Cramer's V with any other column, by name, of at most 30 columns that are explained least."""
    cells = ctx.cells(ctx.rows())
    columns = [c for c in reconstruction.columns if c.baseline > 0]
    least = [cells.names.index(c.name) for c in sorted(columns, key=lambda c: c.explained)[:_MAX_COLUMNS]]
    others = _most_correlated(cells, [cells.names.index(c.name) for c in columns])
    classes = {d: _classes(cells, d)(cells.values) for d in {*least, *others}}
    return {
        cells.names[d]: max((_cramers_v(classes[d], classes[i]) for i in others if i != d), default=0.0) for d in least
    }


def _most_correlated(cells: Cells, columns: list[int]) -> list[int]:
    """Return at most 60 columns, those of numbers by their correlations: the cost of all pairs is quadratic."""
    limit = 2 * _MAX_COLUMNS
    if len(columns) <= limit:
        return columns
    values = cells.values[:, columns]
    points = np.nan_to_num((values - column_means(values)) / standard_deviations(values))
    strength = np.abs(points.T @ points).sum(axis=1)
    return sorted(columns[i] for i in np.argsort(-strength, kind="stable")[:limit])


def _classes(cells: Cells, d: int) -> Any:
    """Return a function from values (N, C) to the classes of a column, (N,): levels, or five classes of numbers."""
    if cells.is_category[d]:
        return lambda values: values[:, d]
    column = cells.values[:, d]
    edges = np.unique(np.nanquantile(column.astype(np.float64), np.linspace(0, 1, _N_CLASSES + 1)[1:-1]))

    def classify(values: Array) -> Array:
        own = values[:, d].astype(np.float64)
        return np.where(np.isnan(own), np.nan, np.searchsorted(edges, own, side="left"))

    return classify


def _cramers_v(a: Array, b: Array) -> float:
    """Return Cramer's V of two columns of classes, corrected for its bias (Bergsma, 2013)."""
    seen = ~(np.isnan(a) | np.isnan(b))
    if not seen.any():
        return 0.0
    _, rows = np.unique(a[seen], return_inverse=True)
    _, columns = np.unique(b[seen], return_inverse=True)
    r, c, n = int(rows.max()) + 1, int(columns.max()) + 1, len(rows)
    if min(r, c, n) < 2:
        return 0.0
    table = np.bincount(rows * c + columns, minlength=r * c).reshape(r, c)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    phi = float((np.square(table - expected) / expected).sum()) / n
    phi = max(0.0, phi - (r - 1) * (c - 1) / (n - 1))
    size = min(r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)) - 1
    return float(min(1.0, np.sqrt(phi / size))) if size > 0 else 0.0
