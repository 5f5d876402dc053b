"""What all estimators do: describe parts, build a model of them, and train it."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.utils.validation import _check_sample_weight
from torch import Tensor

from isthmus._device import check_device, check_precision
from isthmus._part import Part, resolve
from isthmus._random import Stream, derive, seeded
from isthmus.corruptions import Corruption
from isthmus.engine import Checkpoints, NonFiniteError, Trainer, find_schedule
from isthmus.engine.distributed import Processes, find_processes
from isthmus.engine.precision import parameter_dtype
from isthmus.engine.progress_bar import ProgressBar
from isthmus.estimators._callbacks import CallbackSupportMixin, Epochs, logged, with_callbacks
from isthmus.estimators._data import TrainingData
from isthmus.estimators._fields import Fields
from isthmus.estimators._fitting import build_model, describe_run, lr_multipliers, worst_columns
from isthmus.estimators._loaders import LoaderSettings, make_loaders
from isthmus.estimators._saving import save
from isthmus.estimators._summary import summarize
from isthmus.estimators._transforms import AutoencoderTransforms
from isthmus.estimators._validate import as_plain_array, as_rows, as_seed, check_fields
from isthmus.likelihoods import Likelihood
from isthmus.model import Model
from isthmus.networks import Network
from isthmus.objectives import Objective, TrainingLoss
from isthmus.penalties import Penalty
from isthmus.posteriors import Posterior
from isthmus.priors import Prior
from isthmus.scaling import Scaling

__all__ = ["BaseAutoencoder"]


class BaseAutoencoder(CallbackSupportMixin, AutoencoderTransforms, Fields):
    """Base of the estimators.

    Attributes
    ----------
    model_ : Model
        The trained model, a torch module.
    history_ : list of dict
        A record of named numbers an epoch, in nats per row of the scaled data.
    n_iter_ : int
        Epochs trained.
    n_features_in_ : int
        D, number of columns seen in ``fit``.
    feature_names_in_ : ndarray of shape (D,)
        Their names, where X had string names.
    """

    has_density: ClassVar[bool] = False  # p(x), to score samples with and to draw from
    conditional: ClassVar[bool] = False  # p(x|y): methods take conditions y

    model_: Model
    history_: list[dict[str, float]]
    n_iter_: int
    n_features_in_: int
    seed_: int
    _optimizer_state: list[dict[str, Tensor]] | None = None
    _fit_on_dataframe = False
    _dtype: np.dtype[Any] = np.dtype(np.float64)  # of drawn rows

    # ---- the parts: what a subclass fills by default --------------------------------------------------------

    def _posterior(self) -> str | Part:
        raise NotImplementedError

    def _prior(self) -> str | Part:
        return "standard_normal"

    def _own_penalties(self) -> list[Penalty]:
        return []

    def _own_objective(self) -> str | Part:
        return "penalized_likelihood"

    def _describe(self) -> Model:
        """Return the model, unbuilt; every unknown name is an error here."""
        likelihood = resolve("likelihoods", self.likelihood, Likelihood)
        scaling = likelihood.default_scaling if self.scaling == "auto" else self.scaling
        return Model(
            network=resolve("networks", self.network, Network, **self._network_fields()),
            posterior=resolve("posteriors", self._posterior(), Posterior),
            prior=resolve("priors", self._prior(), Prior),
            scaling=resolve("scaling", scaling, Scaling),
            likelihood=likelihood,
        )

    def _corruption(self) -> Corruption:
        return resolve("corruptions", self.corruption, Corruption)

    def _loss(self, model: Model, x: Tensor) -> TrainingLoss:
        penalties = [resolve("penalties", p, Penalty) for p in (*self._own_penalties(), *self.penalties)]
        corruption = self._corruption()
        if corruption.input_mask and not model.network.sizes.masked:
            raise ValueError(
                f"corruption={corruption!r}: the network was built without a mask beside its rows, and cannot be told "
                "which cells were masked. Fit it anew: a new estimator, or warm_start=False."
            )
        corruption.build(x)
        objective = resolve("objectives", self._own_objective(), Objective)
        return TrainingLoss(model, objective, corruption, penalties)

    # ---- fitting --------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn the model from rows.

        Parameters
        ----------
        X : array-like or source of shape (N, D)
            Rows of numbers; NaN is a missing cell, and the likelihood then sums over the observed ones. A path (.npy,
            .csv, .parquet, a folder of Parquet files), a memory map, a torch ``Dataset`` or a
            :class:`isthmus.data.RowSource` may be larger than memory: its rows are then streamed.
        y : None
            Ignored.
        sample_weight : array-like of shape (N,), optional
            Weights of the rows; 2 counts as the row twice.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X is no matrix of at least two rows, has an infinite cell or a column that was never observed, or a field
            has a value that it may not have.
        FloatingPointError
            If the loss becomes infinite or NaN; the message has epoch, step, term and columns.
        """
        return self._fit(X, y, sample_weight, resume=self.warm_start)

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Go through the rows once, from the present parameters, at a constant learning rate.

        The scaling is measured on the rows of the first call; a ``Warmup`` has its full weight. Parameters are those of
        :meth:`fit`.
        """
        return self._fit(X, y, sample_weight, resume=True, partial=True)

    @with_callbacks  # type: ignore[untyped-decorator]
    def _fit(self, X: Any, y: Any, sample_weight: Any, *, resume: bool, partial: bool = False) -> Self:
        """Read the data, build the model and the loss, train, and keep what was learned."""
        check_fields(self)
        device = check_device(self.device)
        check_precision(self.precision, device)
        processes = find_processes(device)
        new = not (resume and hasattr(self, "model_"))
        model = self._describe() if new else self.model_
        resumable = bool(self.checkpoint_dir) and not partial
        data = self._read(X, y, sample_weight, processes, new=new, hashed=resumable)
        checkpoints = self._find_checkpoints(data) if resumable else None
        if new:
            self._build(model, data, checkpoints)
            self._fit_on_dataframe = hasattr(X, "columns") and hasattr(X, "dtypes")
        if checkpoints:
            checkpoints.seed = self.seed_
        n_epochs = 1 if partial else self.max_epochs
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        epochs = Epochs(self, n_epochs, X=X, y=y, metadata=metadata)
        self._train(data, device, checkpoints, epochs, n_epochs=None if partial else n_epochs)
        epochs.end()
        return self

    def _read(
        self, X: Any, y: Any, sample_weight: Any, processes: Processes, *, new: bool, hashed: bool
    ) -> TrainingData:
        """Check and summarise what the model is trained on."""
        rows = as_rows(self, X, reset=new)
        weight = _check_sample_weight(as_plain_array(sample_weight), rows, dtype=np.float64, ensure_non_negative=True)
        condition = self._fit_condition(y, weight, reset=new)
        names = getattr(self, "feature_names_in_", None)
        hashed = hashed or processes.world_size > 1
        summary = summarize(rows, weight, names, processes, all_observed=new, hashed=hashed)
        return TrainingData(rows, weight, condition, names, summary, processes)

    def _find_checkpoints(self, data: TrainingData) -> Checkpoints:
        assert self.checkpoint_dir is not None
        run = describe_run(type(self).__name__, self.get_params(deep=False), data)
        return Checkpoints(self.checkpoint_dir, run, every=self.checkpoint_seconds)

    def _build(self, model: Model, data: TrainingData, checkpoints: Checkpoints | None) -> None:
        """Build the model by a new seed, or by that of the run to resume, and begin its history."""
        stored = checkpoints.stored_seed() if checkpoints else None
        self.seed_ = data.processes.broadcast(as_seed(self.random_state) if stored is None else stored)
        masked = data.summary.missing or self._corruption().input_mask
        build_model(model, data, n_components=self.n_components, masked=masked, seed=self.seed_)
        model.to(parameter_dtype(self.precision))
        self.model_, self._n_features_out = model, self.n_components
        self.n_iter_, self.history_, self._optimizer_state = 0, [], None
        self._dtype = np.dtype(data.X.dtype)

    def _train(
        self,
        data: TrainingData,
        device: torch.device,
        checkpoints: Checkpoints | None,
        epochs: Epochs,
        *,
        n_epochs: int | None,
    ) -> None:
        """Train the model on the data for `n_epochs`; without a number for one epoch of many, with Adam's state kept.

        Raises
        ------
        FloatingPointError
            If the loss becomes infinite or NaN.
        """
        processes, dtype = data.processes, parameter_dtype(self.precision)
        model = self.model_.to(device=device, dtype=dtype)
        fraction = self.validation_fraction if self.early_stopping else 0.0
        settings = LoaderSettings(self.batch_size, self.gradient_accumulation, fraction, self.seed_, dtype)
        loaders = make_loaders(data, model.scaling, settings)
        with seeded(derive(self.seed_, Stream.LOSS), device):
            loss = self._loss(model, loaders.sample)
        trainer = Trainer(
            loss,
            learning_rate=self.learning_rate,
            schedule=find_schedule("constant" if n_epochs is None else self.schedule),
            weight_decay=self.weight_decay,
            betas=self.adam_betas,
            lr_multipliers=lr_multipliers(model, loss, self.encoder_learning_rate, self.learning_rate),
            seed=self.seed_,
            bf16_parameters=list(model.network.parameters()) if self.precision == "bf16" else [],
            gradient_accumulation=self.gradient_accumulation,
            capture=self.compile,
            processes=processes,
        )
        if n_epochs is None and self._optimizer_state is not None:
            trainer.optimizer.load_state(self._optimizer_state)
        shown = self.verbose > 0 and processes.is_main
        progress = ProgressBar(type(self).__name__, n_epochs or 1, loaders.train.n_rows, shown=shown)
        writer = checkpoints if checkpoints and processes.is_main else None
        with writer or nullcontext(), progress:
            try:
                trainer.fit(
                    loaders.train,
                    first_epoch=self.n_iter_,
                    n_epochs=n_epochs,
                    validation=loaders.validation,
                    patience=self.n_iter_no_change,
                    callbacks=[*map(logged, self.loggers), *self.callbacks, *([epochs] if epochs.active else [])],
                    checkpoints=checkpoints,
                    progress=progress,
                )
            except NonFiniteError as error:
                raise FloatingPointError(
                    f"{error} Worst in that step: {worst_columns(model, error.batch, data.names)}. The parameters are "
                    "back at what they were before it. Look for extreme values there, scale them, or lower "
                    f"learning_rate={self.learning_rate:g}."
                ) from error
            finally:  # if it was interrupted, what it completed stays
                self.history_ = [*self.history_, *trainer.history]
                self.n_iter_ += len(trainer.history)
                model.eval()
                model.to("cpu")
            if writer:
                writer.complete()
        self._optimizer_state = trainer.optimizer.state() if n_epochs is None else None

    def _fit_condition(self, y: Any, weight: np.ndarray, *, reset: bool) -> np.ndarray | None:  # noqa: ARG002
        """Return what the model is conditioned on, (N, C); only the conditional estimator has something."""
        return None

    # ---- the rest -------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write the fitted estimator to one safetensors file, in which nothing can run code.

        Parameters
        ----------
        path : str or Path
            File to write; it is replaced only when the new one is complete. Read it with ``isthmus.load``.
        """
        save(self, path)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
