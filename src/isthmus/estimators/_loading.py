"""Load fitted estimators from files."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np

from isthmus import estimators, serialization
from isthmus._names import unknown_name
from isthmus._part import Part
from isthmus._random import seeded
from isthmus.estimators._base import BaseAutoencoder
from isthmus.estimators._check_fields import check_fields
from isthmus.estimators._condition import Condition, DiscreteCondition
from isthmus.estimators._saved_entries import check_entries, decode_condition, invalid
from isthmus.estimators._saved_tensors import check_shapes, set_tensors
from isthmus.model import Model
from isthmus.serialization import FileError, fits, quoted
from isthmus.tables import NumberColumn, TableCodec

__all__ = ["describe", "load"]

_LONGEST_WORD = 100  # characters of a name, as the value of a field


def load(path: str | Path, *, parts: Sequence[type[Part]] = (), sha256: str | None = None) -> Any:
    """Return the fitted estimator from a file that its ``save`` method wrote.

    The file may come from a stranger: it cannot run code, name a class or a file, or ask for more memory than it
    accounts for, and a change of any of its bits is an error (``docs/trust.md``).

    Parameters
    ----------
    path : str or Path
        The file.
    parts : sequence of type, default=()
        Your own classes of parts that the file uses. No class but these and isthmus' own is ever instantiated.
    sha256 : str, optional
        The SHA-256 digest that the file must have, as ``sha256sum`` and ``isthmus info`` print it.

    Returns
    -------
    Autoencoder, SparseAutoencoder, DenoisingAutoencoder, ContractiveAutoencoder, VAE or ConditionalVAE
        The estimator, ready to use and to train further. Callbacks and the folder of checkpoints are not saved.

    Raises
    ------
    MissingFileError
        If there is no such file; it is a ``FileNotFoundError`` too.
    FileError
        If the file is damaged, from another program or another version of the format, if it uses an unknown part, or if
        it is not the file that ``sha256`` asks for. It is a ``ValueError``.

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
    with serialization.open_saved(path, kind="model", sha256=sha256) as file:
        entries = file.description
        with _errors_of_description():
            estimator, model = describe(entries, tuple(parts))
            condition = decode_condition(entries["condition"], tuple(parts))
            sizes = entries["n_features"], entries["n_components"], 0 if condition is None else condition.width
            check_shapes(model.tensor_shapes(*sizes, masked=entries["masked"]), file.tensors)
        tensors = file.read_tensors()
        with seeded(0):  # the random weights are replaced at once, but torch's generator must not change
            model.build(*sizes, masked=entries["masked"])
        set_tensors(model, tensors)
        _set_attributes(estimator, model, entries, condition)
    return estimator


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
    estimator.history_ = list(serialization.decode(entries["history"]))
    if condition is not None:
        estimator._condition = condition
    if isinstance(condition, DiscreteCondition):
        estimator.classes_ = condition.classes
