"""Measure training steps: contractive and plain, and k draws and their matrix products."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from rows import synthetic

from isthmus import VAE, Autoencoder, ContractiveAutoencoder
from isthmus.networks import MLP
from isthmus.objectives import ImportanceWeighted
from isthmus.optimizers import Adam

__all__ = ["contractive", "draws"]


def _milliseconds(make: Callable[[], Any], X: Any, batch_size: int) -> float:
    """Return the milliseconds per step of the fastest epoch, without the first one."""
    epochs = make().fit(X).history_[1:]
    return min(record["seconds"] for record in epochs) / -(-len(X) // batch_size) * 1e3


def _interleaved(sides: dict[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in sides}
    for i in range(repeats + 1):
        for name, side in sides.items():
            value = side()
            if i:  # the first round warms up
                found[name].append(value)
    return found


def contractive(repeats: int, n_rows: int, n_features: int = 784, batch_size: int = 128) -> dict[str, Any]:
    """Return the milliseconds per step without and with the penalty, for one sigmoid layer and for a deep encoder."""
    X = synthetic(n_rows, n_features)
    common = {"batch_size": batch_size, "max_epochs": 3, "optimizer": Adam(schedule="constant"), "learning_rate": 1e-3}
    common |= {"random_state": 0, "device": "cpu"}
    nets = {
        "one layer": {
            "n_components": 256,
            "hidden_layer_sizes": (),
            "code_activation": "sigmoid",
            "network": MLP(tied=True),
        },
        "deep": {"n_components": 32, "hidden_layer_sizes": (512, 256), "network": MLP(activation="relu", skip=False)},
    }
    sides = {}
    for name, net in nets.items():
        for estimator in (Autoencoder, ContractiveAutoencoder):

            def one(estimator: Any = estimator, net: dict[str, Any] = net) -> float:
                return _milliseconds(lambda: estimator(**net, **common), X, batch_size)

            sides[f"{name}, {'plain' if estimator is Autoencoder else 'contractive'}"] = one
    return _interleaved(sides, repeats)


def _products(n_rows: int, widths: list[int]) -> Callable[[], None]:
    """Return the products of a step through affine maps: forward, and backward to inputs and weights."""
    matrices = [torch.randn(b, a) for a, b in pairwise(widths)]
    inputs = [torch.randn(n_rows, width) for width in widths]

    def run() -> None:
        for i, matrix in enumerate(matrices):
            torch.mm(inputs[i], matrix.T, out=inputs[i + 1])
        for i in reversed(range(len(matrices))):
            torch.mm(inputs[i + 1].T, inputs[i])
            torch.mm(inputs[i + 1], matrices[i])

    return run


def draws(
    repeats: int, n_rows: int, numbers: list[int], n_features: int = 784, batch_size: int = 128
) -> dict[str, Any]:
    """Return the milliseconds per step of the importance-weighted bound with k draws, and of its bare products."""
    X, hidden, n_latent = synthetic(n_rows, n_features), 512, 20
    found: dict[str, Any] = {}
    for k in numbers:
        encoding = _products(batch_size, [n_features, hidden, 2 * n_latent])
        decoding = _products(k * batch_size, [n_latent, hidden, n_features])

        def ours(k: int = k) -> float:
            fields = {
                "likelihood": "bernoulli",
                "scaling": "none",
                "batch_size": batch_size,
                "network": MLP(activation="relu", skip=False),
                "learning_rate": 3e-3,
            }
            fields |= {"hidden_layer_sizes": (hidden,), "max_epochs": 3, "random_state": 0, "device": "cpu"}
            return _milliseconds(lambda: VAE(n_latent, objective=ImportanceWeighted(k), **fields), X, batch_size)

        def bare(encoding: Any = encoding, decoding: Any = decoding) -> float:
            start = time.perf_counter()
            encoding()
            decoding()
            return (time.perf_counter() - start) * 1e3

        found[str(k)] = _interleaved({"step": ours, "products": bare}, repeats)
    return found
