"""Imputers and detectors in files: the autoencoder inside, and what was learned besides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from isthmus import serialization
from isthmus.estimators._saving import description_of
from isthmus.serialization import FileError

__all__ = ["ESTIMATORS", "SaveMixin", "check_entries"]

ESTIMATORS = ("default", "given", "frozen")  # what the parameter `estimator` was


class SaveMixin:
    """Base of meta-estimators that can be saved."""

    estimator: Any
    estimator_: Any

    def save(self, path: str | Path) -> None:
        """Save the fitted meta-estimator, its autoencoder included, to one safetensors file, which contains no code.

        Parameters
        ----------
        path : str or Path
            File to write; an existing one is replaced only when it is complete. :func:`isthmus.load` reads it.

        Raises
        ------
        ValueError
            If :func:`isthmus.load` could not read it, for instance because a parameter is not finite.
        """
        check_is_fitted(self, "estimator_")
        frozen = isinstance(self.estimator_, FrozenEstimator)
        inner = self.estimator_.estimator if frozen else self.estimator_
        fields = {name: v for name, v in self.get_params(deep=False).items() if name != "estimator"}  # type: ignore[attr-defined]
        if not isinstance(fields["random_state"], (int, np.integer)):
            fields["random_state"] = None
        state, arrays = self._saved_state()
        description = {
            "meta_estimator": type(self).__name__,
            "estimator": "frozen" if frozen else "default" if self.estimator is None else "given",
            "fields": serialization.encode(fields),
            "state": serialization.encode(state),
            "model": description_of(inner, path),
        }
        tensors = {name: torch.from_numpy(np.array(values)) for name, values in arrays.items()}
        serialization.write(path, description, {**inner.model_.state_dict(), **tensors}, kind="meta_estimator")

    def _saved_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return what ``fit`` learned besides the autoencoder: values by name, and arrays, which become tensors."""
        raise NotImplementedError


def check_entries(entries: dict[str, Any]) -> None:
    """Raise a FileError unless all entries of a file are there, and each of them is valid."""
    for name, is_valid in _CHECKS.items():
        if not (name in entries and is_valid(entries[name])):
            raise FileError(f"its description has no valid {name!r}; save the model again.")
    if entries.keys() != _CHECKS.keys():
        raise FileError("its description has unknown entries; upgrade isthmus.")


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "meta_estimator": lambda value: value in ("AutoencoderImputer", "AutoencoderOutlierDetector"),
    "estimator": lambda value: value in ESTIMATORS,
    "fields": _is_object,
    "state": _is_object,
    "model": _is_object,
}
