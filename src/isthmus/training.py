"""How an estimator is trained: early stopping, and the settings of the trainer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from isthmus._part import Settings

__all__ = ["EarlyStopping", "Trainer"]


@dataclass(eq=False, repr=False)
class EarlyStopping(Settings):
    """Hold out samples, stop when their loss no longer falls, and keep the parameters at which it was lowest.

    Parameters
    ----------
    validation_fraction : float, default=0.1
        Fraction of the samples that are held out.
    n_iter_no_change : int, default=10
        Number of epochs without a lower validation loss after which training stops.

    Examples
    --------
    >>> from isthmus import VAE
    >>> VAE(early_stopping=EarlyStopping(n_iter_no_change=5)).early_stopping
    EarlyStopping(n_iter_no_change=5)
    """

    validation_fraction: float = 0.1
    n_iter_no_change: int = 10


@dataclass(eq=False, repr=False)
class Trainer(Settings):
    """How training runs: number format, captured steps, accumulated gradients, callbacks, loggers and checkpoints.

    Parameters
    ----------
    precision : {"float32", "float64", "bf16"}, default="float32"
        Number format of training. With "bf16" the network computes in bfloat16 and Adam updates float32 copies of its
        weights; the device needs bfloat16 arithmetic.
    compile : bool or "auto", default="auto"
        Whether to capture whole training steps and replay them: an operator graph on a CPU, a CUDA graph on a GPU.
        Results are the same, and small networks train faster. "auto" captures on a GPU. Steps that cannot be captured
        run eagerly, with a warning if True. On a GPU, other threads must not draw from the default generator of that
        GPU while a step is captured, at the start of training: torch refuses this with an error in these threads.
    gradient_accumulation : int, default=1
        Number of parts in which each batch is computed. Their gradients are summed: the same step in less memory. Terms
        that are means over the batch, such as "kl_sparsity", become means over each part.
    callbacks : sequence, default=()
        What is called after each epoch: a function, with the epoch's record, a dict of numbers; training stops if it
        returns True. Or a logger, an object with a method ``log_metrics(metrics, step)``:
        :class:`isthmus.engine.CSVLogger`, :class:`isthmus.engine.TensorBoardLogger`, a logger of Lightning Fabric, or
        your own.
    checkpoint_dir : str, optional
        Folder for checkpoints of ``fit``. After an interruption the same call of ``fit`` resumes from the newest
        checkpoint, and ends with exactly the parameters of an uninterrupted run. A complete run removes its
        checkpoints.
    checkpoint_seconds : float, default=30.0
        Seconds between checkpoints.

    Examples
    --------
    >>> from isthmus import VAE
    >>> VAE(trainer=Trainer(precision="float64")).set_params(trainer__gradient_accumulation=2).trainer
    Trainer(precision='float64', gradient_accumulation=2)
    """

    precision: str = "float32"
    compile: bool | str = "auto"
    gradient_accumulation: int = 1
    callbacks: Sequence[Any] = ()
    checkpoint_dir: str | None = None
    checkpoint_seconds: float = 30.0
