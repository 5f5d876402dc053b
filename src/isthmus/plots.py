"""Pictures of models and of rows that are images, with matplotlib and without its global state.

Every function draws on `ax`, or makes a figure of its own when it has none, and returns the axes: save a picture
with ``ax.figure.savefig("picture.png")``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PALETTE", "decoded_plane", "features", "history", "image_rows", "images", "latent_plane", "reconstructions"]

# Matthew Petroff's ten colours, which stay apart for colour-blind readers (arXiv:2107.02270).
PALETTE = tuple("#3f90da #ffa90e #bd1f01 #94a4a2 #832db6 #a96b59 #e76300 #b9ac70 #717581 #92dadd".split())  # noqa: SIM905 - a list of ten lines otherwise
_TILE = 0.55  # inches
_NOT_TERMS = ("epoch", "learning_rate", "seconds")


def images(
    X: ArrayLike,
    *,
    image_shape: tuple[int, ...] | None = None,
    n_columns: int | None = None,
    limits: tuple[float, float] | None = None,
    cmap: Any = "gray_r",
    ax: Axes | None = None,
) -> Axes:
    """Draw rows as a mosaic of images, left to right and then down.

    Parameters
    ----------
    X : array-like of shape (N, D)
        Rows, each a flattened image.
    image_shape : tuple of int, optional
        (height, width), or (channels, height, width) with 1 or 3 channels; a square by default.
    n_columns : int, optional
        Images in a line; by default the mosaic is about square.
    limits : tuple of float, optional
        Values drawn as the first and the last colour; by default the smallest and the largest in X.
    cmap : str or Colormap, default="gray_r"
        Colours of images with one channel; "gray_r" is ink on paper.
    ax : Axes, optional
        Where to draw; by default a new figure.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> ax = images(load_digits().data[:20], n_columns=10)
    >>> ax.get_images()[0].get_array().shape  # 2 lines of 10 images of 8x8, and a pixel between them
    (17, 89)
    """
    rows = _rows(X)
    shape = _shape(rows.shape[1], image_shape)
    columns = n_columns or math.ceil(math.sqrt(len(rows)))
    low, high = limits or (float(rows.min()), float(rows.max()))
    ax = ax or _new_axes(columns, math.ceil(len(rows) / columns))
    picture = _mosaic(rows.reshape(-1, *shape), columns)
    if picture.ndim == 3:  # colours, with gaps that let the background through
        gap = np.isnan(picture[..., :1])
        picture = np.concatenate([np.clip((picture - low) / ((high - low) or 1.0), 0, 1), ~gap], axis=-1)
        picture = np.where(gap, 0.0, picture)
    ax.imshow(picture, cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
    _bare(ax)
    return ax


def image_rows(
    rows: Mapping[str, ArrayLike],
    *,
    image_shape: tuple[int, ...] | None = None,
    limits: tuple[float, float] | None = None,
    cmap: Any = "gray_r",
    ax: Axes | None = None,
) -> Axes:
    """Draw lines of images one below the other, each with its name at the left.

    Parameters
    ----------
    rows : mapping of str to array-like of shape (n, D)
        Lines by name, all with as many images.
    image_shape, limits, cmap, ax
        As in :func:`images`; all lines share their limits, by default those of the first.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X = load_digits().data[:8]
    >>> ax = image_rows({"digit": X, "half as dark": X / 2})
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['digit', 'half as dark']
    """
    lines = [_rows(line) for line in rows.values()]
    n = len(lines[0])
    if any(line.shape != lines[0].shape for line in lines):
        raise ValueError(f"the lines must have one shape, and have {[line.shape for line in lines]}.")
    limits = limits or (float(lines[0].min()), float(lines[0].max()))
    ax = ax or _new_axes(n + 3, len(lines))
    images(np.concatenate(lines), image_shape=image_shape, n_columns=n, limits=limits, cmap=cmap, ax=ax)
    height = _shape(lines[0].shape[1], image_shape)[-2]
    step = height + _gap(height)
    ax.set_yticks([i * step + (height - 1) / 2 for i in range(len(lines))], list(rows))
    return ax


def reconstructions(
    model: Any,
    X: ArrayLike,
    *,
    image_shape: tuple[int, ...] | None = None,
    cmap: Any = "gray_r",
    ax: Axes | None = None,
) -> Axes:
    """Draw rows as images, and below each what a model restores of it.

    Parameters
    ----------
    model : estimator
        A fitted estimator.
    X : array-like of shape (n, D)
        Rows.
    image_shape, cmap, ax
        As in :func:`images`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from isthmus import Autoencoder
    >>> X = load_digits().data
    >>> ax = reconstructions(Autoencoder(8, max_epochs=2, random_state=0).fit(X), X[:10])
    """
    lines = {"original": np.asarray(X), "restored": np.asarray(model.reconstruct(X))}
    return image_rows(lines, image_shape=image_shape, cmap=cmap, ax=ax)


def features(
    model: Any,
    *,
    image_shape: tuple[int, ...] | None = None,
    order: Sequence[int] | None = None,
    n_columns: int | None = None,
    cmap: Any = "RdBu_r",
    ax: Axes | None = None,
) -> Axes:
    """Draw what each unit of the code adds to the decoder's output: for a linear decoder, its columns.

    Parameters
    ----------
    model : estimator
        A fitted estimator.
    order : sequence of int, optional
        Units to draw, in this order; all by default.
    image_shape, n_columns, ax
        As in :func:`images`.
    cmap : str or Colormap, default="RdBu_r"
        Colours from the most negative to the most positive value; 0 is in the middle, and every unit has its own scale.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from isthmus import SparseAutoencoder
    >>> model = SparseAutoencoder(32, method="top_k", k=4, max_epochs=2, random_state=0).fit(load_digits().data)
    >>> ax = features(model, n_columns=8)
    """
    n_units = model.n_components
    columns = np.asarray(model.inverse_transform(np.eye(n_units)) - model.inverse_transform(np.zeros((1, n_units))))
    columns = columns[list(range(n_units) if order is None else order)]
    size = np.abs(columns).max(axis=1, keepdims=True)
    columns = columns / np.where(size > 0, size, 1.0)
    return images(columns, image_shape=image_shape, n_columns=n_columns, limits=(-1.0, 1.0), cmap=cmap, ax=ax)


def latent_plane(Z: ArrayLike, y: ArrayLike | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw the first two numbers of each code as a point; a class has a colour, and its name at its median.

    Parameters
    ----------
    Z : array-like of shape (N, K)
        Codes, K >= 2.
    y : array-like of shape (N,), optional
        Classes.
    ax : Axes, optional
        Where to draw; by default a new figure.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from isthmus import VAE
    >>> X, y = load_iris(return_X_y=True)
    >>> ax = latent_plane(VAE(2, max_epochs=2, random_state=0).fit_transform(X), y)
    >>> [text.get_text() for text in ax.texts]
    ['0', '1', '2']
    """
    codes = _rows(Z)
    if codes.shape[1] < 2:
        raise ValueError(f"codes of shape {codes.shape} make no plane: it takes two latent units.")
    ax = ax or _new_axes(9, 8)
    labels = np.zeros(len(codes)) if y is None else np.asarray(y)
    for k, label in enumerate(np.unique(labels)):
        points, color = codes[labels == label, :2], PALETTE[k % len(PALETTE)]
        ax.scatter(points[:, 0], points[:, 1], s=16, color=color, alpha=0.8, linewidths=0)
        if y is not None:
            box = {"boxstyle": "circle,pad=0.25", "facecolor": "white", "edgecolor": color, "alpha": 0.9}
            z1, z2 = np.median(points, axis=0)
            ax.text(z1, z2, str(label), ha="center", va="center", color="#222222", weight="bold", bbox=box)
    ax.set(xlabel="$z_1$", ylabel="$z_2$")
    _open(ax)
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
    """Draw what the decoder makes of a square grid of codes: a map of a two-dimensional latent space.

    Parameters
    ----------
    model : estimator
        A fitted estimator with two latent units.
    n : int, default=12
        Images along each side.
    reach : float, default=2.2
        The grid goes from -reach to reach in both units; larger z2 is further up.
    image_shape, limits, cmap, ax
        As in :func:`images`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from isthmus import VAE
    >>> ax = decoded_plane(VAE(2, max_epochs=2, random_state=0).fit(load_digits().data), n=5)
    """
    if model.n_components != 2:
        raise ValueError(f"a plane takes two latent units, and the model has n_components={model.n_components}.")
    side = np.linspace(-reach, reach, n)
    z1, z2 = np.meshgrid(side, side[::-1])
    decoded = model.inverse_transform(np.column_stack([z1.ravel(), z2.ravel()]))
    return images(decoded, image_shape=image_shape, n_columns=n, limits=limits, cmap=cmap, ax=ax)


