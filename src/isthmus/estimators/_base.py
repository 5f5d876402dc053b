"""What all estimators do: describe parts, build a model of them, train it, and map rows through it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import _check_sample_weight, check_is_fitted
from torch import Tensor

from isthmus._batch import Batch
from isthmus._part import Part, resolve
from isthmus._torch import check_device, chunks, derive, seeded
from isthmus.corruptions import Corruption
from isthmus.data.arrays import Resident
from isthmus.engine import NonFiniteError, Trainer, find_schedule
from isthmus.engine.precision import parameter_dtype
from isthmus.engine.progress import Progress
from isthmus.estimators._fields import Fields
from isthmus.estimators._rows import (
    Rows,
    cell_errors,
    code,
    map_codes,
    map_rows,
    reconstruction,
    repaired,
    scale,
    tensor,
)
from isthmus.estimators._validate import (
    check_codes,
    check_fields,
    check_rows,
    check_support,
    column_name,
    seed_of,
)
from isthmus.likelihoods import Likelihood
from isthmus.model import Model
from isthmus.networks import Network
from isthmus.objectives import Formula, Objective
from isthmus.penalties import Penalty
from isthmus.posteriors import Posterior
from isthmus.priors import Prior
from isthmus.scaling import Scaling

__all__ = ["BaseAutoencoder"]


class BaseAutoencoder(Fields, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
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

    model_: Model
    history_: list[dict[str, float]]
    n_iter_: int
    n_features_in_: int
    seed_: int

    # ---- the parts: what a subclass fills by default --------------------------------------------------------

    def _posterior(self) -> str | Part:
        raise NotImplementedError

    def _prior(self) -> str | Part:
        return "standard_normal"

    def _own_penalties(self) -> list[Penalty]:
        return []

    def _own_objective(self) -> str | Part:
        return "penalized_likelihood"

    def _network_fields(self) -> dict[str, Any]:
        return {
            "hidden_layer_sizes": tuple(self.hidden_layer_sizes),
            "activation": self.activation,
            "image_shape": self.image_shape,
        }

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

    def _formula(self, model: Model, x: Tensor) -> Formula:
        penalties = [resolve("penalties", p, Penalty) for p in (*self._own_penalties(), *self.penalties)]
        corruption = resolve("corruptions", self.corruption, Corruption)
        corruption.build(x)
        objective = resolve("objectives", self._own_objective(), Objective)
        return Formula(model, objective, corruption, penalties)

    # ---- fitting --------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn the model from rows.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Rows of numbers; NaN is a missing cell, and the likelihood then sums over the observed ones.
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
        return self._fit(X, y, sample_weight, n_epochs=self.max_epochs, go_on=self.warm_start)

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Go through the rows once, from the present parameters, at a constant learning rate.

        The scaling is measured on the rows of the first call. Parameters are those of :meth:`fit`.
        """
        return self._fit(X, y, sample_weight, n_epochs=1, go_on=True, schedule="constant")

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, *, n_epochs: int, go_on: bool, schedule: str | None = None
    ) -> Self:
        check_fields(self)
        go_on = go_on and hasattr(self, "model_")
        device = check_device(self.device)
        described = None if go_on else self._describe()
        X_ = check_rows(self, X, reset=not go_on)
        condition = self._fit_condition(y, X_, reset=not go_on)
        weight = _check_sample_weight(sample_weight, X_, dtype=np.float64, ensure_non_negative=True)
        if described is not None:
            self.seed_ = seed_of(self.random_state)
            self._build(described, X_, weight, condition)
            self.n_iter_, self.history_ = 0, []
            self._on_frame = hasattr(X, "columns") and hasattr(X, "dtypes")
        self._train(X_, weight, condition, device, n_epochs, find_schedule(schedule or self.schedule))
        return self

    def _fit_condition(self, y: Any, X: np.ndarray, *, reset: bool) -> np.ndarray | None:  # noqa: ARG002
        """Return what the model is conditioned on, (N, C); only the conditional estimator has something."""
        return None

    def _build(self, model: Model, X: np.ndarray, weight: np.ndarray, condition: np.ndarray | None) -> None:
        rows, weights = tensor(X).double(), torch.from_numpy(weight)
        model.scaling.build(X.shape[1])
        model.scaling.measure(rows, weights)
        x, mask = scale(model, rows, torch.float64)
        observed = torch.ones_like(x) if mask is None else mask
        likelihood = model.likelihood
        likelihood.infer(x)
        with seeded(self.seed_):
            n_conditions = 0 if condition is None else condition.shape[1]
            model.build(X.shape[1], self.n_components, n_conditions, masked=mask is not None)
        share = observed * weights.unsqueeze(-1)
        model.start_from((share * x).sum(0) / share.sum(0))
        check_support(self, (likelihood.supports(x) | (observed == 0)).numpy(), X, likelihood)
        self.model_ = model.to(parameter_dtype(self.precision))
        self._n_features_out = self.n_components

    def _train(
        self,
        X: np.ndarray,
        weight: np.ndarray,
        condition: np.ndarray | None,
        device: torch.device,
        n_epochs: int,
        schedule: Callable[[float], float],
    ) -> None:
        model = self.model_.to(device=device, dtype=parameter_dtype(self.precision))
        rows = self._resident(X, weight, condition).to(device, parameter_dtype(self.precision))
        with seeded(derive(self.seed_, 3), device):
            formula = self._formula(model, rows.x)
        train, validation = self._split(rows)
        trainer = Trainer(
            cast("Formula", torch.compile(formula)) if self.compile else formula,
            learning_rate=self.learning_rate,
            schedule=schedule,
            weight_decay=self.weight_decay,
            precision=self.precision,
            seed=self.seed_,
        )
        with Progress(type(self).__name__, n_epochs, shown=self.verbose > 0) as progress:
            try:
                history = trainer.fit(
                    train,
                    first_epoch=self.n_iter_,
                    n_epochs=n_epochs,
                    validation=validation,
                    patience=self.n_iter_no_change,
                    callbacks=[progress, *self.callbacks],
                )
            except NonFiniteError as error:
                raise FloatingPointError(f"{error} {self._suspects(error.batch)}") from error
            finally:
                model.eval()
                model.to("cpu")
        self.history_ = [*self.history_, *history]
        self.n_iter_ += len(history)

    def _resident(self, X: np.ndarray, weight: np.ndarray, condition: np.ndarray | None) -> Batch:
        """Return scaled rows, chunk by chunk: no float64 copy of the whole matrix is made."""
        dtype = parameter_dtype(self.precision)
        x = torch.empty(X.shape, dtype=dtype)
        mask = torch.ones(X.shape, dtype=dtype) if np.isnan(X).any() else None
        for part in chunks(len(X), X.shape[1]):
            x[part], observed = scale(self.model_, tensor(X[part]), dtype)
            if mask is not None and observed is not None:
                mask[part] = observed
        c = None if condition is None else torch.from_numpy(condition)
        return Batch(x, torch.from_numpy(weight), c, mask)

    def _split(self, rows: Batch) -> tuple[Resident, Resident | None]:
        if not self.early_stopping:
            return Resident(rows, self.batch_size), None
        n = len(rows.x)
        held = max(1, round(self.validation_fraction * n))
        if held >= n:
            raise ValueError(f"early_stopping leaves no row to train on: {held} of {n} would be held out.")
        order = np.random.default_rng(derive(self.seed_, 4)).permutation(n)
        index = torch.from_numpy(order).to(rows.x.device)
        return Resident(rows.take(index[held:]), self.batch_size), Resident(rows.take(index[:held]), self.batch_size)

    def _suspects(self, batch: Batch) -> str:
        """Name the columns whose cells have the worst likelihood in the batch at which training broke."""
        with torch.no_grad():
            errors = cell_errors(self.model_, Rows(batch.x, batch.x, batch.c, batch.mask))
        if batch.mask is not None:
            errors = errors.masked_fill(batch.mask == 0, 0.0)
        worst = errors.nan_to_num(nan=torch.inf, posinf=torch.inf).amax(0)
        top = torch.topk(worst, min(3, len(worst))).indices.tolist()
        columns = ", ".join(column_name(self, i) for i in top)
        return (
            f"Worst in that step: {columns}. The parameters are back at what they were before it. Look for extreme "
            f"values there, scale them, or lower learning_rate={self.learning_rate:g}."
        )

    # ---- mapping rows ---------------------------------------------------------------------------------------

    def _rows(self, X: Any) -> np.ndarray:
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
        return map_rows(self, code, self._rows(X))

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
        return self._like(X, map_rows(self, reconstruction, self._rows(X)))

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
        return map_rows(self, cell_errors, self._rows(X))

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
        return np.nansum(self.feature_errors(X), axis=1)

    def impute(self, X: Any) -> Any:
        """Return X with every missing cell (NaN) filled; observed cells come back bit for bit.

        A deterministic autoencoder fills with what its decoder says at the code of the observed cells: a good guess,
        but of no probability. (Where it was trained without missing cells, it is applied to its own guess 20 times.)
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
        return self._like(X, _filled(rows, self._impute(rows)))

    def _impute(self, X: np.ndarray) -> np.ndarray:
        """Return a guess of every cell of valid rows, (N, D)."""
        return map_rows(self, repaired, X)

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
        from isthmus.estimators._saving import save

        save(self, path)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _filled(X: np.ndarray, guess: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(X), guess, X)
