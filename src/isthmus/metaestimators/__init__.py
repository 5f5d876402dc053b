"""Imputation and outlier detection with any autoencoder, as scikit-learn has them."""

from isthmus.metaestimators._explanation import Explanation
from isthmus.metaestimators.imputer import AutoencoderImputer
from isthmus.metaestimators.outlier import AutoencoderOutlierDetector

__all__ = ["AutoencoderImputer", "AutoencoderOutlierDetector", "Explanation"]
