"""log p(x) by importance sampling, and the ELBO row by row."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from isthmus.evaluation.proposal import proposal
from isthmus.kl import kl_divergence
from isthmus.model import Model

__all__ = ["Bound", "elbo", "log_marginal"]


class Bound(NamedTuple):
    """The ELBO of rows and the two terms it is the difference of, in nats, each (N,)."""

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
    at_once: int | None = None,
) -> Tensor:
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
    mask : Tensor of shape (N, D), optional
        1 where a cell was observed; the others are integrated out (and `x` holds a finite filler there). Codes are
        then drawn from :func:`proposal`.
    at_once : int, optional
        How many draws of every row are decoded at a time, which bounds the memory that is needed; default: all.

    References
    ----------
    Burda, Grosse & Salakhutdinov (2016), Importance Weighted Autoencoders, equation 8.
    """
    q = proposal(model, model.encode(x, c, mask), mask, len(noise))
    parts = q.from_noise(noise).split(at_once or len(noise))
    log_w = torch.cat([model.log_joint_ratio(q, z, x, c, mask) for z in parts])  # (S, N)
    estimate = torch.logsumexp(log_w, 0) - math.log(len(noise))
    # A row of which nothing was observed has probability 1, whatever the draws say.
    return estimate if mask is None else torch.where(mask.any(-1), estimate, 0.0)


@torch.no_grad()
def elbo(
    model: Model,
    x: Tensor,
    noise: Tensor,
    c: Tensor | None = None,
    mask: Tensor | None = None,
    at_once: int | None = None,
) -> Bound:
    """Return E_q[log p(x|z)] - KL(q || p) of every row, the expectation over the draws of `noise`.

    Parameters are those of :func:`log_marginal`. ``reconstruction`` is the negative of the first term.
    """
    q = model.encode(x, c, mask)
    z = q.from_noise(noise)
    parts = z.split(at_once or len(z))
    reconstruction = -torch.cat([model.log_likelihood(part, x, c, mask) for part in parts]).mean(0)
    kl = kl_divergence(q, model.p_z(c), z)
    return Bound(-reconstruction - kl, reconstruction, kl)
