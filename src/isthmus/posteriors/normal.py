"""Normal distributions of codes, with a diagonal or a full covariance matrix."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus._distributions import DiagonalGaussian, FullGaussian, bounded_log_scale, raw_log_scale
from isthmus.posteriors._base import Posterior

__all__ = ["DiagonalNormal", "FullNormal"]


@dataclass(eq=False, repr=False)
class DiagonalNormal(Posterior):
    r"""A normal distribution with independent units, whose means and scales are encoder outputs.

    .. math:: q(z|x) = N(z; \mu(x), \mathrm{diag}(\sigma(x)^2))

    The second K outputs are log sigma, which a scaled tanh keeps between -8 and 8.

    References
    ----------
    Kingma & Welling (2014), Auto-Encoding Variational Bayes, appendix C.2.

    Examples
    --------
    >>> import torch
    >>> q = DiagonalNormal(); q.build(2)
    >>> q(torch.zeros(5, 4)).variance.shape
    torch.Size([5, 2])
    """

    starts_linear = True

    def count_outputs(self, n_components: int) -> int:
        """Return 2 K: means, then logarithms of standard deviations."""
        return 2 * n_components

    def linear_outputs(self, weight: Tensor, bias: Tensor, log_scale: Tensor) -> tuple[Tensor, Tensor]:
        """Return weight and bias of a linear encoder."""
        return torch.cat([weight, torch.zeros_like(weight)]), torch.cat([bias, raw_log_scale(log_scale)])

    def forward(self, h: Tensor) -> DiagonalGaussian:
        """Return N(mu, diag(sigma^2))."""
        mean, raw = h.split(self.n_components, dim=-1)
        return DiagonalGaussian(mean, bounded_log_scale(raw))


@dataclass(eq=False, repr=False)
class FullNormal(Posterior):
    r"""A normal distribution with a full covariance matrix, given by its Cholesky factor L.

    .. math:: q(z|x) = N(z; \mu(x), L(x) L(x)^\top)

    The outputs are K means, K logarithms of the diagonal of L and the K (K - 1) / 2 numbers below it.

    References
    ----------
    Kingma & Welling (2019), An Introduction to Variational Autoencoders, section 2.5.1.

    Examples
    --------
    >>> import torch
    >>> q = FullNormal(); q.build(3)
    >>> q.n_outputs, q(torch.zeros(5, 9)).scale_tril.shape
    (9, torch.Size([5, 3, 3]))
    """

    starts_linear = True

    def build(self, n_components: int) -> None:
        """Store the indices of the numbers below the diagonal."""
        super().build(n_components)
        self.register_buffer("below", torch.tril_indices(n_components, n_components, -1), persistent=False)

    def count_outputs(self, n_components: int) -> int:
        """Return K + K (K + 1) / 2."""
        return n_components + n_components * (n_components + 1) // 2

    @property
    def numbers_per_row(self) -> int:
        """K^2, for the Cholesky factor."""
        return self.n_components**2

    def linear_outputs(self, weight: Tensor, bias: Tensor, log_scale: Tensor) -> tuple[Tensor, Tensor]:
        """Return weight and bias of a linear encoder."""
        more = self.n_outputs - self.n_components
        return (
            torch.cat([weight, weight.new_zeros(more, weight.shape[1])]),
            torch.cat([bias, raw_log_scale(log_scale), bias.new_zeros(more - self.n_components)]),
        )

    def forward(self, h: Tensor) -> FullGaussian:
        """Return N(mu, L L')."""
        k = self.n_components
        mean, raw, below = h.split([k, k, self.n_outputs - 2 * k], dim=-1)
        rows, columns = self.get_buffer("below")
        tril = torch.diag_embed(bounded_log_scale(raw).exp())
        tril[..., rows, columns] = below
        return FullGaussian(mean, tril)
