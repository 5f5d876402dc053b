"""The form in which the rows of a model are shown."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from isthmus.explorer._cells import Cells
from isthmus.explorer._rows import Images, RowFormat
from isthmus.tables import is_table

__all__ = ["make_format"]


def make_format(model: Any, X: Any, image_shape: tuple[int, ...] | None, sample: Any) -> RowFormat:
    """Return the form in which rows of a model are shown.

    Parameters
    ----------
    model : estimator
        Fitted.
    X : table, array, source or None
        The data, if there are any.
    image_shape : tuple of int, optional
        Shape of a row that is an image.
    sample : table or array
        Some rows of the data, or of the model.

    Raises
    ------
    ValueError
        If rows do not have as many features as the image has pixels.
    """
    n_features = model.n_features_in_
    shape = image_shape or _shape_of_network(model, n_features, X)
    if shape is not None:
        if is_table(sample):
            raise ValueError("image_shape: the rows are those of a table, and no images.")
        if math.prod(shape) != n_features:
            size = " x ".join(map(str, shape))
            raise ValueError(f"image_shape: the model has rows of {n_features} numbers, and an image has {size}.")
        return Images(shape, np.asarray(sample))
    codec = model._codec
    if codec is not None:
        return Cells(codec.names, sample, codec)
    unnamed = [f"column {i}" for i in range(n_features)]
    return Cells(list(getattr(model, "feature_names_in_", unnamed)), sample)


def _shape_of_network(model: Any, n_features: int, X: Any) -> tuple[int, ...] | None:
    """Return the image shape of a convolutional network; without data or names, that of a square."""
    if model._codec is not None:
        return None
    network = model.model_.network
    if hasattr(network, "image_shape"):
        side = math.isqrt(n_features)
        return tuple(network.image_shape or (side, side))
    side = math.isqrt(n_features)
    unknown = X is None and not hasattr(model, "feature_names_in_") and n_features >= 64
    return (side, side) if unknown and side * side == n_features else None
