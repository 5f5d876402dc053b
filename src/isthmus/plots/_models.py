"""Figures of what a model has learned: reconstructions, features, training curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from isthmus.plots._images import PALETTE, add_grid, as_matrix, contrast, image_rows, images, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["features", "history", "reconstructions", "traversals"]

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
    n_units = model.n_components_
    decoded = as_matrix(model.inverse_transform(np.concatenate([np.zeros((1, n_units)), np.eye(n_units)])))
    columns = decoded[1:] - decoded[:1]
    columns = columns[list(range(n_units) if order is None else order)]
    size = np.abs(columns).max(axis=1, keepdims=True)
    columns = columns / np.where(size > 0, size, 1.0)
    return images(columns, image_shape=image_shape, n_columns=n_columns, limits=(-1.0, 1.0), cmap=cmap, ax=ax)


def traversals(
    model: Any,
    Z: ArrayLike,
    *,
    units: Sequence[int] | None = None,
    n: int = 9,
    image_shape: tuple[int, ...] | None = None,
    limits: tuple[float, float] | None = None,
    cmap: Any = "gray_r",
    ax: Axes | None = None,
) -> Axes:
    """Draw what happens to an image when one latent unit changes: a row for each unit, from small to large values.

    All other units keep their values in a typical sample, the one whose code is nearest to the medians.

    Parameters
    ----------
    model : estimator
        A fitted estimator.
    Z : array-like of shape (N, K)
        Codes of samples: each unit goes from its 1 % to its 99 % quantile.
    units : sequence of int, optional
        Which units; by default the eight whose codes vary most.
    n : int, default=9
        Images per unit.
    limits : tuple of float, optional
        Values of the first and the last colour; by default the 1 % and the 99 % quantile of what is drawn.
    image_shape, cmap, ax
        As in :func:`images`.

    Returns
    -------
    Axes

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from isthmus import VAE
    >>> X = load_digits().data
    >>> model = VAE(3, max_epochs=2, random_state=0).fit(X)
    >>> ax = traversals(model, model.transform(X))
    >>> sorted(label.get_text() for label in ax.get_yticklabels())
    ['unit 0', 'unit 1', 'unit 2']
    """
    codes = as_matrix(Z)
    chosen = list(np.argsort(-codes.var(axis=0), kind="stable")[:8] if units is None else units)
    low, high = np.quantile(codes, [0.01, 0.99], axis=0)
    distance = np.square((codes - np.median(codes, axis=0)) / (codes.std(axis=0) + 1e-12)).sum(axis=1)
    moved = np.repeat(codes[[int(distance.argmin())]], n * len(chosen), axis=0)
    for row, k in enumerate(chosen):
        moved[row * n : (row + 1) * n, k] = np.linspace(low[k], high[k], n)
    decoded = as_matrix(model.inverse_transform(moved.astype(codes.dtype)))
    rows = {f"unit {k}": decoded[row * n : (row + 1) * n] for row, k in enumerate(chosen)}
    return image_rows(rows, image_shape=image_shape, limits=limits or contrast(decoded), cmap=cmap, ax=ax)


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
    from matplotlib.ticker import MaxNLocator

    names = [name for name in records[0] if name not in _NOT_TERMS] if terms is None else list(terms)
    ax = ax or new_axes(9, 6)
    epochs = [record["epoch"] for record in records]
    marker = "o" if len(epochs) == 1 else None  # a line through one point is invisible
    for k, name in enumerate(names):
        values = [record[name] for record in records]
        ax.plot(epochs, values, color=PALETTE[k % len(PALETTE)], label=name.replace("_", " "), marker=marker)
    ax.set(xlabel="epoch", ylabel="nats per sample")
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.08 * len(names) * (high - low))  # space for the legend
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.legend(frameon=False, loc="upper right")  # "best" is slow, and differs between runs
    add_grid(ax)
    return ax
