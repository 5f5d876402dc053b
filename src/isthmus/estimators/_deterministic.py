"""Base of the deterministic autoencoders."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np

from isthmus._part import Part
from isthmus.estimators._base import BaseAutoencoder
from isthmus.estimators._fields import FirstFields
from isthmus.estimators._inference import iterate_imputation, map_rows
from isthmus.posteriors import Point

__all__ = ["CodeFields", "DeterministicAutoencoder"]


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class CodeFields(FirstFields):
    """Base of the fields that say what a code is."""

    code_activation: str = "identity"


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class DeterministicAutoencoder(BaseAutoencoder, CodeFields):
    """Base of the autoencoders whose posterior is a point mass at f(x)."""

    def _posterior(self) -> str | Part:
        return Point(self.code_activation)

    def _impute(self, X: np.ndarray) -> np.ndarray:
        once = self._corruption().simulates_missing
        return map_rows(self, functools.partial(iterate_imputation, once=once), X)

    def score(self, X: Any, y: Any = None) -> float:  # noqa: ARG002 - scikit-learn's signature
        """Return the mean of log p(x|z = f(x)) over the samples, in nats of the data's units; higher is better.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Samples.
        y : None
            Ignored.

        Returns
        -------
        float
        """
        return float(-np.mean(self.reconstruction_error(X)))
