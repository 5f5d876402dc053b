"""The checks of posteriors and priors."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.autograd import gradcheck

from isthmus._activations import activation
from isthmus._distributions import Latent, PointMass
from isthmus._part import Part
from isthmus._torch import seeded
from isthmus.posteriors import Posterior
from isthmus.priors import Prior
from isthmus.testing._parts import check_part
from isthmus.testing._tools import LEADS, agreement, close, grid, normal, require, stir

__all__ = ["check_posterior", "check_prior"]


def check_posterior(posterior: Posterior, n_latent: int = 3) -> None:
    """Check a posterior: shapes, transport of noise against its own log_prob, moments and gradients.

    Parameters
    ----------
    posterior : Posterior
        Unbuilt.
    n_latent : int, default=3
        K to build it for.

    Examples
    --------
    >>> from isthmus.posteriors import FullNormal
    >>> check_posterior(FullNormal())
    """
    check_part(posterior)
    built = posterior.clone()
    built.build(n_latent)
    stir(built)
    require(built.n_outputs >= n_latent, f"{built!r}: needs at least K outputs, of which K are the mean's.")
    for lead in LEADS:
        q = built(normal(*lead, built.n_outputs))
        noise = normal(5, *lead, n_latent, seed=1)
        with seeded(0):
            drawn = q.rsample((5,))
        with seeded(0):
            same = q.transport(torch.randn(noise.shape, dtype=noise.dtype))
        require(
            q.mean.shape == (*lead, n_latent) and q.event_shape == (n_latent,), f"{built!r}: mean must be (..., K)."
        )
        require(q.transport(noise).shape == drawn.shape == noise.shape, f"{built!r}: draws must be (S, ..., K).")
        close(drawn, same, f"{built!r}: rsample must transport standard normal noise.")
    h = normal(2, built.n_outputs, seed=2).requires_grad_()
    noise = normal(4, 2, n_latent, seed=3)
    require(gradcheck(lambda h: built(h).transport(noise), (h,)), f"{built!r}: gradient of the draws")
    if built.mean_activation is not None:
        code = activation(built.mean_activation)(h[..., :n_latent])
        close(built(h).mean, code, f"{built!r}: mean must be mean_activation of the first K outputs.")
    _latent_density(built, built(h.detach()), noise)


def _latent_density(part: Part, q: Latent, noise: Tensor) -> None:
    z = q.transport(noise)
    if isinstance(q, PointMass):
        close(z, q.mean.expand(z.shape), f"{part!r}: every draw of a point mass must be the point.")
        return
    # log q(T(e)) = log N(e; 0, I) - log |det dT/de|: exact, for every draw
    jacobian = torch.autograd.functional.jacobian(lambda e: q.transport(e).sum((0, 1)), noise)  # (K, S, N, K)
    log_det = torch.linalg.slogdet(jacobian.permute(1, 2, 0, 3)).logabsdet
    log_noise = torch.distributions.Normal(torch.zeros_like(noise), 1.0).log_prob(noise).sum(-1)
    close(q.log_prob(z), log_noise - log_det, f"{part!r}: log_prob must be the density of transported noise.")
    many = q.transport(normal(20_000, *noise.shape[1:], seed=4))
    error = (many.mean(0) - q.mean).abs() / (q.variance / len(many)).sqrt()
    require(error.max() < 5, f"{part!r}: draws must have the mean that it states.")
    close(many.var(0), q.variance, f"{part!r}: draws must have the variance that it states.", rtol=0.06)


def check_prior(prior: Prior) -> None:
    """Check a prior: shapes, a density that integrates to one in one and two dimensions, and its samples.

    Parameters
    ----------
    prior : Prior
        Unbuilt.

    Examples
    --------
    >>> from isthmus.priors import StandardNormal
    >>> check_prior(StandardNormal())
    """
    check_part(prior)
    for n_latent in (1, 2):
        built = prior.clone()
        built.build(n_latent)
        stir(built)
        p = built()
        require(p.batch_shape == () and p.event_shape == (n_latent,), f"{built!r}: p(z) must be one density on R^K.")
        points, weights = (v[::100] if n_latent == 2 else v for v in grid((-np.inf, np.inf), True))
        z = torch.cartesian_prod(*[points] * n_latent).reshape(-1, n_latent)
        w = torch.cartesian_prod(*[weights * (100 if n_latent == 2 else 1)] * n_latent).reshape(len(z), -1).prod(-1)
        with torch.no_grad(), seeded(0):
            mass, samples = p.log_prob(z).exp() * w, p.sample((5000,))
        close(mass.sum(), torch.ones_like(mass[0]), f"{built!r}: must integrate to one.", rtol=1e-6)
        require(samples.shape == (5000, n_latent), f"{built!r}: sample must be (S, K).")
        if n_latent == 1:
            fit = agreement(samples[:, 0].numpy(), points.numpy(), mass.numpy(), True)
            require(fit > 1e-3, f"{built!r}: samples must agree with log_prob (p = {fit:.2g}).")
