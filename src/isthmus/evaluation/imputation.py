"""Conditional means and draws of missing cells given the observed ones, by self-normalized importance sampling."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from isthmus.evaluation._rows import Rows
from isthmus.evaluation._two_stages import Proposal, effective_sample_size, in_two_stages
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
    return Completion.of(model, x, mask, noise, c).mean(model)


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
    return Completion.of(model, x, mask, noise, c).draws(model, n_samples)


class Completion(NamedTuple):
    """p(x|x_observed) as a mixture of p(x|z): decoder outputs h (S, N, n_outputs), and log weights (S, N)."""

    h: Tensor
    log_w: Tensor

    @classmethod
    def of(cls, model: Model, x: Tensor, mask: Tensor, noise: Tensor, c: Tensor | None) -> Completion:
        """Return the mixture of codes that are drawn with this noise (S, N, K)."""
        rows = Rows(model, x, c, mask)

        def draw(index: Tensor, proposal: Proposal) -> tuple[Tensor, list[Tensor]]:
            part, p = rows.take(index), proposal(0)
            z = p.from_noise(noise[:, index])
            h = model.decode(z, part.c)
            log_w = part.log_weights(p, z, h)
            return effective_sample_size(log_w), [h, log_w]

        return cls(*in_two_stages(rows, len(noise), draw))

    def mean(self, model: Model) -> Tensor:
        """Return the mean of each cell, (N, D)."""
        return model.likelihood.mixture_mean(self.h, torch.softmax(self.log_w, 0))

    def draws(self, model: Model, n_samples: int) -> Tensor:
        """Return draws (n_samples, N, D) of the cells, from torch's default generator."""
        chosen = torch.multinomial(torch.softmax(self.log_w, 0).T, n_samples, replacement=True).T  # (n_samples, N)
        h = self.h.gather(0, chosen.unsqueeze(-1).expand(-1, -1, self.h.shape[-1]))
        return model.likelihood.sample(h)

    def effective_sample_size(self) -> Tensor:
        """Return the number of draws that are effective, (N,)."""
        return effective_sample_size(self.log_w)
