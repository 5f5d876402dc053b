"""Train pythae as a user does: its VAE with the default network, by its TrainingPipeline."""

from __future__ import annotations

import logging
import tempfile
import time

import numpy as np
import torch._dynamo  # torch.optim imports it at its first use; imports are not timed
from bound import Weights
from pythae.models import VAE, VAEConfig
from pythae.pipelines import TrainingPipeline
from pythae.trainers import BaseTrainerConfig
from recipes import Recipe

__all__ = ["train"]


def train(
    X: np.ndarray, n_latent: int, hidden: int, recipe: Recipe, seed: int, device: str = "cpu"
) -> tuple[dict[str, float], Weights]:
    """Train; return the seconds of the pipeline, including its checks and data loading, and the weights."""
    if hidden != 512 or recipe.schedule != "constant":
        raise ValueError("pythae's default net has 512 hidden units, and its recipe here is a constant learning rate.")
    logging.disable(logging.INFO)
    torch.manual_seed(seed)
    model = VAE(VAEConfig(input_dim=(X.shape[1],), latent_dim=n_latent, reconstruction_loss="bce"))
    with tempfile.TemporaryDirectory() as folder:
        config = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=recipe.epochs,
            per_device_train_batch_size=recipe.batch_size,
            learning_rate=recipe.learning_rate,
            seed=seed,
            no_cuda=device == "cpu",
        )
        pipeline = TrainingPipeline(model=model, training_config=config)
        start = time.perf_counter()
        pipeline(X)
        seconds = time.perf_counter() - start
    return {"seconds": seconds}, _weights(model.cpu())


def _weights(model: VAE) -> Weights:
    encoder, decoder = model.encoder, model.decoder
    means, scales = _affine(encoder.embedding), _affine(encoder.log_var)
    last = tuple(np.concatenate(pair, axis=-1) for pair in zip(means, scales, strict=True))
    return Weights([_affine(encoder.layers[0][0]), last], [_affine(layer[0]) for layer in decoder.layers])


def _affine(layer: torch.nn.Linear) -> tuple[np.ndarray, np.ndarray]:
    return layer.weight.detach().numpy().T, layer.bias.detach().numpy()
