"""Figures of the latent plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isthmus.plots._images import PALETTE, add_grid, as_matrix, contrast, images, new_axes, use_dates

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["decoded_plane", "latent_plane"]

_MAX_CLASSES = 20  # with more values, a column of numbers has a scale of colours
_MAX_NAME = 16  # characters of a class


def latent_plane(
    Z: ArrayLike,
    y: ArrayLike | None = None,
    *,
    units: tuple[int, int] = (0, 1),
    label: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw a scatter plot of two latent units, coloured by classes or by the values of a column.

    Parameters
    ----------
    Z : array-like of shape (N, K)
        Codes, K >= 2.
    y : array-like of shape (N,), optional
        Classes, which get different colours, and whose names are written at their medians; or a column of numbers or
        dates with more than 20 values, which are shown by a scale of colours. Where it is missing, points are grey.
    units : tuple of int, default=(0, 1)
        The two latent units.
    label : str, default=""
        Name of y, the label of its colour bar.
    ax : Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the codes have fewer than two units.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from isthmus import VAE
    >>> X, y = load_iris(return_X_y=True)
    >>> ax = latent_plane(VAE(2, max_epochs=2, random_state=0).fit_transform(X), y)
    >>> [text.get_text() for text in ax.texts]
    ['0', '1', '2']
    """
    codes = as_matrix(Z)
    if codes.shape[1] < 2:
        raise ValueError(f"Z has shape {codes.shape}, but a plane needs two latent units.")
    ax = ax or new_axes(9, 8)
    points = codes[:, list(units)]
    values = None if y is None else _Colours.of(y)
    if values is None or values.missing.any():
        shown = points if values is None else points[values.missing]
        ax.scatter(
            shown[:, 0], shown[:, 1], s=16, color=PALETTE[0] if values is None else "#94a4a2", alpha=0.8, linewidths=0
        )
    if values is not None and values.numbers is not None:
        _draw_numbers(ax, points, values, label)
    elif values is not None:
        _draw_classes(ax, points, values.classes, values.missing)
    ax.set(xlabel=f"unit {units[0]}", ylabel=f"unit {units[1]}")
    add_grid(ax)
    return ax


def decoded_plane(
    model: Any,
    *,
    n: int = 12,
    reach: float = 2.2,
    image_shape: tuple[int, ...] | None = None,
    limits: tuple[float, float] | None = None,
    cmap: Any = "gray_r",
    ax: Axes | None = None,
) -> Axes:
    """Draw the decodings of a square grid of codes, for a model with two latent units.

    Parameters
    ----------
    model : estimator
        A fitted estimator with two latent units.
    n : int, default=12
        Images per side.
    reach : float, default=2.2
        The grid extends from -reach to reach in both units; z2 increases upwards.
    limits : tuple of float, optional
        Values of the first and the last colour; by default the 1 % and the 99 % quantile of what is drawn.
    image_shape, cmap, ax
        As in :func:`images`.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the model does not have two latent units.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from isthmus import VAE
    >>> ax = decoded_plane(VAE(2, max_epochs=2, random_state=0).fit(load_digits().data), n=5)
    """
    n_units = getattr(model, "n_components_", model.n_components)
    if n_units != 2:
        raise ValueError(f"a plane needs two latent units, but the model has n_components={n_units}.")
    side = np.linspace(-reach, reach, n)
    z1, z2 = np.meshgrid(side, side[::-1])
    decoded = model.inverse_transform(np.column_stack([z1.ravel(), z2.ravel()]))
    ax = images(decoded, image_shape=image_shape, n_columns=n, limits=limits or contrast(decoded), cmap=cmap, ax=ax)
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    middle = np.array([0.5, n - 0.5]) / n  # of the first and the last image, as a share of all
    names = [f"−{reach:g}", f"{reach:g}"]
    ax.set_xticks(left + middle * (right - left), names)
    ax.set_yticks(bottom + middle * (top - bottom), names)
    ax.set(xlabel="unit 0", ylabel="unit 1")
    return ax


