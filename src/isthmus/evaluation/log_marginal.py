"""log p(x) by importance sampling, and the ELBO row by row."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from isthmus.kl import kl_divergence
from isthmus.model import Model

__all__ = ["Bound", "elbo", "log_marginal"]


class Bound(NamedTuple):
    """The ELBO of rows and the two terms it is the difference of, in nats, each (N,)."""

    elbo: Tensor
    reconstruction: Tensor
    kl: Tensor


@torch.no_grad()
def log_marginal(model: Model, x: Tensor, noise: Tensor, c: Tensor | None = None) -> Tensor:
    r"""Return the importance-weighted estimate of log p(x), (N,), in nats of the model's units.

    .. math:: \log \frac1S \sum_s \frac{p(x|z_s)\,p(z_s)}{q(z_s|x)}, \qquad z_s \sim q(z|x)

    On average it lies below log p(x), and rises to it with S.

    Parameters
    ----------
    model : Model
        The model.
    x : Tensor of shape (N, D)
        Rows in the model's units.
    noise : Tensor of shape (S, N, K)
        Standard normal noise for the draws.
    c : Tensor of shape (N, C), optional
        Conditions.

    References
    ----------
    Burda, Grosse & Salakhutdinov (2016), Importance Weighted Autoencoders, equation 8.
    """
    q = model.q(x, c)
    log_w = model.log_joint_ratio(q, q.transport(noise), x, c)  # (S, N)
    return torch.logsumexp(log_w, 0) - math.log(len(noise))


@torch.no_grad()
def elbo(model: Model, x: Tensor, noise: Tensor, c: Tensor | None = None) -> Bound:
    """Return E_q[log p(x|z)] - KL(q || p) of every row, the expectation over the draws of `noise`.

    Parameters are those of :func:`log_marginal`. ``reconstruction`` is the negative of the first term.
    """
    q = model.q(x, c)
    z = q.transport(noise)
    reconstruction = -model.log_likelihood(z, x, c).mean(0)
    kl = kl_divergence(q, model.prior(), z)
    return Bound(-reconstruction - kl, reconstruction, kl)
