"""The handwritten digits as the demo takes them: split, noisy, and smooth."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Digits", "split_digits"]

Array = NDArray[Any]


class Digits(NamedTuple):
    """Training and test rows of scikit-learn's digits, 64 grey levels from 0 to 16.

    Attributes
    ----------
    train, test : ndarray of shape (N, 64)
        The rows.
    y_train, y_test : ndarray of shape (N,)
        Which digit each row shows.
    noise : float
        Standard deviation of the noise in `noisy`: the root of the training rows' mean variance, so that the noise
        is as strong as the digits' own variation (1 in the models' scaled units).
    noisy : ndarray
        The test rows with that Gaussian noise.
    smooth_train, smooth_test : ndarray
        The rows plus uniform noise on [0, 1). Whole numbers have no density: a model gains log-likelihood without
        bound by putting a spike on each level. With the noise the comparison is one of densities, and the density
        of x + u is a lower bound of the probability of the level x (Theis et al. 2016).
    """

    train: Array
    test: Array
    y_train: Array
    y_test: Array
    noise: float
    noisy: Array
    smooth_train: Array
    smooth_test: Array


def split_digits(random_state: int) -> Digits:
    """Return the digits, a quarter of each class for the test; `random_state` seeds split and noise.

    Examples
    --------
    >>> digits = split_digits(0)
    >>> digits.train.shape, digits.test.shape, round(digits.noise, 1)
    ((1347, 64), (450, 64), 4.3)
    """
    from sklearn.model_selection import train_test_split

    from isthmus.data import load_bundled

    data = load_bundled("digits")
    train, test, y_train, y_test = train_test_split(
        data.X, data.y, test_size=0.25, stratify=data.y, random_state=random_state
    )
    rng = np.random.default_rng(random_state)
    noise = float(np.sqrt(train.var(axis=0).mean()))
    noisy = test + noise * rng.standard_normal(test.shape)
    return Digits(
        train, test, y_train, y_test, noise, noisy, train + rng.random(train.shape), test + rng.random(test.shape)
    )
