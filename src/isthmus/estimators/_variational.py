"""Base of VAE and ConditionalVAE: likelihoods, lower bounds, imputation and random samples."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus._device import check_device
from isthmus._part import Part, resolve
from isthmus._random import Stream, derive, seeded
from isthmus.estimators._base import BaseAutoencoder
from isthmus.estimators._check_fields import check_positive_integer
from isthmus.estimators._chunking import empty_result, row_chunks
from isthmus.estimators._estimates import Elbo, LogLikelihoodEstimate, named_rows
from isthmus.estimators._fields import FirstFields, layer_sizes
from isthmus.estimators._inference import Chunk, draw_codes, log_det, map_rows, max_draws_per_pass
from isthmus.estimators._table_means import table_means
from isthmus.evaluation import (
    elbo,
    log_marginal,
    log_marginal_estimate,
)
from isthmus.evaluation.imputation import Completion
from isthmus.evaluation.row_noise import row_noise
from isthmus.model import Model
from isthmus.objectives import Objective
from isthmus.penalties import KL, Penalty

__all__ = ["Elbo", "LogLikelihoodEstimate", "Variational"]


_ENOUGH = 20  # effective draws for an imputation: its mean squared error is then 5 % above that of the exact one
_MORE = 10  # times as many draws for a sample with fewer
_MIN_EFFECTIVE = 3.0  # draws for an imputation: its error is then within about 1.15 times that of the exact one


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

    def _noise(self, times: int = 1) -> Callable[[Chunk], Tensor]:
        """Return a function from samples to their noise (S, N, K), which depends on nothing but each sample.

        S is `times` as large as ``n_draws``.
        """
        seed = derive(self.seed_, Stream.SCORING)
        n_draws, n_components = times * self.n_draws, self._n_features_out
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
        """Return X with what `guess` returns in place of missing cells, followed by effective sample sizes.

        Samples of which few draws are effective get ten times as many.
        """
        noise, more_noise = self._noise(), self._noise(_MORE)

        def guesses(model: Model, rows: Chunk, noise: Callable[[Chunk], Tensor]) -> tuple[Tensor, Tensor]:
            assert rows.mask is not None
            completion = Completion.of(model, rows.x, rows.mask, noise(rows), rows.c)
            return guess(model, completion, rows.mask).to(rows.raw), completion.effective_sample_size().to(rows.raw)

        def complete(model: Model, rows: Chunk) -> Tensor:
            size = torch.full((len(rows.raw), 1), self.n_draws).to(rows.raw)
            whole = torch.cat([rows.raw, size], 1).repeat(n_guesses, 1, 1)
            if rows.mask is None:
                return whole
            index = (rows.mask == 0).any(-1).nonzero().squeeze(1)  # complete samples need no draws
            if not len(index):
                return whole
            part = rows.take(index)
            values, effective = guesses(model, part, noise)
            few = (effective < min(_ENOUGH, self.n_draws / 2)).nonzero().squeeze(1)
            for own in few.split(max(1, len(rows.raw) // _MORE)) if len(few) else ():
                values[:, own], effective[own] = guesses(model, part.take(own), more_noise)
            sizes = effective.reshape(1, -1, 1).expand(n_guesses, -1, 1)
            found = torch.cat([torch.where(part.raw.isnan(), values, part.raw), sizes], -1)
            return whole.index_copy_(1, index.to(whole.device), found)

        return map_rows(self, complete, X, c, draws=max(n_guesses, self.n_draws), axis=1)

    def _without_effective(self, values: np.ndarray, stacklevel: int = 3) -> np.ndarray:
        """Return imputations without the column of effective sample sizes, and warn of small ones."""
        size = values[..., -1].reshape(-1, values.shape[-2]).mean(0)
        rows = (size < min(_MIN_EFFECTIVE, self.n_draws / 4)).nonzero()[0]
        if len(rows):
            warnings.warn(
                f"Imputations of {len(rows)} of {len(size)} rows are unreliable (fewer than {_MIN_EFFECTIVE:.0f} "
                f"effective draws): {named_rows(rows)}. Try more draws (n_draws), or train on rows with missing cells.",
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
        largest = max(n_features, *layer_sizes(self.hidden_layer_sizes), model.prior.numbers_per_row)
        drawn = empty_result((n_samples, n_features), self._dtype)
        with torch.no_grad(), seeded(seed):
            for part in row_chunks(n_samples, largest):
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
