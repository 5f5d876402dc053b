"""Load the data sets that come with scikit-learn, by name."""

from __future__ import annotations

import numpy as np

from isthmus._formats import BUNDLED, FETCHED
from isthmus._names import suggestion
from isthmus.data.dataset import Dataset
from isthmus.data.errors import DataError
from isthmus.data.fetching import load_fetched

__all__ = ["load_bundled"]

_IMAGE_SHAPES = {"digits": (8, 8)}


def load_bundled(name: str) -> Dataset:
    """Return one of scikit-learn's small data sets, or one that a package or ``isthmus data fetch`` put on the disk.

    Parameters
    ----------
    name : str
        One of `BUNDLED`; or "fashion-mnist", or "fashion-mnist-test".

    Returns
    -------
    Dataset
        The data with labels and column names; for `digits` also the image shape.

    Raises
    ------
    DataError
        If there is no such data set; the message lists them, and names the nearest. Or if it is not on the disk.

    Examples
    --------
    >>> digits = load_bundled("digits")
    >>> digits.X.shape, digits.y.shape, digits.image_shape
    ((1797, 64), (1797,), (8, 8))
    """
    if name in FETCHED:
        return load_fetched(name)
    if name not in BUNDLED:
        raise DataError(
            f"{name}: neither a file nor a bundled data set.{suggestion(name, (*BUNDLED, *FETCHED))} Bundled: "
            f"{', '.join(BUNDLED)}. To be fetched: {FETCHED[0]}."
        )
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    columns = tuple(str(column) for column in bunch.feature_names)
    return Dataset(np.asarray(bunch.data), columns, np.asarray(bunch.target), _IMAGE_SHAPES.get(name), name)
