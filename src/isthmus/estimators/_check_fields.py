"""Checks of an estimator's fields: a bad value raises one clear error before any work is done."""

from __future__ import annotations

import math
import secrets
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state

from isthmus._device import check_device, check_precision
from isthmus._names import unknown_name
from isthmus._part import resolve
from isthmus.estimators._fields import as_part, layer_sizes
from isthmus.optimizers import Optimizer
from isthmus.training import EarlyStopping, Trainer

__all__ = ["as_seed", "check_fields", "check_positive_integer"]

_POSITIVE_INTEGERS = (
    "n_components",
    "max_epochs",
    "batch_size",
    "gradient_accumulation",
    "n_iter_no_change",
    "n_draws",
)
_NUMBER = (int, float, np.integer, np.floating)
_CHOICES = {
    "schedule": ("auto", "constant", "linear", "one_cycle"),
    "precision": ("float32", "float64", "bf16"),
}
# "auto" chooses them
_AUTO = (
    "max_epochs",
    "batch_size",
    "learning_rate",
    "gradient_clip",
    "encoder_learning_rate",
    "betas",
    "weight_decay",
)
_OPTIONAL = ("encoder_learning_rate", "gradient_clip")


def as_seed(random_state: Any) -> int:
    """Return a seed from an int or a RandomState; None draws one from the operating system's entropy."""
    if random_state is None:
        return secrets.randbits(31)
    if isinstance(random_state, (int, np.integer)) and 0 <= random_state < 2**63:
        return int(random_state)
    if isinstance(random_state, np.random.RandomState) or random_state is np.random:
        return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
    raise ValueError(
        f"random_state={random_state!r} must be a whole number from 0 to 2**63 - 1, a RandomState or None."
    )


def _is_positive_integer(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and int(value) >= 1


def check_positive_integer(name: str, value: Any) -> None:
    """Raise a ValueError that names the value unless it is a positive whole number."""
    if not _is_positive_integer(value):
        raise ValueError(f"{name}={value!r} must be a whole number of at least 1.")
    if value >= 2**63:
        raise ValueError(f"{name}={value!r} is too large; it must be below 2**63.")


def check_fields(estimator: Any) -> tuple[torch.device, Trainer]:
    """Check what would be found late or not at all, and return the device to train on, and the trainer.

    Raises
    ------
    ValueError
        If a field has an invalid value. The message names the field, its value and the valid values.
    TypeError
        If ``optimizer``, ``early_stopping`` or ``trainer`` is an object of another kind.
    """
    values = estimator.get_params(deep=False) | _training_parameters(estimator)
    _check_numbers(values)
    for name, known in _CHOICES.items():
        if values[name] not in known:
            raise unknown_name(name, values[name], list(known))
    if values["compile"] not in ("auto", True, False):
        raise ValueError(f"compile={values['compile']!r} must be 'auto', True or False.")
    if isinstance(values["penalties"], str):
        raise ValueError(f"penalties={values['penalties']!r} must be a list: penalties=[{values['penalties']!r}].")
    device = check_device(values["device"])
    check_precision(values["precision"], device)
    return device, estimator._trainer()


def _check_numbers(values: dict[str, Any]) -> None:
    """Check the fields and parameters that are numbers, where "auto" does not choose them."""
    chosen = {name for name in _AUTO if isinstance(values[name], str) and values[name] == "auto"}
    chosen |= {"n_components"} if values["n_components"] is None else set()
    for name in _POSITIVE_INTEGERS:
        if name not in chosen:
            check_positive_integer(name, values.get(name, 1))
    if not all(map(_is_positive_integer, layer_sizes(values["hidden_layer_sizes"]))):
        raise ValueError(
            f"hidden_layer_sizes={values['hidden_layer_sizes']!r} must be a positive whole number or a sequence of "
            "them, such as (256, 128)."
        )
    for name, (low, high) in {
        "learning_rate": (0.0, math.inf),
        "encoder_learning_rate": (0.0, math.inf),
        "gradient_clip": (0.0, math.inf),
        "checkpoint_seconds": (-math.inf, math.inf),
        "validation_fraction": (0.0, 1.0),
    }.items():
        value = values.get(name, 0.5)
        if name in chosen:
            continue
        if not ((isinstance(value, _NUMBER) and low < value < high) or (value is None and name in _OPTIONAL)):
            raise ValueError(f"{name}={value!r} must lie strictly between {low:g} and {high:g}.")
    betas = values["betas"]
    are_rates = isinstance(betas, (tuple, list)) and all(isinstance(b, _NUMBER) and 0 <= b < 1 for b in betas)
    if "betas" not in chosen and (not are_rates or len(betas) != 2):
        raise ValueError(f"betas={betas!r} must be 'auto' or two numbers from 0 to below 1, such as (0.9, 0.999).")
    decay = values["weight_decay"]
    if "weight_decay" not in chosen and not (isinstance(decay, _NUMBER) and decay >= 0):
        raise ValueError(f"weight_decay={decay!r} must be 'auto' or a number of at least 0.")


def _training_parameters(estimator: Any) -> dict[str, Any]:
    """Return the parameters of the optimizer, of early stopping and of the trainer, by name."""
    found: dict[str, Any] = resolve("optimizers", estimator.optimizer, Optimizer).get_params()
    for field, kind, others in (("early_stopping", EarlyStopping, "'auto', True, False"), ("trainer", Trainer, "None")):
        value = getattr(estimator, field)
        part = EarlyStopping() if isinstance(value, str) and value == "auto" else as_part(field, value)
        if not isinstance(part, kind):
            raise TypeError(f"{field} must be {others} or {kind.__name__}(...) of isthmus.training, got {part!r}.")
        found |= part.get_params()
    return found
