"""Train with Keras 3 on its JAX backend, by ``model.fit``; the KL divergence is added by a layer's ``add_loss``."""

from __future__ import annotations

import time
from typing import Any

import keras
import numpy as np
from bound import Weights
from keras import layers, ops
from recipes import Recipe

__all__ = ["train"]


class _Sampling(layers.Layer):
    """Draw z ~ q(z|x), and add KL(q || p) to the loss."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, h: Any) -> Any:
        mean, log_var = ops.split(h, 2, axis=-1)
        self.add_loss(-0.5 * ops.mean(ops.sum(1 + log_var - ops.square(mean) - ops.exp(log_var), axis=-1)))
        return mean + ops.exp(0.5 * log_var) * keras.random.normal(ops.shape(mean), seed=self.seed_generator)


class _Clock(keras.callbacks.Callback):
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.ends = [*getattr(self, "ends", []), time.perf_counter()]


def _reconstruction(x: Any, logits: Any) -> Any:
    return ops.sum(ops.softplus(logits) - x * logits, axis=-1)


def train(X: np.ndarray, n_latent: int, hidden: int, recipe: Recipe, seed: int) -> tuple[dict[str, float], Weights]:
    """Train; return the seconds, the seconds without compilation, and the weights."""
    keras.utils.set_random_seed(seed)
    dense = [layers.Dense(hidden, "relu"), layers.Dense(2 * n_latent), layers.Dense(hidden, "relu")]
    dense.append(layers.Dense(X.shape[1]))
    model = keras.Sequential([keras.Input((X.shape[1],)), *dense[:2], _Sampling(seed), *dense[2:]])
    clock = _Clock()
    start = time.perf_counter()
    model.compile(keras.optimizers.Adam(recipe.learning_rate), loss=_reconstruction)
    model.fit(X, X, batch_size=recipe.batch_size, epochs=recipe.epochs, verbose=0, callbacks=[clock])
    end = time.perf_counter()
    epochs = np.diff([start, *clock.ends])  # the first one includes compilation
    warm = {"warm_seconds": float(np.median(epochs[1:])) * recipe.epochs} if len(epochs) > 1 else {}
    affine = [tuple(np.asarray(value) for value in layer.get_weights()) for layer in dense]
    return {"seconds": end - start} | warm, Weights(affine[:2], affine[2:])
