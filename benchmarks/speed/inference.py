"""Compare trained models with the bare matrix products of the same layers on many rows, and measure their peak "
"memory."""

from __future__ import annotations

import functools
import resource
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from recipes import Recipe
from rows import synthetic
from side_isthmus import estimator

__all__ = ["peak", "ratios"]

_ROWS = 4096  # per block of products, so that activations stay in the processor cache


def _trained(n_features: int, n_latent: int, hidden: int) -> Any:
    return estimator(n_latent, hidden, Recipe(epochs=1), seed=0).fit(synthetic(512, n_features))


def _clock(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def _products(widths: list[int], n_rows: int) -> Callable[[], object]:
    """Return a function that multiplies rows by matrices of consecutive widths, with one product per layer."""
    matrices = [torch.randn(a, b) for a, b in pairwise(widths)]
    rows = torch.randn(n_rows, widths[0])
    return lambda: functools.reduce(torch.mm, matrices, rows)


def _blocks(widths: list[int], n_rows: int) -> Callable[[], object]:
    """Return a function that does the same in blocks of rows, into reused tensors and without keeping the result."""
    matrices = [torch.randn(a, b) for a, b in pairwise(widths)]
    size = min(_ROWS, n_rows)
    activations = [torch.randn(size, width) for width in widths]

    def run() -> None:
        for start in range(0, n_rows, size):
            n = min(size, n_rows - start)
            for i, matrix in enumerate(matrices):
                torch.mm(activations[i][:n], matrix, out=activations[i + 1][:n])

    return run


def ratios(n_rows: int, n_draws: int, n_scored: int, repeats: int, n_features: int = 784) -> dict[str, Any]:
    """Return the seconds of each method and of its bare products, alternately, after one round that is not counted.

    The products are measured on all rows at once, with a result as the method has one, and in blocks without.
    """
    n_latent, hidden = 20, 512
    model = _trained(n_features, n_latent, hidden)
    model.n_draws = n_draws
    X, scored = synthetic(n_rows, n_features), synthetic(n_scored, n_features, seed=1)
    Z = model.transform(X)
    encode, decode = [n_features, hidden, 2 * n_latent], [n_latent, hidden, n_features]
    methods: dict[str, tuple[Callable[[], object], list[tuple[list[int], int]]]] = {
        "transform": (lambda: model.transform(X), [(encode, n_rows)]),
        "inverse_transform": (lambda: model.inverse_transform(Z), [(decode, n_rows)]),
        f"score_samples, {n_draws} draws": (
            lambda: model.score_samples(scored),
            [(encode, n_scored), (decode, n_scored * n_draws)],
        ),
        "sample": (lambda: model.sample(n_rows, random_state=0), [(decode, n_rows)]),
    }
    found: dict[str, Any] = {}
    for name, (method, nets) in methods.items():
        whole, blocks = [_products(*net) for net in nets], [_blocks(*net) for net in nets]
        times: dict[str, list[float]] = {"seconds": [], "products": [], "blocks": []}
        for _ in range(repeats + 1):
            times["seconds"].append(_clock(method))
            times["products"].append(sum(map(_clock, whole)))
            times["blocks"].append(sum(map(_clock, blocks)))
        found[name] = {"rows": nets[0][1]} | {key: values[1:] for key, values in times.items()}
    return found


# ---- memory ---------------------------------------------------------------------------------------------------------


def _status(name: str) -> int:
    """Return a line of /proc/self/status in bytes, or the peak size of the process if there is no such file."""
    path = Path("/proc/self/status")
    for line in path.read_text().splitlines() if path.exists() else ():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def peak(method: str, n_rows: int, n_draws: int, n_features: int = 784) -> dict[str, float]:
    """Return the peak memory of a method in MiB, without the library, the rows and the result."""
    model = _trained(n_features, 20, 512)
    calls: dict[str, Callable[[int], Any]] = {
        "transform": lambda n: model.transform(X[:n]),
        "score_samples": lambda n: model.score_samples(X[:n]),
        "sample": lambda n: model.sample(n, random_state=0),
    }
    X = synthetic(1 if method == "sample" else n_rows, n_features)
    calls[method](1)  # allocate what is kept between calls
    model.n_draws = n_draws
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # reset the peak
    result = calls[method](n_rows)
    needed = _status("VmHWM") - before - result.nbytes
    return {"mebibytes": max(0.0, needed / 2**20), "result_mebibytes": result.nbytes / 2**20}
