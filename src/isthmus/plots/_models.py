"""Figures of what a model has learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from isthmus.plots._images import as_matrix, image_rows, images, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PALETTE", "decoded_plane", "features", "history", "latent_plane", "reconstructions"]

# Matthew Petroff's ten colours, which colour-blind readers can tell apart (arXiv:2107.02270).
PALETTE = tuple("#3f90da #ffa90e #bd1f01 #94a4a2 #832db6 #a96b59 #e76300 #b9ac70 #717581 #92dadd".split())  # noqa: SIM905 - a list takes ten lines
_NOT_TERMS = ("epoch", "learning_rate", "seconds")


def reconstructions(
    model: Any,
    X: ArrayLike,
    *,
    image_shape: tuple[int, ...] | None = None,
    cmap: Any = "gray_r",
    ax: Axes | None = None,
) -> Axes:
    """Draw samples as images, with their reconstructions below.

    Parameters
    ----------
    model : estimator
        A fitted estimator.
    X : array-like of shape (n, D)
        Samples.
    image_shape, cmap, ax
        As in :func:`images`.

    Returns
    -------
    Axes

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from isthmus import Autoencoder
    >>> X = load_digits().data
    >>> ax = reconstructions(Autoencoder(8, max_epochs=2, random_state=0).fit(X), X[:10])
    """
    rows = {"original": np.asarray(X), "reconstruction": np.asarray(model.reconstruct(X))}
    return image_rows(rows, image_shape=image_shape, cmap=cmap, ax=ax)


def features(
    model: Any,
    *,
    image_shape: tuple[int, ...] | None = None,
    order: Sequence[int] | None = None,
    n_columns: int | None = None,
    cmap: Any = "RdBu_r",
    ax: Axes | None = None,
) -> Axes:
    """Draw the feature of each latent unit: the change of the decoder's output when the unit goes from 0 to 1.

    For a linear decoder, these are the columns of its weights.

    Parameters
    ----------
    model : estimator
        A fitted estimator.
    image_shape, n_columns, ax
        As in :func:`images`.
    order : sequence of int, optional
        Units to draw, in this order; all by default.
    cmap : str or Colormap, default="RdBu_r"
        Colour map with 0 in the middle; each feature is scaled by its largest absolute value.

    Returns
    -------
    Axes

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
    """Draw a scatter plot of the first two latent units, with the name of each class at its median.

    Parameters
    ----------
    Z : array-like of shape (N, K)
        Codes, K >= 2.
    y : array-like of shape (N,), optional
        Classes, which get different colours.
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
    labels = np.zeros(len(codes)) if y is None else np.asarray(y)
    for k, label in enumerate(np.unique(labels)):
        points, color = codes[labels == label, :2], PALETTE[k % len(PALETTE)]
        ax.scatter(points[:, 0], points[:, 1], s=16, color=color, alpha=0.8, linewidths=0)
        if y is not None:
            box = {"boxstyle": "circle,pad=0.25", "facecolor": "white", "edgecolor": color, "alpha": 0.9}
            z1, z2 = np.median(points, axis=0)
            ax.text(z1, z2, str(label), ha="center", va="center", color="#222222", weight="bold", bbox=box)
    ax.set(xlabel="$z_1$", ylabel="$z_2$")
    _add_grid(ax)
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
    image_shape, limits, cmap, ax
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
    if model.n_components != 2:
        raise ValueError(f"a plane needs two latent units, but the model has n_components={model.n_components}.")
    side = np.linspace(-reach, reach, n)
    z1, z2 = np.meshgrid(side, side[::-1])
    decoded = model.inverse_transform(np.column_stack([z1.ravel(), z2.ravel()]))
    return images(decoded, image_shape=image_shape, n_columns=n, limits=limits, cmap=cmap, ax=ax)


def history(
    records: Sequence[Mapping[str, float]], *, terms: Sequence[str] | None = None, ax: Axes | None = None
) -> Axes:
    """Draw training curves: the terms of the loss by epoch, in nats per sample of the scaled data.

    Parameters
    ----------
    records : sequence of dict
        The ``history_`` of an estimator.
    terms : sequence of str, optional
        Which terms to draw; all by default.
    ax : Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If there are no records.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from isthmus import VAE
    >>> model = VAE(2, max_epochs=5, random_state=0).fit(load_iris().data)
    >>> ax = history(model.history_, terms=["loss", "kl"])
    """
    if not records:
        raise ValueError("there are no epochs to draw; fit the model first.")
    names = [name for name in records[0] if name not in _NOT_TERMS] if terms is None else list(terms)
    ax = ax or new_axes(9, 6)
    epochs = [record["epoch"] for record in records]
    marker = "o" if len(epochs) == 1 else None  # a line through one point is invisible
    for k, name in enumerate(names):
        values = [record[name] for record in records]
        ax.plot(epochs, values, color=PALETTE[k % len(PALETTE)], label=name.replace("_", " "), marker=marker)
    ax.set(xlabel="epoch", ylabel="nats per sample")
    ax.legend(frameon=False)
    _add_grid(ax)
    return ax


def _add_grid(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)
