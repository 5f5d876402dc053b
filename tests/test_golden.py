"""A loss curve for every estimator at a fixed seed, which a refactoring must leave as it is.

``python tests/test_golden.py`` writes ``golden.json`` anew. Do that only where numbers are meant to change, and say in
``docs/decisions.md`` why they did.
"""

import json
import sys
from pathlib import Path

import pytest
from sklearn.datasets import load_digits

import isthmus
from isthmus import estimators
from isthmus.likelihoods import Gaussian
from isthmus.networks import MLP, Conv
from isthmus.optimizers import Adam
from isthmus.training import EarlyStopping, Trainer

STORE = Path(__file__).with_name("golden.json")

# Every field is given, so that a new default changes no curve.
COMMON = {
    "n_components": 3,
    "hidden_layer_sizes": (16,),
    "network": MLP(activation="tanh", skip=False),
    "likelihood": Gaussian(scale="shared"),
    "scaling": "standard",
    "corruption": "none",
    "penalties": (),
    "max_epochs": 5,
    "batch_size": 64,
    "learning_rate": 3e-3,
    "optimizer": Adam(betas=(0.9, 0.999), weight_decay=0.0, schedule="one_cycle"),
    "early_stopping": False,
    "random_state": 0,
    "device": "cpu",
    "warm_start": False,
    "verbose": 0,
    "trainer": Trainer(precision="float64", compile=False, gradient_accumulation=1),
}
POINT = COMMON | {"code_activation": "identity"}
VARIATIONAL = COMMON | {
    "posterior": "diagonal_normal",
    "prior": "standard_normal",
    "objective": "penalized_likelihood",
    "beta": 1.0,
    "n_draws": 10,
}
SPARSE = POINT | {"method": "l1", "sparsity": 0.5, "rho": 0.05, "k": 2, "code_activation": "auto"}
FREE_NORMS = {"network": MLP(activation="tanh", skip=False, unit_norm=False)}
TIED = {"network": MLP(activation="tanh", skip=False, tied=True)}
CONV = {"network": Conv(image_shape=(8, 8), activation="tanh")}

ROWS = {
    "autoencoder": ("Autoencoder", POINT),
    "autoencoder, convolutional": ("Autoencoder", POINT | CONV),
    "autoencoder, early stopping": ("Autoencoder", POINT | {"early_stopping": EarlyStopping(0.1, n_iter_no_change=10)}),
    "sparse, l1": ("SparseAutoencoder", SPARSE),
    "sparse, kl": ("SparseAutoencoder", SPARSE | {"method": "kl"}),
    "sparse, top k": ("SparseAutoencoder", SPARSE | {"method": "top_k", "sparsity": 0.0, **FREE_NORMS}),
    "denoising": ("DenoisingAutoencoder", POINT | {"corruption": "gaussian_noise"}),
    "denoising, masking": ("DenoisingAutoencoder", POINT | {"corruption": "masking"}),
    "denoising, salt and pepper": ("DenoisingAutoencoder", POINT | {"corruption": "salt_and_pepper"}),
    "contractive": (
        "ContractiveAutoencoder",
        POINT | TIED | {"hidden_layer_sizes": (), "code_activation": "sigmoid", "contraction": 0.5},
    ),
    "contractive, deep": ("ContractiveAutoencoder", POINT | {"contraction": 0.5}),
    "vae": ("VAE", VARIATIONAL),
    "vae, full covariance": ("VAE", VARIATIONAL | {"posterior": "full_normal", "beta": 2.0}),
    "vae, bernoulli": ("VAE", VARIATIONAL | {"likelihood": "bernoulli", "scaling": "min_max"}),
    "vae, importance weighted": ("VAE", VARIATIONAL | {"objective": "importance_weighted"}),
    "conditional vae": ("ConditionalVAE", VARIATIONAL),
}


def curve(name):
    """Return the training loss of every epoch, and the final score."""
    X, y = load_digits(return_X_y=True)
    estimator, fields = ROWS[name]
    model = getattr(isthmus, estimator)(**fields).fit(X[:200], y[:200])
    losses = [record["validation_loss" if fields["early_stopping"] else "loss"] for record in model.history_]
    return {"loss": losses, "score": model.score(X[:200])}


@pytest.mark.parametrize("name", ROWS)
def test_golden(name):
    stored = json.loads(STORE.read_text())[name]
    now = curve(name)
    assert now["loss"] == pytest.approx(stored["loss"], rel=1e-9)
    assert now["score"] == pytest.approx(stored["score"], rel=1e-9)


def test_every_estimator_has_a_curve():
    assert {estimator for estimator, _ in ROWS.values()} == set(estimators.__all__)
    assert set(json.loads(STORE.read_text())) == set(ROWS)


if __name__ == "__main__":
    STORE.write_text(json.dumps({name: curve(name) for name in ROWS}, indent=2) + "\n")
    sys.stderr.write(f"wrote {len(ROWS)} curves to {STORE}\n")
