r"""The Kullback-Leibler divergence KL(q || p): in closed form where there is one, by Monte Carlo otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from isthmus._distributions import DiagonalGaussian, FullGaussian, PointMass
from isthmus._fused_ops import StandardKL

__all__ = ["kl_divergence", "kl_per_unit", "register"]

_CLOSED: dict[tuple[type, type], Callable[[Any, Any], Tensor]] = {}


def register(q: type, p: type) -> Callable[[Callable[[Any, Any], Tensor]], Callable[[Any, Any], Tensor]]:
    """Return a decorator that registers a function of (q, p) as the closed form for two classes of distributions.

    Parameters
    ----------
    q, p : type
        Classes of distributions; subclasses do not inherit the closed form.

    Examples
    --------
    >>> class Mine(DiagonalGaussian):
    ...     pass
    >>> @register(Mine, DiagonalGaussian)
    ... def _(q, p):
    ...     return kl_per_unit(q, p).sum(-1)
    """

    def enter(function: Callable[[Any, Any], Tensor]) -> Callable[[Any, Any], Tensor]:
        _CLOSED[q, p] = function
        return function

    return enter


def kl_divergence(q: Distribution, p: Distribution, z: Tensor | None = None) -> Tensor:
    r"""Return KL(q || p) in nats, for each element of the batch of q.

    .. math:: \mathrm{KL}(q \| p) = E_{q}[\log q(z) - \log p(z)] \approx \frac1S \sum_s \log q(z_s) - \log p(z_s)

    Parameters
    ----------
    q, p : Distribution
        Distributions on R^K.
    z : Tensor of shape (S, ..., K), optional
        Draws from q, which are needed and used only if the pair has no closed form.

    Returns
    -------
    Tensor of shape (...)
        The closed form if there is one, otherwise the mean over the draws.

    Raises
    ------
    ValueError
        If q is a point mass, whose divergence from any density is infinite, or if draws are needed but not given.

    References
    ----------
    Kullback & Leibler (1951), On Information and Sufficiency.

    Examples
    --------
    >>> import torch
    >>> zeros = torch.zeros(2)
    >>> kl_divergence(DiagonalGaussian(torch.ones(2), zeros), DiagonalGaussian(zeros, zeros))
    tensor(1.)
    """
    if isinstance(q, PointMass):
        raise ValueError("KL(q || p) is infinite for a point posterior; use 'diagonal_normal' or 'full_normal'.")
    closed = _CLOSED.get((type(q), type(p)))
    if closed is not None:
        return closed(q, p)
    if z is None:
        raise ValueError(
            f"KL({type(q).__name__} || {type(p).__name__}) has no closed form here and needs draws z from q."
        )
    return (q.log_prob(z) - p.log_prob(z)).mean(0)


def kl_per_unit(q: DiagonalGaussian, p: DiagonalGaussian) -> Tensor:
    r"""Return KL(q || p) of each unit, (..., K), in nats.

    .. math:: \tfrac12 \big[(\mu_q-\mu_p)^2/\sigma_p^2 + \sigma_q^2/\sigma_p^2 - 1 - \log(\sigma_q^2/\sigma_p^2)\big]

    Parameters
    ----------
    q, p : DiagonalGaussian
        Gaussians with independent units.

    References
    ----------
    Kingma & Welling (2014), Auto-Encoding Variational Bayes, appendix B.

    Examples
    --------
    >>> import torch
    >>> zeros = torch.zeros(2)
    >>> kl_per_unit(DiagonalGaussian(torch.tensor([1.0, 0.0]), zeros), DiagonalGaussian(zeros, zeros))
    tensor([0.5000, 0.0000])
    """
    log_ratio = q.log_scale - p.log_scale
    shift = (q.mean - p.mean) * (-p.log_scale).exp()
    return 0.5 * (shift.square() + torch.expm1(2 * log_ratio)) - log_ratio


@register(DiagonalGaussian, DiagonalGaussian)
def _(q: DiagonalGaussian, p: DiagonalGaussian) -> Tensor:
    if p.standard:
        return StandardKL.apply(q.mean, q.log_scale)  # type: ignore[no-untyped-call]
    return kl_per_unit(q, p).sum(-1)


@register(FullGaussian, DiagonalGaussian)
def _(q: FullGaussian, p: DiagonalGaussian) -> Tensor:
    precision = (-2 * p.log_scale).exp()
    trace = (q.variance * precision).sum(-1)
    shift = ((q.mean - p.mean).square() * precision).sum(-1)
    log_det = p.log_scale.sum(-1) - q.scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    return 0.5 * (trace + shift - q.mean.shape[-1]) + log_det


@register(FullGaussian, FullGaussian)
def _(q: FullGaussian, p: FullGaussian) -> Tensor:
    half = torch.linalg.solve_triangular(p.scale_tril, q.scale_tril, upper=False)
    shift = torch.linalg.solve_triangular(p.scale_tril, (q.mean - p.mean).unsqueeze(-1), upper=False)
    log_p, log_q = (d.scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1) for d in (p, q))
    return 0.5 * (half.square().sum((-2, -1)) + shift.square().sum((-2, -1)) - q.mean.shape[-1]) + log_p - log_q


@register(DiagonalGaussian, FullGaussian)
def _(q: DiagonalGaussian, p: FullGaussian) -> Tensor:
    return kl_divergence(FullGaussian(q.mean, torch.diag_embed(q.log_scale.exp())), p)
