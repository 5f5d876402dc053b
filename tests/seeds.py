"""Small saved models of many kinds, from which fuzzing starts."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_iris

from isthmus import (
    VAE,
    Autoencoder,
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    ConditionalVAE,
    DenoisingAutoencoder,
    SparseAutoencoder,
)
from isthmus.likelihoods import Categorical, Mixed
from isthmus.networks import MLP, Conv
from isthmus.posteriors import FullNormal
from isthmus.priors import ConditionalNormal, Flow, MixtureOfNormals, VampPrior
from isthmus.training import EarlyStopping, Trainer

X, Y = load_iris(return_X_y=True)
COUNTS = np.round(X)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]
DAYS = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(150), unit="D")
TABLE = pd.DataFrame({"a": X[:, 0], "b": NAMES, "c": X[:, 1] > 3, "d": COUNTS[:, 2].astype(int), "e": DAYS})
QUICK = {"max_epochs": 2, "random_state": 0, "hidden_layer_sizes": (4,)}


def fitted():
    """Yield (name, fitted estimator)."""
    mixed = Mixed.by_column(["gaussian", "poisson", "student_t", "gaussian"])
    yield "vae", VAE(2, **QUICK).fit(pd.DataFrame(X, columns=list("abcd")))
    yield "autoencoder", Autoencoder(2, **QUICK, trainer=Trainer(precision="float64")).fit(X)
    yield "sparse", SparseAutoencoder(4, k=2, **QUICK).fit(X)
    yield "denoising", DenoisingAutoencoder(2, **QUICK, network=MLP((3,), tied=True)).fit(X)
    yield "conditional", ConditionalVAE(2, **QUICK, prior=ConditionalNormal((3,))).fit(X, NAMES)
    yield "continuous", ConditionalVAE(2, **QUICK).fit(X, X[:, :2])
    yield "conv", VAE(2, **QUICK, network=Conv(image_shape=(2, 2), channels=(2,)), prior=VampPrior(3)).fit(X)
    yield "counts", VAE(2, **QUICK, likelihood="zero_inflated_negative_binomial").fit(COUNTS)
    yield "levels", VAE(2, **QUICK, likelihood=Categorical()).fit(COUNTS)
    yield "mixed", VAE(2, **QUICK, likelihood=mixed, early_stopping=EarlyStopping(0.2)).fit(COUNTS)
    yield "full", VAE(2, **QUICK, posterior=FullNormal(), prior=MixtureOfNormals(2, covariance="full")).fit(X)
    yield "flow", VAE(2, **QUICK, prior=Flow(1, (3,))).fit(X)
    yield "table", VAE(2, **QUICK).fit(TABLE)
    yield "imputer", AutoencoderImputer(VAE(2, **QUICK)).fit(TABLE)
    yield "detector", AutoencoderOutlierDetector(VAE(2, **QUICK)).fit(X)


def write_models(folder):
    """Write the models, and return their paths and those of files in older versions of the format."""
    for name, model in fitted():
        model.save(folder / f"{name}.safetensors")
    older = (Path(__file__).parent / "golden_files").glob("*.safetensors")
    return sorted([*folder.glob("*.safetensors"), *older])


class StopError(Exception):
    """Stands for a crash."""


def fit_with_checkpoints(folder, **more):
    """Fit a small model, with a checkpoint after each step."""
    trainer = Trainer(checkpoint_dir=str(folder), checkpoint_seconds=0.0, **more)
    return VAE(2, **QUICK, batch_size=64, early_stopping=True, trainer=trainer).fit(X)


def write_checkpoints(folder):
    """Leave the checkpoints of a run that stopped, and return their paths."""

    def stop(record):
        raise StopError

    with suppress(StopError):
        fit_with_checkpoints(folder, callbacks=[stop])
    return sorted(folder.glob("checkpoint-*"))
