"""Load fitted estimators from files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from isthmus import estimators, serialization
from isthmus._names import nearest
from isthmus._part import Part
from isthmus._random import seeded
from isthmus.estimators._base import BaseAutoencoder
from isthmus.estimators._condition import Columns, Labels
from isthmus.estimators._validate import check_fields
from isthmus.model import Model

__all__ = ["load"]


def load(path: str | Path, *, parts: Sequence[type[Part]] = ()) -> Any:
    """Read a fitted estimator from a file that its ``save`` wrote.

    Parameters
    ----------
    path : str or Path
        The file.
    parts : sequence of type, default=()
        Classes of parts that are not isthmus' own and that the file may use: no other class is ever built.

    Returns
    -------
    Autoencoder, SparseAutoencoder, DenoisingAutoencoder, ContractiveAutoencoder, VAE or ConditionalVAE

    Raises
    ------
    FileError
        If the file is missing, damaged, of another program or newer, or uses an unknown part.

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
        _fill(estimator.model_, tensors)
    except serialization.FileError as error:
        raise serialization.FileError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise serialization.FileError(f"{path}: its description is damaged ({error}); save the model again.") from error
    return estimator


def _restore(description: dict[str, Any], parts: tuple[type[Part], ...]) -> BaseAutoencoder:
    classes = {name: getattr(estimators, name) for name in estimators.__all__}
    if description["estimator"] not in classes:
        raise nearest("estimator", description["estimator"], classes)
    estimator: BaseAutoencoder = classes[description["estimator"]](**serialization.decode(description["fields"], parts))
    check_fields(estimator)
    estimator.n_features_in_ = description["n_features"]
    if description["columns"] is not None:
        estimator.feature_names_in_ = np.array(description["columns"], dtype=object)
    estimator._fit_on_dataframe = bool(description["on_frame"])
    estimator._dtype = np.dtype({"float32": np.float32, "float64": np.float64}[description["dtype"]])
    estimator.seed_, estimator.n_iter_ = int(description["seed"]), int(description["n_iter"])
    estimator.history_ = list(serialization.decode(description["history"]))
    estimator._n_features_out = estimator.n_components
    condition = _decode_condition(description["condition"])
    if condition is not None:
        estimator._condition = condition
    if isinstance(condition, Labels):
        estimator.classes_ = condition.classes
    estimator.model_ = Model(**serialization.decode(description["parts"], parts))
    with seeded(0):  # the weights that it draws are overwritten at once, but no generator may move
        estimator.model_.build(
            estimator.n_features_in_,
            estimator.n_components,
            0 if condition is None else condition.width,
            masked=bool(description["masked"]),
        )
    return estimator


def _fill(model: nn.Module, tensors: dict[str, Any]) -> None:
    """Copy tensors into the model; names, shapes and types have to be those of the model that was described."""
    own = model.state_dict()
    if set(own) != set(tensors):
        raise serialization.FileError(f"its tensors do not fit its description: {sorted(set(own) ^ set(tensors))}.")
    for name, tensor in tensors.items():
        own_kind, kind = own[name].is_floating_point() or own[name].dtype, tensor.is_floating_point() or tensor.dtype
        if own[name].shape != tensor.shape or own_kind != kind:
            raise serialization.FileError(f"its tensor {name!r} has the wrong shape or type.")
    # The precision that was trained in; scaling keeps float64 by itself.
    model.to(next(tensors[name] for name, _ in model.named_parameters()).dtype)
    model.load_state_dict(tensors)
    model.eval()


def _decode_condition(saved: Any) -> Labels | Columns | None:
    if saved is None:
        return None
    if "labels" in saved:
        return Labels(np.array(saved["labels"], dtype=np.dtype(saved["dtype"])), np.array(saved["log_prior"]))
    return Columns(np.array(saved["mean"]), np.array(saved["scale"]))
