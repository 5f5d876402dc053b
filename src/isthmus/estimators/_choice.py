"""Steps of a fit that choose between models: how long to train on all samples, and a model without a network."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from isthmus.engine import TrainingLoop
from isthmus.engine.precision import parameter_dtype
from isthmus.estimators._budget import Budget, choose_budget
from isthmus.estimators._data import TrainingData
from isthmus.estimators._description import Description
from isthmus.estimators._fields import as_part
from isthmus.estimators._fitting import ModelOptions, build_model, has_other_columns, make_loop, may_have_full_rank
from isthmus.estimators._loaders import Loaders
from isthmus.estimators._refit_prior import refit_prior
from isthmus.initialization import CodeMixture
from isthmus.model import Model
from isthmus.optimizers import Adam
from isthmus.training import Trainer

__all__ = ["ModelChoice"]


class ModelChoice(Description):
    """Base of the estimators: what is chosen by the loss of held-out samples."""

    model_: Model
    history_: list[dict[str, float]]
    n_iter_: int
    n_components_: int
    n_features_in_: int
    seed_: int
    learning_rate_: float
    optimizer_: Adam
    _optimizer_state: list[dict[str, Tensor]] | None = None
    _best_epoch: int = 0  # number of epochs after which the validation loss was lowest
    _full_rank: bool = False  # whether a linear model with K = D had a lower validation loss than the trained model
    _code_mixture: CodeMixture | None = None  # that replaced the prior after training
    _dtype: np.dtype[Any] = np.dtype(np.float64)  # of generated samples

    def _choose_budget(self, n_samples: int, device: torch.device, model: Model, *, partial: bool) -> Budget:
        """Choose what is "auto", and store it in attributes."""
        stopping = as_part("early_stopping", self.early_stopping) if self.early_stopping else None
        budget = choose_budget(
            n_samples,
            device.type,
            max_epochs="auto" if partial else self.max_epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            early_stopping=None if partial and stopping == "auto" else stopping,
            random=model.starts_random,
        )
        self.max_epochs_, self.batch_size_, self.learning_rate_, self.early_stopping_ = budget[:4]
        return budget

    def _model_options(self) -> ModelOptions:
        return ModelOptions(self.n_components, self._prior() == "auto", self.has_density, self.seed_)

    def _trial(self, budget: Budget, X: Any, y: Any, sample_weight: Any) -> Self:
        """Return the estimator fitted to a part of the data; early stopping has chosen the number of epochs."""
        trainer = self._trainer().get_params(deep=False) | {"callbacks": (), "checkpoint_dir": None}
        fields = self.get_params(deep=False) | {"warm_start": False, "trainer": Trainer(**trainer)}
        chosen = {
            name: getattr(budget, name) for name in ("max_epochs", "batch_size", "learning_rate", "early_stopping")
        }
        trial = type(self)(**(fields | chosen | {"random_state": self.seed_}))
        return trial.fit(X, y, sample_weight)

    def _compare_with_full_rank(
        self, loop: TrainingLoop, data: TrainingData, loaders: Loaders, held_out: np.ndarray, device: torch.device
    ) -> None:
        """Replace the trained model by a linear one with K = D and a mixture, if its validation loss is lower."""
        self._full_rank, self._best_epoch = False, 0
        if loaders.validation is None:
            return
        self._best_epoch, trainer, options = loop.best_epoch, self._trainer(), self._model_options()
        n_features = data.X.shape[1]
        some = has_other_columns(self.model_, n_features)  # it has full rank already
        if some or self.n_components or not may_have_full_rank(self.model_, any_prior=options.any_prior):
            return
        loss = self._describe_loss(self._describe())
        n_components = build_model(loss, data, held_out, options, device, full_rank=True)
        loss.model.to(device=device, dtype=parameter_dtype(trainer.precision))
        sample, rate = loaders.sample, self.learning_rate_
        other = make_loop(loss, sample, self.optimizer_, trainer, rate, self.seed_, data.processes)
        if other.evaluate(loaders.validation) < loop.best_loss:
            self.model_, self._full_rank, self._best_epoch = loss.model, True, 0
            self.n_components_ = self._n_features_out = n_components
        self.model_.eval().to("cpu")

    def _choose_prior(self, data: TrainingData, held_out: np.ndarray, trial: Self | None) -> None:
        """Fit the prior to the codes of a trained model of a table, if the prior is to be chosen."""
        self._code_mixture, chosen = None, trial and trial._code_mixture
        is_open = self._encodes and self._prior() == "auto" and data.processes.world_size == 1
        if is_open and (trial is None or chosen):
            self._code_mixture = refit_prior(self, data, held_out, chosen)

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the model to samples."""
        raise NotImplementedError
