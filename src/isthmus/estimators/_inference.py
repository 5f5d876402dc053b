"""Map samples through a trained model in chunks, without gradients, in the dtype of the samples."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from isthmus._chunks import halved_if_needed
from isthmus._device import check_device
from isthmus._distributions import LatentDistribution, PointMass
from isthmus.data.sources import RowSource
from isthmus.estimators._chunking import as_tensor, chunk_budget, concat_chunks, read_chunks, row_chunks
from isthmus.estimators._validate import check_finite, check_support, column_names
from isthmus.evaluation import laplace_approximation
from isthmus.evaluation._rows import Rows
from isthmus.model import Model

__all__ = [
    "Chunk",
    "decode",
    "draw_codes",
    "encode",
    "feature_errors",
    "fill_missing",
    "iterate_imputation",
    "log_det",
    "map_codes",
    "map_rows",
    "max_draws_per_pass",
    "model_as",
    "reconstruct",
    "reconstruction_errors",
]

_MAX_ITERATIONS = 20  # of imputation by an autoencoder that was trained on complete data


class Chunk(NamedTuple):
    """A chunk of samples.

    Attributes
    ----------
    raw : Tensor of shape (N, D)
        In the data's units, NaN where missing.
    x : Tensor of shape (N, D)
        In the model's units, 0 where missing.
    c : Tensor of shape (N, C) or None
        Conditions.
    mask : Tensor of shape (N, D) or None
        1 where a cell was observed; None if every cell was.
    gain : Tensor of shape (N, D) or None
        What is added to log p of each cell, in nats, apart from the log-determinant of the scaling: that of the codec
        of a table, and less than 0 where a feature that was constant in training has another value (in ``x`` it has
        the constant value). None if nothing.
    """

    raw: Tensor
    x: Tensor
    c: Tensor | None
    mask: Tensor | None
    gain: Tensor | None = None

    def take(self, index: Tensor) -> Chunk:
        """Return the samples with these indices."""
        return Chunk(*(None if t is None else t[index.to(t.device)] for t in self))  # type: ignore[arg-type]


def map_rows(
    estimator: Any,
    function: Callable[[Model, Chunk], Tensor],
    X: np.ndarray | RowSource,
    c: np.ndarray | None = None,
    *,
    draws: int = 1,
    axis: int = 0,
) -> np.ndarray:
    """Return ``function(model, chunk)`` for all chunks of X, joined along `axis`.

    The model computes in the type of X.

    Parameters
    ----------
    estimator : BaseAutoencoder
        Fitted; its model, device and column names are used.
    function : callable
        Maps the model and a :class:`Chunk` to a tensor.
    X : ndarray or RowSource of shape (N, D)
        Samples. Cells of an array have been checked; those of a source are checked here.
    c : ndarray of shape (N, C), optional
        Conditions.
    draws : int, default=1
        How many draws per sample the function makes; chunks are smaller by this factor.
    axis : int, default=0
        The axis of the result that counts samples.
    """
    device = check_device(estimator.device)
    dtype = torch.float64 if X.dtype == np.float64 else torch.float32
    model = model_as(estimator, dtype, device)
    first_row, names, codec = getattr(X, "first_row", 0), column_names(estimator), estimator._codec

    def compute(block: np.ndarray, start: int, part: slice) -> Tensor:
        values = block[part.start - start : part.stop - start]
        raw = as_tensor(values)
        scaled, mask = model.scaling.to_model_units(raw.to(device), dtype)
        check_support(model.likelihood, values, scaled, mask, names, first_row + part.start)
        condition = None if c is None else torch.from_numpy(c[part]).to(device, dtype)
        with torch.no_grad():
            scaled, gain = model.scaling.without_broken(scaled)
            if codec is not None:
                own = torch.from_numpy(codec.log_det(values)).to(scaled)
                gain = own if gain is None else own + gain
            return function(model, Chunk(raw, scaled, condition, mask, gain))

    def results() -> Iterator[tuple[slice, Tensor]]:
        for part, values in read_chunks(X, draws * estimator.model_.numbers_per_row, chunk_budget(device)):
            if isinstance(X, RowSource):
                check_finite(values, names, first_row + part.start)
            yield from halved_if_needed(partial(compute, values, part.start), part)

    return concat_chunks(results(), len(X), X.dtype, axis)


def model_as(estimator: Any, dtype: torch.dtype, device: torch.device | None = None) -> Model:
    """Return the fitted model with this dtype on this device: the model itself if it matches, else a copy."""
    model, device = estimator.model_, device or torch.device("cpu")
    if all(p.dtype == dtype and p.device == device for p in model.parameters()):
        return model
    return copy.deepcopy(model).to(device=device, dtype=dtype)


def fill_missing(X: np.ndarray | RowSource, guess: np.ndarray) -> np.ndarray:
    """Return X with the values of `guess` (N, D) where a cell is missing."""
    if not isinstance(X, RowSource):
        return np.where(np.isnan(X), guess, X)
    for part, values in read_chunks(X, X.n_features):
        guess[part] = np.where(np.isnan(values), guess[part], values)
    return guess


def map_codes(estimator: Any, Z: np.ndarray, c: np.ndarray | None = None) -> np.ndarray:
    """Return E[x|z] for codes (N, K), in the data's units, in the type of Z."""
    dtype = torch.float64 if Z.dtype == np.float64 else torch.float32
    model = model_as(estimator, dtype)

    def results() -> Iterator[tuple[slice, Tensor]]:
        for part in row_chunks(len(Z), estimator.model_.numbers_per_row):
            condition = None if c is None else torch.from_numpy(c[part]).to(dtype)
            with torch.no_grad():
                rows = decode(model, as_tensor(Z[part]), condition)
            yield part, rows

    return concat_chunks(results(), len(Z), Z.dtype)


