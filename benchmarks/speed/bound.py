"""Compute the negative ELBO of any model in nats, from its weights and numpy alone: the same judge for all methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["Weights", "negative_elbo"]

Layers = Sequence[tuple[np.ndarray, np.ndarray]]

_ROWS = 1000  # rows per block
_DRAWS = 5


class Weights(NamedTuple):
    """A trained model.

    Attributes
    ----------
    encoder, decoder : list of (ndarray of shape (inputs, outputs), ndarray of shape (outputs,))
        Affine maps with ReLU between them; the encoder's last one gives K means and K numbers of scale.
    bound : float
        0 where the latter are log sigma^2; else log sigma = bound tanh(number / bound), as isthmus bounds it.
    """

    encoder: Layers
    decoder: Layers
    bound: float = 0.0


def _run(layers: Layers, h: np.ndarray) -> np.ndarray:
    for i, (weight, bias) in enumerate(layers):
        h = (np.maximum(h, 0) if i else h) @ weight + bias
    return h


def negative_elbo(weights: Weights, X: np.ndarray, n_draws: int = _DRAWS) -> float:
    """Return the mean over rows of E_q[-log p(x|z)] + KL(q || N(0, I)), with the same noise for every model."""
    rng = np.random.default_rng(12345)
    total = 0.0
    for start in range(0, len(X), _ROWS):
        x = X[start : start + _ROWS]
        mean, raw = np.split(_run(weights.encoder, x).astype(np.float64), 2, axis=1)
        log_scale = weights.bound * np.tanh(raw / weights.bound) if weights.bound else raw / 2
        total += 0.5 * np.sum(mean**2 + np.exp(2 * log_scale) - 1 - 2 * log_scale)
        for noise in rng.standard_normal((n_draws, *mean.shape)):
            h = _run(weights.decoder, (mean + np.exp(log_scale) * noise).astype(np.float32))
            total += float(np.sum(np.logaddexp(0, h) - x * h, dtype=np.float64)) / n_draws
    return float(total / len(X))
