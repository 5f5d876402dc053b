"""The Laplace likelihood: absolute errors instead of squared ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor
from torch.distributions import Laplace as TorchLaplace

from isthmus.likelihoods._location_scale import LocationScale

__all__ = ["Laplace"]

_LOG_2 = math.log(2)


@dataclass(eq=False, repr=False)
class Laplace(LocationScale):
    r"""The Laplace likelihood, p(x|z) = prod_d Laplace(x_d; f_d(z), b): f is the median, the loss the absolute error.

    .. math:: \log p(x|z) = -\sum_d \Big[\frac{|x_d - f_d(z)|}{b_d} + \log 2 b_d\Big]

    Parameters
    ----------
    scale : float or {"auto", "shared", "feature", "decoder"}, default="auto"
        b, the mean absolute error, in the units of the scaled data: a number fixes it; "shared" learns one for all
        features, "feature" one per feature; with "decoder" it is a function of z, b_d(z).
        "auto" is "decoder" in an estimator with a density if features have different units, otherwise "shared".
    min_scale : float, default=1e-3
        Lower bound of learned b; without it, a feature that is reproduced exactly would have infinite density.

    See Also
    --------
    StudentT : Heavier tails, whose weight is learned.

    References
    ----------
    Laplace (1774), Mémoire sur la probabilité des causes par les événements; Kotz, Kozubowski & Podgórski (2001),
    The Laplace Distribution and Generalizations, equation 2.1.1.

    Examples
    --------
    >>> import torch
    >>> p = Laplace(scale=1.0); p.build(2)
    >>> p.log_prob(torch.zeros(2), torch.tensor([0.0, 3.0]))
    tensor([-0.6931, -3.6931])
    """

    unit_variance = 2.0

    def forward(self, h: Tensor) -> TorchLaplace:
        """Return Laplace(f(z), b)."""
        centre, log_scale = self._centre_and_log_scale(h)
        return TorchLaplace(centre, log_scale.exp().expand_as(centre), validate_args=False)

    def log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return log p(x_d|z), (..., D)."""
        centre, log_scale = self._centre_and_log_scale(h)
        return -(x - centre).abs() * (-log_scale).exp() - (log_scale + _LOG_2)

    def smooth_log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return the log density of a normal distribution with the same Fisher information about f, (..., D)."""
        centre, log_scale = self._centre_and_log_scale(h)
        return -0.5 * (x - centre).square() * (-2 * log_scale).exp() - log_scale