def max_draws_per_pass(estimator: Any) -> int:
    """Return how many draws of one sample to decode at once."""
    return max(1, chunk_budget(check_device(estimator.device)) // estimator.model_.numbers_per_row)


# ---- functions of a model and a chunk ----------------------------------------------------------------------------


def encode(model: Model, chunk: Chunk) -> Tensor:
    """Return the mean of q(z|x), (N, K), or the mode of p(z|x) where cells miss that the encoder always had."""
    q = model.encode(chunk.x, chunk.c, chunk.mask)
    rows = Rows(model, chunk.x, chunk.c, chunk.mask)
    index = rows.unlike_training().nonzero().squeeze(1)
    if isinstance(q, PointMass) or not len(index):
        return q.mean
    return q.mean.index_copy(0, index, _approximate(rows.take(index)).mean)


def _approximate(rows: Rows) -> LatentDistribution:
    return laplace_approximation(rows.model, rows.x, rows.c, rows.mask)


def draw_codes(model: Model, chunk: Chunk, noise: Tensor) -> Tensor:
    """Return draws (S, N, K) from q(z|x), or from a normal distribution at the mode that :func:`encode` returns."""
    rows = Rows(model, chunk.x, chunk.c, chunk.mask)
    z, index = rows.encode().from_noise(noise), rows.unlike_training().nonzero().squeeze(1)
    if not len(index):
        return z
    return z.index_copy(1, index, _approximate(rows.take(index)).from_noise(noise[:, index]))


def decode(model: Model, z: Tensor, c: Tensor | None) -> Tensor:
    """Return E[x|z] in the data's units, (N, D)."""
    return model.scaling.to_data_units(model.likelihood.mean(model.decode(z, c)))


def reconstruct(model: Model, chunk: Chunk) -> Tensor:
    """Return E[x|z] at the sample's code, in the data's units, (N, D)."""
    return decode(model, encode(model, chunk), chunk.c)


def feature_errors(model: Model, chunk: Chunk) -> Tensor:
    """Return -log p(x_d|z) at the sample's code, in nats of the data's units, (N, D); NaN where x_d is missing."""
    log_prob = model.likelihood.log_prob(model.decode(encode(model, chunk), chunk.c), chunk.x) + model.log_det()
    if chunk.gain is not None:
        log_prob = log_prob + chunk.gain
    return -log_prob if chunk.mask is None else -log_prob.masked_fill(chunk.mask == 0, torch.nan)


def log_det(model: Model, chunk: Chunk) -> Tensor:
    """Return what log p(x) gains in the data's units, () or (N,): log-determinant of the scaling, constant features."""
    log_det = model.log_det().to(chunk.x)
    if chunk.gain is not None:
        log_det = log_det + chunk.gain
    return log_det.sum(-1) if chunk.mask is None else (chunk.mask * log_det).sum(-1)


def reconstruction_errors(model: Model, chunk: Chunk) -> Tensor:
    """Return -log p(x|z) at the sample's code, in nats of the data's units, summed over observed columns, (N,)."""
    return feature_errors(model, chunk).double().nansum(-1)


def iterate_imputation(model: Model, chunk: Chunk, *, once: bool) -> Tensor:
    """Return a guess of every cell in the data's units, (N, D): the reconstruction.

    If the model was trained with missing or masked cells (`once`), a single pass is made. Otherwise the reconstruction
    is iterated with its own guess of the missing cells, up to 20 times.
    """
    if chunk.mask is None:
        return reconstruct(model, chunk)
    steps = 1 if once or model.network.sizes.masked else _MAX_ITERATIONS
    return model.scaling.to_data_units(model.impute(chunk.x, chunk.c, chunk.mask, steps))
