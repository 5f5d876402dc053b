"""Checks of posteriors and priors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import gradcheck

from isthmus._activations import activation
from isthmus._distributions import DiagonalGaussian, LatentDistribution, PointMass
from isthmus._part import Part
from isthmus._random import seeded
from isthmus.posteriors import Posterior
from isthmus.priors import Prior
from isthmus.testing._parts import check_part
from isthmus.testing._state import check_state
from isthmus.testing._tools import BATCH_SHAPES, agreement, close, grid, normal, perturb, require

__all__ = ["check_posterior", "check_prior"]


def check_posterior(posterior: Posterior, n_components: int = 3) -> None:
    """Check a posterior: shapes, agreement of draws from noise with ``log_prob``, moments and gradients.

    Parameters
    ----------
    posterior : Posterior
        An unbuilt posterior.
    n_components : int, default=3
        K to build it for.

    Examples
    --------
    >>> from isthmus.posteriors import FullNormal
    >>> check_posterior(FullNormal())
    """
    check_part(posterior)
    built = posterior.clone()
    built.build(n_components)
    perturb(built)
    require(built.n_outputs >= n_components, f"{built!r}: needs at least K outputs, the first K for the mean.")
    for lead in BATCH_SHAPES:
        q = built(normal(*lead, built.n_outputs))
        noise = normal(5, *lead, n_components, seed=1)
        with seeded(0):
            drawn = q.rsample((5,))
        with seeded(0):
            same = q.from_noise(torch.randn(noise.shape, dtype=noise.dtype))
        require(
            q.mean.shape == (*lead, n_components) and q.event_shape == (n_components,),
            f"{built!r}: mean must be (..., K).",
        )
        require(q.from_noise(noise).shape == drawn.shape == noise.shape, f"{built!r}: draws must be (S, ..., K).")
        close(drawn, same, f"{built!r}: rsample must transport standard normal noise.")
        close(q.from_noise(noise[0]), q.from_noise(noise)[0], f"{built!r}: noise of one draw may come as (..., K).")
    h = normal(2, built.n_outputs, seed=2).requires_grad_()
    noise = normal(4, 2, n_components, seed=3)
    agrees = gradcheck(lambda h: built(h).from_noise(noise), (h,), raise_exception=False)
    require(agrees, f"{built!r}: the gradient of the draws must agree with finite differences.")
    if built.mean_activation is not None:
        code = activation(built.mean_activation)(h[..., :n_components])
        close(built(h).mean, code, f"{built!r}: mean must be mean_activation of the first K outputs.")
    _latent_density(built, built(h.detach()), noise)
    built.of_batch(h.detach(), torch.ones(len(h)).to(h))
    _posterior_state(built, n_components, h.detach())


def _posterior_state(built: Posterior, n_components: int, h: Tensor) -> None:
    def outputs(part: Any, inputs: list[Tensor]) -> list[Tensor]:
        return [part(*inputs).mean]

    check_state(built, lambda part: part.build(n_components), outputs, h)


def _latent_density(part: Part, q: LatentDistribution, noise: Tensor) -> None:
    z = q.from_noise(noise)
    if isinstance(q, PointMass):
        close(z, q.mean.expand(z.shape), f"{part!r}: every draw of a point mass must be the point.")
        return
    # log q(T(e)) = log N(e; 0, I) - log |det dT/de|: exact, for every draw
    jacobian = torch.autograd.functional.jacobian(lambda e: q.from_noise(e).sum((0, 1)), noise)  # (K, S, N, K)
    log_det = torch.linalg.slogdet(jacobian.permute(1, 2, 0, 3)).logabsdet
    log_noise = torch.distributions.Normal(torch.zeros_like(noise), 1.0).log_prob(noise).sum(-1)
    close(q.log_prob(z), log_noise - log_det, f"{part!r}: log_prob must be the density of transported noise.")
    try:
        variance = q.variance
    except NotImplementedError:  # then `mean` is the code, not the mean of draws
        return
    many = q.from_noise(normal(20_000, *noise.shape[1:], seed=4))
    error = (many.mean(0) - q.mean).abs() / (variance / len(many)).sqrt()
    require(error.max() < 5, f"{part!r}: the mean of draws must be `mean`.")
    close(many.var(0), variance, f"{part!r}: the variance of draws must be `variance`.", rtol=0.06)


def check_prior(prior: Prior, *, n_conditions: int = 0) -> None:
    """Check a prior: shapes, a density that integrates to one in one and two dimensions, gradients and samples.

    Parameters
    ----------
    prior : Prior
        An unbuilt prior.
    n_conditions : int, default=0
        C, for a prior that depends on a condition.

    Examples
    --------
    >>> from isthmus.priors import StandardNormal
    >>> check_prior(StandardNormal())
    """
    check_part(prior)
    for n_components in (1, 2):
        built = prior.clone()
        with seeded(0):
            built.build(n_components, 4, n_conditions)
        perturb(built)
        _prior_density(built, normal(n_conditions) if n_conditions else None)
        c = normal(3, n_conditions, seed=1) if n_conditions else None
        _prior_state(prior, n_components, c)
        z = normal(5, 3, n_components, seed=2).requires_grad_()
        log_p = built(c, _encoder(n_components)).log_prob(z)
        require(log_p.shape == (5, 3), f"{built!r}: log_prob must be (S, N) for codes (S, N, K), conditions (N, C).")
        log_p.square().sum().backward()
        idle = [name for name, p in built.named_parameters() if p.grad is None or not p.grad.any()]
        require(not idle or n_components == 1, f"{built!r}: no gradient reaches {idle}.")
        p, own = built(c, _encoder(n_components)), z[:1].detach().requires_grad_()
        agrees = gradcheck(p.log_prob, (own,), raise_exception=False)
        require(agrees, f"{built!r}: the gradient of log_prob must agree with finite differences.")


def _prior_state(prior: Prior, n_components: int, c: Tensor | None) -> None:
    n_conditions = 0 if c is None else c.shape[1]
    seen = prior.clone()
    with seeded(0):
        seen.build(n_components, 4, n_conditions)
        seen.init_from_data(normal(20, 4, seed=6))
    perturb(seen)

    def outputs(part: Any, inputs: list[Tensor]) -> list[Tensor]:
        z, *c = inputs
        return [part(c[0] if c else None, _encoder(n_components)).log_prob(z)]

    inputs = [normal(5, 3, n_components, seed=2), *([] if c is None else [c])]
    check_state(seen, lambda part: part.build(n_components, 4, n_conditions), outputs, *inputs)


def _encoder(n_components: int) -> Callable[[Tensor], LatentDistribution]:
    """Return an encoder of four features, for priors that are mixtures of posteriors."""
    return lambda x: DiagonalGaussian(x[..., :n_components], 0.3 * x[..., -n_components:])


def _prior_density(prior: Prior, c: Tensor | None) -> None:
    k = prior.n_components
    p = prior(c, _encoder(k))
    require(p.batch_shape == () and p.event_shape == (k,), f"{prior!r}: p(z) must be one density on R^K.")
    points, weights = grid((-np.inf, np.inf), True)
    if k == 2:  # coarser, and less exact where the density has kinks, as that of a flow has
        near = points.abs() < 100
        points, weights = points[near][::50], 50 * weights[near][::50]
    z = torch.cartesian_prod(*[points] * k).reshape(-1, k)
    w = torch.cartesian_prod(*[weights] * k).reshape(len(z), -1).prod(-1)
    with torch.no_grad(), seeded(0):
        mass, samples = p.log_prob(z).exp() * w, p.sample((5000,))
    one = torch.ones((), dtype=mass.dtype)
    close(mass.sum(), one, f"{prior!r}: must integrate to one.", rtol=1e-3 if k == 1 else 5e-3)
    require(samples.shape == (5000, k) and samples.dtype == z.dtype, f"{prior!r}: sample must be (S, K).")
    if k == 1:
        fit = agreement(samples[:, 0].numpy(), points.numpy(), mass.numpy(), True)
        require(fit > 1e-3, f"{prior!r}: samples must agree with log_prob (p = {fit:.2g}).")
