"""Measures of how the latent space is used: active units, divergence per unit, rate and distortion.

Functions take the posterior of N samples, ``model.encode(x, c, mask)``, and the prior, ``model.p_z()``.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution

from isthmus._distributions import DiagonalGaussian, FullGaussian, LatentDistribution
from isthmus.evaluation.log_marginal import Bound
from isthmus.kl import kl_per_unit

__all__ = [
    "RateDistortion",
    "active_units",
    "activity",
    "kl_per_dimension",
    "rate_distortion",
]


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
def kl_per_dimension(q: LatentDistribution, p: Distribution) -> Tensor:
    """Return the divergence of each unit, the mean of KL(q(z_k|x) || p(z_k)) over the samples, in nats.

    The sum over units is the rate if posterior and prior have independent units. For a full covariance these are
    divergences of the marginals; with a prior of independent units, their sum is less than the rate.

    Parameters
    ----------
    q : LatentDistribution
        Normal posterior of N samples.
    p : Distribution
        Normal prior.

    Returns
    -------
    Tensor of shape (K,)

    Raises
    ------
    ValueError
        If a distribution is not normal.

    References
    ----------
    Kingma & Welling (2014), Auto-Encoding Variational Bayes, appendix B.

    Examples
    --------
    >>> zeros = torch.zeros(2)
    >>> kl_per_dimension(DiagonalGaussian(torch.tensor([[2.0, 0.0]]), zeros), DiagonalGaussian(zeros, zeros))
    tensor([2., 0.])
    """
    return kl_per_unit(_marginals(q), _marginals(p)).mean(0)


def _marginals(d: Distribution) -> DiagonalGaussian:
    if isinstance(d, FullGaussian):
        return DiagonalGaussian(d.mean, 0.5 * d.variance.log())
    if not isinstance(d, DiagonalGaussian):
        raise ValueError(f"{type(d).__name__} has no divergence per unit; only normal posteriors and priors do.")
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
