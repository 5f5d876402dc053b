"""Steps of a fit that build a model: how long to train, the built model, its batches and its training loop."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from isthmus._random import Stream, derive, seeded
from isthmus.engine import TrainingLoop
from isthmus.engine.precision import parameter_dtype
from isthmus.estimators._budget import Budget, choose_budget
from isthmus.estimators._data import Split, TrainingData
from isthmus.estimators._description import Description
from isthmus.estimators._fields import as_part
from isthmus.estimators._fitting import build_model, make_loop, may_have_full_rank
from isthmus.estimators._loaders import Loaders, LoaderSettings, make_loaders
from isthmus.model import Model
from isthmus.objectives import TrainingLoss
from isthmus.training import Trainer

__all__ = ["ModelBuilding"]


class ModelBuilding(Description):
    """Base of the estimators: what is chosen from the data, and the model that is built for them."""

    model_: Model
    history_: list[dict[str, float]]
    n_iter_: int
    n_components_: int
    n_features_in_: int
    seed_: int
    _optimizer_state: list[dict[str, Tensor]] | None = None
    _best_epoch: int = 0  # number of epochs after which the validation loss was lowest
    _full_rank: bool = False  # whether a linear model with K = D had a lower validation loss than the trained model
    _dtype: np.dtype[Any] = np.dtype(np.float64)  # of generated samples

    def _choose_budget(self, n_samples: int, device: torch.device, *, partial: bool) -> Budget:
        """Choose what is "auto", and store it in attributes."""
        stopping = as_part("early_stopping", self.early_stopping) if self.early_stopping else None
        budget = choose_budget(
            n_samples,
            device.type,
            max_epochs="auto" if partial else self.max_epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            early_stopping=None if partial and stopping == "auto" else stopping,
        )
        self.max_epochs_, self.batch_size_, self.learning_rate_, self.early_stopping_ = budget[:4]
        return budget

    def _build(self, loss: TrainingLoss, data: TrainingData, split: Split, *, full_rank: bool) -> None:
        """Build the model."""
        self.model_ = loss.model
        self.n_components_ = self._n_features_out = build_model(
            loss.model,
            data,
            n_components=self.n_components,
            masked=data.summary.missing or loss.corruption.input_mask,
            seed=self.seed_,
            any_prior=self._prior() == "auto",
            has_density=self.has_density,
            held_out=split.held_out,
            full_rank=full_rank,
        )
        self._dtype = np.dtype(data.X.dtype)

    def _prepare(
        self,
        loss: TrainingLoss,
        data: TrainingData,
        budget: Budget,
        split: Split,
        device: torch.device,
        *,
        partial: bool,
    ) -> tuple[Loaders, TrainingLoop]:
        """Move the built model to its device, and return the batches and the training loop."""
        trainer, seed = self._trainer(), self.seed_
        dtype = parameter_dtype(trainer.precision)
        loss.model.to(device=device, dtype=dtype)
        settings = LoaderSettings(budget.batch_size, trainer.gradient_accumulation, split, seed, dtype)
        loaders = make_loaders(data, loss.model.scaling, settings)
        with seeded(derive(seed, Stream.LOSS), device):
            loss.build(loaders.sample)
        how = {"constant_rate": partial, "chosen_rate": self.learning_rate == "auto"}
        loop = make_loop(loss, self.optimizer, trainer, budget.learning_rate, seed, data, **how)
        if partial and self._optimizer_state is not None:
            loop.optimizer.load_state(self._optimizer_state)
        return loaders, loop

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
        self,
        loop: TrainingLoop,
        data: TrainingData,
        loaders: Loaders,
        budget: Budget,
        split: Split,
        device: torch.device,
    ) -> None:
        """Replace the trained model by a linear one with K = D and a mixture, if its validation loss is lower."""
        self._full_rank, self._best_epoch = False, 0
        if loaders.validation is None:
            return
        trained, any_prior, self._best_epoch = self.model_, self._prior() == "auto", loop.best_epoch
        if self.n_components or not may_have_full_rank(trained, any_prior=any_prior):
            return
        loss = self._describe_loss(self._describe())
        self._build(loss, data, split, full_rank=True)
        _, other = self._prepare(loss, data, budget, split, device, partial=False)
        if other.evaluate(loaders.validation) < loop.best_loss:
            self._full_rank, self._best_epoch = True, 0
        else:
            self.model_, self.n_components_ = trained, trained.network.sizes.n_components
            self._n_features_out = self.n_components_
        self.model_.eval().to("cpu")

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the model to samples."""
        raise NotImplementedError
