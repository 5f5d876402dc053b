"""Load fitted estimators from files."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any, get_type_hints

import numpy as np
from torch import Tensor

from isthmus import estimators, serialization
from isthmus._names import unknown_name
from isthmus._part import Part
from isthmus._random import seeded
from isthmus.estimators._base import BaseAutoencoder
from isthmus.estimators._check_fields import check_fields
from isthmus.estimators._condition import Condition, DiscreteCondition
from isthmus.estimators._notebook import History
from isthmus.estimators._saved_entries import check_entries, decode_condition, invalid
from isthmus.estimators._saved_tensors import check_shapes, set_tensors
from isthmus.model import Model
from isthmus.serialization import FileError, SavedFile, fits, quoted
from isthmus.tables import NumberColumn, TableCodec

__all__ = ["describe", "read_model"]

_LONGEST_WORD = 100  # characters of a name, as the value of a field


def read_model(
    file: SavedFile, entries: dict[str, Any], parts: tuple[type[Part], ...] = (), *, other_names: Sequence[str] = ()
) -> tuple[BaseAutoencoder, dict[str, Tensor]]:
    """Return the fitted estimator that the entries of an open file describe, and its tensors named in `other_names`.

    Raises
    ------
    ValueError
        If an entry or a tensor is missing, unknown or not valid.
    """
    with _errors_of_description():
        estimator, model = describe(entries, parts)
        condition = decode_condition(entries["condition"], parts)
        sizes = entries["n_features"], entries["n_components"], 0 if condition is None else condition.width
        own = {name: info for name, info in file.tensors.items() if name not in other_names}
        check_shapes(model.tensor_shapes(*sizes, masked=entries["masked"]), own)
    tensors = file.read_tensors()
    others = {name: tensors.pop(name) for name in other_names}
    with seeded(0):  # the random weights are replaced at once, but torch's generator must not change
        model.build(*sizes, masked=entries["masked"])
    set_tensors(model, tensors)
    _set_attributes(estimator, model, entries, condition)
    return estimator, others


@contextlib.contextmanager
def _errors_of_description() -> Iterator[None]:
    """Raise a FileError for errors of values that no check refuses: the file is to blame, and nothing was built yet."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError) as error:
        raise FileError(f"its description is not valid ({type(error).__name__}: {error}).") from error


def describe(entries: dict[str, Any], parts: tuple[type[Part], ...] = ()) -> tuple[BaseAutoencoder, Model]:
    """Check the description of a file, and return the unfitted estimator and the unbuilt model that it describes.

    Raises
    ------
    ValueError
        If an entry is missing, unknown or not valid.
    """
    check_entries(entries)
    fields, described = (serialization.decode(entries[name], parts) for name in ("fields", "parts"))
    for name, value in (("fields", fields), ("parts", described)):
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):  # the JSON of a part, say
            raise invalid(name)
    estimator = _unfitted(entries["estimator"], fields)
    if (entries["condition"] is not None) != estimator.conditional:
        raise invalid("condition")
    kinds = _kinds_of_parts()
    for name, kind in kinds.items():
        if not isinstance(described.get(name), kind):
            raise invalid(name)
    estimator._table, estimator._encodes = _decode_table(entries, parts)
    return estimator, Model(**{name: described[name] for name in kinds})


def _decode_table(entries: dict[str, Any], parts: tuple[type[Part], ...]) -> tuple[TableCodec | None, bool]:
    """Return the codec of a model's table, and whether the model learned its matrix."""
    if entries["table"] is None:
        return None, False
    codec, encodes = serialization.decode(entries["table"]["codec"], parts), entries["table"]["encodes"]
    if not isinstance(codec, TableCodec):
        raise invalid("table")
    codec.check_values()
    width = len(codec.outputs())
    numbers = all(isinstance(column, NumberColumn) for column in codec.columns or ())
    if (
        not (encodes or numbers)
        or width != entries["n_features"]
        or (entries["columns"] is not None and entries["columns"] != codec.names)
    ):
        raise invalid("table")
    return codec, encodes


@functools.cache
def _kinds_of_parts() -> dict[str, type]:
    return {name: kind for name, kind in get_type_hints(Model.__init__).items() if name != "return"}


@functools.cache
def _estimators() -> dict[str, tuple[type[BaseAutoencoder], dict[str, Any]]]:
    """Return the estimators by name, with the types of their fields."""
    found = {}
    for name in estimators.__all__:
        cls = getattr(estimators, name)
        hints = get_type_hints(cls)
        found[name] = cls, {field.name: hints[field.name] for field in dataclasses.fields(cls)}
    return found


def _unfitted(name: str, fields: dict[str, Any]) -> BaseAutoencoder:
    """Return an estimator with these fields. A file cannot name a folder to write to, nor anything to call."""
    if name not in _estimators():
        raise unknown_name("estimator", name, _estimators())
    cls, hints = _estimators()[name]
    for field, value in fields.items():
        if field not in hints:
            raise unknown_name(f"parameter of {name}", field[:100], hints)
        warmup = hints[field] is float and isinstance(value, Part)
        long = isinstance(value, str) and len(value) > _LONGEST_WORD
        if long or not (value is None or warmup or fits(value, hints[field])):
            raise FileError(f"{name}({field}={quoted(value)}) has a value of the wrong type.")
    trainer = fields.get("trainer")
    if trainer is not None and (trainer.checkpoint_dir is not None or trainer.callbacks):
        raise FileError("its trainer has checkpoint_dir or callbacks, which no saved model has.")
    estimator = cls(**fields)
    try:
        check_fields(estimator)
    except TypeError as error:  # of a field that may be a word or a part
        raise FileError(str(error)) from None
    return estimator


def _set_attributes(estimator: Any, model: Model, entries: dict[str, Any], condition: Condition | None) -> None:
    """Set the attributes of a fitted estimator."""
    estimator.model_ = model
    codec = estimator._codec
    estimator.n_features_in_ = entries["n_features"] if codec is None else len(codec.names)
    estimator._n_features_out = estimator.n_components_ = entries["n_components"]
    if entries["columns"] is not None:
        estimator.feature_names_in_ = np.array(entries["columns"], dtype=object)
    if entries["dataframe_columns"] is not None:
        estimator._dataframe_columns = list(serialization.decode(entries["dataframe_columns"]))
    estimator._dtype = np.dtype(np.float32 if entries["dtype"] == "float32" else np.float64)
    estimator.seed_, estimator.n_iter_ = entries["seed"], entries["n_iter"]
    estimator.history_ = History(serialization.decode(entries["history"]))
    if condition is not None:
        estimator._condition = condition
    if isinstance(condition, DiscreteCondition):
        estimator.classes_ = condition.classes
