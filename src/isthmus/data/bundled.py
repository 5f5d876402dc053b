"""What a data set is, and those that come with scikit-learn, by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["BUNDLED", "DataError", "Dataset", "load_bundled", "nearest"]

BUNDLED = ("breast_cancer", "diabetes", "digits", "iris", "wine")  # those that need no download
_IMAGE_SHAPES = {"digits": (8, 8)}


class DataError(ValueError):
    """Data that cannot be read or written: one line that says what, where and how to mend it.

    Parameters
    ----------
    message : str
        The line. Names out of a damaged file may hold anything: what is not printable is escaped.
    """

    def __init__(self, message: str) -> None:
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in message))


class Dataset(NamedTuple):
    """A data set in memory.

    Attributes
    ----------
    X : ndarray of shape (N, D), or (N,)
        The samples, images flattened; (N,) where the file holds one number a sample, as labels do.
    columns : tuple of str, or None
        The names of the D columns.
    y : ndarray of shape (N, ...), or None
        The labels or targets.
    image_shape : tuple of int, or None
        The shape of one sample before it was flattened.
    name : str
        The bundled name, or the file's without its folder and extension.
    """

    X: NDArray[Any]
    columns: tuple[str, ...] | None
    y: NDArray[Any] | None
    image_shape: tuple[int, ...] | None
    name: str


def load_bundled(name: str) -> Dataset:
    """Return one of scikit-learn's small data sets.

    Parameters
    ----------
    name : str
        One of `BUNDLED`.

    Returns
    -------
    Dataset
        With labels and column names; `digits` also with its image shape.

    Raises
    ------
    DataError
        If there is no such set; the message names the nearest, and all of them.

    Examples
    --------
    >>> digits = load_bundled("digits")
    >>> digits.X.shape, digits.y.shape, digits.image_shape
    ((1797, 64), (1797,), (8, 8))
    """
    if name not in BUNDLED:
        raise DataError(
            f"{name}: neither a file nor a bundled data set.{nearest(name, BUNDLED)} Bundled: {', '.join(BUNDLED)}."
        )
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    columns = tuple(str(column) for column in bunch.feature_names)
    return Dataset(np.asarray(bunch.data), columns, np.asarray(bunch.target), _IMAGE_SHAPES.get(name), name)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean ...?" with the known name nearest to `name`, or "" if none is near.

    Examples
    --------
    >>> nearest("digit", BUNDLED)
    " Did you mean 'digits'?"
    """
    close = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""
