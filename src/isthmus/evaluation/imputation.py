"""Conditional means and draws of missing cells given the observed ones, by self-normalized importance sampling."""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus.evaluation.proposal import proposal
from isthmus.model import Model

__all__ = ["conditional_draws", "conditional_mean"]


@torch.no_grad()
def conditional_mean(model: Model, x: Tensor, mask: Tensor, noise: Tensor, c: Tensor | None = None) -> Tensor:
    r"""Return the conditional mean of each cell given the observed cells, in the model's units.

    .. math:: E[x|x_o] \approx \sum_s w_s\, E[x|z_s], \quad w_s \propto p(x_o|z_s)\,p(z_s)/q(z_s|x_o), \quad z_s \sim q

    Parameters
    ----------
    model : Model
        The model.
    x : Tensor of shape (N, D)
        Samples in the model's units, finite also where a cell is missing.
    mask : Tensor of shape (N, D)
        1 where a cell was observed.
    noise : Tensor of shape (S, N, K)
        Standard normal noise for the draws.
    c : Tensor of shape (N, C), optional
        Conditions.

    Returns
    -------
    Tensor of shape (N, D)
        Means of all cells, observed ones included.

    References
    ----------
    Mattei & Frellsen (2019), MIWAE: Deep Generative Modelling and Imputation of Incomplete Data Sets, equation 12.

    Examples
    --------
    >>> from isthmus import VAE
    >>> from sklearn.datasets import load_iris
    >>> model = VAE(2, max_epochs=1, random_state=0).fit(load_iris().data).model_
    >>> x, mask = torch.zeros(3, 4), torch.tensor([[1.0, 1.0, 0.0, 0.0]]).expand(3, 4)
    >>> conditional_mean(model, x, mask, noise=torch.randn(8, 3, 2)).shape
    torch.Size([3, 4])
    """
    h, log_w = _weighted(model, x, mask, noise, c)
    return model.likelihood.mixture_mean(h, torch.softmax(log_w, 0))


@torch.no_grad()
def conditional_draws(
    model: Model, x: Tensor, mask: Tensor, noise: Tensor, n_samples: int, c: Tensor | None = None
) -> Tensor:
    """Return draws from p(x | x_observed), in the model's units, by sampling importance resampling.

    Codes are resampled with the weights of :func:`conditional_mean`, and each gives a draw from p(x|z), from torch's
    default generator.

    Parameters
    ----------
    model, x, mask, noise, c
        As for :func:`conditional_mean`.
    n_samples : int
        Number of draws.

    Returns
    -------
    Tensor of shape (n_samples, N, D)
        Draws of all cells, observed ones included.

    References
    ----------
    Rubin (1988), Using the SIR Algorithm to Simulate Posterior Distributions; Mattei & Frellsen (2019), section 3.3.

    Examples
    --------
    >>> from isthmus import VAE
    >>> from sklearn.datasets import load_iris
    >>> model = VAE(2, max_epochs=1, random_state=0).fit(load_iris().data).model_
    >>> x, mask = torch.zeros(3, 4), torch.tensor([[1.0, 1.0, 0.0, 0.0]]).expand(3, 4)
    >>> conditional_draws(model, x, mask, noise=torch.randn(8, 3, 2), n_samples=5).shape
    torch.Size([5, 3, 4])
    """
    h, log_w = _weighted(model, x, mask, noise, c)
    chosen = torch.multinomial(torch.softmax(log_w, 0).T, n_samples, replacement=True).T  # (n_samples, N)
    h = h.gather(0, chosen.unsqueeze(-1).expand(-1, -1, h.shape[-1]))
    return model.likelihood.sample(h)


def _weighted(model: Model, x: Tensor, mask: Tensor, noise: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return decoder outputs (S, N, n_outputs) and log weights (S, N)."""
    q = proposal(model, model.encode(x, c, mask), mask, len(noise))
    z = q.from_noise(noise)
    h = model.decode(z, c)
    return h, model.log_joint_ratio(q, z, x, c, mask, h)
