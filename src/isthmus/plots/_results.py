"""Figures of the results of :mod:`isthmus.assessment`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from isthmus.plots._images import PALETTE, add_grid, new_axes, use_dates

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["coverage", "dependencies", "kl_per_unit", "log_likelihoods", "marginal", "unit_effects"]

_N_BINS = 40
_MAX_BARS = 64
_MAX_WRITTEN = 160  # cells of a heat map with their numbers
_MAX_NAME = 24


def kl_per_unit(latent: Any, *, ax: Axes | None = None) -> Axes:
    """Draw the information of each latent unit as bars, largest first; units that are not active are hatched.

    At most 64 are drawn. It is the mean KL divergence of the posterior from the marginal prior, if that is known;
    otherwise the variance of the code.

    Parameters
    ----------
    latent : LatentResult
        The part ``latent`` of what :func:`isthmus.assessment.assess` returns.
    ax : Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    Axes

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from isthmus import VAE
    >>> from isthmus.assessment import assess
    >>> X = load_iris().data
    >>> ax = kl_per_unit(assess(VAE(2, max_epochs=2, random_state=0).fit(X), X, n_draws=10).latent)
    """
    known = latent.kl_per_unit is not None
    values = np.asarray(latent.kl_per_unit if known else latent.activity)
    order = np.argsort(-values, kind="stable")[:_MAX_BARS]
    active = np.asarray(latent.activity)[order] > 0.01
    ax = ax or new_axes(12, 5)
    colors = np.where(active, PALETTE[0], PALETTE[3])
    bars = ax.bar(np.arange(len(order)), values[order], color=colors, width=0.8)
    for bar, on in zip(bars, active, strict=True):
        bar.set_hatch("" if on else "////")
    wide = 0.05 + 0.085 * len(str(order.max()))  # inches of a number
    every = math.ceil(len(order) * wide * ax.figure.dpi / ax.bbox.width)
    ax.set_xticks(np.arange(len(order))[::every], [str(k) for k in order[::every]])
    ax.set(xlabel="latent unit", ylabel="KL, nats per row" if known else "variance of the code")
    if not active.all():
        ax.bar([0], [0], color=PALETTE[3], hatch="////", label="not active")
        ax.legend(frameon=False, loc="upper right")
    add_grid(ax)
    return ax


def log_likelihoods(scores: Mapping[str, ArrayLike], *, xlabel: str = "log p(x), nats", ax: Axes | None = None) -> Axes:
    """Draw histograms of the log-likelihoods of rows under several models, or of several sets of rows.

    Parameters
    ----------
    scores : mapping of str to array-like of shape (N,)
        log p(x) of each row, in nats, by the name in the legend; the first is filled.
    xlabel : str, default="log p(x), nats"
        Label of the axis.
    ax : Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If there are no finite scores.

    Examples
    --------
    >>> ax = log_likelihoods({"rows": [-1.0, -2.0, -1.5], "samples": [-1.2, -1.1]})
    """
    values = {name: np.asarray(score, dtype=np.float64) for name, score in scores.items()}
    values = {name: score[np.isfinite(score)] for name, score in values.items()}
    together = np.concatenate(list(values.values())) if values else np.empty(0)
    if not len(together):
        raise ValueError("scores has no finite log-likelihood to draw.")
    low, high = np.quantile(together, [0.005, 1.0])
    edges = np.linspace(low, high if high > low else low + 1.0, _N_BINS + 1)
    ax = ax or new_axes(12, 5)
    for k, (name, score) in enumerate(values.items()):
        share = np.histogram(np.clip(score, low, None), edges)[0] / max(1, len(score))
        label = f"{name}: {score.mean():.2f}".replace(": -", ": −") if len(score) else name
        if k == 0:
            ax.stairs(100 * share, edges, fill=True, color=PALETTE[0], alpha=0.6, label=label)
        else:
            style = ("-", "--", ":", "-.")[(k - 1) % 4]
            ax.stairs(100 * share, edges, color=PALETTE[k % len(PALETTE)], linestyle=style, linewidth=1.6, label=label)
    ax.set(xlabel=xlabel, ylabel="rows, %")
    ax.set_ylim(0, (1.05 + 0.12 * len(values)) * ax.get_ylim()[1])  # space for the legend
    return _with_legend(ax, title="mean", alignment="left")


def coverage(imputation: Any, *, ax: Axes | None = None) -> Axes:
    """Draw which share of hidden cells lies in central intervals of the imputations, against their nominal share.

    Parameters
    ----------
    imputation : ImputationResult
        The part ``imputation`` of what :func:`isthmus.assessment.assess` returns.
    ax : Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If there are no intervals, since the model has no density or no numbers were hidden.
    """
    if not imputation.coverage:
        raise ValueError("there are no intervals to draw: the model has no density, or no numbers were hidden.")
    n = len(imputation.coverage)
    nominal = 100 * np.arange(1, n + 1) / (n + 1)
    ax = ax or new_axes(7, 6)
    ax.plot([0, 100], [0, 100], color=PALETTE[3], linestyle="--", label="calibrated")
    ax.plot(nominal, 100 * np.asarray(imputation.coverage), color=PALETTE[0], marker="o", label="imputations")
    ax.set(xlabel="interval, %", ylabel="hidden cells inside, %", xlim=(0, 100), ylim=(0, 100))
    return _with_legend(ax)


def unit_effects(effects: Any, *, ax: Axes | None = None) -> Axes:
    """Draw what each latent unit moves, as a heat map of units by columns; of those with a star, the levels.

    A column moves by so many of its standard deviations, or the most probable level changes in such a share of rows.

    Parameters
    ----------
    effects : Effects
        The part ``effects`` of what :func:`isthmus.assessment.examine` returns.
    ax : Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    Axes
    """
    values = np.asarray(effects.values).T  # (columns, units)
    limit = max(1.0, float(np.abs(values).max(initial=0.0)))
    names = [
        f"{_short(name)}{' *' if own else ''}" for name, own in zip(effects.columns, effects.is_category, strict=True)
    ]
    ax = ax or new_axes(2 + 0.16 * max(map(len, names)) + 0.8 * values.shape[1], 1.5 + 0.6 * values.shape[0])
    written = _fit_cells(ax, values.shape, names, square=False)
    _heat_map(ax, values, "RdBu_r", (-limit, limit), "change, standard deviations", aspect="auto")
    ax.set_xticks(range(values.shape[1]), [str(k) for k in effects.units])
    ax.set_yticks(range(values.shape[0]), names)
    ax.set_xlabel("latent unit")
    if written:
        _write_cells(ax, values, limit)
    return ax


def marginal(column: Any, *, ax: Axes | None = None) -> Axes:
    """Draw the distribution of a column in the rows, filled blue, and in samples of the model, red.

    Call ``ax.legend()`` for a legend.

    Parameters
    ----------
    column : Marginal
        One of the ``marginals`` of what :func:`isthmus.assessment.examine` returns.
    ax : Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    Axes
    """
    ax = ax or new_axes(6, 4)
    rows, drawn = 100 * np.asarray(column.rows), 100 * np.asarray(column.samples)
    if column.edges is None:
        place = np.arange(len(rows))
        ax.bar(place - 0.2, rows, width=0.4, color=PALETTE[0], label="rows")
        ax.bar(place + 0.2, drawn, width=0.4, color=PALETTE[2], label="samples")
        names = [_short(level, 12) for level in column.levels]
        fits = 0.09 * max(map(len, names)) * len(names) <= ax.bbox.width / ax.figure.dpi  # inches
        rotation = 0 if fits else 45
        ax.set_xticks(place, names, rotation=rotation, ha="center" if rotation == 0 else "right")
    else:
        ax.stairs(rows, column.edges, fill=True, color=PALETTE[0], alpha=0.6, label="rows")
        ax.stairs(drawn, column.edges, color=PALETTE[2], linewidth=1.6, label="samples")
        if column.is_date:
            use_dates(ax.xaxis, 2, 4)
    ax.set_title(_short(column.name), fontsize=10)
    ax.set_ylabel("share, %")
    add_grid(ax)
    return ax


def dependencies(result: Any, *, ax: Axes | None = None) -> Axes:
    """Draw the dependencies between columns: those in the rows below the diagonal, those in samples above it.

    Parameters
    ----------
    result : Dependencies
        The part ``dependencies`` of what :func:`isthmus.assessment.examine` returns.
    ax : Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    Axes
    """
    rows, drawn = np.asarray(result.rows), np.asarray(result.samples)
    n = len(rows)
    values = np.where(np.tri(n, dtype=bool), rows, drawn)
    np.fill_diagonal(values, np.nan)
    ax = ax or new_axes(4 + 0.8 * n, 3 + 0.8 * n)
    names = [_short(name, 16) for name in result.columns]
    written = _fit_cells(ax, values.shape, names, square=True)
    _heat_map(ax, values, "viridis", (0.0, 1.0), "Cramér's V")
    ax.set_xticks(range(n), names, rotation=90 if n > 4 else 0)
    ax.set_yticks(range(n), names)
    ax.set_xlabel("below: rows, above: samples")
    for i, j in zip(*np.nonzero(~np.eye(n, dtype=bool)), strict=True):
        if written:
            color = "#ffffff" if values[i, j] < 0.6 else "#111111"
            ax.text(j, i, f"{values[i, j]:.2f}", ha="center", va="center", fontsize=8, color=color)
    return ax


def _with_legend(ax: Axes, *, title: str | None = None, alignment: Literal["left", "center"] = "center") -> Axes:
    """Return axes with a legend and a grid."""
    ax.legend(frameon=False, title=title, alignment=alignment, loc="upper left")
    add_grid(ax)
    return ax


def _heat_map(
    ax: Axes,
    values: Any,
    cmap: str,
    limits: tuple[float, float],
    label: str,
    *,
    aspect: Literal["equal", "auto"] = "equal",
) -> None:
    """Draw numbers as colours, with a bar that says what they mean."""
    image = ax.imshow(values, cmap=cmap, vmin=limits[0], vmax=limits[1], aspect=aspect)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    ax.figure.colorbar(image, ax=ax, pad=0.02, label=label)


def _fit_cells(ax: Axes, shape: tuple[int, ...], names: list[str], *, square: bool) -> bool:
    """Write the names of a heat map's rows no larger than its cells, and return whether numbers fit into these.

    If cells are square, the names are also those of its columns.
    """
    n_rows, n_columns = shape
    longest = 0.0083 * max(map(len, names), default=0)  # inches of a name, for each point of its size
    width, height = np.array([ax.bbox.width, ax.bbox.height]) / ax.figure.dpi / 0.8  # with the margins of the axes
    height -= 0.4
    points = min(10.0, height / (n_rows / 68 + (longest if square else 0.0)))
    ax.tick_params(labelsize=max(4.0, points))
    cell = [(width - points * longest - 0.9) / n_columns, (height - (points * longest if square else 0.0)) / n_rows]
    if square:
        cell = [min(cell)] * 2
    return n_rows * n_columns <= _MAX_WRITTEN and cell[0] >= 0.19 and cell[1] >= 0.13


def _write_cells(ax: Axes, values: Any, limit: float) -> None:
    """Write the numbers of a heat map into its cells."""
    for (i, j), value in np.ndenumerate(values):
        color = "#111111" if abs(value) < 0.55 * limit else "#ffffff"
        text = f"{value:.1f}".replace("-0.0", "0.0").replace("-", "−")
        ax.text(j, i, text, ha="center", va="center", fontsize=8, color=color)


def _short(name: str, length: int = _MAX_NAME) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"
