"""Load fitted estimators, imputers and detectors from files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from isthmus import serialization
from isthmus._part import Part
from isthmus.estimators._loading import read_model
from isthmus.metaestimators._inner import keep_features
from isthmus.metaestimators._saving import check_entries
from isthmus.metaestimators.imputer import AutoencoderImputer
from isthmus.metaestimators.outlier import AutoencoderOutlierDetector
from isthmus.serialization import FileError, SavedFile

__all__ = ["load"]

_CLASSES: dict[str, Any] = {cls.__name__: cls for cls in (AutoencoderImputer, AutoencoderOutlierDetector)}


def load(path: str | Path, *, parts: Sequence[type[Part]] = (), sha256: str | None = None) -> Any:
    """Return the fitted estimator from a file that its ``save`` method wrote.

    The file may come from a stranger: it cannot run code, name a class or another file, or take much more memory
    than its size, and a change of any of its bits is an error (``docs/trust.md``).

    Parameters
    ----------
    path : str or Path
        The file.
    parts : sequence of type, default=()
        Your own classes of parts that the file uses. Only these classes and those of isthmus are ever used.
    sha256 : str, optional
        The SHA-256 digest that the file must have, as ``sha256sum`` and ``isthmus info`` print it.

    Returns
    -------
    estimator, AutoencoderImputer or AutoencoderOutlierDetector
        What was saved, ready to use and to train further. Callbacks and the folder of checkpoints are not saved.

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
    with serialization.open_saved(path, kind=("model", "meta_estimator"), sha256=sha256) as file:
        if file.kind == "meta_estimator":
            return _read_meta_estimator(file, tuple(parts))
        return read_model(file, file.description, tuple(parts))[0]


def _read_meta_estimator(file: SavedFile, parts: tuple[type[Part], ...]) -> Any:
    """Return the meta-estimator in an open file.

    Raises
    ------
    ValueError
        If an entry or a tensor is missing, unknown or not valid.
    """
    entries = file.description
    check_entries(entries)
    cls = _CLASSES[entries["meta_estimator"]]
    fields, state = serialization.decode(entries["fields"]), serialization.decode(entries["state"])
    if not isinstance(fields, dict) or not cls._are_valid_fields(fields):
        raise FileError("its description has no valid 'fields'; save the model again.")
    names = cls._saved_tensors
    if not names <= file.tensors.keys():
        raise FileError(f"it lacks a tensor {min(names)!r}; save the model again.")
    inner, tensors = read_model(file, entries["model"], parts, other_names=sorted(names))
    made = cls(**fields)
    if entries["estimator"] != "default":
        made.estimator = FrozenEstimator(inner) if entries["estimator"] == "frozen" else clone(inner)
    made.estimator_ = made.estimator if entries["estimator"] == "frozen" else inner
    keep_features(made, inner)
    arrays = {name: tensor.numpy().copy() for name, tensor in tensors.items()}
    if not isinstance(state, dict) or not made._set_saved_state(state, arrays):
        raise FileError("its description has no valid 'state'; save the model again.")
    return made
