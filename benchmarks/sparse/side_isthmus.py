"""Our side: `SparseAutoencoder` on a `.npy` file, which it streams."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from world import Array

from isthmus import SparseAutoencoder


def fit(path: Path, settings: dict[str, Any], seed: int) -> tuple[Array, Any]:
    """Return the directions of the units (K, D), and a function that returns codes and reconstructions."""
    model = SparseAutoencoder(max_epochs=1, random_state=seed, **settings).fit(path)
    units = np.eye(model.n_components, dtype=np.float32)
    directions = model.inverse_transform(units) - model.inverse_transform(0 * units[:1])
    return directions, lambda x: (codes := model.transform(x), model.inverse_transform(codes))
