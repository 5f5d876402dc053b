"""The fitted estimator and the validated data that all metrics of an assessment share."""

from __future__ import annotations

import copy
import warnings
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from isthmus._random import derive
from isthmus.estimators._chunking import as_tensor
from isthmus.estimators._inference import Chunk
from isthmus.estimators._validate import check_rows
from isthmus.estimators._variational import LogLikelihoodEstimate
from isthmus.model import Model
from isthmus.scaling import Standard

__all__ = ["Context", "Stream", "column_scales", "estimate_log_likelihood"]

Array = np.ndarray
_ALL = slice(None)


class Stream(IntEnum):
    """The independent random streams of an assessment's seed."""

    SUBSET = 0  # which samples are used if not all are
    IMPORTANCE = 1  # importance sampling of the annealed samples
    ANNEALING = 2  # annealed importance sampling
    BOUND_GAP = 3  # bidirectional Monte Carlo on simulated data
    LATENT = 4  # codes for mutual information and divergences
    MMD = 5  # codes from the prior
    FRECHET_REFERENCE = 6  # two sets from one normal distribution
    HIDDEN_CELLS = 7  # which cells are hidden before imputation
    IMPUTATIONS = 8  # multiple imputations


class Context(NamedTuple):
    """A fitted estimator with samples X (N, D), their conditions y where given, and a seed."""

    estimator: Any
    X: Array
    y: Array | None
    seed: int

    @classmethod
    def of(cls, estimator: Any, X: Any, y: Any, seed: int) -> Context:
        """Return the context after validating the samples; raise a ValueError if the estimator cannot use them."""
        check_is_fitted(estimator, "model_")
        if estimator._codec is not None:
            raise ValueError(
                f"assess takes models of numbers, and this {type(estimator).__name__} was fitted to a table with other "
                "columns: compare score_samples, feature_errors and sample instead."
            )
        return cls(estimator, check_rows(estimator, X), None if y is None else np.asarray(y), seed)

    @property
    def name(self) -> str:
        """Return the name of the estimator's class."""
        return type(self.estimator).__name__

    @property
    def has_single_posterior(self) -> bool:
        """Tell whether q(z|x) is one distribution, not a mixture over labels."""
        return self.estimator.has_density and (not self.estimator.conditional or self.y is not None)

    def derive(self, stream: Stream) -> int:
        """Return the seed of a random stream."""
        return derive(self.seed, stream)

    def generator(self, stream: Stream) -> np.random.Generator:
        """Return a generator for a random stream."""
        return np.random.default_rng(self.derive(stream))

    def subset(self, n: int, *, complete: bool = False) -> Array:
        """Return increasing indices of at most n random samples, without those that have NaN if `complete`."""
        indices = np.flatnonzero(~np.isnan(self.X).any(axis=1)) if complete else np.arange(len(self.X))
        return np.sort(self.generator(Stream.SUBSET).permutation(indices)[:n])

    def call(self, method: str, index: Array | None = None, X: Array | None = None, **options: Any) -> Any:
        """Return ``estimator.method(X, y, ...)`` for the samples of `index`, or for `X` with their conditions."""
        X = self.X[_ALL if index is None else index] if X is None else X
        return getattr(self.estimator, method)(X, **self.condition(index), **options)

    def condition(self, index: Array | None = None) -> dict[str, Array]:
        """Return the keyword y with the conditions of some samples, or nothing where there are none."""
        return {} if self.y is None else {"y": self.y[_ALL if index is None else index]}

    def tensors(self, index: Array) -> tuple[Model, Chunk]:
        """Return a float64 copy of the model on the CPU, and samples in its units; without y, labels are predicted."""
        model = copy.deepcopy(self.estimator.model_).double()
        raw = as_tensor(self.X[index]).double()
        x, mask = model.scaling.to_model_units(raw, torch.float64)
        c = None
        if self.estimator.conditional:
            y = self.estimator.predict(self.X[index]) if self.y is None else self.y[index]
            c = torch.from_numpy(self.estimator._condition.encode(y, len(index))).double()
        return model, Chunk(raw, x, c, mask)


def estimate_log_likelihood(estimator: Any, *args: Any, **options: Any) -> LogLikelihoodEstimate:
    """Return ``estimator.score_samples_estimate(...)`` without its warning: the result names unreliable samples."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"log p\(x\)")
        estimate: LogLikelihoodEstimate = estimator.score_samples_estimate(*args, **options)
    return estimate


def column_scales(X: Array) -> Array:
    """Return the divisor of each column, (D,): its standard deviation, or one for all where ranges are similar."""
    scaling = Standard()
    scaling.build(X.shape[1])
    scaling.set_from_data(torch.from_numpy(X.astype(np.float64)), torch.ones(len(X), dtype=torch.float64))
    return scaling.scale.numpy()
