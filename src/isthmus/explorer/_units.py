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


def rank_units(
    model: Any, codes: np.ndarray | None, ranges: np.ndarray, conditions: np.ndarray | None = None
) -> np.ndarray:
    """Return the units, (K,), that which moves the decoder's outputs most first.

    Each unit is moved by one standard deviation of its codes in both directions, from the codes of some rows.

    Parameters
    ----------
    model : estimator
        Fitted.
    codes : ndarray of shape (n, K), optional
        Codes of some rows, of which the first 16 are moved; without any, 0 with a standard deviation of 1.
    ranges : ndarray of shape (2, K)
        Lowest and highest codes.
    conditions : ndarray of shape (n, C) or (1, C), optional
        Encoded conditions of these rows, or one for all, if the model is conditional.
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
    given = None if conditions is None else np.broadcast_to(conditions[:_N_CODES], (len(centre), conditions.shape[1]))
    for start in range(0, n_units, group):
        moved = torch.from_numpy(centre[:, None, None] + steps[None, start : start + group]).to(net.network.dtype)
        flat = moved.reshape(-1, n_units)
        with torch.no_grad():
            times = len(flat) // len(centre)
            c = None if given is None else torch.from_numpy(np.repeat(given, times, axis=0)).to(flat)
            out = net.decode(flat, c).reshape(len(centre), -1, 2, net.likelihood.n_outputs)
            change = (out[:, :, 0] - out[:, :, 1]).square().sum(-1).mean(0)
        effect[start : start + group] = change.double().numpy()
    return np.argsort(-np.nan_to_num(effect), kind="stable")
