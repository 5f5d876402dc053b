"""Draws from p(x | some of its cells), by importance resampling of codes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from isthmus._distributions import LatentDistribution
from isthmus.evaluation._modes import ModeMixture, find_modes
from isthmus.evaluation._rows import Rows
from isthmus.evaluation.imputation import Completion
from isthmus.model import Model

__all__ = ["sample_given"]

_N_STARTS = 128  # codes among which modes of p(z|x_given) are looked for


@torch.no_grad()
def sample_given(model: Model, x: Tensor, mask: Tensor, n_samples: int, n_draws: int) -> tuple[Tensor, Tensor]:
    r"""Return draws from p(x | x_given), and the effective number of codes that they come from.

    Half of the codes are drawn from the prior, which covers every mode, and half from normal distributions at the modes
    of p(z | x_given) or from q(z | x_given), which are near the given cells. Both count as draws from the mixture r:

    .. math:: w_s \propto \frac{p(x_\mathrm{given}|z_s)\, p(z_s)}{r(z_s)}, \qquad
        r = \tfrac12 p(z) + \tfrac12 q(z | x_\mathrm{given})

    Codes are resampled with these weights, and each gives a draw from p(x|z), from torch's default generator.

    Parameters
    ----------
    model : Model
        The model, without conditions.
    x : Tensor of shape (N, D)
        Samples in the model's units, finite also where a cell is not given.
    mask : Tensor of shape (N, D)
        1 where a cell is given.
    n_samples : int
        Number of draws for each sample.
    n_draws : int
        S, number of codes from which they are resampled, at least 2.

    Returns
    -------
    draws : Tensor of shape (n_samples, N, D)
        Draws of all cells, given ones included.
    effective_sample_size : Tensor of shape (N,)
        (sum w)^2 / sum w^2, between 1 and S.

    References
    ----------
    Rubin (1988), Using the SIR Algorithm to Simulate Posterior Distributions; Hesterberg (1995), Weighted Average
    Importance Sampling and Defensive Mixture Distributions.

    Examples
    --------
    >>> from isthmus import VAE
    >>> from sklearn.datasets import load_iris
    >>> model = VAE(2, max_epochs=1, random_state=0).fit(load_iris().data).model_
    >>> x, mask = torch.zeros(1, 4), torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    >>> draws, size = sample_given(model, x, mask, n_samples=5, n_draws=100)
    >>> draws.shape, 1 < float(size) <= 100
    (torch.Size([5, 1, 4]), True)
    """
    rows, prior = Rows(model, x, None, mask), model.p_z()
    n_own = n_draws // 2
    q = _near_given_cells(rows, n_own)
    own = q.from_noise(torch.randn(n_own, len(x), q.mean.shape[-1], dtype=x.dtype, device=x.device))
    z = torch.cat([own, prior.sample((n_draws - n_own, len(x)))])
    log_prior = prior.log_prob(z)
    log_r = torch.logaddexp(q.log_prob(z) + math.log(n_own / n_draws), log_prior + math.log(1 - n_own / n_draws))
    h = model.decode(z)
    log_w = model.likelihood.row_log_prob(h, x, mask) + log_prior - log_r
    found = Completion(h, log_w.nan_to_num(nan=-torch.inf))
    return found.draws(model, n_samples), found.effective_sample_size()


def _near_given_cells(rows: Rows, n_draws: int) -> LatentDistribution:
    """Return q(z|x), or normal distributions at the modes of p(z|x) if the encoder never saw missing cells."""
    if not rows.unlike_training().any():
        return rows.encode()
    modes, log_mass = find_modes(rows, _N_STARTS)
    return ModeMixture(modes, log_mass, n_draws, 0)
