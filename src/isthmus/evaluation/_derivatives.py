"""First and second derivatives of functions of each sample, in all directions by one call."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Distribution

from isthmus._distributions import LatentDistribution
from isthmus._mixture import Mixture

__all__ = ["axes_of", "gradient", "gradient_and_hessian", "hessian_products", "jacobian"]


def axes_of(z: Tensor) -> Tensor:
    """Return the K unit vectors of the space of codes (N, K), for each of them: (K, N, K)."""
    return torch.eye(z.shape[-1]).to(z).unsqueeze(1).expand(-1, *z.shape)


@torch.enable_grad()
def jacobian(function: Callable[[Tensor], Tensor], z: Tensor) -> tuple[Tensor, Tensor]:
    """Return the values (N, O) of a function of codes (N, K), and their derivatives (K, N, O).

    J v is the derivative of J'u in u along v. Forward-mode differentiation is as fast, but compiles functions for a
    second when it is first used.
    """
    axes = axes_of(z)
    copies = z.detach().expand(axes.shape).requires_grad_()
    h = function(copies)
    u = torch.zeros_like(h, requires_grad=True)
    # Gradients of sums: torch imports sympy, which takes half a second, if gradients of several numbers are weighted.
    (product,) = torch.autograd.grad((u * h).sum(), copies, create_graph=True)
    return h[0].detach(), torch.autograd.grad((axes * product).sum(), u)[0]


@torch.enable_grad()
def gradient(function: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    """Return the gradient of the sum of a function."""
    z = z.detach().requires_grad_()
    return torch.autograd.grad(function(z).sum(), z)[0]


@torch.enable_grad()
def hessian_products(function: Callable[[Tensor], Tensor], z: Tensor, directions: Tensor) -> Tensor:
    """Return the products of the Hessian of the sum of a function with `directions` (A, ...), at `z` (...)."""
    copies = z.detach().expand(directions.shape).requires_grad_()
    (slope,) = torch.autograd.grad(function(copies).sum(), copies, create_graph=True)
    if not slope.requires_grad:  # of a linear function
        return torch.zeros_like(directions)
    return torch.autograd.grad((directions * slope).sum(), copies, materialize_grads=True)[0]


def gradient_and_hessian(p: Distribution, z: Tensor) -> tuple[Tensor, Tensor]:
    r"""Return the gradient (N, K) and the Hessian (N, K, K) of the log density at codes (N, K).

    For a mixture of normal distributions with precisions P_m, with the responsibilities r_m and
    g_m = -P_m (z - \mu_m), they are

    .. math:: g = \sum_m r_m g_m, \qquad \sum_m r_m (g_m g_m^\top - P_m) - g g^\top
    """
    parts = p.components if isinstance(p, Mixture) else p
    precision = parts.precision if isinstance(parts, LatentDistribution) else None
    if precision is None:
        return gradient(p.log_prob, z), hessian_products(p.log_prob, z, axes_of(z)).movedim(0, -1)
    if not isinstance(p, Mixture):
        return -(precision @ (z - p.mean).unsqueeze(-1)).squeeze(-1), -precision.expand(*z.shape, z.shape[-1])
    k = z.shape[-1]
    share = torch.softmax(p.log_weight + parts.log_prob(z.unsqueeze(-2)), -1)  # (N, M)
    shift = (precision @ parts.mean.unsqueeze(-1)).squeeze(-1)  # (M, K)
    each = shift - (z @ precision.reshape(-1, k).mT).unflatten(-1, (-1, k))  # (N, M, K)
    weighted = share.unsqueeze(-1) * each
    total = weighted.sum(1)
    curved = weighted.mT @ each - (share @ precision.flatten(1)).unflatten(-1, (k, k))
    return total, curved - total.unsqueeze(-1) * total.unsqueeze(-2)
