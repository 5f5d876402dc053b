"""What the settings of the scripts add to: nothing is chosen from the data, and networks start from random weights."""

from __future__ import annotations

from typing import Any

from isthmus.likelihoods import Gaussian
from isthmus.networks import MLP
from isthmus.optimizers import Adam

FIXED: dict[str, Any] = {
    "likelihood": Gaussian(scale="shared"),
    "network": MLP(skip=False),
    "batch_size": 128,
    "learning_rate": 3e-3,
    "optimizer": Adam(weight_decay=0.0),
    "early_stopping": False,
}
FIXED_VAE: dict[str, Any] = FIXED | {"prior": "standard_normal"}
