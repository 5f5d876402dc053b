"""The fitted estimator and the validated data that all metrics of an assessment share."""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Iterator
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from isthmus._random import derive
from isthmus.assessment._cells import Cells, as_pandas
from isthmus.assessment._rows import take_rows
from isthmus.data import RowSource
from isthmus.estimators._chunking import as_tensor
from isthmus.estimators._inference import Chunk
from isthmus.estimators._validate import check_rows
from isthmus.estimators._variational import LogLikelihoodEstimate
from isthmus.model import Model
from isthmus.scaling import Standard
from isthmus.tables import is_table

__all__ = ["Context", "Stream", "column_scales", "estimate_log_likelihood", "quiet"]

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
    SAMPLES = 9  # conditions of samples of the model


class Context(NamedTuple):
    """A fitted estimator with samples X (N, D), their conditions y where given, and a seed.

    X is the matrix that the model learns; where that encodes a table of any columns, `table` is a pandas DataFrame.
    Conditions are an array, or a table of the columns that the model is conditioned on.
    """

    estimator: Any
    X: Array
    y: Any
    seed: int
    table: Any = None

    @classmethod
    def of(cls, estimator: Any, X: Any, y: Any, seed: int) -> Context:
        """Return the context after validating the samples; raise a ValueError if the estimator cannot use them."""
        check_is_fitted(estimator, "model_")
        codec, rows = estimator._codec, check_rows(estimator, X)
        rows = rows[:] if isinstance(rows, RowSource) else rows
        table = None if codec is None else as_pandas(X, codec)
        return cls(estimator, rows, y if y is None or is_table(y) else np.asarray(y), seed, table)

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

    def rows(self, index: Array | None = None) -> Any:
        """Return the samples of `index`, or all, in the form that the estimator's methods take."""
        if self.table is None:
            return self.X[_ALL if index is None else index]
        return self.table if index is None else self.table.iloc[index].reset_index(drop=True)

    def cells(self, rows: Any) -> Cells:
        """Return samples, or what the estimator returned for some, as numbers by column."""
        if self.table is None:
            return Cells.of_array(np.asarray(rows), getattr(self.estimator, "feature_names_in_", None))
        with quiet():
            return Cells.of_table(rows, self.estimator._codec)

    def call(self, method: str, index: Array | None = None, X: Any = None, **options: Any) -> Any:
        """Return ``estimator.method(X, y, ...)`` for the samples of `index`, or for `X` with their conditions."""
        X = self.rows(index) if X is None else X
        with quiet():
            return getattr(self.estimator, method)(X, **self.condition(index), **options)

    def given(self, index: Array | None = None) -> Any:
        """Return the conditions of some samples; None where there are none."""
        return self.y if self.y is None or index is None else take_rows(self.y, index)

    def condition(self, index: Array | None = None) -> dict[str, Any]:
        """Return the keyword y with the conditions of some samples, or nothing where there are none."""
        return {} if self.y is None else {"y": self.given(index)}

    def tensors(self, index: Array) -> tuple[Model, Chunk]:
        """Return a float64 copy of the model on the CPU, and samples in its units; without y, labels are predicted."""
        model = copy.deepcopy(self.estimator.model_).double()
        raw = as_tensor(self.X[index]).double()
        x, mask = model.scaling.to_model_units(raw, torch.float64)
        x, gain = model.scaling.without_broken(x)
        if self.estimator._codec is not None:
            own = torch.from_numpy(self.estimator._codec.log_det(self.X[index])).double()
            gain = own if gain is None else gain + own
        c = None
        if self.estimator.conditional:
            y = self.call("predict", index) if self.y is None else self.given(index)
            c = torch.from_numpy(self.estimator._condition.encode(y, len(index))).double()
        return model, Chunk(raw, x, c, mask, gain)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Leave out warnings of what the results name, of arrays of columns that have names, and of what was said before.

    Levels that the training data did not have are named once, when a context is made.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"log p\(x\)|X does not have valid feature names|Imputations of")
        warnings.filterwarnings("ignore", message="column .* which the training data did not have")
        yield


def estimate_log_likelihood(estimator: Any, *args: Any, **options: Any) -> LogLikelihoodEstimate:
    """Return ``estimator.score_samples_estimate(...)`` without its warning: the result names unreliable samples."""
    with quiet():
        estimate: LogLikelihoodEstimate = estimator.score_samples_estimate(*args, **options)
    return estimate


def column_scales(X: Array) -> Array:
    """Return the divisor of each column, (D,): its standard deviation, or one for all where ranges are similar."""
    scaling = Standard()
    scaling.build(X.shape[1])
    scaling.set_from_data(torch.from_numpy(X.astype(np.float64)), torch.ones(len(X), dtype=torch.float64))
    return scaling.scale.numpy()
