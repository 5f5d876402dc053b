"""isthmus: autoencoders and variational autoencoders that behave like scikit-learn estimators.

Names are imported when they are first used: ``import isthmus`` does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isthmus.assessment import choose_n_components as choose_n_components
    from isthmus.estimators import *  # noqa: F403 - the estimators
    from isthmus.metaestimators import AutoencoderImputer as AutoencoderImputer
    from isthmus.metaestimators import AutoencoderOutlierDetector as AutoencoderOutlierDetector
    from isthmus.metaestimators._loading import load as load

__version__ = "0.1.0.dev0"

# Estimators by module of isthmus.estimators, which is also the name of the model on the command line.
_ESTIMATORS = {
    "autoencoder": "Autoencoder",
    "sparse": "SparseAutoencoder",
    "denoising": "DenoisingAutoencoder",
    "contractive": "ContractiveAutoencoder",
    "vae": "VAE",
    "conditional_vae": "ConditionalVAE",
}
_MODULES = {name: f"isthmus.estimators.{module}" for module, name in _ESTIMATORS.items()} | {
    "AutoencoderImputer": "isthmus.metaestimators",
    "AutoencoderOutlierDetector": "isthmus.metaestimators",
    "choose_n_components": "isthmus.assessment",
    "load": "isthmus.metaestimators._loading",
}

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'isthmus' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
