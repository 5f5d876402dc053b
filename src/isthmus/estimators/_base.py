"""Base of the estimators: describe the parts, build a model from them, and train it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch

from isthmus.data import resolve
from isthmus.engine import Checkpoints, NonFiniteError, TrainingLoop
from isthmus.engine.distributed import find_processes
from isthmus.engine.precision import parameter_dtype
from isthmus.engine.progress_bar import ProgressBar
from isthmus.estimators._budget import Budget, choose_optimizer
from isthmus.estimators._callbacks import CallbackSupportMixin, Epochs, as_callbacks, has_callbacks, with_callbacks
from isthmus.estimators._check_fields import as_seed, check_fields
from isthmus.estimators._choice import ModelChoice
from isthmus.estimators._data import TrainingData
from isthmus.estimators._fitting import build_model, make_checkpoints, make_loop, worst_columns
from isthmus.estimators._loaders import Loaders, LoaderSettings, make_loaders
from isthmus.estimators._notebook import History, NotebookDisplay
from isthmus.estimators._saving import save
from isthmus.estimators._summary import summarize, summarize_jointly
from isthmus.estimators._tables import fit_codec
from isthmus.estimators._transforms import AutoencoderTransforms
from isthmus.estimators._validate import as_rows, check_magnitude, column_name, column_names, sample_weights
from isthmus.estimators._views import ModelViews
from isthmus.objectives import TrainingLoss
from isthmus.tables import TableCodec

__all__ = ["BaseAutoencoder"]

_LONGEST_HISTORY = 10_000  # records that partial_fit keeps


class BaseAutoencoder(NotebookDisplay, ModelViews, CallbackSupportMixin, AutoencoderTransforms, ModelChoice):
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

    _dataframe_columns: Sequence[Any] | None = None  # of the training data, if that was a DataFrame

    # ---- fitting --------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the model to samples.

        Parameters
        ----------
        X : array-like or source of shape (N, D)
            Samples, or a table, whose columns may also be categories and dates: a DataFrame of pandas or polars, a
            pyarrow Table or a list of dictionaries. NaN is a missing value; the likelihood is that of the observed
            ones. A path names a file that :func:`isthmus.data.read` reads. Numbers in a file (.npy, .parquet, a folder
            of Parquet files), a memory map, a torch ``Dataset`` or a :class:`isthmus.data.RowSource` may be larger than
            memory: they are read batch by batch.
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
        are those of :meth:`fit`. ``history_`` keeps only the last 10,000 epochs, since a stream may be endless.
        """
        self._fit(X, y, sample_weight, resume=True, partial=True)
        del self.history_[:-_LONGEST_HISTORY]
        return self

    @with_callbacks  # type: ignore[untyped-decorator]
    def _fit(self, X: Any, y: Any, sample_weight: Any, *, resume: bool, partial: bool = False) -> Self:
        """Read the data, build the model and the loss, and train."""
        device, trainer = check_fields(self)
        new = not (resume and hasattr(self, "model_"))
        X, loss = self._describe_training(X, new=new)
        data = self._read(X, y, sample_weight, device, new=new)
        checkpoints = None
        if trainer.checkpoint_dir and not partial:
            checkpoints = make_checkpoints(trainer, type(self).__name__, self.get_params(deep=False), data)
        budget = self._choose_budget(len(data.X), device, loss.model, partial=partial)
        if new:
            self._reset(data, checkpoints)
        trial = self._trial(budget, X, y, sample_weight) if new and budget.refit and data.is_whole else None
        fraction = budget.early_stopping.validation_fraction if budget.early_stopping and not trial else 0.0
        split = data.split(fraction, self.seed_)
        self._build(loss, data, split.held_out, device, new=new, full_rank=bool(trial and trial._full_rank))
        settings = LoaderSettings(
            budget.batch_size, trainer.gradient_accumulation, split, self.seed_, trainer.precision
        )
        loaders = make_loaders(data, loss.model.scaling, settings)
        loop = self._make_loop(loss, data, loaders, partial=partial)

        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        n_epochs = 1 if partial else budget.max_epochs
        epochs = Epochs(self, n_epochs, X=X, y=y, metadata=metadata) if has_callbacks(self) else None
        if trial and not trial._best_epoch:  # the linear model is the best: there is nothing to train
            self.history_, self.n_iter_ = trial.history_, trial.n_iter_
            self.model_.eval().to("cpu")
        else:
            self._train(loop, data, loaders, checkpoints, epochs, None if partial else budget, trial)
        if new:
            self._compare_with_full_rank(loop, data, loaders, split.held_out, device)
        if new and not partial:
            self._choose_prior(data, split.held_out, trial)
        self._optimizer_state = loop.optimizer.state() if partial else None
        if epochs:
            epochs.end()
        return self

    def _describe_training(self, X: Any, *, new: bool) -> tuple[Any, TrainingLoss]:
        """Return X, read if it is a path, and the loss of a new model or of the one to train further."""
        # What is described by columns follows from the table; an unknown name is an error before data are read.
        if new and not (isinstance(self.likelihood, Mapping) or isinstance(self.scaling, TableCodec)):
            self._describe_loss(self._describe())
        X = resolve(X, tables=True)
        if new:
            self._table, self._encodes = fit_codec(self, X)
        return X, self._describe_loss(self._describe() if new else self.model_)

    def _reset(self, data: TrainingData, checkpoints: Checkpoints | None) -> None:
        """Choose the seed of a new model, and forget what was learned before."""
        stored = checkpoints.stored_seed() if checkpoints else None
        self.seed_ = data.processes.broadcast(as_seed(self.random_state) if stored is None else stored)
        self.n_iter_, self.history_, self._optimizer_state = 0, History(), None

    def _build(
        self,
        loss: TrainingLoss,
        data: TrainingData,
        held_out: np.ndarray,
        device: torch.device,
        *,
        new: bool,
        full_rank: bool,
    ) -> None:
        """Build and keep the model of a loss if it is new, and move it to the device that trains it."""
        if new:
            k = build_model(loss, data, held_out, self._model_options(), device, full_rank=full_rank)
            self.model_, self.n_components_, self._n_features_out = loss.model, k, k
            self._dtype = np.dtype(data.X.dtype)
        else:
            loss.model.scaling.forget_varying(data.summary.moments)
        loss.model.to(device=device, dtype=parameter_dtype(self._trainer().precision))

    def _make_loop(self, loss: TrainingLoss, data: TrainingData, loaders: Loaders, *, partial: bool) -> TrainingLoop:
        """Return the training loop, in the optimizer's state after the last ``partial_fit``."""
        rate, trainer = self.learning_rate_, self._trainer()
        how = {"chosen_rate": self.learning_rate == "auto", "constant": partial}
        self.optimizer_ = choose_optimizer(self.optimizer, loss.model, len(data.X), rate, **how)
        loop = make_loop(loss, loaders.sample, self.optimizer_, trainer, rate, self.seed_, data.processes)
        if partial and self._optimizer_state is not None:
            loop.optimizer.load_state(self._optimizer_state)
        return loop

    def _read(self, X: Any, y: Any, sample_weight: Any, device: torch.device, *, new: bool) -> TrainingData:
        """Check and summarise the data to train on."""
        processes = find_processes(device)
        rows = as_rows(self, X, reset=new)
        weight = sample_weights(sample_weight, rows)
        condition = self._fit_condition(y, weight, reset=new)
        names = column_names(self)
        if processes.world_size == 1:
            summary = summarize(rows, weight, names, hashed=bool(self._trainer().checkpoint_dir))
        else:
            summary = summarize_jointly(rows, weight, names, processes)
        never = summary.low.isnan().nonzero()
        if new and len(never):
            empty = column_name(names, int(never[0]))
            raise ValueError(f"X has only NaN in {empty}: drop it, since nothing can be learned from it.")
        check_magnitude(summary.low, summary.high, summary.moments.mean, rows.dtype, names)
        return TrainingData(rows, weight, condition, names, summary, processes)

    def _train(
        self,
        loop: TrainingLoop,
        data: TrainingData,
        loaders: Loaders,
        checkpoints: Checkpoints | None,
        epochs: Epochs | None,
        budget: Budget | None,
        trial: Self | None,
    ) -> None:
        """Train the model and extend its history, also if training is interrupted; for as long as a trial says."""
        stop_after = trial._best_epoch if trial else None
        model, stopping = self.model_, self.early_stopping_
        if checkpoints:
            checkpoints.seed = self.seed_
        writer = checkpoints if checkpoints and data.processes.is_main else None
        progress = self._progress_bar(data, loaders, budget, stop_after)
        with writer or nullcontext(), progress:
            try:
                loop.fit(
                    loaders.train,
                    first_epoch=self.n_iter_,
                    n_epochs=budget.max_epochs if budget else None,
                    validation=loaders.validation,
                    patience=stopping.n_iter_no_change if stopping else 1,
                    callbacks=self._callbacks(epochs, stop_after),
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
                self.history_ = History([*self.history_, *loop.history])
                self.n_iter_ += len(loop.history)
                model.eval()
                model.to("cpu")
            if writer:
                writer.complete()
        if trial:
            validated = zip(self.history_, trial.history_, strict=False)
            self.history_ = History(own | {"validation_loss": other["validation_loss"]} for own, other in validated)

    def _progress_bar(
        self, data: TrainingData, loaders: Loaders, budget: Budget | None, stop_after: int | None
    ) -> ProgressBar:
        """Return the bar that `verbose` asks for; it says how long training is meant to be."""
        plan = budget.describe(len(data.X)) if budget else ""
        return ProgressBar(
            type(self).__name__,
            stop_after or (budget.max_epochs if budget else 1),
            loaders.train.n_rows,
            shown=self.verbose > 0 and data.processes.is_main,
            plan=f"{stop_after} epochs with all samples" if stop_after else plan,
        )

    def _callbacks(self, epochs: Epochs | None, stop_after: int | None) -> list[Any]:
        """Return what is called after each epoch: the user's callbacks, and what ends training as a trial says."""
        callbacks = as_callbacks(self._trainer().callbacks)
        if epochs:
            callbacks.append(epochs)
        if stop_after:
            callbacks.append(lambda record: record["epoch"] >= stop_after)
        return callbacks

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
