"""The images of the quality scripts: Fashion-MNIST, and scikit-learn's digits for the quick form."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_digits

from isthmus.data import read

DEBIAN = Path("/usr/share/datasets/fashion-mnist")  # where the package dataset-fashion-mnist puts its files

Array = np.ndarray


class Images(NamedTuple):
    """Grey images in [0, 1] with their labels, one image per row, float32."""

    train: Array
    valid: Array
    test: Array
    y_train: Array
    y_valid: Array
    y_test: Array
    shape: tuple[int, int]

    def everything(self) -> tuple[Array, Array]:
        """Return training and validation rows with their labels, on which final models are trained."""
        return np.concatenate([self.train, self.valid]), np.concatenate([self.y_train, self.y_valid])

    def tuning(self) -> Images:
        """Return the images with the validation rows in place of the test rows."""
        return self._replace(valid=self.valid[:0], y_valid=self.y_valid[:0], test=self.valid, y_test=self.y_valid)


def fashion_mnist(folder: Path) -> Images:
    """Return Fashion-MNIST from its four gzipped IDX files.

    Raises
    ------
    SystemExit
        If a file is absent; the message names the Debian package.
    """
    names = [f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
    for name in names:
        if not (folder / name).is_file():
            raise SystemExit(
                f"{folder / name} is not there. Install the Debian package dataset-fashion-mnist, or name the folder "
                "of Fashion-MNIST's four .gz files with --data."
            )
    X, y, test, y_test = (read(folder / name).X for name in names)
    X, test = (rows.reshape(len(rows), -1).astype(np.float32) / 255 for rows in (X, test))
    y, y_test = y.ravel(), y_test.ravel()
    return Images(X[:50_000], X[50_000:], test, y[:50_000], y[50_000:], y_test, (28, 28))


def digits() -> Images:
    """Return 500 of the digits in a random order."""
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(X))
    X, y = X[order].astype(np.float32) / 16, y[order]
    return Images(X[:300], X[300:400], X[400:500], y[:300], y[300:400], y[400:500], (8, 8))
