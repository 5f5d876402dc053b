"""What all estimators do: describe parts, build a model of them, train it, and map rows through it."""

from __future__ import annotations

from functools import partial as bound
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import _check_sample_weight, check_is_fitted
from torch import Tensor

from isthmus._device import check_device, check_precision
from isthmus._part import Part, resolve
from isthmus.corruptions import Corruption
from isthmus.engine import find_schedule
from isthmus.engine.distributed import find_processes
from isthmus.estimators._callbacks import CallbackSupportMixin, Epochs, with_callbacks
from isthmus.estimators._fields import Fields
from isthmus.estimators._inference import (
    encode,
    feature_errors,
    fill_missing,
    iterate_imputation,
    map_codes,
    map_rows,
    reconstruct,
    reconstruction_errors,
)
from isthmus.estimators._saving import save
from isthmus.estimators._sources import Rest
from isthmus.estimators._summary import check_same_rows, summarize
from isthmus.estimators._training import build, checkpoints_of, train
from isthmus.estimators._validate import (
    as_seed,
    check_codes,
    check_fields,
    check_rows,
)
from isthmus.likelihoods import Likelihood
from isthmus.model import Model
from isthmus.networks import Network
from isthmus.objectives import Objective, TrainingLoss
from isthmus.penalties import Penalty
from isthmus.posteriors import Posterior
from isthmus.priors import Prior
from isthmus.scaling import Scaling

__all__ = ["BaseAutoencoder"]


class BaseAutoencoder(Fields, CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
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
    _moments: list[dict[str, Tensor]] | None = None
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

    def _formula(self, model: Model, x: Tensor) -> TrainingLoss:
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
        return self._fit(X, y, sample_weight, go_on=self.warm_start)

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Go through the rows once, from the present parameters, at a constant learning rate.

        The scaling is measured on the rows of the first call; a ``Warmup`` has its full weight. Parameters are those of
        :meth:`fit`.
        """
        return self._fit(X, y, sample_weight, go_on=True, partial=True)

    @with_callbacks  # type: ignore[untyped-decorator]
    def _fit(self, X: Any, y: Any, sample_weight: Any, *, go_on: bool, partial: bool = False) -> Self:
        check_fields(self)
        go_on = go_on and hasattr(self, "model_")
        check_precision(self.precision, check_device(self.device))
        described = None if go_on else self._describe()
        X_ = check_rows(self, X, reset=not go_on)
        condition = self._fit_condition(y, X_, reset=not go_on)
        rest = Rest(_check_sample_weight(sample_weight, X_, dtype=np.float64, ensure_non_negative=True), condition)
        kept, processes = bool(self.checkpoint_dir) and not partial, find_processes(check_device(self.device))
        summary = summarize(self, X_, rest.weight, reset=not go_on, digest=kept or processes.world_size > 1)
        check_same_rows(processes, summary)
        checkpoints = checkpoints_of(self, X_, rest, summary) if kept else None
        if described is not None:
            stored = checkpoints.stored_seed() if checkpoints else None
            self.seed_ = processes.broadcast(as_seed(self.random_state) if stored is None else stored)
            build(self, described, X_, rest, summary)
            self.model_, self._n_features_out = described, self.n_components
            self.n_iter_, self.history_, self._moments = 0, [], None
            self._fit_on_dataframe = hasattr(X, "columns") and hasattr(X, "dtypes")
            self._dtype = np.dtype(X_.dtype)
        if checkpoints:
            checkpoints.seed = self.seed_
        n_epochs = 1 if partial else self.max_epochs
        epochs = Epochs(
            self, n_epochs, X=X, y=y, metadata=None if sample_weight is None else {"sample_weight": sample_weight}
        )
        history = train(
            self,
            X_,
            rest,
            summary,
            n_epochs=n_epochs,
            schedule=find_schedule("constant" if partial else self.schedule),
            checkpoints=checkpoints,
            epochs=epochs,
            partial=partial,
        )
        self.history_ = [*self.history_, *history]
        self.n_iter_ += len(history)
        epochs.end()
        return self

    def _fit_condition(self, y: Any, X: Any, *, reset: bool) -> np.ndarray | None:  # noqa: ARG002
        """Return what the model is conditioned on, (N, C); only the conditional estimator has something."""
        return None

    # ---- mapping rows ---------------------------------------------------------------------------------------

    def _rows(self, X: Any) -> Any:
        check_is_fitted(self, "model_")
        return check_rows(self, X, reset=False)

    def transform(self, X: Any) -> np.ndarray:
        """Return the code of every row: the encoder's output, for a VAE the posterior mean. Deterministic.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Rows.

        Returns
        -------
        ndarray of shape (N, K)
        """
        return map_rows(self, encode, self._rows(X))

    def inverse_transform(self, X: Any) -> Any:
        """Return the decoder's mean for every code, in the data's own units.

        Parameters
        ----------
        X : array-like of shape (N, K)
            Codes, as :meth:`transform` returns them.

        Returns
        -------
        ndarray of shape (N, D), or a DataFrame where X is one
        """
        check_is_fitted(self, "model_")
        return self._like(X, map_codes(self, check_codes(self, X)))

    def reconstruct(self, X: Any) -> Any:
        """Return what is left of every row after the isthmus: decoder mean of its code, in the data's units.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Rows.

        Returns
        -------
        ndarray of shape (N, D), or a DataFrame where X is one
        """
        return self._like(X, map_rows(self, reconstruct, self._rows(X)))

    def feature_errors(self, X: Any) -> np.ndarray:
        """Return -log p(x_d|z) of every cell at its row's code, in nats of the data's units: which column is odd.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Rows.

        Returns
        -------
        ndarray of shape (N, D)
        """
        return map_rows(self, feature_errors, self._rows(X))

    def reconstruction_error(self, X: Any) -> np.ndarray:
        """Return -log p(x|z) of every row at its code, in nats of the data's units, summed over columns.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Rows.

        Returns
        -------
        ndarray of shape (N,)
        """
        return map_rows(self, reconstruction_errors, self._rows(X))

    def impute(self, X: Any) -> Any:
        """Return X with every missing cell (NaN) filled; observed cells come back bit for bit.

        A deterministic autoencoder fills with what its decoder says at the code of the observed cells: a good guess,
        but of no probability. (One that never saw missing or masked cells is applied to its own guess, up to 20 times.)
        A VAE fills with E[x_missing | x_observed] by importance sampling with ``n_draws`` draws.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Rows, NaN where a cell is missing. A row of which nothing was observed is filled as well.

        Returns
        -------
        ndarray of shape (N, D), or a DataFrame where X is one
        """
        rows = self._rows(X)
        return self._like(X, fill_missing(rows, self._impute(rows)))

    def _impute(self, X: np.ndarray) -> np.ndarray:
        """Return a guess of every cell of valid rows, (N, D)."""
        return map_rows(self, bound(iterate_imputation, once=self._corruption().simulates_missing), X)

    def _like(self, X: Any, values: np.ndarray) -> Any:
        """Return `values` in the container that X came in: a DataFrame gives one with the fitted columns."""
        if not (hasattr(X, "columns") and hasattr(X, "index")):
            return values
        return type(X)(values, index=X.index, columns=getattr(self, "feature_names_in_", None))

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
