"""The models and how they are trained: sizes, the recipe of the peers and that of isthmus. Imports nothing heavy."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["OPTIONS", "OPTION_DATA", "OURS", "PEERS", "TASKS", "TUNING", "Recipe", "Task"]


class Recipe(NamedTuple):
    """How a model is trained; `learning_rate` is the peak of schedules that are not constant.

    `slower` is what it is divided by for the encoder. `compile` is the option of isthmus of that name.
    """

    epochs: int
    batch_size: int = 128
    learning_rate: float = 1e-3
    schedule: str = "constant"
    precision: str = "float32"
    betas: tuple[float, float] = (0.9, 0.999)
    slower: float = 1.0
    compile: bool = False


class Task(NamedTuple):
    """Data and network: D - hidden - K (means and scales) and back, ReLU, Bernoulli likelihood of grey values in "
    "[0, 1]."""

    title: str
    data: str
    n_latent: int
    hidden: int
    peers: Recipe
    ours: Recipe
    goal: float  # the least speed-up over pythae
    aim: float


# Adam with a constant rate of 1e-3, as in the examples of pythae.
PEERS = {"A": Recipe(epochs=5, batch_size=128), "B": Recipe(epochs=50, batch_size=64)}

# Chosen on validation rows (the last 10,000 training rows of Fashion-MNIST; 397 digits), never on test rows.
OURS = {
    "A": Recipe(epochs=1, batch_size=256, learning_rate=3.2e-2, schedule="linear", betas=(0.9, 0.95), slower=4),
    "B": Recipe(epochs=12, batch_size=128, learning_rate=3.6e-2, schedule="linear", betas=(0.8, 0.9), slower=2),
}

TASKS = {
    "A": Task("Fashion-MNIST, 784-512-20", "fashion_mnist", 20, 512, PEERS["A"], OURS["A"], goal=5, aim=8),
    "B": Task("digits, 64-512-8", "digits", 8, 512, PEERS["B"], OURS["B"], goal=10, aim=10),
}

# The grid of --tune, with the schedule and the betas of OURS. Each rate comes with its divisor for the encoder.
TUNING = {
    "A": {
        "batch_size": (128, 192, 256, 320),
        "epochs": (1, 2),
        "rates": ((1.6e-2, 1), (2.4e-2, 3), (3.2e-2, 4)),
        "precision": ("float32",),
    },
    "B": {
        "batch_size": (64, 96, 128, 192, 256),
        "epochs": (10, 12, 14),
        "rates": ((1.8e-2, 1), (3.6e-2, 2), (4.8e-2, 4)),
        "precision": ("float32",),
    },
}

# The options that task F compares, and the data sets and models that it uses.
OPTIONS: dict[str, dict[str, Any]] = {
    "float32": {},
    "float64": {"trainer__precision": "float64"},
    "bf16": {"trainer__precision": "bf16"},
    "compile=True": {"trainer__compile": True},
}
_FIXED: dict[str, Any] = {"network__skip": False, "prior": "standard_normal", "batch_size": 128, "learning_rate": 3e-3}
OPTION_DATA: dict[str, dict[str, Any]] = {
    "fashion_mnist": _FIXED
    | {"likelihood": "bernoulli", "n_components": 20, "hidden_layer_sizes": (512,), "max_epochs": 3},
    "digits": _FIXED | {"likelihood": "bernoulli", "n_components": 8, "hidden_layer_sizes": (512,), "max_epochs": 50},
    "breast_cancer": _FIXED | {"likelihood__scale": "shared", "n_components": 4, "max_epochs": 200},
}
