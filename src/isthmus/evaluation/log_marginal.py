"""The importance-weighted estimate of log p(x), and the ELBO, for given noise."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from isthmus.evaluation._rows import Rows
from isthmus.evaluation._two_stages import Proposal, effective_sample_size, in_two_stages
from isthmus.kl import kl_divergence
from isthmus.model import Model

__all__ = ["Bound", "elbo", "log_marginal"]


class Bound(NamedTuple):
    """The ELBO and its terms, elbo = -(reconstruction + kl).

    Attributes
    ----------
    elbo : Tensor of shape (N,)
        Lower bound of log p(x), in nats.
    reconstruction : Tensor of shape (N,)
        E_q[-log p(x|z)], in nats.
    kl : Tensor of shape (N,)
        KL(q(z|x) || p(z)), in nats.
    """

    elbo: Tensor
    reconstruction: Tensor
    kl: Tensor


@torch.no_grad()
def log_marginal(
    model: Model,
    x: Tensor,
    noise: Tensor,
    c: Tensor | None = None,
    mask: Tensor | None = None,
    n_at_once: int | None = None,
) -> Tensor:
    r"""Return the importance-weighted estimate of log p(x) for each sample, in nats of the model's units.

    .. math:: \log \frac1S \sum_s \frac{p(x|z_s)\,p(z_s)}{q(z_s|x)}, \qquad z_s \sim q(z|x)

    On average the estimate lies below log p(x), and it approaches log p(x) as S grows.

    Samples for which q is a poor proposal, with an effective sample size below S / 4, are estimated again with draws
    from :func:`laplace_approximation`, which also serves samples with missing cells if the encoder was trained without.

    Parameters
    ----------
    model : Model
        The model.
    x : Tensor of shape (N, D)
        Samples in the model's units, finite also where a cell is missing.
    noise : Tensor of shape (S, N, K)
        Standard normal noise for the draws.
    c : Tensor of shape (N, C), optional
        Conditions.
    mask : Tensor of shape (N, D), optional
        1 where a cell was observed; missing cells are integrated out.
    n_at_once : int, optional
        Number of draws to decode at once, which bounds the memory; default: all.

    Returns
    -------
    Tensor of shape (N,)

    References
    ----------
    Burda, Grosse & Salakhutdinov (2016), Importance Weighted Autoencoders, equation 8.

    Examples
    --------
    >>> from isthmus import VAE
    >>> from isthmus.training import Trainer
    >>> from sklearn.datasets import load_iris
    >>> X = load_iris().data
    >>> model = VAE(2, max_epochs=1, trainer=Trainer(precision="float64"), random_state=0).fit(X).model_
    >>> log_marginal(model, model.scaling(torch.from_numpy(X)), noise=torch.zeros(1, 150, 2).double()).shape
    torch.Size([150])
    """
    rows = Rows(model, x, c, mask)

    def draw(index: Tensor, proposal: Proposal) -> tuple[Tensor, list[Tensor]]:
        part, p = rows.take(index), proposal(0)
        blocks = p.from_noise(noise[:, index]).split(n_at_once or len(noise))
        log_w = torch.cat([part.log_weights(p, z) for z in blocks])
        return effective_sample_size(log_w), [log_w]

    (log_w,) = in_two_stages(rows, len(noise), draw)  # (S, N)
    estimate = torch.logsumexp(log_w, 0) - math.log(len(noise))
    # log p(x) is 0 for a sample without any observed cell.
    return estimate if mask is None else torch.where(mask.any(-1), estimate, 0.0)


@torch.no_grad()
def elbo(
    model: Model,
    x: Tensor,
    noise: Tensor,
    c: Tensor | None = None,
    mask: Tensor | None = None,
    n_at_once: int | None = None,
) -> Bound:
    r"""Return the evidence lower bound of each sample with its terms, in nats of the model's units.

    .. math:: E_{q(z|x)}[\log p(x|z)] - \mathrm{KL}(q(z|x) \| p(z)) \le \log p(x)

    Parameters
    ----------
    model, x, c, mask, n_at_once
        As for :func:`log_marginal`.
    noise : Tensor of shape (S, N, K)
        Standard normal noise for the draws from q, over which the expectation is a mean.

    Returns
    -------
    Bound

    References
    ----------
    Kingma & Welling (2014), Auto-Encoding Variational Bayes, equation 3.

    Examples
    --------
    >>> from isthmus import VAE
    >>> from isthmus.training import Trainer
    >>> from sklearn.datasets import load_iris
    >>> X = load_iris().data
    >>> model = VAE(2, max_epochs=1, trainer=Trainer(precision="float64"), random_state=0).fit(X).model_
    >>> bound = elbo(model, model.scaling(torch.from_numpy(X)), noise=torch.zeros(1, 150, 2).double())
    >>> bool((bound.elbo == -(bound.reconstruction + bound.kl)).all())
    True
    """
    q = model.encode(x, c, mask)
    z = q.from_noise(noise)
    blocks = z.split(n_at_once or len(z))
    reconstruction = -torch.cat([model.log_likelihood(block, x, c, mask) for block in blocks]).mean(0)
    kl = kl_divergence(q, model.p_z(c), z)
    return Bound(-reconstruction - kl, reconstruction, kl)
