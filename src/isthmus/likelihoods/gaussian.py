"""The Gaussian likelihood, p(x|z) = N(f(z), sigma^2)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor
from torch.distributions import Normal

from isthmus._fused_ops import SquaredDistance
from isthmus.likelihoods._location_scale import LocationScale

__all__ = ["Gaussian"]

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


@dataclass(eq=False, repr=False)
class Gaussian(LocationScale):
    r"""The Gaussian likelihood: p(x|z) = prod_d N(x_d; f_d(z), sigma^2).

    .. math:: \log p(x|z) = -\sum_d \Big[\frac{(x_d - f_d(z))^2}{2\sigma_d^2} + \log\sigma_d + \tfrac12\log 2\pi\Big]

    Parameters
    ----------
    scale : float or {"auto", "shared", "feature", "decoder"}, default="auto"
        sigma, in the units of the scaled data: a number fixes it; "shared" learns one for all features, "feature"
        one per feature; with "decoder" it is a function of z, sigma_d(z).
        "auto" is "decoder" in an estimator with a density if features have different units, otherwise "shared".
    min_scale : float, default=1e-3
        Lower bound of learned sigmas; without it, a feature that is reproduced exactly would have infinite density.

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

    def forward(self, h: Tensor) -> Normal:
        """Return N(f(z), sigma^2)."""
        mean, log_scale = self._centre_and_log_scale(h)
        return Normal(mean, log_scale.exp().expand_as(mean), validate_args=False)

    def marginal(self, h: Tensor, column: int) -> Normal:
        """Return N(f_d(z), sigma_d^2)."""
        p = self(h)
        return Normal(p.loc[..., column], p.scale[..., column], validate_args=False)

    def log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return log p(x_d|z), (..., D)."""
        mean, log_scale = self._centre_and_log_scale(h)
        return -0.5 * (x - mean).square() * (-2 * log_scale).exp() - (log_scale + _HALF_LOG_2PI)

    def row_log_prob(self, h: Tensor, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return log p(x|z), (...)."""
        if mask is not None or self.scale in ("feature", "decoder"):
            return super().row_log_prob(h, x, mask)
        mean, log_scale = self._centre_and_log_scale(h)  # one sigma for all features
        log_scale = log_scale.reshape(())
        halves = SquaredDistance.apply(mean, x) * (-2 * log_scale).exp()  # type: ignore[no-untyped-call]
        return -0.5 * halves - self.n_features * (log_scale + _HALF_LOG_2PI)
