"""Train isthmus as a user does: ``VAE(...).fit(X)``."""

from __future__ import annotations

import time

import numpy as np
from bound import Weights
from recipes import Recipe

from isthmus import VAE
from isthmus._distributions import LOG_SCALE_BOUND
from isthmus.networks import MLP
from isthmus.optimizers import Adam
from isthmus.training import Trainer

__all__ = ["estimator", "train", "weights_of"]


def estimator(n_latent: int, hidden: int, recipe: Recipe, seed: int, device: str = "cpu") -> VAE:
    """Return the estimator with the common network."""
    return VAE(
        n_latent,
        hidden_layer_sizes=(hidden,),
        network=MLP(activation="relu", skip=False),
        likelihood="bernoulli",
        scaling="none",
        max_epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        optimizer=Adam(
            betas=tuple(recipe.betas),
            encoder_learning_rate=None if recipe.slower == 1 else recipe.learning_rate / recipe.slower,
            schedule=recipe.schedule,
        ),
        trainer=Trainer(precision=recipe.precision, compile=recipe.compile),
        random_state=seed,
        device=device,
    )


def weights_of(model: VAE) -> Weights:
    """Return the weights for the judge, with the centring of the columns folded into the first layer."""
    encoder, decoder = (
        [(layer.weight.detach().numpy().T, layer.bias.detach().numpy()) for layer in layers]
        for layers in (model.model_.network.encoder, model.model_.network.decoder)
    )
    weight, bias = encoder[0]
    encoder[0] = weight, bias - model.model_.centre.numpy() @ weight
    return Weights(encoder, decoder, bound=LOG_SCALE_BOUND)


def train(
    X: np.ndarray, n_latent: int, hidden: int, recipe: Recipe, seed: int, device: str = "cpu"
) -> tuple[dict[str, float], Weights]:
    """Train; return the seconds and the weights."""
    model = estimator(n_latent, hidden, recipe, seed, device)
    start = time.perf_counter()
    model.fit(X)
    return {"seconds": time.perf_counter() - start}, weights_of(model)
