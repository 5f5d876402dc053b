"""isthmus: autoencoders and variational autoencoders that behave like scikit-learn estimators.

Names are imported when they are first used: ``import isthmus`` does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isthmus.assessment import choose_n_components
    from isthmus.estimators import (
        VAE,
        Autoencoder,
        ConditionalVAE,
        ContractiveAutoencoder,
        DenoisingAutoencoder,
        SparseAutoencoder,
    )
    from isthmus.estimators._loading import load

__version__ = "0.1.0.dev0"

_HOMES = {
    "VAE": "isthmus.estimators",
    "Autoencoder": "isthmus.estimators",
    "ConditionalVAE": "isthmus.estimators",
    "ContractiveAutoencoder": "isthmus.estimators",
    "DenoisingAutoencoder": "isthmus.estimators",
    "SparseAutoencoder": "isthmus.estimators",
    "choose_n_components": "isthmus.assessment",
    "load": "isthmus.estimators._loading",
}

__all__ = [
    "VAE",
    "Autoencoder",
    "ConditionalVAE",
    "ContractiveAutoencoder",
    "DenoisingAutoencoder",
    "SparseAutoencoder",
    "choose_n_components",
    "load",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'isthmus' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
