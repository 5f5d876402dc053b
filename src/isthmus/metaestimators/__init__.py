"""Imputation and outlier detection with any autoencoder, in the way of scikit-learn."""

from isthmus.metaestimators._explanation import Explanation
from isthmus.metaestimators.imputer import AutoencoderImputer
from isthmus.metaestimators.outlier import AutoencoderOutlierDetector

__all__ = ["AutoencoderImputer", "AutoencoderOutlierDetector", "Explanation"]
