"""The data sets that come with scikit-learn, by name."""

from __future__ import annotations

import numpy as np

from isthmus._names import suggestion
from isthmus.data.dataset import Dataset
from isthmus.data.errors import DataError

__all__ = ["BUNDLED", "load_bundled"]

BUNDLED = ("breast_cancer", "diabetes", "digits", "iris", "wine")  # those that need no download
_IMAGE_SHAPES = {"digits": (8, 8)}


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
            f"{name}: neither a file nor a bundled data set.{suggestion(name, BUNDLED)} Bundled: {', '.join(BUNDLED)}."
        )
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    columns = tuple(str(column) for column in bunch.feature_names)
    return Dataset(np.asarray(bunch.data), columns, np.asarray(bunch.target), _IMAGE_SHAPES.get(name), name)
