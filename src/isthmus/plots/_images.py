"""Samples as images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PALETTE", "add_grid", "as_matrix", "contrast", "image_rows", "images", "new_axes", "use_dates"]

# Matthew Petroff's ten colours, which colour-blind readers can tell apart (arXiv:2107.02270).
PALETTE = tuple("#3f90da #ffa90e #bd1f01 #94a4a2 #832db6 #a96b59 #e76300 #b9ac70 #717581 #92dadd".split())  # noqa: SIM905 - a list takes ten lines
_TILE = 0.55  # inches


def images(
    X: ArrayLike,
    *,
    image_shape: tuple[int, ...] | None = None,
    n_columns: int | None = None,
    limits: tuple[float, float] | None = None,
    cmap: Any = "gray_r",
    ax: Axes | None = None,
) -> Axes:
    """Draw samples as a grid of images, row by row.

    Parameters
    ----------
    X : array-like of shape (N, D)
        Samples, each a flattened image.
    image_shape : tuple of int, optional
        (height, width), or (channels, height, width) with 1 or 3 channels; a square by default.
    n_columns : int, optional
        Images per row; by default the grid is about square.
    limits : tuple of float, optional
        Values of the first and the last colour; by default the minimum and maximum of X.
    cmap : str or Colormap, default="gray_r"
        Colour map of images with one channel; "gray_r" draws large values dark.
    ax : Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If X is not a matrix, or its samples do not have the shape of an image.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> ax = images(load_digits().data[:20], n_columns=10)
    >>> ax.get_images()[0].get_array().shape  # 2 rows of 10 images of 8x8, with gaps of one pixel
    (17, 89)
    """
    X = as_matrix(X)
    shape = _image_shape(X.shape[1], image_shape)
    columns = n_columns or math.ceil(math.sqrt(len(X)))
    low, high = limits or (float(X.min()), float(X.max()))
    ax = ax or new_axes(columns, math.ceil(len(X) / columns))
    grid = _grid(X.reshape(-1, *shape), columns)
    if grid.ndim == 3:  # colours; the gaps become transparent
        gap = np.isnan(grid[..., :1])
        grid = np.concatenate([np.clip((grid - low) / ((high - low) or 1.0), 0, 1), ~gap], axis=-1)
        grid = np.where(gap, 0.0, grid)
    ax.imshow(grid, cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def image_rows(
    rows: Mapping[str, ArrayLike],
    *,
    image_shape: tuple[int, ...] | None = None,
    limits: tuple[float, float] | None = None,
    cmap: Any = "gray_r",
    ax: Axes | None = None,
) -> Axes:
    """Draw named rows of images below each other.

    Parameters
    ----------
    rows : mapping of str to array-like of shape (n, D)
        The samples of each row, by the name drawn at its left; all rows have the same number of samples.
    image_shape, cmap, ax
        As in :func:`images`.
    limits : tuple of float, optional
        Values of the first and the last colour in all rows; by default the minimum and maximum of the first row.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If there are no rows, or they differ in shape.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X = load_digits().data[:8]
    >>> ax = image_rows({"digit": X, "half as dark": X / 2})
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['digit', 'half as dark']
    """
    if not rows:
        raise ValueError("rows has no samples to draw: pass a mapping of names to samples.")
    arrays = [as_matrix(row) for row in rows.values()]
    n, n_features = arrays[0].shape
    if any(array.shape != (n, n_features) for array in arrays):
        raise ValueError(f"rows must have equal shapes, got {[array.shape for array in arrays]}.")
    limits = limits or (float(arrays[0].min()), float(arrays[0].max()))
    ax = ax or new_axes(n + 0.5 + 0.16 * max(map(len, rows)), len(arrays))
    images(np.concatenate(arrays), image_shape=image_shape, n_columns=n, limits=limits, cmap=cmap, ax=ax)
    height = _image_shape(n_features, image_shape)[-2]
    step = height + _gap(height)
    ax.set_yticks([i * step + (height - 1) / 2 for i in range(len(arrays))], list(rows))
    return ax


def as_matrix(X: ArrayLike) -> NDArray[Any]:
    """Return samples (N, D) as an array."""
    array = np.asarray(X)
    if array.dtype.kind not in "biuf":
        raise ValueError(
            "expected numbers, and these samples are rows of a table with other columns: they are not images; "
            "latent_plane, unit_effects, marginal and history draw models of any table."
        )
    if array.ndim != 2 or not array.size:
        raise ValueError(f"expected a nonempty matrix of shape (N, D), got shape {array.shape}.")
    return array


def contrast(X: ArrayLike) -> tuple[float, float]:
    """Return the 1 % and the 99 % quantile of images (N, D): a few extreme pixels would make all others grey."""
    array = as_matrix(X)
    low, high = np.quantile(array, [0.01, 0.99])
    return (float(low), float(high)) if high > low else (float(array.min()), float(array.max()))


def _image_shape(n_features: int, image_shape: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return (height, width) or (3, height, width)."""
    side = math.isqrt(n_features)
    shape = (side, side) if image_shape is None else tuple(image_shape)
    if len(shape) == 3 and shape[0] == 1:
        shape = shape[1:]
    if math.prod(shape) != n_features or len(shape) not in (2, 3) or (len(shape) == 3 and shape[0] != 3):
        raise ValueError(f"samples of {n_features} features are not images of shape {shape}; set image_shape.")
    return shape


def _gap(height: int) -> int:
    return max(1, height // 10)


def _grid(tiles: NDArray[Any], n_columns: int) -> NDArray[Any]:
    """Return one image of all tiles (N, [3,] h, w) with channels last; gaps are NaN."""
    if tiles.ndim == 4:
        tiles = np.moveaxis(tiles, 1, -1)
    height, width = tiles.shape[1:3]
    gap = _gap(height)
    n_rows = math.ceil(len(tiles) / n_columns)
    size = (n_rows * (height + gap) - gap, n_columns * (width + gap) - gap)
    grid = np.full((*size, *tiles.shape[3:]), np.nan)
    for i, tile in enumerate(tiles):
        row, column = divmod(i, n_columns)
        top, left = row * (height + gap), column * (width + gap)
        grid[top : top + height, left : left + width] = tile
    return grid


def new_axes(n_columns: float, n_rows: float) -> Axes:
    """Return the axes of a new figure with space for a grid of images."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('plots need matplotlib: pip install "isthmus[report]"', name=error.name) from error
    figure = Figure(figsize=(max(2.0, _TILE * n_columns), max(1.0, _TILE * n_rows)), layout="constrained", dpi=150)
    return figure.subplots()


def use_dates(axis: Any, least: int, most: int) -> None:
    """Label an axis of days since 1970 with so many dates, at the beginning of days, months or years."""
    from matplotlib.dates import DAILY, HOURLY, MONTHLY, YEARLY, AutoDateFormatter, AutoDateLocator

    # up to 23 months, 6 at a time: with fewer dates, matplotlib warns that there is no longer step
    limits = {YEARLY: most, MONTHLY: max(most, 5), DAILY: most, HOURLY: max(most, 5)}
    locator = AutoDateLocator(minticks=least, maxticks=limits)  # type: ignore[no-untyped-call]
    axis.set_major_locator(locator)
    axis.set_major_formatter(AutoDateFormatter(locator))  # type: ignore[no-untyped-call]


def add_grid(ax: Axes) -> None:
    """Draw thin grid lines behind what is drawn, and no frame above and at the right."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)
