"""Measure how the cost grows with rows, features, latent units and draws, each with the others fixed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["GRIDS", "curve", "draw"]

# The last points take minutes on two cores.
GRIDS: dict[str, list[int]] = {
    "rows": [10**3, 10**4, 10**5, 10**6, 10**7],
    "features": [10, 30, 100, 300, 1000, 3000, 10_000],
    "latent units": [2, 8, 32, 128, 512],
    "draws": [1, 10, 100, 1000, 5000],
}
FIXED = {
    "rows": "fit, one epoch: 16 features, 16-32-2, batches of 1,024",
    "features": "fit, one epoch: 4,096 rows, D-256-16, batches of 128",
    "latent units": "fit, one epoch: 8,192 rows of 64 features, 64-256-K, batches of 128",
    "draws": "score_samples: 128 rows of 64 features, 64-256-16",
}


def _model(n_latent: int, hidden: int, batch_size: int) -> Any:
    from isthmus import VAE
    from isthmus.likelihoods import Gaussian
    from isthmus.networks import MLP

    return VAE(
        n_latent,
        likelihood=Gaussian(scale="shared"),
        prior="standard_normal",
        network=MLP((hidden,), skip=False),
        batch_size=batch_size,
        learning_rate=3e-3,
        max_epochs=1,
        random_state=0,
        device="cpu",
    )


def _work(axis: str, n: int) -> Callable[[], object]:
    """Return the function to time at the point `n` of an axis."""
    from rows import synthetic

    if axis == "draws":
        X = synthetic(128, 64)
        model = _model(16, 256, 128).fit(X)
        model.n_draws = n
        return lambda: model.score_samples(X)
    n_rows, n_features, n_latent, hidden, batch_size = {
        "rows": (n, 16, 2, 32, 1024),
        "features": (4096, n, 16, 256, 128),
        "latent units": (8192, 64, n, 256, 128),
    }[axis]
    X = synthetic(n_rows, n_features)
    return lambda: _model(n_latent, hidden, batch_size).fit(X)


def curve(axis: str, points: list[int], repeats: int, budget: float = 20.0) -> dict[str, Any]:
    """Return the seconds at each point of an axis, `repeats` times or as often as a budget in seconds allows."""
    import side_isthmus  # noqa: F401 - imports before the timing what torch needs for a fit

    _work(axis, points[0])()
    found: dict[str, Any] = {"points": points, "seconds": []}
    for n in points:
        work, seconds = _work(axis, n), []
        while not seconds or (len(seconds) < repeats and sum(seconds) < budget):
            start = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - start)
        found["seconds"].append(seconds)
    return found


def draw(curves: dict[str, Any], path: str) -> dict[str, Any]:
    """Plot the curves, each with a line of slope 1 through its last point, into a PNG file."""
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from isthmus.plots import PALETTE

    figure = Figure(figsize=(8, 6), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    for ax, (axis, found) in zip(figure.subplots(2, 2).flat, curves.items(), strict=False):
        points, seconds = np.array(found["points"]), found["seconds"]
        middle = np.array([np.median(s) for s in seconds])
        ax.fill_between(points, [min(s) for s in seconds], [max(s) for s in seconds], color=PALETTE[0], alpha=0.3)
        ax.loglog(points, middle, "o-", color=PALETTE[0], label="measured")
        ax.loglog(points, middle[-1] * points / points[-1], "--", color=PALETTE[3], label="proportional")
        ax.set(xlabel=axis, ylabel="seconds", title=FIXED[axis].partition(":")[0])
    figure.axes[0].legend(frameon=False)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(path).with_suffix(".part.png")
    canvas.print_png(str(temporary))
    temporary.replace(path)
    return {"written": str(path)}
