"""Train with JAX: one jitted step with Adam from optax, over arrays that stay on the device and are cut into batches
inside the step.
"""

from __future__ import annotations

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from bound import Weights
from recipes import Recipe

__all__ = ["train"]


def _layers(sizes: list[int], key: Any) -> list[tuple[Any, Any]]:
    keys = jax.random.split(key, len(sizes))
    scaled = jax.nn.initializers.he_normal()
    pairs = zip(keys, sizes[:-1], sizes[1:], strict=False)
    return [(scaled(k, (a, b)), jnp.zeros(b)) for k, a, b in pairs]


def _run(layers: Any, h: Any) -> Any:
    (first, first_bias), (last, last_bias) = layers
    return jax.nn.relu(h @ first + first_bias) @ last + last_bias


def _loss(params: Any, x: Any, key: Any) -> Any:
    mean, log_var = jnp.split(_run(params["encoder"], x), 2, axis=-1)
    h = _run(params["decoder"], mean + jnp.exp(0.5 * log_var) * jax.random.normal(key, mean.shape))
    kl = -0.5 * jnp.sum(1 + log_var - mean**2 - jnp.exp(log_var))
    return (jnp.sum(jax.nn.softplus(h) - x * h) + kl) / len(x)


def train(X: np.ndarray, n_latent: int, hidden: int, recipe: Recipe, seed: int) -> tuple[dict[str, float], Weights]:
    """Train; return the seconds, the seconds without compilation, and the weights.

    Each epoch leaves out its last, incomplete batch, whose shape would be compiled separately.
    """
    key, encoder, decoder = jax.random.split(jax.random.key(seed), 3)
    n_steps, D = len(X) // recipe.batch_size, X.shape[1]
    start = time.perf_counter()
    rows, rng, adam = jax.device_put(X), np.random.default_rng(seed), optax.adam(recipe.learning_rate)
    params = {
        "encoder": _layers([D, hidden, 2 * n_latent], encoder),
        "decoder": _layers([n_latent, hidden, D], decoder),
    }

    def step(params: Any, state: Any, total: Any, rows: Any, order: Any, i: Any, key: Any) -> Any:
        x = rows[jax.lax.dynamic_slice_in_dim(order, i * recipe.batch_size, recipe.batch_size)]
        loss, gradients = jax.value_and_grad(_loss)(params, x, jax.random.fold_in(key, i))
        updates, state = adam.update(gradients, state)
        return optax.apply_updates(params, updates), state, total + loss

    state = adam.init(params)
    jitted, ends = jax.jit(step, donate_argnums=(0, 1, 2)), []
    for epoch in range(recipe.epochs):
        order, epoch_key = jnp.asarray(rng.permutation(len(X))), jax.random.fold_in(key, epoch)
        total = jnp.zeros(())
        for i in range(n_steps):
            params, state, total = jitted(params, state, total, rows, order, i, epoch_key)
        jax.block_until_ready((params, total))
        ends.append(time.perf_counter())
    epochs = np.diff([start, *ends])  # the first one includes compilation
    warm = {"warm_seconds": float(np.median(epochs[1:])) * recipe.epochs} if len(epochs) > 1 else {}
    affine = [[(np.asarray(w), np.asarray(b)) for w, b in params[name]] for name in ("encoder", "decoder")]
    return {"seconds": ends[-1] - start} | warm, Weights(*affine)
