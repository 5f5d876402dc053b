"""The handwritten digits of the demo: training and test samples, noisy and dequantised."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Digits", "split_digits"]

Array = NDArray[Any]


class Digits(NamedTuple):
    """Training and test samples of scikit-learn's digits: 64 grey levels from 0 to 16.

    Attributes
    ----------
    train, test : ndarray of shape (N, 64)
        The samples.
    y_train, y_test : ndarray of shape (N,)
        The digit that each sample shows.
    noise : float
        Standard deviation of the noise in `noisy`: the root of the mean variance of the training pixels, so that the
        noise is as strong as the variation between digits (1 in the models' scaled units).
    noisy : ndarray of shape (N, 64)
        The test samples with that Gaussian noise.
    dequantized_train, dequantized_test : ndarray of shape (N, 64)
        The samples plus uniform noise on [0, 1). Integers have no density: a model increases its likelihood without
        bound by concentrating on each level. The expected log-density of x + u is a lower bound of the log-probability
        of the level x (Theis et al. 2016).
    """

    train: Array
    test: Array
    y_train: Array
    y_test: Array
    noise: float
    noisy: Array
    dequantized_train: Array
    dequantized_test: Array


def split_digits(random_state: int) -> Digits:
    """Return the digits with a quarter of each class held out; `random_state` seeds the split and the noise.

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
