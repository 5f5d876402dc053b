"""Callbacks after each epoch: loggers, and the callbacks of scikit-learn 1.9 and later."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from typing import Any

from isthmus.engine import Record
from isthmus.engine.loggers import Logger

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Base of estimators in place of scikit-learn's mixin, which versions before 1.9 do not have."""

    def with_callbacks(method: Any) -> Any:
        """Return the method unchanged."""
        return method


__all__ = ["CallbackSupportMixin", "Epochs", "as_callbacks", "has_callbacks", "with_callbacks"]


def as_callbacks(objects: Sequence[Any]) -> list[Callable[[Record], object]]:
    """Return functions of an epoch's record from functions and loggers, in their order."""

    def log(logger: Logger, record: Record) -> None:
        logger.log_metrics({name: value for name, value in record.items() if name != "epoch"}, int(record["epoch"]))

    return [functools.partial(log, own) if hasattr(own, "log_metrics") else own for own in objects]


def has_callbacks(estimator: Any) -> bool:
    """Return whether an estimator has callbacks of scikit-learn, whose bookkeeping of every task takes time."""
    return bool(getattr(estimator, "_skl_callbacks", ()))


class Epochs:
    """Report a fit to scikit-learn's callbacks: as a task with one subtask per epoch.

    Parameters
    ----------
    estimator : estimator
        The estimator that is being fitted.
    n_epochs : int
        Maximum number of epochs.
    **data
        X, y and metadata, which are passed to the callbacks.
    """

    def __init__(self, estimator: Any, n_epochs: int, **data: Any) -> None:
        self.estimator, self.n_epochs, self.data = estimator, n_epochs, data
        self._records: list[Record] = []
        self._fit = estimator._init_callback_context(max_subtasks=n_epochs)
        self._fit.call_on_fit_task_begin(estimator=estimator, **data)
        self._begin()

    def _begin(self) -> None:
        self._epoch = self._fit.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def __call__(self, record: Record) -> bool:
        """End an epoch, and begin the next; return whether a callback wants training to stop."""
        self._records.append(dict(record))
        ended = {"estimator": self.estimator, **self.data, "reconstruction_attributes": self._so_far}
        stop = bool(self._epoch.call_on_fit_task_end(**ended))
        if not stop and len(self._records) < self.n_epochs:
            self._begin()
        return stop

    def end(self) -> None:
        """End the fit."""
        self._fit.call_on_fit_task_end(estimator=self.estimator, **self.data)

    def _so_far(self) -> dict[str, Any]:
        """Return the fitted attributes after this epoch, from which a callback can restore the estimator."""
        fitted = self.estimator
        model = copy.deepcopy(fitted.model_).to("cpu").eval()
        if model.network.dtype.itemsize == 2:  # it is in bf16 during training
            model.network.float()
        history = [*fitted.history_, *self._records]
        return {"model_": model, "n_iter_": fitted.n_iter_ + len(self._records), "history_": history}
