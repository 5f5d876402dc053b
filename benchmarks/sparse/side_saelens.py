"""The peer: BatchTopK of SAELens, trained by its own trainer and converted to its JumpReLU for inference."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from world import Array

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before the imports below, which would look for another version

from sae_lens import SAE, BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig, LoggingConfig
from sae_lens.config import SAETrainerConfig
from sae_lens.training.sae_trainer import SAETrainer


def batches(path: Path, size: int, seed: int) -> Iterator[torch.Tensor]:
    """Yield batches of the samples of a file in random order, again and again."""
    rows, rng = np.load(path, mmap_mode="r"), np.random.default_rng(seed)
    while True:
        order = rng.permutation(len(rows))
        for start in range(0, len(order) - size + 1, size):
            yield torch.from_numpy(rows[np.sort(order[start : start + size])])


def fit(path: Path, settings: dict[str, Any], seed: int) -> tuple[Array, Any]:
    """Return the directions of the units (K, D), and a function that returns codes and reconstructions."""
    torch.manual_seed(seed)
    n, dimensions = np.load(path, mmap_mode="r").shape
    config = BatchTopKTrainingSAEConfig(d_in=dimensions, d_sae=settings["n_components"], k=settings["k"])
    batch = settings["batch_size"]
    trainer = SAETrainer(
        cfg=SAETrainerConfig(
            total_training_samples=n // batch * batch,
            train_batch_size_samples=batch,
            lr=settings["learning_rate"],
            lr_end=settings["learning_rate"],
            lr_decay_steps=round(settings.get("decay", 0.0) * (n // batch)),
            dead_feature_window=settings.get("dead_feature_window", 1000),
            logger=LoggingConfig(log_to_wandb=False),
        ),
        sae=BatchTopKTrainingSAE(config),
        data_provider=batches(path, batch, seed),
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer.fit().save_inference_model(folder)
        sae = SAE.load_from_disk(folder)

    def apply(x: Array) -> tuple[Array, Array]:
        with torch.no_grad():
            codes = sae.encode(torch.from_numpy(x))
            return codes.numpy(), sae.decode(codes).numpy()

    return sae.W_dec.detach().numpy(), apply
