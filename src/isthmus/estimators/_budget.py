"""Choose the number of epochs, the batch size, the learning rate and the optimizer where they are "auto"."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple

from isthmus._part import resolve
from isthmus.model import Model
from isthmus.optimizers import Adam, Optimizer
from isthmus.training import EarlyStopping

__all__ = ["Budget", "choose_budget", "choose_optimizer"]

_STEPS, _STEPS_ROWS = 4000, 1000  # 4,000 steps for 1,000 samples or more
_MIN_EPOCHS = 2
_ROWS_PER_BATCH = 20  # a batch is at most this share of the samples
_MIN_BATCH, _MAX_BATCH, _MAX_BATCH_GPU = 32, 256, 1024
_RATE, _RATE_STEPS = 3e-3, 2000
_RATES = 5e-4, 1.6e-2
_FASTER = 2.0  # rate of a decoder of random weights, whose encoder has half of it
_MIN_HELD_OUT = 50  # samples that early stopping holds out, unless they would be more than a fifth
_MAX_REFIT = 2000  # samples; with more of them, a tenth more would change little
_MIN_SAMPLES = 10  # with fewer samples there is no early stopping
_PATIENCE = 0.25  # share of training without a lower validation loss
_DECAY = 30.0  # weight decay times the number of samples
_LINEAR_CLIP, _CHOSEN_CLIP = 10.0, 100.0  # after a start from a linear model; with a chosen learning rate


class Budget(NamedTuple):
    """Number of epochs, batch size, learning rate and early stopping of a run.

    Attributes
    ----------
    max_epochs, batch_size : int
        Maximum number of epochs, and of samples per step.
    learning_rate : float
        Peak learning rate.
    early_stopping : EarlyStopping or None
        Early stopping; None trains for all epochs.
    refit : bool
        Whether held-out samples only choose the number of epochs, and the model is then trained on all samples.
    """

    max_epochs: int
    batch_size: int
    learning_rate: float
    early_stopping: EarlyStopping | None
    refit: bool

    def describe(self, n_samples: int) -> str:
        """Return the budget for N samples in words.

        Examples
        --------
        >>> print(Budget(40, 64, 0.002, EarlyStopping(0.1, 10), True).describe(1500))
        at most 40 epochs in batches of 64, learning rate 0.002; 150 samples held out choose how many
        """
        text = f"{self.max_epochs} epochs in batches of {self.batch_size}, learning rate {self.learning_rate:.2g}"
        if self.early_stopping is None:
            return text
        held = max(1, round(self.early_stopping.validation_fraction * n_samples))
        choose = "choose how many" if self.refit else "stop training"
        return f"at most {text}; {held:,} samples held out {choose}"


def choose_budget(
    n_samples: int,
    device: str,
    *,
    max_epochs: int | str = "auto",
    batch_size: int | str = "auto",
    learning_rate: float | str = "auto",
    early_stopping: EarlyStopping | str | None = "auto",
    random: bool = False,
) -> Budget:
    """Return the budget, with the values that are "auto" chosen from the others and the number of samples N.

    Training has 4,000 steps, with fewer than 1,000 samples 4,000 (N / 1,000)^(3/4), and at least two epochs. A batch
    has the power of two below N / 20, from 32 to 256 samples (1,024 on a GPU). The learning rate is
    0.003 (2,000 / steps)^(3/4), between 0.0005 and 0.016: few steps are larger. Where training starts from random
    weights, the decoder's rate is twice that, and the encoder's half of it: a quarter of the decoder's.

    If the number of epochs is chosen, so is early stopping: it holds out a tenth of the samples, at least 50 but at
    most a fifth, and stops after a quarter of the epochs without a lower loss. With at most 2,000 samples, the model is
    then trained anew on all of them, for as many epochs as were best.

    Parameters
    ----------
    n_samples : int
        N.
    device : str
        Type of the device, such as "cpu" or "cuda".
    max_epochs, batch_size, learning_rate, early_stopping
        The fields of the estimator.
    random : bool, default=False
        Whether encoder and decoder start from unrelated random weights.

    Examples
    --------
    >>> choose_budget(60_000, "cpu")[:2]
    (18, 256)
    """
    largest = _MAX_BATCH if device == "cpu" else _MAX_BATCH_GPU
    power = int(2 ** int(math.log2(max(n_samples / _ROWS_PER_BATCH, 1))))
    size = min(max(power, _MIN_BATCH), largest) if isinstance(batch_size, str) else batch_size
    per_epoch = math.ceil(n_samples / size)
    steps = _STEPS * min(n_samples / _STEPS_ROWS, 1.0) ** 0.75
    epochs = max(math.ceil(steps / per_epoch), _MIN_EPOCHS) if isinstance(max_epochs, str) else max_epochs
    rate = min(max(_RATE * (_RATE_STEPS / (epochs * per_epoch)) ** 0.75, _RATES[0]), _RATES[1])
    rate *= _FASTER if random else 1
    refit = isinstance(early_stopping, str) and isinstance(max_epochs, str) and _MIN_SAMPLES <= n_samples <= _MAX_REFIT
    if isinstance(early_stopping, str):
        fraction = min(max(0.1, _MIN_HELD_OUT / n_samples), 0.2)
        stops = n_samples >= _MIN_SAMPLES and isinstance(max_epochs, str)
        early_stopping = EarlyStopping(fraction, math.ceil(_PATIENCE * epochs)) if stops else None
    return Budget(epochs, size, rate if isinstance(learning_rate, str) else learning_rate, early_stopping, refit)


def choose_optimizer(
    optimizer: str | Optimizer, model: Model, n_samples: int, learning_rate: float, *, chosen_rate: bool, constant: bool
) -> Adam:
    """Return the optimizer of a run, with the values that are "auto" chosen.

    Parameters
    ----------
    optimizer : str or Optimizer
        The optimizer of the estimator.
    model : Model
        The built model.
    n_samples : int
        N.
    learning_rate : float
        The peak learning rate.
    chosen_rate : bool
        Whether the learning rate was "auto".
    constant : bool
        Whether there is one epoch at a time, at a constant rate.
    """
    adam = resolve("optimizers", optimizer, Adam)  # there is no other optimizer
    fast = chosen_rate and model.starts_random and not constant
    encoder = learning_rate / (2 * _FASTER) if fast and model.network.encoder_parameters() else None
    decay = min(_DECAY / n_samples, 1.0) if model.network.skip_parameters() and not constant else 0.0
    chosen: dict[str, Any] = {
        "betas": (0.9, 0.95) if fast else (0.9, 0.999),
        "weight_decay": decay,  # what the network adds to the linear model is kept small in small data
        "encoder_learning_rate": encoder,
        "schedule": "linear" if fast else "one_cycle",
        "gradient_clip": _LINEAR_CLIP if model.starts_linear else _CHOSEN_CLIP if chosen_rate else None,
    }
    used = {name: value for name, value in chosen.items() if getattr(adam, name) == "auto"}
    return replace(adam, **(used | ({"schedule": "constant"} if constant else {})))
