"""Load fitted estimators from files."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
from torch import Tensor

from isthmus import estimators, serialization
from isthmus._names import unknown_name
from isthmus._part import Part
from isthmus._random import seeded
from isthmus.estimators._base import BaseAutoencoder
from isthmus.estimators._check_fields import check_fields
from isthmus.estimators._condition import ContinuousCondition, DiscreteCondition
from isthmus.model import Model
from isthmus.serialization import FileError

__all__ = ["load"]

# Names and types of the entries of a description.
_DESCRIPTION: dict[str, type | tuple[type, ...]] = {
    "estimator": str,
    "fields": dict,
    "parts": dict,
    "n_features": int,
    "n_components": int,
    "masked": bool,
    "columns": (list, type(None)),
    "dataframe_columns": (list, type(None)),
    "dtype": str,
    "seed": int,
    "n_iter": int,
    "history": list,
    "condition": (dict, type(None)),
}


def load(path: str | Path, *, parts: Sequence[type[Part]] = ()) -> Any:
    """Return the fitted estimator from a file that its ``save`` method wrote.

    Parameters
    ----------
    path : str or Path
        The file.
    parts : sequence of type, default=()
        Your own classes of parts that the file uses. No class but these and isthmus' own is ever instantiated.

    Returns
    -------
    Autoencoder, SparseAutoencoder, DenoisingAutoencoder, ContractiveAutoencoder, VAE or ConditionalVAE
        The estimator, ready to use and to train further. Callbacks and the folder of checkpoints are not saved.

    Raises
    ------
    MissingFileError
        If there is no such file; it is a ``FileNotFoundError`` too.
    FileError
        If the file is damaged, from another program or another version of the format, or if it uses an unknown part.
        It is a ``ValueError``.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from sklearn.datasets import load_iris
    >>> from isthmus import VAE, load
    >>> model = VAE(2, max_epochs=2, random_state=0).fit(load_iris().data)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "iris.safetensors"
    ...     model.save(path)
    ...     again = load(path)
    >>> bool((again.transform(load_iris().data) == model.transform(load_iris().data)).all())
    True
    """
    description, tensors = serialization.read(path)
    try:
        estimator = _restore(description, tuple(parts))
        _set_tensors(estimator.model_, tensors)
    except ValueError as error:  # a bad file raises no other error; any other is a bug, perhaps of a part
        raise FileError(f"{path}: {error}") from error
    return estimator


def _restore(description: dict[str, Any], parts: tuple[type[Part], ...]) -> BaseAutoencoder:
    """Return the described estimator with its model built."""
    _check(description, _DESCRIPTION)
    estimator = _unfitted(description["estimator"], serialization.decode(description["fields"], parts))
    estimator.n_features_in_ = description["n_features"]
    if description["columns"] is not None:
        estimator.feature_names_in_ = np.array(description["columns"], dtype=object)
    if description["dataframe_columns"] is not None:
        estimator._dataframe_columns = list(serialization.decode(description["dataframe_columns"]))
    estimator._dtype = np.dtype(np.float32 if description["dtype"] == "float32" else np.float64)
    estimator.seed_, estimator.n_iter_ = description["seed"], description["n_iter"]
    estimator.history_ = list(serialization.decode(description["history"]))
    estimator._n_features_out = estimator.n_components_ = description["n_components"]
    condition = _decode_condition(description["condition"])
    if condition is not None:
        estimator._condition = condition
    if isinstance(condition, DiscreteCondition):
        estimator.classes_ = condition.classes
    described = serialization.decode(description["parts"], parts)
    kinds = {name: kind for name, kind in get_type_hints(Model.__init__).items() if name != "return"}
    _check(described, kinds)
    estimator.model_ = Model(**{name: described[name] for name in kinds})
    with seeded(0):  # the random weights are replaced at once, but torch's generator must not change
        estimator.model_.build(
            estimator.n_features_in_,
            estimator.n_components_,
            0 if condition is None else condition.width,
            masked=description["masked"],
        )
    return estimator


def _check(values: dict[str, Any], kinds: dict[str, Any]) -> None:
    """Raise a FileError unless the values have these names and types."""
    wrong = [name for name, kind in kinds.items() if name not in values or not isinstance(values[name], kind)]
    if wrong:
        raise FileError(f"its description has no valid {wrong[0]!r}; save the model again.")


def _unfitted(name: str, fields: dict[str, Any]) -> BaseAutoencoder:
    classes = {name: getattr(estimators, name) for name in estimators.__all__}
    if name not in classes:
        raise unknown_name("estimator", name, classes)
    known = [field.name for field in dataclasses.fields(classes[name])]
    for field in fields:
        if field not in known:
            raise unknown_name(f"parameter of {name}", field, known)
    estimator: BaseAutoencoder = classes[name](**fields)
    check_fields(estimator)
    return estimator


def _set_tensors(model: Model, tensors: dict[str, Tensor]) -> None:
    """Copy tensors into the model, whose own must have the same names, shapes and kinds of numbers."""
    own = model.state_dict()
    if set(own) != set(tensors):
        raise FileError(f"its tensors do not fit its description: {sorted(set(own) ^ set(tensors))}.")
    for name, tensor in tensors.items():
        own_kind, kind = own[name].is_floating_point() or own[name].dtype, tensor.is_floating_point() or tensor.dtype
        if own[name].shape != tensor.shape or own_kind != kind:
            raise FileError(f"its tensor {name!r} has the wrong shape or type.")
    # The model takes the precision that it was trained in; its scaling stays in float64.
    model.to(next(tensors[name] for name, _ in model.named_parameters()).dtype)
    model.load_state_dict(tensors)
    model.eval()


def _decode_condition(saved: Any) -> DiscreteCondition | ContinuousCondition | None:
    if saved is None:
        return None
    if "labels" in saved:
        _check(saved, {"labels": list, "dtype": str, "class_weight": list})
        classes = np.array(saved["labels"], dtype=np.dtype(saved["dtype"]))
        return DiscreteCondition(classes, np.array(saved["class_weight"]))
    _check(saved, {"mean": list, "scale": list})
    return ContinuousCondition(np.array(saved["mean"]), np.array(saved["scale"]))
