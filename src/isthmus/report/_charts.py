"""The charts of a report."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from isthmus import plots
from isthmus.assessment import Examination
from isthmus.report._numbers import score_sets
from isthmus.report.theme import Picture, Theme, new_figure, render
from isthmus.tables import TimeColumn

__all__ = [
    "coverage_chart",
    "dependency_chart",
    "effect_chart",
    "history_chart",
    "information_chart",
    "likelihood_chart",
    "marginal_charts",
    "plane_charts",
]

_WIDE, _HIGH = 9.2, 3.6
_MAX_POINTS = 2000


def _chart(width: float, height: float, draw: Callable[[Any], object], alt: str, caption: str = "") -> Picture:
    """Return a picture of one pair of axes."""

    def figure(_theme: Theme) -> Any:
        made = new_figure(width, height)
        draw(made.subplots())
        return made

    return render(figure, alt, caption, chart=True)


def history_chart(examination: Examination) -> Picture:
    """Draw the training curves."""
    records = list(examination.context.estimator.history_)
    return _chart(
        _WIDE,
        _HIGH,
        lambda ax: plots.history(_thinned(records), ax=ax),
        f"The terms of the loss by epoch, {len(records)} epochs.",
        "Terms of the loss, in nats per row of the scaled data.",
    )


def _thinned(records: list[dict[str, float]], n: int = 500) -> list[dict[str, float]]:
    """Return at most about n records, with the first and the last."""
    if len(records) <= n:
        return records
    return [records[i] for i in np.linspace(0, len(records) - 1, n).round().astype(int)]


def information_chart(examination: Examination) -> Picture:
    """Draw the information of each unit."""
    latent = examination.assessment.latent
    return _chart(
        _WIDE,
        _HIGH,
        lambda ax: plots.kl_per_unit(latent, ax=ax),
        f"Bars of the information of each latent unit; {latent.active_units if latent else 0} units are active.",
        "Mean divergence of each unit's posterior from its marginal prior, largest first; at most 64 units.",
    )


def likelihood_chart(examination: Examination) -> Picture:
    """Draw histograms of log p(x)."""
    sets = score_sets(examination)
    return _chart(
        _WIDE,
        _HIGH,
        lambda ax: plots.log_likelihoods(sets, xlabel=f"{examination.score_name}, nats", ax=ax),
        f"Histograms of {examination.score_name} of {', of '.join(sets)}.",
        "The lowest 0.5 % are in the first bin. Means are in the legend.",
    )


def coverage_chart(examination: Examination) -> Picture:
    """Draw the coverage of imputations."""
    return _chart(
        5.2,
        4.2,
        lambda ax: plots.coverage(examination.assessment.imputation, ax=ax),
        "Share of hidden cells in central intervals of their imputations, against the nominal share.",
        "On the dashed line, intervals are as wide as they should be; below it they are too narrow.",
    )


def effect_chart(examination: Examination) -> Picture:
    """Draw what each unit moves."""
    effects = examination.effects
    assert effects is not None
    shown, total = len(effects.columns), effects.n_columns
    more = f" {shown} of {total} columns, those that are moved most." if shown < total else ""
    stars = " *: share of rows whose most probable level changes." if any(effects.is_category) else ""
    width = min(9.2, 3.4 + 0.55 * len(effects.units))
    return _chart(
        width,
        1.3 + 0.3 * len(effects.columns),
        lambda ax: plots.unit_effects(effects, ax=ax),
        f"A heat map of the change of {len(effects.columns)} columns by {len(effects.units)} latent units.",
        "Change of the decoded column when a unit goes from its 10 % to its 90 % quantile and the others stay, in "
        f"standard deviations.{stars}{more}",
    )


def dependency_chart(examination: Examination) -> Picture:
    """Draw the dependencies between columns."""
    result = examination.dependencies
    assert result is not None
    size = min(9.2, 3.4 + 0.33 * len(result.columns))
    return _chart(
        size,
        0.86 * size,
        lambda ax: plots.dependencies(result, ax=ax),
        f"A heat map of dependencies between {len(result.columns)} columns, in rows and in samples.",
        "Cramér's V of each pair of columns, with numbers in five classes: in the rows below the diagonal, in samples "
        "above it. A model that knows all dependencies gives a symmetric picture.",
    )


def marginal_charts(examination: Examination) -> Picture:
    """Draw the distributions of columns in rows and samples."""
    columns = examination.marginals
    n_wide = min(4, len(columns))
    n_high = math.ceil(len(columns) / n_wide)

    def draw(_theme: Theme) -> Any:
        figure = new_figure(2.3 * n_wide, 1.9 * n_high)
        axes = np.atleast_1d(figure.subplots(n_high, n_wide)).ravel()
        for ax, column in zip(axes, columns, strict=False):
            plots.marginal(column, ax=ax)
            ax.tick_params(labelsize=7.5)
            ax.set_ylabel("")
        for ax in axes[len(columns) :]:
            ax.set_axis_off()
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
        return figure

    return render(
        draw,
        f"Distributions of {len(columns)} columns in the rows and in samples of the model.",
        "In % of the rows and of the samples; the columns in which they differ most come first.",
        chart=True,
    )


def plane_charts(examination: Examination) -> list[Picture]:
    """Draw the plane of the two most informative units, by labels or by the columns that they move most."""
    latent, codes = examination.assessment.latent, examination.codes
    size = np.var(codes, axis=0) if latent is None or latent.kl_per_unit is None else np.asarray(latent.kl_per_unit)
    first, second = (int(k) for k in np.argsort(-size, kind="stable")[:2])
    shown = np.arange(len(codes))[:_MAX_POINTS]
    by = _colours(examination, (first, second))
    return [_plane(codes[shown], None if v is None else v[shown], (first, second), name) for name, v in by.items()]


def _plane(codes: np.ndarray, values: Any, units: tuple[int, int], name: str) -> Picture:
    """Draw the plane of two units, coloured by values of this name."""
    first, second = units
    coloured = f", coloured by {name}" if name else ""
    return _chart(
        6.6,
        4.9,
        lambda ax: plots.latent_plane(codes, values, units=units, label=name, ax=ax),
        f"Codes of {len(codes)} rows in the plane of units {first} and {second}{coloured}.",
        f"The two units with the most information{coloured}.",
    )


def _colours(examination: Examination, units: tuple[int, int]) -> dict[str, Any]:
    """Return what the plane is coloured by: labels, or up to two columns that its units move most."""
    if examination.labels is not None and examination.labels.ndim == 1:
        return {"label": examination.labels}
    effects, table = examination.effects, examination.context.table
    if effects is None:
        return {"": None}
    own = examination.context.cells(examination.context.rows()).names if table is None else table.columns
    names = list(map(str, own))
    result: dict[str, Any] = {}
    for unit in units:
        if unit not in effects.units:
            continue
        strength = np.abs(effects.values[effects.units.index(unit)])
        column = effects.columns[int(strength.argmax())]
        d = names.index(column)
        result[column] = examination.context.X[:, d] if table is None else _values(examination, d)
    return result or {"": None}


def _values(examination: Examination, d: int) -> np.ndarray:
    """Return the cells of a column of a table; dates that are texts are times."""
    cells, learned = examination.context.table.iloc[:, d], examination.context.estimator._codec.columns[d]
    return learned.times(cells) if isinstance(learned, TimeColumn) else np.asarray(cells.to_numpy())
