"""How long and how fast to train, where the fields of an estimator leave it open."""

from __future__ import annotations

import math
from typing import NamedTuple

from isthmus.training import EarlyStopping

__all__ = ["Budget", "choose_budget"]

_STEPS, _STEPS_ROWS = 1200, 1000  # 1,200 steps for 1,000 samples
_GROWTH = 0.5, 0.25  # exponent of the growth with fewer samples and with more
_ROWS_PER_BATCH = 20  # a batch is at most this share of the samples
_MIN_BATCH, _MAX_BATCH, _MAX_BATCH_GPU = 32, 256, 1024
_RATE, _RANDOM_RATE, _RATE_STEPS = 1e-3, 3e-3, 2000  # from a linear model, and from random weights
_RATES = 5e-4, 1.6e-2
_MIN_HELD_OUT = 50  # samples that early stopping holds out, unless they would be more than a fifth
_MIN_SAMPLES = 10  # with fewer samples there is no early stopping
_PATIENCE = 0.25  # share of training without a lower validation loss


class Budget(NamedTuple):
    """How long and how fast to train.

    Attributes
    ----------
    max_epochs, batch_size : int
        Maximum number of epochs, and of samples per step.
    learning_rate : float
        Peak learning rate.
    early_stopping : EarlyStopping or None
        Early stopping; None trains for all epochs.
    """

    max_epochs: int
    batch_size: int
    learning_rate: float
    early_stopping: EarlyStopping | None


def choose_budget(
    n_samples: int,
    device: str,
    *,
    max_epochs: int | str,
    batch_size: int | str,
    learning_rate: float | str,
    early_stopping: EarlyStopping | str | None,
    linear: bool = True,
) -> Budget:
    """Return the budget, with the values that are "auto" chosen from the others and the number of samples N.

    Training grows with the data in steps, not in epochs: it has 1,200 (N / 1,000)^(1/4) steps, and with fewer than
    1,000 samples 1,200 (N / 1,000)^(1/2). A batch has the power of two below N / 20, from 32 to 256 samples (1,024 on
    a GPU). The learning rate is 0.001 (2,000 / steps)^(3/4), three times as much from random weights, between
    0.0005 and 0.016: few steps are larger. If the number of epochs is chosen, so is early stopping: it holds
    out a tenth of the samples, at least 50 but at most a fifth, and stops after a quarter of the epochs without a lower
    loss.

    Parameters
    ----------
    n_samples : int
        N.
    device : str
        Type of the device, such as "cpu" or "cuda".
    max_epochs, batch_size, learning_rate, early_stopping
        The fields of the estimator.
    linear : bool, default=True
        Whether training starts from a linear model.

    Examples
    --------
    >>> auto = {"max_epochs": "auto", "batch_size": "auto", "learning_rate": "auto", "early_stopping": None}
    >>> choose_budget(60_000, "cpu", **auto)[:2]
    (15, 256)
    """
    largest = _MAX_BATCH if device == "cpu" else _MAX_BATCH_GPU
    power = int(2 ** int(math.log2(max(n_samples / _ROWS_PER_BATCH, 1))))
    size = min(max(power, _MIN_BATCH), largest) if isinstance(batch_size, str) else batch_size
    per_epoch = math.ceil(n_samples / size)
    steps = _STEPS * (n_samples / _STEPS_ROWS) ** _GROWTH[n_samples > _STEPS_ROWS]
    epochs = math.ceil(steps / per_epoch) if isinstance(max_epochs, str) else max_epochs
    base = _RATE if linear else _RANDOM_RATE
    rate = min(max(base * (_RATE_STEPS / (epochs * per_epoch)) ** 0.75, _RATES[0]), _RATES[1])
    if isinstance(early_stopping, str):
        fraction = min(max(0.1, _MIN_HELD_OUT / n_samples), 0.2)
        stops = n_samples >= _MIN_SAMPLES and isinstance(max_epochs, str)
        early_stopping = EarlyStopping(fraction, math.ceil(_PATIENCE * epochs)) if stops else None
    return Budget(epochs, size, rate if isinstance(learning_rate, str) else learning_rate, early_stopping)