def _draw_numbers(ax: Axes, points: NDArray[Any], values: _Colours, label: str) -> None:
    """Draw points in the colours of a column of numbers or dates, with a scale."""
    seen = ~values.missing
    assert values.numbers is not None
    shown, limits = points[seen], (values.low, values.high)
    drawn = ax.scatter(shown[:, 0], shown[:, 1], s=16, c=values.numbers[seen], cmap="viridis", linewidths=0)
    drawn.set_clim(*limits)
    bar = ax.figure.colorbar(drawn, ax=ax, label=label, pad=0.02)
    if values.dates:
        use_dates(bar.ax.yaxis, 4, 9)


def _draw_classes(ax: Axes, points: NDArray[Any], classes: NDArray[Any], missing: NDArray[Any]) -> None:
    """Draw points in the colours of their classes, and the names of at most 20 of them."""
    names, counts = np.unique(classes[~missing].astype(str), return_counts=True)
    named = set(names[np.argsort(-counts)[:_MAX_CLASSES]])
    labels = []
    for k, name in enumerate(names):
        own, color = points[~missing & (classes.astype(str) == name)], PALETTE[k % len(PALETTE)]
        ax.scatter(own[:, 0], own[:, 1], s=16, color=color, alpha=0.8, linewidths=0)
        if name in named:
            shown = name if len(name) <= _MAX_NAME else name[: _MAX_NAME - 1] + "…"
            labels.append((np.median(own, axis=0), shown, color))
    places = _apart(ax, [place for place, _, _ in labels], [len(text) for _, text, _ in labels])
    for (z1, z2), (_, text, color) in zip(places, labels, strict=True):
        box = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": color, "alpha": 0.9}
        ax.text(z1, z2, text, ha="center", va="center", color="#222222", weight="bold", bbox=box)


def _apart(ax: Axes, places: list[NDArray[Any]], lengths: list[int]) -> list[NDArray[Any]]:
    """Return the places of texts of so many characters, moved up or down where they would hide each other."""
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    inch = np.array([right - left, top - bottom]) * ax.figure.dpi / np.array([ax.bbox.width, ax.bbox.height])
    width, height = inch[0] * (0.15 + 0.09 * np.array(lengths)), 0.27 * inch[1]
    made = [place.copy() for place in places]
    middle = np.mean([place[1] for place in made]) if made else 0.0
    placed: list[int] = []
    for i in sorted(range(len(made)), key=lambda i: abs(made[i][1] - middle)):
        away = 1.0 if made[i][1] >= middle else -1.0
        for j in sorted(placed, key=lambda j: away * made[j][1]):
            across, up = abs(made[i] - made[j])
            if across < (width[i] + width[j]) / 2 and up < height:
                made[i][1] = made[j][1] + away * height
        placed.append(i)
    return made


class _Colours(NamedTuple):
    """What a column is coloured by: numbers (N,), or classes (N,), and where it is missing."""

    classes: NDArray[Any]
    numbers: NDArray[Any] | None
    missing: NDArray[Any]
    dates: bool
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, y: ArrayLike) -> _Colours:
        """Return the colours of a column: numbers with more than 20 values are shown by a scale."""
        column = np.asarray(y)
        dates = column.dtype.kind == "M"
        missing = _is_missing(column)
        if column.dtype.kind in "iuf" or dates:
            numbers = column.astype("datetime64[s]" if dates else column.dtype).astype(np.float64)
            numbers = numbers / 86400 if dates else numbers  # days since 1970
            seen = numbers[~missing]
            if len(np.unique(seen)) > _MAX_CLASSES:
                low, high = np.quantile(seen, [0.01, 0.99])  # a few extreme values would hide all others
                return cls(column, numbers, missing, dates, float(low), float(high))
        if column.dtype.kind == "f" and (np.nan_to_num(column) == np.nan_to_num(column).round()).all():
            column = np.where(missing, 0, column).astype(np.int64)
        return cls(column, None, missing, dates=False)


def _is_missing(column: NDArray[Any]) -> NDArray[Any]:
    """Return where a column (N,) has None, NaN, NaT or pandas.NA."""
    if column.dtype.kind != "O":
        return np.asarray(column != column)  # noqa: PLR0124 - NaN and NaT alone are not equal to themselves

    def missing(value: object) -> bool:
        try:
            return value is None or bool(value != value)  # noqa: PLR0124
        except TypeError:  # pandas.NA is neither equal to itself nor not
            return True

    return np.array([missing(value) for value in column], dtype=bool)
