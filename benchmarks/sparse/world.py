"""The synthetic world: samples that are sparse sums of known features, more of them than dimensions."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

N_FEATURES, N_DIMENSIONS, PROBABILITY = 512, 64, 0.01
_CHUNK = 10_000

Array = np.ndarray[Any, Any]


class World(NamedTuple):
    """Known features: unit vectors (512, 64), each active with probability .01 and a strength uniform in [.5, 1.5].

    On average 5.1 features are active, and the cosine of two features has a standard deviation of 1/8.
    """

    features: Array

    @classmethod
    def of(cls, seed: int) -> World:
        features = np.random.default_rng([seed, 0]).normal(size=(N_FEATURES, N_DIMENSIONS))
        return cls((features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32))

    def draw(self, rng: np.random.Generator, n: int) -> tuple[Array, Array]:
        """Return the strengths of the features (n, 512), and the samples (n, 64)."""
        active = rng.random((n, N_FEATURES), dtype=np.float32) < PROBABILITY
        strengths = active * (0.5 + rng.random((n, N_FEATURES), dtype=np.float32))
        return strengths, strengths @ self.features

    def write(self, path: Path, n: int, seed: int) -> None:
        """Write n samples to a .npy file, chunk by chunk."""
        rng = np.random.default_rng([seed, 1])
        rows = np.lib.format.open_memmap(path, "w+", np.float32, (n, N_DIMENSIONS))
        for start in range(0, n, _CHUNK):
            stop = min(n, start + _CHUNK)
            rows[start:stop] = self.draw(rng, stop - start)[1]
        rows.flush()

    def test(self, seed: int, n: int = 20_000) -> tuple[Array, Array]:
        """Return strengths and samples that no model has seen."""
        return self.draw(np.random.default_rng([seed, 2]), n)
