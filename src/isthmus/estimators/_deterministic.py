"""Base of the deterministic autoencoders."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np

from isthmus._part import Part
from isthmus.estimators._base import BaseAutoencoder
from isthmus.estimators._inference import iterate_imputation, map_rows
from isthmus.posteriors import Point

__all__ = ["DeterministicAutoencoder"]


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class DeterministicAutoencoder(BaseAutoencoder):
    """Base of the autoencoders whose posterior is a point mass at f(x)."""

    code_activation: str = "identity"
    tied: bool = False

    def _posterior(self) -> str | Part:
        return Point(self.code_activation)

    def _network_fields(self) -> dict[str, Any]:
        return super()._network_fields() | {"tied": self.tied}

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
