"""Rows through a trained model: in chunks, without gradients, in the rows' own number format."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from isthmus._torch import check_device, chunks
from isthmus.estimators._validate import check_support
from isthmus.model import Model

__all__ = ["Rows", "cell_errors", "code", "decoded", "map_codes", "map_rows", "reconstruction", "repaired", "tensor"]

# A plain autoencoder that never saw a missing cell is applied to its own guess again and again.
_REPAIRS = 20


class Rows(NamedTuple):
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


def tensor(X: np.ndarray) -> Tensor:
    """Return a tensor that shares the array's memory where it may be written, else a copy."""
    return torch.from_numpy(X if X.flags.writeable else X.copy())


def map_rows(
    estimator: Any,
    function: Callable[[Model, Rows], Tensor],
    X: np.ndarray,
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
    X : ndarray of shape (N, D)
        Valid rows.
    c : ndarray of shape (N, C), optional
        Conditions.
    draws : int, default=1
        How many copies of a row the function makes, for the size of a chunk.
    axis : int, default=0
        The result's axis of rows.
    """
    device = check_device(estimator.device)
    dtype = torch.float64 if X.dtype == np.float64 and device.type == "cpu" else torch.float32
    model = copy.deepcopy(estimator.model_).to(device=device, dtype=dtype)
    results = []
    for part in chunks(len(X), draws * _width(estimator)):
        raw = tensor(X[part])
        scaled, mask = scale(model, raw.to(device), dtype)
        inside = model.likelihood.supports(scaled)
        if mask is not None:
            inside |= mask == 0
        check_support(estimator, inside.cpu().numpy(), X[part], model.likelihood)
        condition = None if c is None else torch.from_numpy(c[part]).to(device, dtype)
        with torch.no_grad():
            results.append(function(model, Rows(raw, scaled, condition, mask)).cpu())
    return torch.cat(results, axis).numpy().astype(X.dtype, copy=False)


def scale(model: Model, raw: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
    """Return rows in the model's units with 0 for NaN, and the mask of observed cells if any is missing."""
    scaled = model.scaling(raw.double()).to(dtype)
    missing = scaled.isnan()
    if not missing.any():
        return scaled, None
    return scaled.masked_fill(missing, 0.0), (~missing).to(dtype)


def map_codes(estimator: Any, Z: np.ndarray, c: np.ndarray | None = None) -> np.ndarray:
    """Return the decoder's mean for codes (N, K), in the data's units, in Z's own type."""
    dtype = torch.float64 if Z.dtype == np.float64 else torch.float32
    model = copy.deepcopy(estimator.model_).to(dtype)
    results = []
    for part in chunks(len(Z), _width(estimator)):
        condition = None if c is None else torch.from_numpy(c[part]).to(dtype)
        with torch.no_grad():
            results.append(decoded(model, tensor(Z[part]), condition))
    return torch.cat(results).numpy().astype(Z.dtype, copy=False)


def _width(estimator: Any) -> int:
    """Return the numbers that the widest layer has for a row."""
    return max(estimator.n_features_in_, estimator.n_components, *estimator.hidden_layer_sizes, 1)


# ---- the functions -------------------------------------------------------------------------------------------


def code(model: Model, rows: Rows) -> Tensor:
    """Return the mean of q(z|x), (N, K)."""
    return model.q(rows.x, rows.c, rows.mask).mean


def decoded(model: Model, z: Tensor, c: Tensor | None) -> Tensor:
    """Return E[x|z] in the data's units, (N, D)."""
    return model.scaling.inverse(model.likelihood.mean(model.decode(z, c)))


def reconstruction(model: Model, rows: Rows) -> Tensor:
    """Return E[x|z] at the row's code, in the data's units, (N, D)."""
    return decoded(model, code(model, rows), rows.c)


def cell_errors(model: Model, rows: Rows) -> Tensor:
    """Return -log p(x_d|z) at the row's code, in nats of the data's units, (N, D); NaN where x_d is missing."""
    log_prob = model.likelihood.log_prob(model.decode(code(model, rows), rows.c), rows.x) + model.log_det()
    return -log_prob if rows.mask is None else -log_prob.masked_fill(rows.mask == 0, torch.nan)


def repaired(model: Model, rows: Rows, *, once: bool) -> Tensor:
    """Return the decoder's guess of every cell, in the data's units, (N, D), for a model without a likelihood of rows.

    A network that was trained with missing or masked cells (`once`) guesses once; another is applied to the row with
    its own guess filled in, until that hardly moves (a fixed point of the reconstruction on the missing cells).
    """
    if rows.mask is None:
        return reconstruction(model, rows)
    x, mask, last = rows.x, rows.mask, None
    for _ in range(1 if once or model.network.sizes.masked else _REPAIRS):
        seen = mask if model.network.sizes.masked else None
        guess = model.likelihood.mean(model.decode(model.q(x, rows.c, seen).mean, rows.c))
        step = (guess - x).square().masked_fill(mask == 1, 0.0).sum(-1, keepdim=True)  # of each row alone
        # A row whose steps grow runs away from the data: it stays where it was.
        moves = torch.ones_like(step) if last is None else (step < last).to(step)
        last = torch.where(moves == 1, step, 0.0)
        x = torch.where((mask == 1) | (moves == 0), x, guess)
    return model.scaling.inverse(x)
