"""Rows through a trained model: in chunks, without gradients, in the rows' own number format."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from isthmus._chunks import chunks
from isthmus._device import check_device
from isthmus.data.loaders import prefetch
from isthmus.data.sources import RowSource
from isthmus.engine.memory import raise_malloc_threshold
from isthmus.estimators._fields import layer_sizes
from isthmus.estimators._validate import check_finite, check_support
from isthmus.model import Model

__all__ = [
    "Chunk",
    "as_tensor",
    "check_cells",
    "concat_chunks",
    "decode",
    "empty_result",
    "encode",
    "feature_errors",
    "fill_missing",
    "iterate_imputation",
    "map_codes",
    "map_rows",
    "max_draws_per_pass",
    "model_as",
    "read_chunks",
    "reconstruct",
    "reconstruction_errors",
    "row_chunks",
]

# A plain autoencoder that never saw a missing cell is applied to its own guess again and again.
_REPAIRS = 20

# Numbers of a chunk's widest tensor: 8 MiB of float32, which a processor's cache holds.
_CHUNK = 1 << 21


class Chunk(NamedTuple):
    """A chunk of rows.

    Attributes
    ----------
    raw : Tensor of shape (N, D)
        As the user gave them, NaN where missing.
    x : Tensor of shape (N, D)
        In the model's units, 0 where missing.
    c : Tensor of shape (N, C) or None
        Conditions.
    mask : Tensor of shape (N, D) or None
        1 where a cell was observed; None if every cell was.
    """

    raw: Tensor
    x: Tensor
    c: Tensor | None
    mask: Tensor | None


def as_tensor(X: np.ndarray) -> Tensor:
    """Return a tensor that shares the array's memory where it may be written, else a copy."""
    return torch.from_numpy(X if X.flags.writeable else X.copy())


def map_rows(
    estimator: Any,
    function: Callable[[Model, Chunk], Tensor],
    X: np.ndarray | RowSource,
    c: np.ndarray | None = None,
    *,
    draws: int = 1,
    axis: int = 0,
) -> np.ndarray:
    """Return ``function(model, rows)`` over all rows of X, joined along `axis`.

    On the CPU the model computes in X's own type (float64 rows in float64), elsewhere in float32.

    Parameters
    ----------
    estimator : BaseAutoencoder
        Whose model, device and names are used.
    function : callable
        Maps the model and :class:`Rows` to a tensor.
    X : ndarray or RowSource of shape (N, D)
        Valid rows; a source is read ahead chunk by chunk, and its cells are checked.
    c : ndarray of shape (N, C), optional
        Conditions.
    draws : int, default=1
        How many copies of a row the function makes, for the size of a chunk.
    axis : int, default=0
        The result's axis of rows.
    """
    device = check_device(estimator.device)
    dtype = torch.float64 if X.dtype == np.float64 and device.type == "cpu" else torch.float32
    model = model_as(estimator, dtype, device)
    first_row, names = getattr(X, "first_row", 0), getattr(estimator, "feature_names_in_", None)

    def results() -> Iterator[tuple[slice, Tensor]]:
        for part, values in read_chunks(X, draws * _width(estimator)):
            if isinstance(X, RowSource):
                check_finite(values, names, first_row + part.start)
            raw = as_tensor(values)
            scaled, mask = model.scaling.to_model_units(raw.to(device), dtype)
            check_cells(model, values, scaled, mask, names, first_row + part.start)
            condition = None if c is None else torch.from_numpy(c[part]).to(device, dtype)
            with torch.no_grad():
                result = function(model, Chunk(raw, scaled, condition, mask))
            yield part, result

    return concat_chunks(results(), len(X), X.dtype, axis)


def model_as(estimator: Any, dtype: torch.dtype, device: torch.device | None = None) -> Model:
    """Return the trained model in a number format, on a device: itself if that is its own, else a copy."""
    model, device = estimator.model_, device or torch.device("cpu")
    if all(p.dtype == dtype and p.device == device for p in model.parameters()):
        return model
    return copy.deepcopy(model).to(device=device, dtype=dtype)


def concat_chunks(results: Iterable[tuple[slice, Tensor]], n_rows: int, dtype: Any, axis: int = 0) -> np.ndarray:
    """Return chunks of a result, each with which rows it is of, in one array, whose memory is taken once."""
    whole: Tensor | None = None
    for part, values in results:
        if whole is None:
            whole = empty_result((*values.shape[:axis], n_rows, *values.shape[axis + 1 :]), dtype)
        whole.narrow(axis, part.start, part.stop - part.start).copy_(values)
    assert whole is not None  # there is a row at least
    return whole.numpy()


def empty_result(shape: tuple[int, ...], dtype: Any) -> Tensor:
    """Return memory for a result of a numpy type, not written to yet; what one chunk frees is kept for the next.

    torch's memory: numpy asks for huge pages, and in a virtual machine that gives its free ones back to the host 157 MB
    of them took 15 ms to write to or 310, by chance; small pages always took 75.
    """
    raise_malloc_threshold()
    return torch.from_numpy(np.empty(0, dtype)).new_empty(shape)


