"""Models by name and from files."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import isthmus
from isthmus._names import unknown_name
from isthmus.cli._deferred import deferred_imports
from isthmus.cli._errors import note

if TYPE_CHECKING:
    from isthmus.data import Dataset

__all__ = [
    "MODELS",
    "check_condition",
    "check_exists",
    "class_name",
    "load_any",
    "load_model",
    "loading",
    "normalize",
    "public_class",
]

MODELS = isthmus._ESTIMATORS


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Import the estimators, with a message on a terminal, since that takes seconds."""
    shown = sys.stderr.isatty() and "torch" not in sys.modules
    if shown:
        sys.stderr.write("loading PyTorch and scikit-learn ...")
        sys.stderr.flush()
    try:
        with deferred_imports():
            importlib.import_module("isthmus.estimators")
        yield
    finally:
        if shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def class_name(model: object) -> str:
    """Return the class of a model's name: "sparse", "sparse_autoencoder" or "SparseAutoencoder".

    Raises
    ------
    ValueError
        If there is no such model; the message suggests the nearest name.

    Examples
    --------
    >>> class_name("sparse-autoencoder"), class_name("VAE")
    ('SparseAutoencoder', 'VAE')
    """
    for name, cls in MODELS.items():
        if normalize(str(model)) in (normalize(name), normalize(cls)):
            return cls
    if normalize(str(model)) == "cvae":
        return "ConditionalVAE"
    raise unknown_name("model", str(model), MODELS)


def normalize(name: str) -> str:
    """Return a name in lower case without separators: "top_k", "TopK" and "top-k" are equal."""
    return name.lower().replace("_", "").replace("-", "")


def public_class(name: str) -> Any:
    """Return the class of an estimator by its name."""
    with loading():
        return getattr(isthmus, name)


def check_exists(path: str) -> None:
    """Raise a ValueError unless there is a file; this is checked before torch is imported."""
    if not Path(path).exists():
        raise ValueError(f"{path}: no such model; create it with `isthmus fit DATA -m vae -o {path}`.")


def load_model(path: str) -> Any:
    """Return a saved model, or that of a saved imputer or detector."""
    found = load_any(path)
    inner = getattr(found, "estimator_", found)
    return getattr(inner, "estimator", inner)  # of a FrozenEstimator


def load_any(path: str) -> Any:
    """Return a saved model, imputer or detector."""
    check_exists(path)
    with loading():
        return isthmus.load(path)


def check_condition(estimator: Any, rows: Dataset, data: str, labels: str | None) -> Any:
    """Return the y to fit with: the labels of the rows for a conditional estimator, None for any other."""
    if not estimator.conditional:
        if labels is not None:
            note(f"--y is ignored: {type(estimator).__name__} is fitted without labels")
        return None
    if rows.y is None:
        raise ValueError(f"{data}: has no labels to condition on; pass --y with a file or a column of DATA.")
    return rows.y
