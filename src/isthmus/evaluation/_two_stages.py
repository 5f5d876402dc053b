"""Importance sampling from q(z|x), and from a normal approximation of p(z|x) where that is unreliable."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from isthmus._distributions import LatentDistribution
from isthmus._mixture import Mixture
from isthmus.evaluation._modes import ModeMixture, find_modes
from isthmus.evaluation._proposals import DefensiveMixture
from isthmus.evaluation._rows import Rows

__all__ = ["Proposal", "effective_sample_size", "in_two_stages"]

_MIN_SHARE = 0.25  # of the draws
_N_STARTS = 16  # codes among which modes are looked for
_N_STARTS_UNSEEN = 128  # for samples with missing cells, whose posteriors are wide and may have several modes

Proposal = Callable[[int], LatentDistribution]
"""The distribution of the draws that begin with the one of this index."""


def in_two_stages(
    rows: Rows,
    n_draws: int,
    draw: Callable[[Tensor, Proposal], tuple[Tensor, list[Tensor]]],
    proposal_scale: float = 1.0,
) -> list[Tensor]:
    """Return the results of importance sampling, (A, N, ...) each.

    Draws come from q(z|x) first. They come from :func:`find_modes` instead for samples with missing cells
    that the encoder was not trained with, and again for samples of which less than a quarter of the draws are
    effective. Which samples these are depends on each sample alone. Of two results, the one with more effective draws
    is returned.

    Parameters
    ----------
    rows : Rows
        N samples.
    n_draws : int
        S.
    draw : callable
        Maps the indices of n samples and their proposal to effective sample sizes (n,) and results (A, n, ...).
    proposal_scale : float, default=1.0
        Factor of the noise of q(z|x).
    """
    rows = rows.with_prior()
    unlike = rows.unlike_training()
    first, unseen = (~unlike).nonzero().squeeze(1), unlike.nonzero().squeeze(1)
    q = rows.take(first).encode()
    if proposal_scale != 1:
        q = q.scaled(torch.full(q.batch_shape, proposal_scale, dtype=q.mean.dtype, device=q.mean.device))
    size, results = draw(first, lambda _: q)
    effective = size.new_zeros(len(unlike)).index_copy(0, first.to(size.device), size)
    if len(unseen):
        results = [r.new_zeros(len(r), len(unlike), *r.shape[2:]).index_copy(1, first.to(r.device), r) for r in results]
    poor = first[(size < _MIN_SHARE * n_draws).to(first.device)]
    for again, n_starts in ((poor, _N_STARTS), (unseen, _N_STARTS_UNSEEN)):
        if not len(again):
            continue
        size, refined = draw(again, _refined(rows.take(again), n_draws, n_starts))
        better = size >= effective[again.to(size.device)]
        for result, new in zip(results, refined, strict=True):
            chosen = better.to(result.device)
            result[:, again.to(result.device)[chosen]] = new[:, chosen]
    return results


def _refined(rows: Rows, n_draws: int, n_starts: int) -> Proposal:
    """Return the second proposal: normal distributions at modes, mixed with a prior that has several modes itself."""
    (modes, log_mass), prior = find_modes(rows, n_starts), rows.p_z()
    if isinstance(prior, Mixture):
        own = n_draws - n_draws // 4
        return lambda first: DefensiveMixture(ModeMixture(modes, log_mass, own, first), prior, n_draws, first)
    return lambda first: ModeMixture(modes, log_mass, n_draws, first)


def effective_sample_size(log_w: Tensor) -> Tensor:
    """Return (sum w)^2 / sum w^2 of log weights (S, N), (N,); 0 if all weights are 0."""
    return (2 * torch.logsumexp(log_w, 0) - torch.logsumexp(2 * log_w, 0)).exp().nan_to_num(nan=0.0)
