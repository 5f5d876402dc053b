"""The models of the demo: the six of the notes, and a VAE whose codes are a picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from isthmus import VAE, Autoencoder, ConditionalVAE, ContractiveAutoencoder, DenoisingAutoencoder, SparseAutoencoder
from isthmus.corruptions import GaussianNoise
from isthmus.demo.digits import Array, Digits
from isthmus.demo.progress import Board
from isthmus.likelihoods import Gaussian

__all__ = ["Trained", "recipes", "train"]


class Trained(NamedTuple):
    """The fitted models.

    Attributes
    ----------
    models : dict of str to estimator
        The six, by the name of their file.
    plane : VAE
        A VAE with two latent units: its codes can be drawn as they are.
    seconds : dict of str to float
        Wall time of each line of the progress board.
    """

    models: dict[str, Any]
    plane: Any
    seconds: dict[str, float]


def recipes() -> dict[str, Any]:
    """Return the six, not fitted. What is not named here is the default; all was chosen on training rows alone."""
    return {
        "autoencoder": Autoencoder(16),
        # One layer each way: every unit is then a stroke that can be drawn.
        "sparse": SparseAutoencoder(64, hidden_layer_sizes=(), method="top_k", k=8),
        # The noise of the test rows, in scaled units; the plain autoencoder has the same size in these two.
        "denoising": DenoisingAutoencoder(16, corruption=GaussianNoise(1.0)),
        "contractive": ContractiveAutoencoder(16),
        # A sigma for each pixel of each row: a blank corner is known to a grey level, the edge of a stroke is not.
        "vae": VAE(8, likelihood=Gaussian(scale="decoder"), max_epochs=200),
        "conditional_vae": ConditionalVAE(4),
    }


def train(digits: Digits, max_epochs: int | None, random_state: int) -> Trained:
    """Fit all models, with a line of progress for each."""
    models, plane = recipes(), VAE(2)
    for model in (*models.values(), plane):
        model.set_params(random_state=random_state)
        if max_epochs is not None:  # a rehearsal: its likelihoods are worth no hundred draws
            model.set_params(max_epochs=max_epochs, **({"n_draws": 10} if hasattr(model, "n_draws") else {}))
    epochs = {type(model).__name__: model.max_epochs for model in models.values()}
    epochs["VAE with 2 units"] = plane.max_epochs
    with Board(epochs) as board:
        for name, model in models.items():
            with board.line(type(model).__name__) as moved:
                _fit(model, moved, _rows(name, digits), digits.y_train)
        with board.line("VAE with 2 units") as moved:
            _fit(plane, moved, digits.train, None)
    return Trained(models, plane, board.seconds)


def _rows(name: str, digits: Digits) -> Array:
    """Return what a model is trained on: only the VAE, whose densities are compared, needs smooth rows."""
    return digits.smooth_train if name == "vae" else digits.train


def _fit(model: Any, moved: Callable[[dict[str, float]], None], X: Array, y: Array | None) -> None:
    model.set_params(callbacks=[moved]).fit(X, y).set_params(callbacks=())
