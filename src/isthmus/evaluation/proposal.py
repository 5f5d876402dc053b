"""The proposal distribution of importance sampling, also for samples with missing cells."""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus._distributions import DefensiveMixture, LatentDistribution
from isthmus.model import Model

__all__ = ["proposal"]

_WIDER = 2.0  # increase of the scale per fraction of missing cells


def proposal(
    model: Model,
    q: LatentDistribution,
    mask: Tensor | None,
    n_draws: int,
    proposal_scale: float = 1.0,
    first_draw: int = 0,
) -> LatentDistribution:
    r"""Return the distribution to draw codes from: the posterior, wider and mixed with N(0, I) if cells are missing.

    .. math:: \tfrac34\, q_{f}(z|x) + \tfrac14\, N(z; 0, I), \qquad f = \text{proposal\_scale}\,(1 + 2 m)

    for samples of which the fraction m > 0 is missing, where q_f is q with its noise multiplied by f. The posterior
    of an encoder that was trained on complete samples is too narrow, because it ignores the uncertainty of the values
    that were filled in. Complete samples, and encoders that were trained with missing cells, need no such correction.
    Importance weights account for the difference.

    Parameters
    ----------
    model : Model
        The model.
    q : LatentDistribution
        Posterior of N samples, from ``model.encode``.
    mask : Tensor of shape (N, D) or None
        1 where a cell was observed.
    n_draws : int
        S, the total number of draws, of which the last quarter comes from N(0, I).
    proposal_scale : float, default=1.0
        Factor of the noise.
    first_draw : int, default=0
        Index of the first draw, to make the draws in several calls.

    Returns
    -------
    LatentDistribution
        The proposal of N samples; ``from_noise`` draws from it.

    References
    ----------
    Hesterberg (1995), Weighted Average Importance Sampling and Defensive Mixture Distributions.

    Examples
    --------
    >>> from isthmus import VAE
    >>> from sklearn.datasets import load_iris
    >>> model = VAE(2, max_epochs=1, random_state=0).fit(load_iris().data).model_
    >>> x, mask = torch.zeros(3, 4), torch.tensor([[1.0, 1.0, 0.0, 0.0]]).expand(3, 4)
    >>> proposal(model, model.encode(x, None, mask), mask, n_draws=8).from_noise(torch.zeros(8, 3, 2)).shape
    torch.Size([8, 3, 2])
    """
    factor = torch.full(q.batch_shape, proposal_scale, dtype=q.mean.dtype, device=q.mean.device)
    if mask is None or model.network.sizes.masked:
        return q if proposal_scale == 1 else q.scaled(factor)
    missing = 1 - mask.mean(-1)
    return DefensiveMixture(q.scaled(factor * (1 + _WIDER * missing)), missing > 0, n_draws, first_draw)
