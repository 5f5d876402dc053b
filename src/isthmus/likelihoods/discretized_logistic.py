"""The discretised logistic likelihood: integer grey values, as in 8-bit images."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from isthmus.likelihoods._base import FactorizedDistribution
from isthmus.likelihoods._location_scale import LocationScale

__all__ = ["DiscretizedLogistic"]

_MOST_LEVELS = 65536


@dataclass(eq=False, repr=False)
class DiscretizedLogistic(LocationScale):
    r"""The discretised logistic likelihood of levels 0, ..., L - 1: a logistic density, integrated over bins.

    With the levels at v(x) = 2 x / (L - 1) - 1, from -1 to 1, and half the distance between two, w = 1 / (L - 1),

    .. math::

        \log p(x|z) = \sum_d \log\Big[\sigma\Big(\frac{v(x_d) + w - f_d(z)}{s_d}\Big)
        - \sigma\Big(\frac{v(x_d) - w - f_d(z)}{s_d}\Big)\Big],

    where the bins of the first and the last level extend to minus and plus infinity.

    Parameters
    ----------
    scale : float or {"auto", "shared", "feature", "decoder"}, default="auto"
        s, in units in which the levels range from -1 to 1: a number fixes it; "shared" learns one for all features,
        "feature" one per feature; with "decoder" it is a function of z, s_d(z).
        "auto" is "decoder" in an estimator with a density if features have different units, otherwise "shared".
    min_scale : float, default=1e-3
        Lower bound of learned scales.
    n_levels : int, optional
        L: 256 for bytes. By default, the largest value in the training data plus 1; set it if test data may have
        larger values.

    Notes
    -----
    The data are not scaled; the encoder gets v(x). Divide ``score_samples`` by D log 2 for bits per dimension.

    References
    ----------
    Kingma et al. (2016), Improved Variational Inference with Inverse Autoregressive Flow, section 5.2; Salimans et al.
    (2017), PixelCNN++, equation 2.

    Examples
    --------
    >>> import torch
    >>> p = DiscretizedLogistic(scale=0.5, n_levels=3); p.build(3)
    >>> p.log_prob(torch.zeros(3), torch.tensor([0.0, 1.0, 2.0])).exp()  # levels at -1, 0 and 1
    tensor([0.2689, 0.4621, 0.2689])
    """

    n_levels: int | None = None

    default_scaling = "none"
    density = False
    interval_support = False
    transforms_input = True
    support_text = "that are whole numbers from 0 to n_levels - 1"

    def set_from_data(self, x: Tensor, weight: Tensor | None = None) -> None:  # noqa: ARG002 - levels have no weight
        """Set the number of levels if it is None: the largest value + 1, and at least 2."""
        if self.n_levels is None:
            self.n_levels = max(2, int(x.nan_to_num(0.0).max()) + 1)

    def build(self, n_features: int) -> None:
        """Make the parameter log s, with one or D elements, if it is learned.

        Raises
        ------
        ValueError
            If `scale` is wrong, or `n_levels` is None, below 2 or above 65536.
        """
        super().build(n_features)
        if self.n_levels is None or not 2 <= self.n_levels <= _MOST_LEVELS:
            raise ValueError(
                f"{self!r}: n_levels must be a whole number from 2 to {_MOST_LEVELS}, 256 for bytes; for counts "
                "without a bound take 'poisson' or 'negative_binomial'."
            )

    @property
    def _top(self) -> int:
        """The largest level."""
        assert self.n_levels is not None  # checked by build
        return self.n_levels - 1

    def supports(self, x: Tensor) -> Tensor:
        """Return where `x` is a whole number from 0 to L - 1."""
        return (x == x.round()) & (x >= 0) & (x <= self._top)

    def encoder_input(self, x: Tensor) -> Tensor:
        """Return v(x), in [-1, 1]."""
        return 2 * x / self._top - 1

    def initial_output(self, mean: Tensor) -> Tensor:
        """Return outputs for the means, and for s(z) = 1."""
        return super().initial_output(self.encoder_input(mean))

    def forward(self, h: Tensor) -> FactorizedDistribution:
        """Return the distribution over levels."""
        return FactorizedDistribution(self, h)

    def log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return log p(x_d|z), (..., D)."""
        centre, log_scale = self._centre_and_log_scale(h)
        rate = (-log_scale).exp()
        # sigma(a) - sigma(b) = sigma(a) sigma(-b) (1 - exp(b - a)) has no cancellation, and a - b is constant
        below = F.logsigmoid(((2 * x + 1) / self._top - 1 - centre) * rate)
        above = F.logsigmoid((centre + 1 - (2 * x - 1) / self._top) * rate)
        width = _log1mexp(math.log(2 / self._top) - log_scale)
        return torch.where(x <= 0, below, torch.where(x >= self._top, above, below + above + width))

    def mean(self, h: Tensor) -> Tensor:
        """Return E[x|z] = sum_k P(x >= k), (..., D), in a loop that makes no tensor (..., D, L)."""
        centre, log_scale = self._centre_and_log_scale(h)
        rate = (-log_scale).exp()
        total = torch.zeros_like(centre)
        for level in range(1, self._top + 1):
            total = total + torch.sigmoid((centre + 1 - (2 * level - 1) / self._top) * rate)
        return total

    def sample(self, h: Tensor) -> Tensor:
        """Draw levels, (..., D)."""
        centre, log_scale = self._centre_and_log_scale(h)
        value = centre + log_scale.exp() * torch.logit(torch.rand_like(centre))
        return (0.5 * (value + 1) * self._top).round().clamp(0, self._top)


def _log1mexp(log_w: Tensor) -> Tensor:
    """Return log(1 - exp(-w)) for w = exp(log_w) > 0, by its series where w is small."""
    small = log_w < -9
    w = torch.where(small, 0.0, log_w).exp()
    tiny = torch.where(small, log_w, -9.0).exp()
    return torch.where(small, log_w - tiny / 2, (-torch.expm1(-w)).log())
