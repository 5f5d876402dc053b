"""Units of the code: their ranges, and how much each of them moves the decoded rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

__all__ = ["rank_units", "unit_ranges"]

_N_CODES = 16  # codes around which units are moved
_AT_ONCE = 1024  # codes that are decoded at once


def unit_ranges(codes: np.ndarray) -> np.ndarray:
    """Return the lowest and the highest code of each unit, (2, K); -3 and 3 without codes, or if all are equal."""
    if not len(codes):
        return np.repeat(np.array([[-3.0], [3.0]]), codes.shape[1], axis=1)
    low, high = np.nan_to_num(codes.min(0)).astype(np.float64), np.nan_to_num(codes.max(0)).astype(np.float64)
    flat = high - low < 1e-6
    return np.stack([np.where(flat, low - 1.0, low), np.where(flat, high + 1.0, high)])


def rank_units(model: Any, codes: np.ndarray | None, ranges: np.ndarray) -> np.ndarray:
    """Return the units, (K,), that which moves the decoder's outputs most first.

    Each unit is moved by one standard deviation of its codes in both directions, from the codes of some rows.

    Parameters
    ----------
    model : estimator
        Fitted.
    codes : ndarray of shape (n, K), optional
        Codes of some rows; without any, codes around 0 with a standard deviation of 1.
    ranges : ndarray of shape (2, K)
        Lowest and highest codes.
    """
    n_units = ranges.shape[1]
    scale = np.ones(n_units)
    centre = np.zeros((1, n_units))
    if codes is not None and len(codes):
        centre, scale = codes[:_N_CODES].astype(np.float64), codes.std(axis=0).astype(np.float64)
    steps = np.zeros((n_units, 2, n_units))
    steps[np.arange(n_units), 0, np.arange(n_units)] = scale
    steps[np.arange(n_units), 1, np.arange(n_units)] = -scale
    effect = np.zeros(n_units)
    group = max(1, _AT_ONCE // (2 * len(centre)))
    net = model.model_
    condition = _any_condition(model)
    for start in range(0, n_units, group):
        moved = torch.from_numpy(centre[:, None, None] + steps[None, start : start + group]).to(net.network.dtype)
        flat = moved.reshape(-1, n_units)
        with torch.no_grad():
            c = None if condition is None else condition.to(flat).expand(len(flat), -1)
            out = net.decode(flat, c).reshape(len(centre), -1, 2, net.likelihood.n_outputs)
            change = (out[:, :, 0] - out[:, :, 1]).square().sum(-1).mean(0)
        effect[start : start + group] = change.double().numpy()
    return np.argsort(-np.nan_to_num(effect), kind="stable")


def _any_condition(model: Any) -> torch.Tensor | None:
    """Return the mean condition of a conditional model, (1, C)."""
    if not model.conditional:
        return None
    n_conditions = model.model_.network.sizes.n_conditions
    classes = getattr(model, "classes_", None)
    return torch.full((1, n_conditions), 0.0 if classes is None else 1.0 / len(classes))
