"""Base of VAE and ConditionalVAE: likelihoods, lower bounds, imputation and random samples."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from isthmus._device import check_device
from isthmus._part import Part, resolve
from isthmus._random import Stream, derive, seeded
from isthmus.estimators._base import BaseAutoencoder
from isthmus.estimators._check_fields import check_positive_integer
from isthmus.estimators._chunking import empty_result, row_chunks
from isthmus.estimators._fields import FirstFields, layer_sizes
from isthmus.estimators._inference import Chunk, draw_codes, log_det, map_rows, max_draws_per_pass
from isthmus.estimators._table_means import table_means
from isthmus.evaluation import (
    Estimate,
    elbo,
    log_marginal,
    log_marginal_estimate,
    unreliable,
)
from isthmus.evaluation.imputation import Completion
from isthmus.evaluation.row_noise import row_noise
from isthmus.model import Model
from isthmus.objectives import Objective
from isthmus.penalties import KL, Penalty

__all__ = ["Elbo", "LogLikelihoodEstimate", "Variational"]


class Elbo(NamedTuple):
    """Evidence lower bound of each sample and its parts, in nats of the data's units.

    Attributes
    ----------
    elbo : ndarray of shape (N,)
        ``-(reconstruction + kl)``. Its expectation is at most log p(x).
    reconstruction : ndarray of shape (N,)
        E_q[-log p(x|z)].
    kl : ndarray of shape (N,)
        KL(q(z|x) || p(z)).
    """

    elbo: np.ndarray
    reconstruction: np.ndarray
    kl: np.ndarray


class LogLikelihoodEstimate(NamedTuple):
    """Importance-sampling estimate of log p(x) of each sample, with measures of its reliability.

    Attributes
    ----------
    value : ndarray of shape (N,)
        The estimate, in nats of the data's units. Its bias is about ``-standard_error**2 / 2``.
    standard_error : ndarray of shape (N,)
        Standard error of the estimate, in nats; NaN for a single draw.
    effective_sample_size : ndarray of shape (N,)
        Number of draws from the true posterior that would be as good as the weighted ones, 1 to ``n_draws``.
    pareto_k : ndarray of shape (N,)
        Tail index of the importance weights. Above 0.7 the standard error is meaningless. NaN if there are too few
        draws to estimate it.
    """

    value: np.ndarray
    standard_error: np.ndarray
    effective_sample_size: np.ndarray
    pareto_k: np.ndarray

    def unreliable(self) -> np.ndarray:
        """Return the indices of unreliable samples in ascending order, by :func:`isthmus.evaluation.unreliable`."""
        return unreliable(Estimate(*(torch.from_numpy(np.asarray(column)) for column in self))).numpy()

    def warn_if_unreliable(self) -> Self:
        """Warn if there are unreliable samples, naming the first of them, and return the estimate."""
        rows = self.unreliable()
        if len(rows):
            warnings.warn(
                f"log p(x) is unreliable, usually too low, in {len(rows)} of {len(self.value)} rows (few effective "
                f"draws, or weights with a heavy tail): {_named(rows)}. Try more draws (n_draws), or "
                "isthmus.evaluation.annealed_estimate, which helps most.",
                stacklevel=3,
            )
        return self

    @classmethod
    def sum_over_labels(cls, log_prior: np.ndarray, estimates: Sequence[Self], n_draws: int) -> Self:
        """Return the estimate of log p(x) = log sum_y p(y) p(x|y) from those of log p(x|y), one for each label.

        The labels share their draws, so that errors may add up: the standard error is an upper bound, the sum of the
        labels' errors with weights p(y|x), and the effective sample size is computed from it. ``pareto_k`` is the
        largest of the labels with p(y|x) of at least 0.01.

        Parameters
        ----------
        log_prior : ndarray of shape (C,)
            log p(y).
        estimates : sequence of LogLikelihoodEstimate
            Estimates of log p(x|y), in the order of the labels.
        n_draws : int
            Number of draws of each estimate.
        """
        value, error, _, k = (np.stack(columns) for columns in zip(*estimates, strict=True))  # (C, N)
        joint = value + log_prior[:, None]
        total = np.logaddexp.reduce(joint, axis=0)
        with np.errstate(invalid="ignore"):  # -inf - -inf for a sample of probability 0
            share = np.exp(joint - total)
        error = np.where(share > 0, share * error, 0.0).sum(axis=0)
        square = np.nan_to_num(error, nan=0.0, posinf=np.inf) ** 2
        tail = np.where(share >= _MIN_PROBA, k, -np.inf).max(axis=0)
        return cls(*(a.astype(value.dtype) for a in (total, error, n_draws / (1 + (n_draws - 1) * square), tail)))


_MAX_NAMED = 10  # samples that a warning names
_MIN_EFFECTIVE = 3.0  # draws for an imputation: its error is then within about 1.15 times that of the exact one
_MIN_PROBA = 0.01  # p(y|x) from which the tail of a label's weights matters


def _named(rows: np.ndarray) -> str:
    """Return the first of the indices of rows, in words."""
    more = f" and {len(rows) - _MAX_NAMED} more" if len(rows) > _MAX_NAMED else ""
    return ("row " if len(rows) == 1 else "rows ") + ", ".join(map(str, rows[:_MAX_NAMED])) + more


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class VariationalFields(FirstFields):
    """Base of the fields that say what a variational autoencoder is."""

    prior: str | Part = "auto"
    posterior: str | Part = "diagonal_normal"
    objective: str | Part = "penalized_likelihood"
    beta: Any = 1.0
    n_draws: int = 100


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class Variational(BaseAutoencoder, VariationalFields):
    """Base of the estimators with a posterior that has a density."""

    has_density = True

    def _posterior(self) -> Any:
        return self.posterior

    def _prior(self) -> Any:
        independent = getattr(resolve("objectives", self.objective, Objective), "free_bits", 0.0)
        return "standard_normal" if independent and self.prior == "auto" else self.prior

    def _own_objective(self) -> str | Part:
        return self.objective

    def _own_penalties(self) -> list[Penalty]:
        objective = resolve("objectives", self.objective, Objective)
        return [] if objective.includes_kl else [KL(self.beta, objective.free_bits)]

    # ---- likelihoods ----------------------------------------------------------------------------------------

    def _log_likelihood(self, X: np.ndarray, c: np.ndarray | None) -> np.ndarray:
        """Return log p(x|c) of valid samples, (N,)."""
        noise, at_once = self._noise(), max_draws_per_pass(self)

        def log_likelihood(model: Model, rows: Chunk) -> Tensor:
            return log_marginal(model, rows.x, noise(rows), rows.c, rows.mask, at_once) + log_det(model, rows)

        return map_rows(self, log_likelihood, X, c, draws=self.n_draws)

    def _log_likelihood_estimate(
        self, X: np.ndarray, c: np.ndarray | None, n_draws: int, proposal_scale: float
    ) -> LogLikelihoodEstimate:
        """Return the estimate of log p(x|c) of valid samples."""

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
            return torch.stack([found.value + log_det(model, rows).cpu(), *found[1:]])

        return LogLikelihoodEstimate(*map_rows(self, estimate, X, c, axis=1))

    def _elbo(self, X: np.ndarray, c: np.ndarray | None) -> Elbo:
        noise, at_once = self._noise(), max_draws_per_pass(self)

        def parts(model: Model, rows: Chunk) -> Tensor:
            bound = elbo(model, rows.x, noise(rows), rows.c, rows.mask, at_once)
            shift = log_det(model, rows)
            return torch.stack([bound.elbo + shift, bound.reconstruction - shift, bound.kl])

        return Elbo(*map_rows(self, parts, X, c, draws=self.n_draws, axis=1))

    def _noise(self) -> Callable[[Chunk], Tensor]:
        """Return a function from samples to their noise (S, N, K), which depends on nothing but each sample."""
        seed = derive(self.seed_, Stream.SCORING)
        n_draws, n_components = self.n_draws, self._n_features_out
        return lambda rows: row_noise(rows.raw, n_draws, n_components, seed, device=rows.x.device).to(rows.x)

    # ---- missing values -------------------------------------------------------------------------------------

    def _impute(self, X: np.ndarray) -> np.ndarray:
        return self._without_effective(self._conditional_means(X), stacklevel=4)

    def _conditional_means(self, X: np.ndarray, c: np.ndarray | None = None) -> np.ndarray:
        """Return imputed values of valid samples, followed by their effective sample sizes, (N, D + 1)."""
        codec = self._codec

        def means(model: Model, completion: Completion, mask: Tensor) -> Tensor:
            if codec is not None:
                return table_means(codec, model, completion, mask).unsqueeze(0)
            return model.scaling.to_data_units(completion.mean(model).unsqueeze(0))

        return self._complete(means, 1, X, c)[0]

    def _conditional_draws(self, X: np.ndarray, n_samples: int, seed: int, c: np.ndarray | None = None) -> np.ndarray:
        """Return completed copies of valid samples, followed by effective sample sizes, (n_samples, N, D + 1)."""
        check_positive_integer("n_samples", n_samples)

        def draws(model: Model, completion: Completion, _: Tensor) -> Tensor:
            return model.scaling.to_data_units(completion.draws(model, n_samples))

        with seeded(seed, check_device(self.device)):
            return self._complete(draws, n_samples, X, c)

    def _complete(
        self, guess: Callable[[Model, Completion, Tensor], Tensor], n_guesses: int, X: np.ndarray, c: np.ndarray | None
    ) -> np.ndarray:
        """Return X with what `guess` returns in place of missing cells, followed by effective sample sizes."""
        noise = self._noise()

        def complete(model: Model, rows: Chunk) -> Tensor:
            size = torch.full((len(rows.raw), 1), self.n_draws).to(rows.raw)
            whole = torch.cat([rows.raw, size], 1).repeat(n_guesses, 1, 1)
            if rows.mask is None:
                return whole
            index = (rows.mask == 0).any(-1).nonzero().squeeze(1)  # complete samples need no draws
            part = rows.take(index)
            assert part.mask is not None
            completion = Completion.of(model, part.x, part.mask, noise(part), part.c)
            values = guess(model, completion, part.mask).to(whole)
            effective = completion.effective_sample_size().to(whole).reshape(1, -1, 1).expand(n_guesses, -1, 1)
            found = torch.cat([torch.where(part.raw.isnan(), values, part.raw), effective], -1)
            return whole.index_copy_(1, index.to(whole.device), found)

        return map_rows(self, complete, X, c, draws=max(n_guesses, self.n_draws), axis=1)

    def _without_effective(self, values: np.ndarray, stacklevel: int = 3) -> np.ndarray:
        """Return imputations without the column of effective sample sizes, and warn of small ones."""
        size = values[..., -1].reshape(-1, values.shape[-2]).mean(0)
        rows = (size < min(_MIN_EFFECTIVE, self.n_draws / 4)).nonzero()[0]
        if len(rows):
            warnings.warn(
                f"Imputations of {len(rows)} of {len(size)} rows are unreliable (fewer than {_MIN_EFFECTIVE:.0f} "
                f"effective draws): {_named(rows)}. Try more draws (n_draws), or train on rows with missing cells.",
                stacklevel=stacklevel,
            )
        return np.ascontiguousarray(values[..., :-1])

    def _completed_copies(self, X: Any, values: np.ndarray) -> Any:
        """Return completed copies of X, given followed by effective sample sizes: an array, or a list of tables."""
        copies = self._without_effective(values, stacklevel=4)
        return copies if self._codec is None else [self._codec.complete(X, copy) for copy in copies]

    # ---- random samples -------------------------------------------------------------------------------------

    def _sample_rows(self, n_samples: int, seed: int, c: np.ndarray | None) -> np.ndarray:
        """Return draws (n_samples, D) from p(x|c), in the data's units."""
        check_positive_integer("n_samples", n_samples)
        model = self.model_
        dtype = model.network.dtype

        n_features = model.network.sizes.n_features
        drawn = empty_result((n_samples, n_features), self._dtype)
        with torch.no_grad(), seeded(seed):
            for part in row_chunks(n_samples, max(n_features, *layer_sizes(self.hidden_layer_sizes), 1)):
                condition = None if c is None else torch.from_numpy(c[part]).to(dtype)
                rows = drawn[part]
                if model.scaling.identity:
                    model.sample(len(rows), condition, out=rows)
                else:
                    rows.copy_(model.scaling.to_data_units(model.sample(len(rows), condition)))
        return drawn.numpy()

    def _sample_codes(self, X: np.ndarray, n_samples: int, seed: int, c: np.ndarray | None) -> np.ndarray:
        """Return draws from q(z|x, c) for each sample, (n_samples, N, K)."""
        check_positive_integer("n_samples", n_samples)
        noise = np.random.default_rng(seed).standard_normal((n_samples, len(X), self._n_features_out))
        start = 0

        def draw(model: Model, rows: Chunk) -> Tensor:
            nonlocal start
            part = noise[:, start : start + len(rows.x)]
            start += len(rows.x)
            return draw_codes(model, rows, torch.from_numpy(part).to(rows.x))

        return map_rows(self, draw, X, c, draws=n_samples, axis=1)
