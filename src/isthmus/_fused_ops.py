"""Sums over features with hand-written gradients, for which autograd would pass over the batch many times.

Each equals the plain expression up to rounding, can be differentiated twice, and is called by ``apply``. The last
dimension of the arguments is summed over.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

# Factors of a product, and one more if some are left over: 2^-64 is far from the smallest float32.
_FACTORS = 63

__all__ = ["LogisticLogProb", "SquaredDistance", "StandardKL"]


class LogisticLogProb(Function):
    r"""Compute :math:`\sum_d x_d h_d - \log(1 + e^{h_d})`, (...), the gradient of which is x - sigmoid(h).

    Arguments are logits `h` (..., D), and numbers `x` in [0, 1], which broadcast against `h`.
    """

    @staticmethod
    def forward(ctx: Any, h: Tensor, x: Tensor) -> Tensor:
        # x h - log(1 + e^h) = log sigmoid(|h|) - (max(h, 0) - x h). These sigmoids lie in [1/2, 1], so that the
        # logarithm of a product of many replaces as many logarithms: two thirds of the time of a softplus per cell.
        linear = torch.addcmul(torch.relu(h), x, h, value=-1).sum(-1)
        if ctx.needs_input_grad[0]:  # the backward pass needs sigmoid(h)
            p = torch.sigmoid(h)
            q = torch.rsub(p, 1)
            torch.maximum(p, q, out=q)
        else:
            p, q = None, h.abs().sigmoid_()
        ctx.save_for_backward(h, x, p)
        return _log_product(q).sub_(linear)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        h, x, p = ctx.saved_tensors
        g = g.unsqueeze(-1)
        for_h = None
        if ctx.needs_input_grad[0]:
            p = torch.sigmoid(h) if torch.is_grad_enabled() else p  # again, so that it can be differentiated
            for_h = (x - p).mul_(g)
        return for_h, (g * h).sum_to_size(x.shape) if ctx.needs_input_grad[1] else None


def _log_product(q: Tensor) -> Tensor:
    """Return the sum over features of log q, for q in [1/2, 1], as logarithms of products of many."""
    width = q.shape[-1]
    fewest = -(-width // _FACTORS)
    n = next((n for n in range(fewest, 2 * fewest) if width % n == 0), max(1, fewest))  # a divisor, if there is one
    size = width // n
    products = q[..., : n * size].unflatten(-1, (n, size)).prod(-1)
    left_over = width - n * size
    if left_over:
        products[..., :left_over].mul_(q[..., -left_over:])
    return products.log_().sum(-1)


class SquaredDistance(Function):
    r"""Compute :math:`\sum_d (x_d - h_d)^2`, (...), the gradient of which is 2 (h - x).

    Arguments are `h` (..., D) and `x`, which broadcasts against `h`.
    """

    @staticmethod
    def forward(ctx: Any, h: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(h, x)
        return (x - h).square_().sum(-1)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        h, x = ctx.saved_tensors
        for_h = (h - x).mul_((2 * g).unsqueeze(-1))
        return for_h, (-for_h).sum_to_size(x.shape) if ctx.needs_input_grad[1] else None


class StandardKL(Function):
    r"""Compute KL(N(mean, scale^2) || N(0, I)), (...), the gradient of which is mean and sigma^2 - 1.

    .. math:: \sum_k \tfrac12 (\mu_k^2 + \sigma_k^2 - 1) - \log\sigma_k

    Arguments are means and logarithms of standard deviations, (..., K).
    """

    @staticmethod
    def forward(ctx: Any, mean: Tensor, log_scale: Tensor) -> Tensor:
        excess = torch.expm1(log_scale + log_scale)  # the posterior's variance less the prior's
        ctx.save_for_backward(mean, log_scale, excess)
        halves = torch.addcmul(excess, mean, mean)
        return torch.sub(halves, log_scale, alpha=2).sum(-1).mul_(0.5)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_scale, excess = ctx.saved_tensors
        g = g.unsqueeze(-1)
        if torch.is_grad_enabled():  # so that it can be differentiated again
            excess = torch.expm1(log_scale + log_scale)
        return g * mean, excess * g
