"""Base of the estimators: describe the parts, build a model from them, and train it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.utils.validation import _check_sample_weight
from torch import Tensor

from isthmus._random import Stream, derive, seeded
from isthmus.engine import Checkpoints, NonFiniteError, TrainingLoop
from isthmus.engine.distributed import Processes, find_processes
from isthmus.engine.precision import parameter_dtype
from isthmus.engine.progress_bar import ProgressBar
from isthmus.estimators._budget import Budget, choose_budget
from isthmus.estimators._callbacks import CallbackSupportMixin, Epochs, as_callbacks, has_callbacks, with_callbacks
from isthmus.estimators._check_fields import as_seed, check_fields
from isthmus.estimators._data import TrainingData
from isthmus.estimators._description import Description
from isthmus.estimators._fields import as_part
from isthmus.estimators._fitting import build_model, make_checkpoints, make_loop, worst_columns
from isthmus.estimators._loaders import Loaders, LoaderSettings, make_loaders
from isthmus.estimators._saving import save
from isthmus.estimators._summary import summarize, summarize_jointly
from isthmus.estimators._tables import fit_codec
from isthmus.estimators._transforms import AutoencoderTransforms
from isthmus.estimators._validate import as_plain_array, as_rows, column_name, column_names
from isthmus.model import Model
from isthmus.objectives import TrainingLoss

__all__ = ["BaseAutoencoder"]


class BaseAutoencoder(CallbackSupportMixin, AutoencoderTransforms, Description):
    """Base of the estimators.

    Attributes
    ----------
    model_ : Model
        The trained model, a torch module.
    history_ : list of dict
        One record per epoch: the mean loss and its terms in nats per sample of the scaled data, the learning rate and
        the seconds that it took.
    n_iter_ : int
        Number of epochs trained.
    n_components_ : int
        K, number of latent units.
    n_features_in_ : int
        D, number of features seen in ``fit``.
    feature_names_in_ : ndarray of shape (D,)
        Names of the features, if X had string names.
    """

    conditional: ClassVar[bool] = False  # whether the model is p(x|y), and methods take conditions y

    model_: Model
    history_: list[dict[str, float]]
    n_iter_: int
    n_components_: int
    n_features_in_: int
    seed_: int
    _optimizer_state: list[dict[str, Tensor]] | None = None
    _dataframe_columns: Sequence[Any] | None = None  # of the training data, if that was a DataFrame
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
            linear=self.model_.starts_linear,
        )
        self.max_epochs_, self.batch_size_, self.learning_rate_, self.early_stopping_ = budget
        return budget

    # ---- fitting --------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the model to samples.

        Parameters
        ----------
        X : array-like or source of shape (N, D)
            Samples, or a table, whose columns may also be categories and dates: a DataFrame of pandas or polars, a
            pyarrow Table or a list of dictionaries. NaN is a missing value; the likelihood is that of the observed
            ones. A path (.npy, .csv, .parquet, a folder of Parquet files), a memory map, a torch ``Dataset`` or a
            :class:`isthmus.data.RowSource` may be larger than memory: it is read batch by batch.
        y : None
            Ignored.
        sample_weight : array-like of shape (N,), optional
            Weights of the samples; a weight of 2 counts as two copies of the sample.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X is not a matrix of at least two samples, or has an infinite value, a feature that was never observed or
            a value outside the likelihood's support; or if a parameter has an invalid value.
        FloatingPointError
            If the loss becomes infinite or NaN. The message names the epoch, the step, the term and the features.
        """
        return self._fit(X, y, sample_weight, resume=self.warm_start)

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Train for one epoch from the current parameters, at a constant learning rate.

        The first call sets the scaling. Weights with a warm-up have their final value. Parameters, result and errors
        are those of :meth:`fit`.
        """
        return self._fit(X, y, sample_weight, resume=True, partial=True)

    @with_callbacks  # type: ignore[untyped-decorator]
    def _fit(self, X: Any, y: Any, sample_weight: Any, *, resume: bool, partial: bool = False) -> Self:
        """Read the data, build the model and the loss, and train."""
        device, trainer = check_fields(self), self._trainer()
        new = not (resume and hasattr(self, "model_"))
        if new:
            self._table, self._encodes = fit_codec(self, X)
        model = self._describe() if new else self.model_
        loss = self._describe_loss(model)

        data = self._read(X, y, sample_weight, find_processes(device), new=new)
        checkpoints = None
        if trainer.checkpoint_dir and not partial:
            checkpoints = make_checkpoints(trainer, type(self).__name__, self.get_params(deep=False), data)
        if new:
            self._build(loss, data, checkpoints)
        else:
            model.scaling.forget_varying(data.summary.moments)
        dtype = parameter_dtype(trainer.precision)
        model.to(device=device, dtype=dtype)
        budget = self._choose_budget(len(data.X), device, partial=partial)
        fraction = budget.early_stopping.validation_fraction if budget.early_stopping else 0.0
        settings = LoaderSettings(budget.batch_size, trainer.gradient_accumulation, fraction, self.seed_, dtype)
        loaders = make_loaders(data, model.scaling, settings)
        with seeded(derive(self.seed_, Stream.LOSS), device):
            loss.build(loaders.sample)

        n_epochs = None if partial else budget.max_epochs
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        epochs = Epochs(self, n_epochs or 1, X=X, y=y, metadata=metadata) if has_callbacks(self) else None
        rate, seed = budget.learning_rate, self.seed_
        loop = make_loop(loss, self.optimizer, trainer, rate, seed, data.processes, constant_rate=partial)
        if partial and self._optimizer_state is not None:
            loop.optimizer.load_state(self._optimizer_state)
        self._train(loop, data, loaders, checkpoints, epochs, n_epochs)
        self._optimizer_state = loop.optimizer.state() if partial else None
        if epochs:
            epochs.end()
        return self

    def _read(self, X: Any, y: Any, sample_weight: Any, processes: Processes, *, new: bool) -> TrainingData:
        """Check and summarise the data to train on."""
        rows = as_rows(self, X, reset=new)
        weight = _check_sample_weight(as_plain_array(sample_weight), rows, dtype=np.float64, ensure_non_negative=True)
        condition = self._fit_condition(y, weight, reset=new)
        names = column_names(self)
        if processes.world_size == 1:
            summary = summarize(rows, weight, names, hashed=bool(self._trainer().checkpoint_dir))
        else:
            summary = summarize_jointly(rows, weight, names, processes)
        never = summary.low.isnan().nonzero()
        if new and len(never):
            empty = column_name(names, int(never[0]))
            raise ValueError(f"X has only NaN in {empty}: drop it, nothing can be learned of it.")
        return TrainingData(rows, weight, condition, names, summary, processes)

    def _build(self, loss: TrainingLoss, data: TrainingData, checkpoints: Checkpoints | None) -> None:
        """Build the model with a new seed, or with that of the run to resume, and begin its history."""
        stored = checkpoints.stored_seed() if checkpoints else None
        self.seed_ = data.processes.broadcast(as_seed(self.random_state) if stored is None else stored)
        self.model_ = loss.model
        self.n_components_ = self._n_features_out = build_model(
            loss.model,
            data,
            n_components=self.n_components,
            masked=data.summary.missing or loss.corruption.input_mask,
            seed=self.seed_,
            any_prior=self._prior() == "auto",
            has_density=self.has_density,
        )
        self.n_iter_, self.history_, self._optimizer_state = 0, [], None
        self._dtype = np.dtype(data.X.dtype)

    def _train(
        self,
        loop: TrainingLoop,
        data: TrainingData,
        loaders: Loaders,
        checkpoints: Checkpoints | None,
        epochs: Epochs | None,
        n_epochs: int | None,
    ) -> None:
        """Train the model and extend its history, also if training is interrupted."""
        model, is_main = self.model_, data.processes.is_main
        if checkpoints:
            checkpoints.seed = self.seed_
        writer = checkpoints if checkpoints and is_main else None
        shown = self.verbose > 0 and is_main
        progress = ProgressBar(type(self).__name__, n_epochs or 1, loaders.train.n_rows, shown=shown)
        callbacks, stopping = as_callbacks(self._trainer().callbacks), self.early_stopping_
        if epochs:
            callbacks.append(epochs)
        with writer or nullcontext(), progress:
            try:
                loop.fit(
                    loaders.train,
                    first_epoch=self.n_iter_,
                    n_epochs=n_epochs,
                    validation=loaders.validation,
                    patience=stopping.n_iter_no_change if stopping else 1,
                    callbacks=callbacks,
                    checkpoints=checkpoints,
                    progress=progress,
                )
            except NonFiniteError as error:
                raise FloatingPointError(
                    f"{error} Worst in that step: {worst_columns(model, error.batch, data.names)}. The parameters are "
                    "those before that step. Look for extreme values in these columns, scale them, or lower "
                    f"learning_rate={self.learning_rate_:g}."
                ) from error
            finally:
                self.history_ = [*self.history_, *loop.history]
                self.n_iter_ += len(loop.history)
                model.eval()
                model.to("cpu")
            if writer:
                writer.complete()

    def _fit_condition(self, y: Any, weight: np.ndarray, *, reset: bool) -> np.ndarray | None:  # noqa: ARG002
        """Return what the model is conditioned on, (N, C); None for all but the conditional estimator."""
        return None

    # ---- saving ----------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Save the fitted estimator to one safetensors file, which holds no code.

        Parameters
        ----------
        path : str or Path
            File to write; an existing one is replaced only when it is complete. :func:`isthmus.load` reads it.
        """
        save(self, path)
