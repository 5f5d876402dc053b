"""Save fitted estimators to files."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from isthmus import serialization
from isthmus.estimators._saved_entries import check_entries, encode_condition
from isthmus.estimators._saved_tensors import check_values
from isthmus.serialization import FileError
from isthmus.tables import TableCodec
from isthmus.training import Trainer

__all__ = ["description_of", "save", "without_local_settings"]


def save(estimator: Any, path: str | Path) -> None:
    """Write a fitted estimator to `path`.

    The trainer's callbacks, which are code, are not saved, nor is its folder of checkpoints, which is one of this
    machine. A generator given as ``random_state`` is saved as None.

    Parameters
    ----------
    estimator : estimator
        A fitted estimator.
    path : str or Path
        The file, which is replaced only when the new one is complete.

    Raises
    ------
    ValueError
        If :func:`isthmus.load` could not read it: a parameter is not finite, or labels are of an unusual type.
    """
    serialization.write(path, description_of(estimator, path), estimator.model_.state_dict())


def description_of(estimator: Any, path: str | Path) -> dict[str, Any]:
    """Return the description of a fitted estimator that is to be saved to `path`.

    Raises
    ------
    ValueError
        As :func:`save` does.
    """
    check_is_fitted(estimator, "model_")
    fields = {f.name: getattr(estimator, f.name) for f in dataclasses.fields(estimator)}
    fields["trainer"] = without_local_settings(estimator.trainer)
    if not isinstance(fields["random_state"], (int, np.integer)):
        fields["random_state"] = None
    names = getattr(estimator, "feature_names_in_", None)
    description = {
        "estimator": type(estimator).__name__,
        "fields": serialization.encode(fields),
        "parts": {name: serialization.encode(part) for name, part in estimator.model_.parts().items()},
        "n_features": int(estimator.model_.network.sizes.n_features),
        "n_components": int(estimator.n_components_),
        "masked": estimator.model_.network.sizes.masked,
        "columns": None if names is None else [str(name) for name in names],
        "dataframe_columns": _encode_names(estimator._dataframe_columns),
        "dtype": estimator._dtype.name,
        "seed": estimator.seed_,
        "n_iter": estimator.n_iter_,
        "history": serialization.encode(tuple(estimator.history_)),
        "condition": encode_condition(getattr(estimator, "_condition", None)),
        "table": _encode_table(estimator._table, estimator._encodes),
    }
    try:
        check_entries(description)
        check_values(estimator.model_)
    except FileError as error:  # better now than when the file is read
        raise ValueError(f"{path}: the model cannot be saved: {error}") from error
    return description


def without_local_settings(trainer: Trainer | None) -> Trainer | None:
    """Return a trainer without callbacks and checkpoints; None if it has only defaults then."""
    if trainer is None:
        return None
    kept = dataclasses.replace(
        trainer,
        callbacks=(),
        checkpoint_dir=None,
        checkpoint_seconds=Trainer.checkpoint_seconds,
    )
    return None if kept == Trainer() else kept


def _encode_table(codec: TableCodec | None, encodes: bool) -> Any:
    return None if codec is None else {"codec": serialization.encode(codec), "encodes": encodes}


def _encode_names(names: Sequence[Any] | None) -> Any:
    """Return column names as JSON; those that have no such form, dates for instance, as text."""
    if names is None:
        return None
    try:
        return serialization.encode(tuple(names))
    except TypeError:
        return [str(name) for name in names]
