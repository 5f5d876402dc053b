"""The aggregate posterior q(z) = 1/N sum_n q(z|x_n): mutual information, and distance from the prior."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution

from isthmus._chunks import chunks
from isthmus._distributions import LatentDistribution
from isthmus._random import seeded
from isthmus.evaluation.samples import mmd
from isthmus.kl import kl_divergence

__all__ = ["Information", "aggregate_log_prob", "aggregate_mmd", "information"]


class Information(NamedTuple):
    """The rate and its two parts, rate = mutual_information + aggregate_kl, in nats per sample.

    Attributes
    ----------
    rate : float
        Mean of KL(q(z|x) || p(z)).
    mutual_information : float
        I(x; z) between codes and samples, for a sample drawn from the N given ones: at most log N, and on average a
        lower bound of the mutual information in the population.
    aggregate_kl : float
        KL(q(z) || p(z)) of the aggregate posterior q(z) = 1/N sum_n q(z|x_n). If it is large, codes of samples and
        draws from the prior differ. It overestimates by as much as `mutual_information` underestimates.
    upper : float
        The same with the sample's own term left out of q(z), or the rate if that is smaller: on average both are upper
        bounds of the mutual information in the population. If it is far above `mutual_information`, N is too small.
    standard_error : float
        Standard error of `mutual_information`, from its spread over the samples.
    """

    rate: float
    mutual_information: float
    aggregate_kl: float
    upper: float
    standard_error: float


@torch.no_grad()
def aggregate_log_prob(q: LatentDistribution, z: Tensor, budget: int = 1 << 24) -> Tensor:
    r"""Return the log density of the aggregate posterior at codes, in nats.

    .. math:: \log q(z) = \log \frac1N \sum_n q(z|x_n)

    Parameters
    ----------
    q : LatentDistribution
        Posterior of N samples.
    z : Tensor of shape (M, K)
        Codes.
    budget : int, default=2**24
        Numbers that the largest tensor may hold; the cost is proportional to M N.

    Returns
    -------
    Tensor of shape (M,)

    References
    ----------
    Makhzani, Shlens, Jaitly, Goodfellow & Frey (2016), Adversarial Autoencoders, equation 1.

    Examples
    --------
    >>> from isthmus.posteriors import DiagonalNormal
    >>> posterior = DiagonalNormal(); posterior.build(2)
    >>> q = posterior(torch.zeros(5, 4))  # N(0, I) for each of five samples
    >>> aggregate_log_prob(q, torch.zeros(1, 2))
    tensor([-1.8379])
    """
    n = q.mean.shape[0]
    result = [torch.logsumexp(q.log_prob(z[part].unsqueeze(1)), 1) for part in _pairs(q, z, budget)]
    return torch.cat(result) - math.log(n)


def _pairs(q: LatentDistribution, z: Tensor, budget: int) -> list[slice]:
    """Return chunks of codes whose densities under all N posteriors stay within the budget."""
    return list(chunks(len(z), q.mean.numel() * q.numbers_per_unit, budget))


@torch.no_grad()
def information(q: LatentDistribution, p: Distribution, noise: Tensor, budget: int = 1 << 24) -> Information:
    r"""Return the rate, the mutual information and the aggregate posterior's divergence from the prior.

    .. math:: \frac1N \sum_n \mathrm{KL}(q(z|x_n) \| p(z)) = I(x; z) + \mathrm{KL}(q(z) \| p(z)), \qquad
        I(x; z) = \frac1N \sum_n E_{q(z|x_n)} \log \frac{q(z|x_n)}{\frac1N \sum_m q(z|x_m)}

    Parameters
    ----------
    q : LatentDistribution
        Posterior of N samples, at least two.
    p : Distribution
        Prior, the same for all samples.
    noise : Tensor of shape (S, N, K)
        Standard normal noise for the draws; S = 1 is enough for hundreds of samples.
    budget : int, default=2**24
        Numbers that the largest tensor may hold; the cost is proportional to S N^2.

    Returns
    -------
    Information

    Raises
    ------
    ValueError
        If there are fewer than two samples.

    References
    ----------
    Hoffman & Johnson (2016), ELBO surgery: yet another way to carve up the variational evidence lower bound; Poole et
    al. (2019), On Variational Bounds of Mutual Information, section 2.3, for the upper side.

    Examples
    --------
    >>> from isthmus.posteriors import DiagonalNormal
    >>> from isthmus.priors import StandardNormal
    >>> posterior, prior = DiagonalNormal(), StandardNormal()
    >>> posterior.build(1), prior.build(1)
    (None, None)
    >>> q = posterior(torch.tensor([[-9.0, 0.0], [9.0, 0.0]]))  # two samples whose codes never overlap
    >>> round(information(q, prior(), noise=torch.zeros(1, 2, 1)).mutual_information, 4)  # log 2
    0.6931
    """
    n = len(q.mean)
    if n < 2:
        raise ValueError(f"{n} sample(s): at least two are needed to compute a mutual information.")
    z = q.from_noise(noise)
    with_own, without = zip(*(_ratios(q, draw, budget) for draw in z), strict=True)
    each = torch.stack(with_own).mean(0)  # (N,)
    rate, mutual = float(kl_divergence(q, p, z).mean()), float(each.mean())
    # Without its own term, a code in many dimensions is far from all others, and the bound exceeds the rate.
    upper = min(float(torch.stack(without).mean()), rate)
    return Information(rate, mutual, rate - mutual, upper, float(each.std() / math.sqrt(n)))


def _ratios(q: LatentDistribution, z: Tensor, budget: int) -> tuple[Tensor, Tensor]:
    """Return log q(z_n|x_n) - log q(z_n) for one draw per sample, (N,), with its own term in q(z) and without it."""
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
    """Return the squared MMD between draws from the posteriors of the samples and from the prior, 0 if they agree.

    Parameters
    ----------
    q : LatentDistribution
        Posterior of N samples; one draw from each is used.
    p : Distribution
        Prior, the same for all samples; N draws are used.
    noise : Tensor of shape (N, K)
        Standard normal noise for the draws from q.
    seed : int, default=0
        Seed of the draws from p.

    Returns
    -------
    float

    See Also
    --------
    isthmus.evaluation.mmd : The distance and its kernel.

    References
    ----------
    Zhao, Song & Ermon (2019), InfoVAE: Balancing Learning and Inference in Variational Autoencoders, section 3.2.

    Examples
    --------
    >>> from isthmus.posteriors import DiagonalNormal
    >>> from isthmus.priors import StandardNormal
    >>> posterior, prior = DiagonalNormal(), StandardNormal()
    >>> posterior.build(2), prior.build(2)
    (None, None)
    >>> q = posterior(torch.tensor([1.0, 1.0, 0.0, 0.0]).expand(300, 4))  # all of mean (1, 1)
    >>> aggregate_mmd(q, prior(), torch.randn(300, 2, generator=torch.Generator().manual_seed(0))) > 0.1
    True
    """
    with seeded(seed, noise.device):
        prior = p.sample((len(noise),))
    return mmd(q.from_noise(noise.unsqueeze(0))[0], prior)
