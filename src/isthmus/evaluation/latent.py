"""What the latent space is used for: active units, divergence by unit, information.

Functions take q(z|x) of N rows at once, ``model.q(x, c, mask)``, and p(z), ``model.p_z()``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution

from isthmus._chunks import chunks
from isthmus._distributions import DiagonalGaussian, FullGaussian, LatentDistribution
from isthmus._random import seeded
from isthmus.evaluation.log_marginal import Bound
from isthmus.evaluation.samples import mmd
from isthmus.kl import kl_divergence, kl_per_unit

__all__ = [
    "Information",
    "RateDistortion",
    "active_units",
    "activity",
    "aggregate_log_prob",
    "aggregate_mmd",
    "information",
    "kl_per_dimension",
    "rate_distortion",
]


class Information(NamedTuple):
    """Where the divergence goes, in nats a row: rate = mutual_information + aggregate_kl, exactly.

    Attributes
    ----------
    rate : float
        Mean over rows of KL(q(z|x) || p(z)).
    mutual_information : float
        I(x; z) between a code and which of the N rows it came from: at most log N, and below that of the population.
    aggregate_kl : float
        KL(q(z) || p(z)) of the aggregate posterior q(z) = 1/N sum_n q(z|x_n): what samples miss of the data, or the
        other way round. Too large by as much as the mutual information is too small.
    upper : float
        The same mutual information with the row's own term left out of q(z): above that of the population. Where it is
        far above `mutual_information`, N is too small to tell.
    standard_error : float
        Of `mutual_information`, from the spread over rows.
    """

    rate: float
    mutual_information: float
    aggregate_kl: float
    upper: float
    standard_error: float


class RateDistortion(NamedTuple):
    """The two sides of the ELBO as a code's cost, in nats a row; -ELBO is their sum.

    Attributes
    ----------
    rate : float
        Mean KL(q(z|x) || p(z)): what a code costs.
    distortion : float
        Mean E_q[-log p(x|z)]: what is left to say after it.
    """

    rate: float
    distortion: float


def activity(mean: Tensor) -> Tensor:
    r"""Return how much each unit's posterior mean varies over the rows, Var_x(E_q[z_k|x]), (K,), for means (N, K).

    References
    ----------
    Burda, Grosse & Salakhutdinov (2016), Importance Weighted Autoencoders, section 5.2.

    Examples
    --------
    >>> activity(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
    tensor([2., 0.])
    """
    if len(mean) < 2:
        raise ValueError(f"{len(mean)} row(s): whether a unit varies over rows takes at least two.")
    return mean.detach().var(0)


def active_units(mean: Tensor, threshold: float = 0.01) -> Tensor:
    """Return which units are active, bool of shape (K,): those whose :func:`activity` is above `threshold`.

    Parameters
    ----------
    mean : Tensor of shape (N, K)
        Posterior means of rows, the codes.
    threshold : float, default=0.01
        In squared units of the code. Activities are tiny or large: where the line lies hardly matters.

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
    """Return KL(q(z_k|x) || p(z_k)) of every unit, the mean over rows, (K,), in nats.

    They sum to the rate if both are diagonal. Of a full covariance these are the marginals, and with a diagonal prior
    their sum falls short of the rate by what the units tell about each other.

    Parameters
    ----------
    q : LatentDistribution
        Normal posterior of N rows.
    p : Distribution
        Normal prior.

    Raises
    ------
    ValueError
        For other distributions, whose marginals have no closed form here.

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
        raise ValueError(f"{type(d).__name__} has no divergence unit by unit; only normal posteriors and priors have.")
    return d


@torch.no_grad()
def aggregate_log_prob(q: LatentDistribution, z: Tensor, budget: int = 1 << 24) -> Tensor:
    r"""Return the log density of the aggregate posterior at codes, (M,), in nats.

    .. math:: \log q(z) = \log \frac1N \sum_n q(z|x_n)

    Parameters
    ----------
    q : LatentDistribution
        Posterior of N rows.
    z : Tensor of shape (M, K)
        Where.
    budget : int, default=2**24
        Numbers that the largest tensor may hold; the work is M times N.

    References
    ----------
    Makhzani, Shlens, Jaitly, Goodfellow & Frey (2016), Adversarial Autoencoders, equation 1.

    Examples
    --------
    >>> zeros = torch.zeros(5, 2)
    >>> aggregate_log_prob(DiagonalGaussian(zeros, zeros), zeros[:1])
    tensor([-1.8379])
    """
    n = q.mean.shape[0]
    result = [torch.logsumexp(q.log_prob(z[part].unsqueeze(1)), 1) for part in _pairs(q, z, budget)]
    return torch.cat(result) - math.log(n)


def _pairs(q: LatentDistribution, z: Tensor, budget: int) -> list[slice]:
    """Return chunks of codes whose densities under all N posteriors fit the budget."""
    return list(chunks(len(z), q.mean.numel() * q.numbers_per_unit, budget))


@torch.no_grad()
def information(q: LatentDistribution, p: Distribution, noise: Tensor, budget: int = 1 << 24) -> Information:
    r"""Split the rate into mutual information and the aggregate posterior's divergence from the prior.

    .. math:: \frac1N \sum_n \mathrm{KL}(q(z|x_n) \| p(z)) = I(x; z) + \mathrm{KL}(q(z) \| p(z)), \qquad
        I(x; z) = \frac1N \sum_n E_{q(z|x_n)} \log \frac{q(z|x_n)}{\frac1N \sum_m q(z|x_m)}

    Parameters
    ----------
    q : LatentDistribution
        Posterior of N rows, at least two.
    p : Distribution
        Prior, one for all rows.
    noise : Tensor of shape (S, N, K)
        Standard normal noise for the draws; S = 1 will do for hundreds of rows.
    budget : int, default=2**24
        Numbers that the largest tensor may hold; the work is S N^2.

    References
    ----------
    Hoffman & Johnson (2016), ELBO surgery: yet another way to carve up the variational evidence lower bound; Poole et
    al. (2019), On Variational Bounds of Mutual Information, section 2.3, for the upper side.

    Examples
    --------
    >>> q = DiagonalGaussian(torch.tensor([[-9.0], [9.0]]), torch.zeros(2, 1))  # two rows that no code confuses
    >>> p = DiagonalGaussian(torch.zeros(1), torch.zeros(1))
    >>> round(information(q, p, noise=torch.zeros(1, 2, 1)).mutual_information, 4)  # log 2
    0.6931
    """
    n = len(q.mean)
    if n < 2:
        raise ValueError(f"{n} row(s): a code tells something about which row it came from only among two or more.")
    z = q.from_noise(noise)
    with_own, without = zip(*(_ratios(q, draw, budget) for draw in z), strict=True)
    each = torch.stack(with_own).mean(0)  # (N,)
    rate, mutual = float(kl_divergence(q, p, z).mean()), float(each.mean())
    upper = float(torch.stack(without).mean())
    return Information(rate, mutual, rate - mutual, upper, float(each.std() / math.sqrt(n)))


def _ratios(q: LatentDistribution, z: Tensor, budget: int) -> tuple[Tensor, Tensor]:
    """Return log q(z_n|x_n) - log q(z_n) for one draw a row, (N,), with the row's own term in q(z) and without it."""
    n, with_own, without = len(z), [], []
    for part in _pairs(q, z, budget):
        block = q.log_prob(z[part].unsqueeze(1))  # (n, N)
        at = torch.arange(len(block), device=z.device)
        own = block[at, at + part.start].clone()
        with_own.append(own - torch.logsumexp(block, 1) + math.log(n))
        block[at, at + part.start] = -torch.inf
        without.append(own - torch.logsumexp(block, 1) + math.log(n - 1))
    return torch.cat(with_own), torch.cat(without)


@torch.no_grad()
def aggregate_mmd(q: LatentDistribution, p: Distribution, noise: Tensor, seed: int = 0) -> float:
    """Return the squared MMD between one draw from each row's posterior and as many from the prior; 0 if they agree.

    Parameters
    ----------
    q : LatentDistribution
        Posterior of N rows.
    p : Distribution
        Prior, one for all rows.
    noise : Tensor of shape (N, K)
        Standard normal noise for the draws from q.
    seed : int, default=0
        Of the draws from p.

    See Also
    --------
    isthmus.evaluation.mmd : The distance, and its kernel.

    References
    ----------
    Zhao, Song & Ermon (2019), InfoVAE: Balancing Learning and Inference in Variational Autoencoders, section 3.2.

    Examples
    --------
    >>> q = DiagonalGaussian(torch.ones(300, 2), torch.zeros(300, 2))
    >>> p = DiagonalGaussian(torch.zeros(2), torch.zeros(2))
    >>> aggregate_mmd(q, p, torch.randn(300, 2, generator=torch.Generator().manual_seed(0))) > 0.1
    True
    """
    with seeded(seed, noise.device):
        prior = p.sample((len(noise),))
    return mmd(q.from_noise(noise.unsqueeze(0))[0], prior)


def rate_distortion(bound: Bound) -> RateDistortion:
    """Return the means over rows of the two parts of an ELBO.

    Parameters
    ----------
    bound : Bound
        Of :func:`elbo`.

    References
    ----------
    Alemi, Poole, Fischer, Dillon, Saurous & Murphy (2018), Fixing a Broken ELBO.

    Examples
    --------
    >>> rate_distortion(Bound(torch.tensor([-5.0]), torch.tensor([3.0]), torch.tensor([2.0])))
    RateDistortion(rate=2.0, distortion=3.0)
    """
    return RateDistortion(float(bound.kl.mean()), float(bound.reconstruction.mean()))
