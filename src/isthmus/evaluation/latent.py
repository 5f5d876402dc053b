"""Measures of how the latent space is used: active units, divergence per unit, rate and distortion.

Functions take the posterior of N samples, ``model.encode(x, c, mask)``, and the prior, ``model.p_z()``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from isthmus._chunks import chunks
from isthmus._distributions import DiagonalGaussian, FullGaussian, LatentDistribution, WhitenedGaussian
from isthmus._mixture import Mixture
from isthmus.evaluation.log_marginal import Bound
from isthmus.kl import kl_per_unit

__all__ = [
    "RateDistortion",
    "active_units",
    "activity",
    "has_marginals",
    "kl_per_dimension",
    "rate_distortion",
]

_N_NODES = 32  # of the quadrature: the error is below 1e-6 nats unless components are 30 times narrower than q


class RateDistortion(NamedTuple):
    """The two terms of the ELBO in nats per sample; their sum is -ELBO.

    Attributes
    ----------
    rate : float
        Mean of KL(q(z|x) || p(z)), the cost of a code.
    distortion : float
        Mean of E_q[-log p(x|z)], the cost of a sample given its code.
    """

    rate: float
    distortion: float


def activity(mean: Tensor) -> Tensor:
    r"""Return the variance of each unit's posterior mean over the samples, Var_x(E_q[z_k|x]).

    Parameters
    ----------
    mean : Tensor of shape (N, K)
        Posterior means, the codes.

    Returns
    -------
    Tensor of shape (K,)
        In squared units of the code.

    Raises
    ------
    ValueError
        If there are fewer than two samples.

    References
    ----------
    Burda, Grosse & Salakhutdinov (2016), Importance Weighted Autoencoders, section 5.2.

    Examples
    --------
    >>> activity(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
    tensor([2., 0.])
    """
    if len(mean) < 2:
        raise ValueError(f"{len(mean)} sample(s): at least two are needed to compute a variance.")
    return mean.detach().var(0)


def active_units(mean: Tensor, threshold: float = 0.01) -> Tensor:
    """Return which units are active, those whose :func:`activity` exceeds `threshold`.

    Parameters
    ----------
    mean : Tensor of shape (N, K)
        Posterior means, the codes.
    threshold : float, default=0.01
        In squared units of the code. Most activities are far below or far above it, so the value hardly matters.

    Returns
    -------
    Tensor of shape (K,)
        bool.

    References
    ----------
    Burda, Grosse & Salakhutdinov (2016), Importance Weighted Autoencoders, section 5.2.

    Examples
    --------
    >>> active_units(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
    tensor([ True, False])
    """
    return activity(mean) > threshold


@torch.no_grad()
def kl_per_dimension(q: LatentDistribution, p: Distribution, budget: int = 1 << 24) -> Tensor:
    r"""Return the divergence of each unit from its marginal prior, the mean over the samples, in nats.

    .. math:: \frac1N \sum_n \mathrm{KL}\big(q(z_k|x_n) \,\|\, p(z_k)\big), \qquad
        p(z_k) = \int p(z)\, dz_{-k}

    The sum over units is the rate if posterior and prior both have independent units. Otherwise these are divergences
    of marginals, which leave out how units depend on each other: with a prior of independent units their sum is at
    most the rate, and with a mixture it may be larger or smaller. A unit whose divergence is near 0 carries no
    information of its own.

    Parameters
    ----------
    q : LatentDistribution
        Normal posterior of N samples.
    p : Distribution
        Normal prior, or a mixture of normal distributions; the integral over a mixture is computed by Gauss-Hermite
        quadrature with 32 nodes.
    budget : int, default=2**24
        Numbers that the largest tensor may hold.

    Returns
    -------
    Tensor of shape (K,)

    Raises
    ------
    ValueError
        If the marginals are not known: those of a flow.

    References
    ----------
    Kingma & Welling (2014), Auto-Encoding Variational Bayes, appendix B.

    Examples
    --------
    >>> zeros = torch.zeros(2)
    >>> kl_per_dimension(DiagonalGaussian(torch.tensor([[2.0, 0.0]]), zeros), DiagonalGaussian(zeros, zeros))
    tensor([2., 0.])
    """
    own = _marginals(q)
    if not isinstance(p, Mixture):
        return kl_per_unit(own, _marginals(p)).mean(0)
    parts = _marginals(p.components)
    mean, log_scale = own.mean, own.log_scale.expand_as(own.mean)
    # int q log q is known; int q log p(z_k) is computed by quadrature
    negative_entropy = -(log_scale + 0.5 * math.log(2 * math.pi * math.e)).mean(0)
    size = _N_NODES * mean.shape[-1] * len(p.log_weight)
    total = torch.zeros_like(mean[0])
    for rows in chunks(len(mean), size, budget):
        total += _expected_log_prob(mean[rows], log_scale[rows].exp(), p.log_weight, parts).sum(0)
    return negative_entropy - total / len(mean)


def _expected_log_prob(mean: Tensor, scale: Tensor, log_weight: Tensor, parts: DiagonalGaussian) -> Tensor:
    """Return E log p(z_k) of normal z_k, (N, K), under the marginals of a mixture."""
    nodes, weights = (torch.from_numpy(a).to(mean) for a in np.polynomial.hermite.hermgauss(_N_NODES))
    z = mean + math.sqrt(2) * scale * nodes[:, None, None]  # (nodes, N, K)
    standard = (z.unsqueeze(-2) - parts.mean) * (-parts.log_scale).exp()  # (nodes, N, M, K)
    log_prob = -0.5 * standard.square() - parts.log_scale - 0.5 * math.log(2 * math.pi)
    marginal = torch.logsumexp(log_weight[:, None] + log_prob, -2)
    return torch.einsum("s,snk->nk", weights, marginal) / math.sqrt(math.pi)


def has_marginals(*distributions: Distribution) -> bool:
    """Return whether the marginals of these distributions are known, as :func:`kl_per_dimension` needs them.

    Parameters
    ----------
    *distributions : Distribution
        Posterior and prior.
    """
    parts = (d.components if isinstance(d, Mixture) else d for d in distributions)
    return all(isinstance(part, (DiagonalGaussian, FullGaussian, WhitenedGaussian)) for part in parts)


def _marginals(d: Distribution) -> DiagonalGaussian:
    if isinstance(d, (FullGaussian, WhitenedGaussian)):
        return DiagonalGaussian(d.mean, 0.5 * d.variance.log())
    if not isinstance(d, DiagonalGaussian):
        raise ValueError(
            f"{type(d).__name__} has no divergence per unit; only normal posteriors, and normal priors and their "
            "mixtures, do."
        )
    return d


def rate_distortion(bound: Bound) -> RateDistortion:
    """Return the means of the two terms of an ELBO.

    Parameters
    ----------
    bound : Bound
        Result of :func:`elbo`.

    Returns
    -------
    RateDistortion

    References
    ----------
    Alemi, Poole, Fischer, Dillon, Saurous & Murphy (2018), Fixing a Broken ELBO.

    Examples
    --------
    >>> rate_distortion(Bound(torch.tensor([-5.0]), torch.tensor([3.0]), torch.tensor([2.0])))
    RateDistortion(rate=2.0, distortion=3.0)
    """
    return RateDistortion(float(bound.kl.mean()), float(bound.reconstruction.mean()))
