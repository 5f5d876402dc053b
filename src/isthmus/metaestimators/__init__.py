"""Imputation and outlier detection with any autoencoder, as scikit-learn has them."""

from isthmus.metaestimators.imputer import AutoencoderImputer

__all__ = ["AutoencoderImputer"]
