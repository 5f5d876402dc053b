"""Missing cells given the observed ones: conditional means and draws by self-normalised importance sampling."""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus.evaluation.proposal import proposal
from isthmus.model import Model

__all__ = ["conditional_draws", "conditional_mean"]


@torch.no_grad()
def conditional_mean(model: Model, x: Tensor, mask: Tensor, noise: Tensor, c: Tensor | None = None) -> Tensor:
    r"""Return E[x | x_observed] for every cell, (N, D), in the model's units.

    .. math:: \sum_s w_s\, E[x|z_s], \qquad w_s \propto p(x_o|z_s)\,p(z_s)/q(z_s|x_o), \qquad z_s \sim q

    Parameters
    ----------
    model : Model
        The model.
    x : Tensor of shape (N, D)
        Rows in the model's units, finite also where a cell is missing.
    mask : Tensor of shape (N, D)
        1 where a cell was observed.
    noise : Tensor of shape (S, N, K)
        Standard normal noise for the draws.
    c : Tensor of shape (N, C), optional
        Conditions.

    References
    ----------
    Mattei & Frellsen (2019), MIWAE: Deep Generative Modelling and Imputation of Incomplete Data Sets, equation 12.
    """
    h, log_w = _weighted(model, x, mask, noise, c)
    return model.likelihood.mixture_mean(h, torch.softmax(log_w, 0))


@torch.no_grad()
def conditional_draws(model: Model, x: Tensor, mask: Tensor, noise: Tensor, n: int, c: Tensor | None = None) -> Tensor:
    """Return n draws from p(x | x_observed) of every cell, (n, N, D), in the model's units.

    Codes are resampled with the weights of :func:`conditional_mean` (sampling importance resampling), and each gives a
    draw from p(x|z). Parameters are those of :func:`conditional_mean`; torch's default generator is drawn from.
    """
    h, log_w = _weighted(model, x, mask, noise, c)
    chosen = torch.multinomial(torch.softmax(log_w, 0).T, n, replacement=True).T  # (n, N)
    h = h.gather(0, chosen.unsqueeze(-1).expand(-1, -1, h.shape[-1]))
    return model.likelihood.sample(h)


def _weighted(model: Model, x: Tensor, mask: Tensor, noise: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return decoder outputs (S, N, n_outputs) and log weights (S, N)."""
    q = proposal(model, model.encode(x, c, mask), mask, len(noise))
    z = q.from_noise(noise)
    h = model.decode(z, c)
    return h, model.log_joint_ratio(q, z, x, c, mask, h)