def check_cells(
    model: Model,
    values: np.ndarray,
    x: Tensor,
    mask: Tensor | None,
    names: Sequence[object] | None,
    first_row: int,
) -> None:
    """Raise a ValueError that names the first observed cell of a chunk outside the likelihood's support.

    `x` (N, D) are the chunk's `values` in the model's units.
    """
    if mask is None and model.likelihood.interval_support:
        extremes = torch.stack(x.aminmax()).unsqueeze(-1).expand(-1, x.shape[1])  # of all columns: ten times as fast
        if model.likelihood.supports(extremes).all():
            return
    inside = model.likelihood.supports(x)
    inside = inside if mask is None else inside | (mask == 0)
    check_support(inside.cpu().numpy(), values, model.likelihood, names, first_row)


def row_chunks(n_rows: int, width: int, budget: int | None = None) -> Iterator[slice]:
    """Cut rows into the chunks that :func:`map_rows` takes: the bits of a result may depend on them."""
    return chunks(n_rows, width, budget or _CHUNK)


def read_chunks(X: np.ndarray | RowSource, width: int, budget: int | None = None) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield chunks of rows with where they are; those of a source are read ahead in the background."""
    parts = list(row_chunks(len(X), width, budget))
    read = prefetch(X.__getitem__, parts) if isinstance(X, RowSource) else (X[part] for part in parts)
    yield from zip(parts, read, strict=True)


def fill_missing(X: np.ndarray | RowSource, guess: np.ndarray) -> np.ndarray:
    """Return X with the guess (N, D) where a cell is missing."""
    if not isinstance(X, RowSource):
        return np.where(np.isnan(X), guess, X)
    for part, values in read_chunks(X, X.n_features):
        guess[part] = np.where(np.isnan(values), guess[part], values)
    return guess


def map_codes(estimator: Any, Z: np.ndarray, c: np.ndarray | None = None) -> np.ndarray:
    """Return the decoder's mean for codes (N, K), in the data's units, in Z's own type."""
    dtype = torch.float64 if Z.dtype == np.float64 else torch.float32
    model = model_as(estimator, dtype)

    def results() -> Iterator[tuple[slice, Tensor]]:
        for part in row_chunks(len(Z), _width(estimator)):
            condition = None if c is None else torch.from_numpy(c[part]).to(dtype)
            with torch.no_grad():
                rows = decode(model, as_tensor(Z[part]), condition)
            yield part, rows

    return concat_chunks(results(), len(Z), Z.dtype)


def _width(estimator: Any) -> int:
    """Return the numbers that the widest layer has for a row."""
    return max(estimator.n_features_in_, estimator.n_components, *layer_sizes(estimator.hidden_layer_sizes), 1)


def max_draws_per_pass(estimator: Any) -> int:
    """Return how many draws of a row to decode at a time: a chunk is a row at least, however many its draws are."""
    return max(1, _CHUNK // _width(estimator))


# ---- the functions -------------------------------------------------------------------------------------------


def encode(model: Model, rows: Chunk) -> Tensor:
    """Return the mean of q(z|x), (N, K)."""
    return model.encode(rows.x, rows.c, rows.mask).mean


def decode(model: Model, z: Tensor, c: Tensor | None) -> Tensor:
    """Return E[x|z] in the data's units, (N, D)."""
    return model.scaling.to_data_units(model.likelihood.mean(model.decode(z, c)))


def reconstruct(model: Model, rows: Chunk) -> Tensor:
    """Return E[x|z] at the row's code, in the data's units, (N, D)."""
    return decode(model, encode(model, rows), rows.c)


def feature_errors(model: Model, rows: Chunk) -> Tensor:
    """Return -log p(x_d|z) at the row's code, in nats of the data's units, (N, D); NaN where x_d is missing."""
    log_prob = model.likelihood.log_prob(model.decode(encode(model, rows), rows.c), rows.x) + model.log_det()
    return -log_prob if rows.mask is None else -log_prob.masked_fill(rows.mask == 0, torch.nan)


def reconstruction_errors(model: Model, rows: Chunk) -> Tensor:
    """Return -log p(x|z) at the row's code, in nats of the data's units, summed over observed columns, (N,)."""
    return feature_errors(model, rows).double().nansum(-1)


def iterate_imputation(model: Model, rows: Chunk, *, once: bool) -> Tensor:
    """Return the decoder's guess of every cell, in the data's units, (N, D), for a model without a likelihood of rows.

    A network that was trained with missing or masked cells (`once`) guesses once; another is applied to the row with
    its own guess filled in, until that hardly moves (a fixed point of the reconstruction on the missing cells).
    """
    if rows.mask is None:
        return reconstruct(model, rows)
    steps = 1 if once or model.network.sizes.masked else _REPAIRS
    x = model.filled(rows.x, rows.c, rows.mask, steps)
    return model.scaling.to_data_units(x)
