"""Where codes are drawn from, given what was observed of a row."""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus._distributions import DefensiveMixture, LatentDistribution
from isthmus.model import Model

__all__ = ["proposal"]

_WIDER = 2.0  # times the share of missing cells


def proposal(
    model: Model, q: LatentDistribution, mask: Tensor | None, n_draws: int, proposal_scale: float = 1.0
) -> LatentDistribution:
    """Return what to draw codes from: the posterior, or something wider where it cannot be trusted.

    An encoder that never saw a missing cell is too sure of guesses that were filled in, and of one answer where there
    are several: for a row of which the share m is missing, draws are made wider by 1 + 2 m, and a quarter of them come
    from N(0, I). Importance weights make up for whatever is drawn from.

    Parameters
    ----------
    model : Model
        The model.
    q : LatentDistribution
        The posterior of N rows.
    mask : Tensor of shape (N, D) or None
        1 where a cell was observed.
    n_draws : int
        S: how much noise will be transported at once.
    proposal_scale : float, default=1.0
        Factor by which draws are made wider besides.
    """
    factor = torch.full(q.batch_shape, proposal_scale, dtype=q.mean.dtype, device=q.mean.device)
    if mask is None or model.network.sizes.masked:
        return q if proposal_scale == 1 else q.scaled(factor)
    missing = 1 - mask.mean(-1)
    return DefensiveMixture(q.scaled(factor * (1 + _WIDER * missing)), missing > 0, n_draws)
