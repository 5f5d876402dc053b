"""The Gaussian likelihood, the notes' P(X|z) = N(f(z), sigma^2)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from isthmus.likelihoods._base import Likelihood

__all__ = ["Gaussian"]

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
# Adam moves every parameter by about the learning rate a step, and log sigma has far to go: from 0 to -3, say.
# It is therefore stored divided by this gain.
_GAIN = 10.0


@dataclass(eq=False, repr=False)
class Gaussian(Likelihood):
    r"""p(x|z) = prod_d N(x_d; f_d(z), sigma^2).

    .. math:: \log p(x|z) = -\sum_d \Big[\frac{(x_d - f_d(z))^2}{2\sigma_d^2} + \log\sigma_d + \tfrac12\log 2\pi\Big]

    Parameters
    ----------
    scale : float or {"shared", "feature", "decoder"}, default="shared"
        sigma, in the units of the scaled data: a number fixes it; "shared" learns one for all columns, "feature"
        one per column; with "decoder" it is a function of z, sigma_d(z).
    min_scale : float, default=1e-3
        Learned sigmas stay above it: a column that is reproduced exactly would have infinite density.

    References
    ----------
    Kingma & Welling (2014), Auto-Encoding Variational Bayes, appendix C.2; Rybkin, Daniilidis & Levine (2021),
    Simple and Effective VAE Training with Calibrated Decoders, for why sigma is learned.

    Examples
    --------
    >>> import torch
    >>> p = Gaussian(scale=1.0); p.build(2)
    >>> p.log_prob(torch.zeros(2), torch.zeros(2))
    tensor([-0.9189, -0.9189])
    """

    scale: float | str = "shared"
    min_scale: float = 1e-3

    def build(self, n_features: int) -> None:
        """Make log sigma, a parameter of one or D numbers, where it is learned.

        Raises
        ------
        ValueError
            If scale is neither positive nor one of the three names.
        """
        super().build(n_features)
        named = self.scale in ("shared", "feature", "decoder")
        if not named and not (isinstance(self.scale, (int, float)) and self.scale > 0):
            raise ValueError(
                f"Gaussian(scale={self.scale!r}): scale must be a positive number, 'shared', 'feature' or 'decoder'."
            )
        if self.scale in ("shared", "feature"):
            self.raw_log_scale = nn.Parameter(torch.zeros(n_features if self.scale == "feature" else 1))

    @property
    def n_outputs(self) -> int:
        """D means, and with scale="decoder" D logarithms of sigma."""
        return self.n_features * (2 if self.scale == "decoder" else 1)

    def initial_output(self, mean: Tensor) -> Tensor:
        """Start from the columns' means and sigma(z) = 1."""
        return torch.cat([mean, mean.new_zeros(self.n_outputs - self.n_features)])

    def _moments(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean (..., D) and log sigma, which broadcasts against it."""
        if isinstance(self.scale, (int, float)):
            return h, h.new_tensor(math.log(self.scale))
        if self.scale == "decoder":
            mean, log_scale = h.split(self.n_features, dim=-1)
        else:
            mean, log_scale = h, _GAIN * self.raw_log_scale
        floor = math.log(self.min_scale)
        return mean, floor + torch.nn.functional.softplus(log_scale - floor)

    def forward(self, h: Tensor) -> Normal:
        """Return N(f(z), sigma^2)."""
        mean, log_scale = self._moments(h)
        return Normal(mean, log_scale.exp().expand_as(mean), validate_args=False)

    def log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return log p(x_d|z), (..., D)."""
        mean, log_scale = self._moments(h)
        return -0.5 * (x - mean).square() * (-2 * log_scale).exp() - (log_scale + _HALF_LOG_2PI)

    def mean(self, h: Tensor) -> Tensor:
        """Return f(z), (..., D)."""
        return h[..., : self.n_features]
