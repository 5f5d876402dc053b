"""The models of the demo: one of each estimator, and a VAE with two latent units for maps of its latent space."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from isthmus import VAE, Autoencoder, ConditionalVAE, ContractiveAutoencoder, DenoisingAutoencoder, SparseAutoencoder
from isthmus.corruptions import GaussianNoise
from isthmus.demo.digits import Array, Digits
from isthmus.demo.progress import TrainingProgress
from isthmus.likelihoods import Gaussian

__all__ = ["TrainedModels", "make_models", "train_models"]

_VAE_2D = "VAE with 2 units"
_EPOCHS = 100  # as good here as stopping early, which trains twice and takes more than twice as long


class TrainedModels(NamedTuple):
    """The fitted models.

    Attributes
    ----------
    models : dict of str to estimator
        The six, by the names of their files.
    vae_2d : VAE
        A VAE with two latent units.
    seconds : dict of str to float
        Training time of each model, by title.
    """

    models: dict[str, Any]
    vae_2d: Any
    seconds: dict[str, float]


def make_models() -> dict[str, Any]:
    """Return the six models, unfitted. The fields set here were selected on training samples alone."""
    return {
        "autoencoder": Autoencoder(16, max_epochs=_EPOCHS),
        # One layer each way, so that every unit adds a fixed image.
        "sparse": SparseAutoencoder(64, hidden_layer_sizes=(), method="top_k", k=8, max_epochs=_EPOCHS),
        # The noise of the test samples, in scaled units; as large as the plain autoencoder, for comparison.
        "denoising": DenoisingAutoencoder(16, corruption=GaussianNoise(1.0), max_epochs=_EPOCHS),
        "contractive": ContractiveAutoencoder(16, max_epochs=_EPOCHS),
        # One sigma per pixel and sample: a blank corner is certain, the edge of a stroke is not.
        "vae": VAE(8, likelihood=Gaussian(scale="decoder"), max_epochs=2 * _EPOCHS),
        "conditional_vae": ConditionalVAE(4, max_epochs=2 * _EPOCHS),
    }


def train_models(digits: Digits, max_epochs: int | None, random_state: int) -> TrainedModels:
    """Fit all models, with a progress bar for each."""
    models, vae_2d = make_models(), VAE(2, max_epochs=_EPOCHS)
    for model in (*models.values(), vae_2d):
        model.set_params(random_state=random_state)
        if max_epochs is not None:  # a quick run
            model.set_params(max_epochs=max_epochs, **({"n_draws": 10} if model.has_density else {}))
    titled = {type(model).__name__: model for model in models.values()} | {_VAE_2D: vae_2d}
    with TrainingProgress({title: model.max_epochs for title, model in titled.items()}) as progress:
        for name, model in models.items():
            X = digits.dequantized_train if name == "vae" else digits.train  # whose density is compared
            with progress.track(type(model).__name__) as callback:
                _fit(model, callback, X, digits.y_train)
        with progress.track(_VAE_2D) as callback:
            _fit(vae_2d, callback, digits.train, None)
    return TrainedModels(models, vae_2d, progress.seconds)


def _fit(model: Any, callback: Callable[[dict[str, float]], None], X: Array, y: Array | None) -> None:
    model.set_params(trainer__callbacks=[callback]).fit(X, y).set_params(trainer=None)
