"""The data: grey images in [0, 1], float32, one per row, split into training and test rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

__all__ = ["cut", "store", "synthetic"]

DEBIAN = Path("/usr/share/datasets/fashion-mnist")  # where the package dataset-fashion-mnist puts its files


def cut(name: str, *, tuning: bool = False, n_rows: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return training and test rows; with `tuning`, validation rows in place of the test rows."""
    train, test = {"fashion_mnist": _fashion_mnist, "digits": _digits}[name]()
    if tuning:
        held = 10_000 if name == "fashion_mnist" else 300
        train, test = train[:-held], train[-held:]
    return (train, test) if n_rows is None else (train[:n_rows], test[:n_rows])


def store(name: str, folder: str, *, tuning: bool = False, n_rows: int | None = None) -> dict[str, int]:
    """Write train.npy and test.npy into a folder, so that the peers can read them without importing isthmus."""
    parts = dict(zip(("train", "test"), cut(name, tuning=tuning, n_rows=n_rows), strict=True))
    for part, rows in parts.items():
        np.save(Path(folder) / f"{part}.npy", rows)
    return {part: len(rows) for part, rows in parts.items()}


def _fashion_mnist() -> tuple[np.ndarray, np.ndarray]:
    from isthmus.data import read

    paths = [DEBIAN / f"{part}-images-idx3-ubyte.gz" for part in ("train", "t10k")]
    for path in paths:
        if not path.is_file():
            raise SystemExit(f"{path} is not there: install the Debian package dataset-fashion-mnist.")
    train, test = (read(path).X for path in paths)
    return _grey(train, 255), _grey(test, 255)


def _digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    X = load_digits().data
    order = np.random.default_rng(0).permutation(len(X))
    return _grey(X[order[450:]], 16), _grey(X[order[:450]], 16)


def _grey(X: np.ndarray, largest: int) -> np.ndarray:
    return np.ascontiguousarray(X.reshape(len(X), -1).astype(np.float32) / largest)


def synthetic(n_rows: int, n_features: int, seed: int = 0) -> np.ndarray:
    """Return rows in [0, 1] of rank 4 plus noise, as float32, created in blocks to save memory."""
    rng = np.random.default_rng(seed)
    loadings = rng.normal(size=(4, n_features)).astype(np.float32)
    X = np.empty((n_rows, n_features), dtype=np.float32)
    for start in range(0, n_rows, 1 << 14):
        part = X[start : start + (1 << 14)]
        part[:] = rng.standard_normal((len(part), 4), dtype=np.float32) @ loadings
        part += 0.3 * rng.standard_normal(part.shape, dtype=np.float32)
        np.divide(1, 1 + np.exp(-part), out=part)
    return X
