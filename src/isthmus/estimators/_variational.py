"""What VAE and ConditionalVAE share: bounds, importance-weighted likelihoods and draws."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from scipy.special import logsumexp
from torch import Tensor

from isthmus._device import check_device
from isthmus._part import Part
from isthmus._random import Stream, derive, seeded
from isthmus.estimators._base import BaseAutoencoder
from isthmus.estimators._chunking import empty_result, row_chunks
from isthmus.estimators._fields import layer_sizes
from isthmus.estimators._inference import Chunk, map_rows, max_draws_per_pass
from isthmus.estimators._validate import check_positive_integer
from isthmus.evaluation import (
    Estimate,
    conditional_draws,
    conditional_mean,
    elbo,
    log_marginal,
    log_marginal_estimate,
    unreliable,
)
from isthmus.evaluation.row_noise import row_noise
from isthmus.model import Model
from isthmus.objectives import ImportanceWeighted
from isthmus.penalties import KL, Penalty

__all__ = ["Elbo", "LogLikelihoodEstimate", "Variational"]


class Elbo(NamedTuple):
    """The evidence lower bound of rows with its parts, in nats of the data's units.

    Attributes
    ----------
    elbo : ndarray of shape (N,)
        ``-(reconstruction + kl)``, at most log p(x) on average over draws.
    reconstruction : ndarray of shape (N,)
        E_q[-log p(x|z)].
    kl : ndarray of shape (N,)
        KL(q(z|x) || p(z)).
    """

    elbo: np.ndarray
    reconstruction: np.ndarray
    kl: np.ndarray


class LogLikelihoodEstimate(NamedTuple):
    """log p(x) of rows, estimated by importance sampling, with what tells how far to trust it.

    Attributes
    ----------
    value : ndarray of shape (N,)
        The estimate, in nats of the data's units; on average below the truth, by about ``standard_error**2 / 2``.
    standard_error : ndarray of shape (N,)
        Of the estimate, in nats; NaN for a single draw.
    effective_sample_size : ndarray of shape (N,)
        How many draws from the true posterior the weighted ones are worth, 1 to ``n_draws``.
    pareto_k : ndarray of shape (N,)
        Shape of the tail of the weights: above 0.7 the standard error means nothing. NaN with too few draws to tell.
    """

    value: np.ndarray
    standard_error: np.ndarray
    effective_sample_size: np.ndarray
    pareto_k: np.ndarray

    def unreliable(self) -> np.ndarray:
        """Return the indices of the rows that :func:`isthmus.evaluation.unreliable` names, in rising order."""
        return unreliable(Estimate(*(torch.from_numpy(np.asarray(column)) for column in self))).numpy()

    def warn_if_unreliable(self) -> Self:
        """Return the same, after a UserWarning that names unreliable rows if there are any."""
        rows = self.unreliable()
        if len(rows):
            more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
            named = ("row " if len(rows) == 1 else "rows ") + ", ".join(map(str, rows[:_NAMED])) + more
            warnings.warn(
                f"log p(x) is unreliable, usually too low, in {len(rows)} of {len(self.value)} rows (few effective "
                f"draws, or weights with a heavy tail): {named}. Try proposal_scale=1.3, more draws (n_draws), or "
                "isthmus.evaluation.annealed_estimate, which helps most.",
                stacklevel=3,
            )
        return self

    @classmethod
    def sum_over_labels(cls, log_share: np.ndarray, parts: Sequence[Self], n_draws: int) -> Self:
        """Return log sum_c p(c) p(x|c) for estimates of p(x|c), one for each c, and their log p(c), (C,).

        All c share their draws, so that errors may add up in full: the standard error is their sum with the weights
        p(c|x), an upper bound, and the effective sample size follows from it. ``pareto_k`` is the largest of those c
        that have a hundredth of p(c|x).
        """
        value, error, _, k = (np.stack(columns) for columns in zip(*parts, strict=True))  # (C, N)
        joint = value + log_share[:, None]
        total = logsumexp(joint, axis=0)
        with np.errstate(invalid="ignore"):  # a row of probability 0 has no shares
            share = np.exp(joint - total)
        error = np.where(share > 0, share * error, 0.0).sum(axis=0)
        square = np.nan_to_num(error, nan=0.0, posinf=np.inf) ** 2
        tail = np.where(share >= _COUNTS, k, -np.inf).max(axis=0)
        return cls(*(a.astype(value.dtype) for a in (total, error, n_draws / (1 + (n_draws - 1) * square), tail)))


_NAMED = 10  # unreliable rows that a warning names
_COUNTS = 0.01  # share of p(c|x) from which on a class's tail matters


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class Variational(BaseAutoencoder):
    """Base of the estimators with a posterior that has a density."""

    has_density = True

    posterior: str | Part = "diagonal_normal"
    prior: str | Part = "standard_normal"
    objective: str | Part = "penalized_likelihood"
    beta: Any = 1.0
    free_bits: float = 0.0
    n_draws: int = 100

    def _posterior(self) -> Any:
        return self.posterior

    def _prior(self) -> Any:
        return self.prior

    def _own_objective(self) -> str | Part:
        return self.objective

    def _own_penalties(self) -> list[Penalty]:
        if self.objective == "importance_weighted" or isinstance(self.objective, ImportanceWeighted):
            return []
        return [KL(self.beta, self.free_bits)]

    # ---- likelihoods ----------------------------------------------------------------------------------------

    def _log_likelihood(self, X: np.ndarray, c: np.ndarray | None) -> np.ndarray:
        """Return log p(x|c) of valid rows, (N,)."""
        noise, at_once = self._noise(), max_draws_per_pass(self)

        def log_px(model: Model, rows: Chunk) -> Tensor:
            log_det = _log_det(model, rows)
            return log_marginal(model, rows.x, noise(rows), rows.c, rows.mask, at_once) + log_det

        return map_rows(self, log_px, X, c, draws=self.n_draws)

    def _log_likelihood_estimate(
        self, X: np.ndarray, c: np.ndarray | None, n_draws: int, proposal_scale: float
    ) -> LogLikelihoodEstimate:
        """Return the estimate of log p(x|c) of valid rows."""

        def estimate(model: Model, rows: Chunk) -> Tensor:
            found = log_marginal_estimate(
                model,
                rows.x,
                rows.c,
                rows.mask,
                n_draws=n_draws,
                proposal_scale=proposal_scale,
                seed=derive(self.seed_, Stream.SCORING),
                key=rows.raw,
            )
            log_det = _log_det(model, rows).cpu()
            return torch.stack([found.value + log_det, *found[1:]])

        return LogLikelihoodEstimate(*map_rows(self, estimate, X, c, axis=1))

    def _elbo(self, X: np.ndarray, c: np.ndarray | None) -> Elbo:
        noise, at_once = self._noise(), max_draws_per_pass(self)

        def parts(model: Model, rows: Chunk) -> Tensor:
            bound = elbo(model, rows.x, noise(rows), rows.c, rows.mask, at_once)
            log_det = _log_det(model, rows)
            return torch.stack([bound.elbo + log_det, bound.reconstruction - log_det, bound.kl])

        return Elbo(*map_rows(self, parts, X, c, draws=self.n_draws, axis=1))

    def _noise(self) -> Callable[[Chunk], Tensor]:
        """Return the noise of rows' draws, (S, N, K): the same at every call, whatever rows stand beside a row."""
        seed = derive(self.seed_, Stream.SCORING)
        return lambda rows: row_noise(rows.raw, self.n_draws, self.n_components, seed).to(rows.x)

    # ---- missing cells --------------------------------------------------------------------------------------

    def _impute(self, X: np.ndarray, c: np.ndarray | None = None) -> np.ndarray:
        noise = self._noise()

        def mean(model: Model, rows: Chunk) -> Tensor:
            if rows.mask is None:
                return rows.raw
            return model.scaling.to_data_units(conditional_mean(model, rows.x, rows.mask, noise(rows), rows.c))

        return map_rows(self, mean, X, c, draws=self.n_draws)

    def _sample_imputations(self, X: np.ndarray, n_samples: int, seed: int, c: np.ndarray | None) -> np.ndarray:
        """Return completed copies of the rows, (n_samples, N, D)."""
        check_positive_integer("n_samples", n_samples)
        noise = self._noise()

        def draws(model: Model, rows: Chunk) -> Tensor:
            if rows.mask is None:
                return rows.raw.expand(n_samples, *rows.raw.shape)
            drawn = conditional_draws(model, rows.x, rows.mask, noise(rows), n_samples, rows.c)
            return torch.where(rows.raw.isnan(), model.scaling.to_data_units(drawn).to(rows.raw), rows.raw)

        with seeded(seed, check_device(self.device)):
            return map_rows(self, draws, X, c, draws=max(n_samples, self.n_draws), axis=1)

    # ---- draws ----------------------------------------------------------------------------------------------

    def _sample_rows(self, n_samples: int, seed: int, c: np.ndarray | None) -> np.ndarray:
        """Return draws (n_samples, D) from p(x|c), in the data's units."""
        check_positive_integer("n_samples", n_samples)
        model = self.model_
        dtype = model.network.dtype

        drawn = empty_result((n_samples, self.n_features_in_), self._dtype)
        with torch.no_grad(), seeded(seed):
            for part in row_chunks(n_samples, max(self.n_features_in_, *layer_sizes(self.hidden_layer_sizes), 1)):
                condition = None if c is None else torch.from_numpy(c[part]).to(dtype)
                rows = drawn[part]
                if model.scaling.identity:
                    model.sample(len(rows), condition, out=rows)
                else:
                    rows.copy_(model.scaling.to_data_units(model.sample(len(rows), condition)))
        return drawn.numpy()

    def _sample_codes(self, X: np.ndarray, n_samples: int, seed: int, c: np.ndarray | None) -> np.ndarray:
        """Return draws from q(z|x, c) for each row, (n_samples, N, K)."""
        check_positive_integer("n_samples", n_samples)
        noise = np.random.default_rng(seed).standard_normal((n_samples, len(X), self.n_components))
        start = 0

        def draw(model: Model, rows: Chunk) -> Tensor:
            nonlocal start
            part = noise[:, start : start + len(rows.x)]
            start += len(rows.x)
            return model.q(rows.x, rows.c, rows.mask).from_noise(torch.from_numpy(part).to(rows.x))

        return map_rows(self, draw, X, c, draws=n_samples, axis=1)

    def _like_training_data(self, values: np.ndarray) -> Any:
        """Return drawn rows as what ``fit`` was given: a DataFrame with the same columns, or an array."""
        if not self._fit_on_dataframe:
            return values
        import pandas as pd

        return pd.DataFrame(values, columns=getattr(self, "feature_names_in_", None))


def _log_det(model: Model, rows: Chunk) -> Tensor:
    """Return the scaling's log-determinant over the observed columns, () or (N,)."""
    log_det = model.log_det().to(rows.x)
    return log_det.sum() if rows.mask is None else rows.mask @ log_det
