"""The estimators, one file each, with the conventions of scikit-learn."""

from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.conditional_vae import ConditionalVAE
from isthmus.estimators.contractive import ContractiveAutoencoder
from isthmus.estimators.denoising import DenoisingAutoencoder
from isthmus.estimators.sparse import SparseAutoencoder
from isthmus.estimators.vae import VAE

__all__ = [
    "VAE",
    "Autoencoder",
    "ConditionalVAE",
    "ContractiveAutoencoder",
    "DenoisingAutoencoder",
    "SparseAutoencoder",
]
