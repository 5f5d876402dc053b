"""Where codes are drawn from, given what was observed of a row."""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus._distributions import Defended, Latent
from isthmus.model import Model

__all__ = ["posterior", "proposal"]

_STEPS = 5  # of filling in the decoder's own guesses; more hardly move them
_WIDER = 2.0  # times the share of missing cells


def posterior(model: Model, x: Tensor, c: Tensor | None = None, mask: Tensor | None = None) -> Latent:
    """Return q(z|x) of rows with missing cells.

    An encoder that was trained with missing cells sees the mask. Another takes a row for complete: it is shown the row
    with the decoder's guesses filled in.

    Parameters
    ----------
    model : Model
        The model.
    x : Tensor of shape (N, D)
        Rows in the model's units, finite also where a cell is missing.
    c : Tensor of shape (N, C), optional
        Conditions.
    mask : Tensor of shape (N, D), optional
        1 where a cell was observed.
    """
    if mask is None or model.network.sizes.masked:
        return model.q(x, c, mask)
    return model.q(model.filled(x * mask, c, mask, _STEPS), c)


def proposal(model: Model, q: Latent, mask: Tensor | None, n_draws: int, widen: float = 1.0) -> Latent:
    """Return what to draw codes from: :func:`posterior`, or something wider where it cannot be trusted.

    An encoder that never saw a missing cell is too sure of guesses that were filled in, and of one answer where there
    are several: for a row of which the share m is missing, draws are made wider by 1 + 2 m, and a quarter of them come
    from N(0, I). Importance weights make up for whatever is drawn from.

    Parameters
    ----------
    model : Model
        The model.
    q : Latent
        The posterior of N rows.
    mask : Tensor of shape (N, D) or None
        1 where a cell was observed.
    n_draws : int
        S: how much noise will be transported at once.
    widen : float, default=1.0
        Factor by which draws are made wider besides.
    """
    factor = torch.full(q.batch_shape, widen, dtype=q.mean.dtype, device=q.mean.device)
    if mask is None or model.network.sizes.masked:
        return q if widen == 1 else q.widened(factor)
    missing = 1 - mask.mean(-1)
    return Defended(q.widened(factor * (1 + _WIDER * missing)), missing > 0, n_draws)