def history(
    records: Sequence[Mapping[str, float]], *, terms: Sequence[str] | None = None, ax: Axes | None = None
) -> Axes:
    """Draw training curves: the terms of the loss by epoch, in nats per row of the scaled data.

    Parameters
    ----------
    records : sequence of dict
        An estimator's ``history_``.
    terms : sequence of str, optional
        Which terms; all by default.
    ax : Axes, optional
        Where to draw; by default a new figure.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from isthmus import VAE
    >>> model = VAE(2, max_epochs=5, random_state=0).fit(load_iris().data)
    >>> ax = history(model.history_, terms=["loss", "kl"])
    """
    if not records:
        raise ValueError("there is no epoch to draw: fit the model first.")
    names = [name for name in records[0] if name not in _NOT_TERMS] if terms is None else list(terms)
    ax = ax or _new_axes(9, 6)
    epochs = [record["epoch"] for record in records]
    for k, name in enumerate(names):
        values = [record[name] for record in records]
        marker = "o" if len(epochs) == 1 else None  # a line through one point cannot be seen
        ax.plot(epochs, values, color=PALETTE[k % len(PALETTE)], label=name.replace("_", " "), marker=marker)
    ax.set(xlabel="epoch", ylabel="nats a row")
    ax.legend(frameon=False)
    _open(ax)
    return ax


