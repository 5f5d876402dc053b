"""Contours of the prior p(z) in the plane of two units."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from isthmus._random import seeded
from isthmus.priors import StandardNormal

__all__ = ["PriorShape"]

_N_SAMPLES, _FEWEST = 20_000, 2000
_NUMBERS = 1 << 20  # of all samples together: 512 units would take seconds otherwise
_N_CELLS = 64
_MASSES = (0.393, 0.865, 0.989)  # inside one, two and three standard deviations of a normal distribution


class PriorShape:
    """The prior of a model, if it has one that does not depend on a condition.

    Parameters
    ----------
    model : estimator
        Fitted.
    """

    def __init__(self, model: Any) -> None:
        net = model.model_
        self.kind = "none"
        if not model.has_density:
            return
        if isinstance(net.prior, StandardNormal):
            self.kind = "circles"
            return
        try:
            with torch.no_grad(), seeded(0):
                n = max(_FEWEST, min(_N_SAMPLES, _NUMBERS // net.network.sizes.n_components))
                self.samples = net.p_z().sample((n,)).reshape(n, -1).double().numpy()
        except ValueError:  # p(z|c) has no contours without a condition
            return
        self.kind = "grid"

    def contours(self, i: int, j: int) -> dict[str, Any]:
        """Return the contours in the plane of two units: radii of circles, or a density and its levels.

        The contours hold 39, 86 and 99 % of the prior, as one, two and three standard deviations do.
        """
        if self.kind == "none":
            return {"kind": "none"}
        if self.kind == "circles":
            return {"kind": "circles", "radii": [1.0, 2.0, 3.0]}
        x, y = self.samples[:, i], self.samples[:, j]
        limits = [[float(v.min()), float(v.max())] for v in (x, y)]
        limits = [[low - 0.1 * (high - low) - 1e-6, high + 0.1 * (high - low) + 1e-6] for low, high in limits]
        density = gaussian_filter(np.histogram2d(x, y, bins=_N_CELLS, range=limits)[0], 1.5)
        values = np.sort(density.ravel())[::-1]
        inside = np.cumsum(values) / values.sum()
        levels = [float(values[np.searchsorted(inside, mass)]) for mass in _MASSES]
        return {"kind": "grid", "limits": limits, "n": _N_CELLS, "levels": levels, "density": density.ravel().tolist()}