def _rows(X: ArrayLike) -> NDArray[Any]:
    rows = np.asarray(X)
    if rows.ndim != 2 or not rows.size:
        raise ValueError(f"expected rows in a matrix that is not empty, and got shape {rows.shape}.")
    return rows


def _shape(n_features: int, image_shape: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return (height, width) or (3, height, width)."""
    side = math.isqrt(n_features)
    shape = (side, side) if image_shape is None else tuple(image_shape)
    if len(shape) == 3 and shape[0] == 1:
        shape = shape[1:]
    if math.prod(shape) != n_features or len(shape) not in (2, 3) or (len(shape) == 3 and shape[0] != 3):
        raise ValueError(f"rows of {n_features} numbers are no images of shape {shape}: set image_shape.")
    return shape


def _gap(height: int) -> int:
    return max(1, height // 10)


def _mosaic(tiles: NDArray[Any], n_columns: int) -> NDArray[Any]:
    """Return one picture of all tiles (N, [3,] h, w), NaN between them, channels last."""
    if tiles.ndim == 4:
        tiles = np.moveaxis(tiles, 1, -1)
    height, width = tiles.shape[1:3]
    gap = _gap(height)
    n_lines = math.ceil(len(tiles) / n_columns)
    size = (n_lines * (height + gap) - gap, n_columns * (width + gap) - gap)
    picture = np.full((*size, *tiles.shape[3:]), np.nan)
    for i, tile in enumerate(tiles):
        line, column = divmod(i, n_columns)
        top, left = line * (height + gap), column * (width + gap)
        picture[top : top + height, left : left + width] = tile
    return picture


def _new_axes(columns: float, lines: float) -> Axes:
    """Return the axes of a new figure with room for so many tiles."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('pictures need matplotlib: pip install "isthmus[report]"') from error
    figure = Figure(figsize=(max(2.0, _TILE * columns), max(1.0, _TILE * lines)), layout="constrained", dpi=150)
    return figure.subplots()


def _bare(ax: Axes) -> None:
    ax.set(xticks=[], yticks=[])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def _open(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)
