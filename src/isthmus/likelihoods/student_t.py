"""The Student-t likelihood: the loss of an outlier grows with the logarithm of its distance, not its square."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import StudentT as TorchStudentT

from isthmus._tensor_shapes import TensorShape
from isthmus.likelihoods._location_scale import LocationScale
from isthmus.likelihoods._positive import check_positive, learned, learned_shapes, log_learned, soft_floor

__all__ = ["StudentT"]

_HALF_LOG_PI = 0.5 * math.log(math.pi)
_LOG_INITIAL_DF = math.log(10.0)


@dataclass(eq=False, repr=False)
class StudentT(LocationScale):
    r"""The Student-t likelihood, for data with outliers: p(x|z) = prod_d t(x_d; f_d(z), s, nu).

    .. math::

        \log p(x|z) = \sum_d \Big[\log\Gamma\big(\tfrac{\nu+1}2\big) - \log\Gamma\big(\tfrac\nu2\big)
        - \tfrac12\log\pi\nu - \log s_d
        - \tfrac{\nu+1}2 \log\Big(1 + \frac{(x_d - f_d(z))^2}{\nu s_d^2}\Big)\Big]

    Parameters
    ----------
    scale : float or {"auto", "shared", "feature", "decoder"}, default="auto"
        s, in the units of the scaled data: a number fixes it; "shared" learns one for all features, "feature" one
        per feature; with "decoder" it is a function of z, s_d(z). The standard deviation is s sqrt(nu / (nu - 2)).
        "auto" is "decoder" in an estimator with a density if features have different units, otherwise "shared".
    min_scale : float, default=1e-3
        Lower bound of learned s; without it, a feature that is reproduced exactly would have infinite density.
    df : float or {"shared", "feature"}, default="shared"
        nu, the degrees of freedom: a number fixes it; "shared" learns one for all features, "feature" one per
        feature. 1 is the Cauchy distribution; for large values, it approaches the normal distribution.
    min_df : float, default=1.0
        Lower bound of learned nu; above 1 the mean exists, above 2 the variance.

    Notes
    -----
    ``mean`` is f(z), which is only the median if nu <= 1.

    References
    ----------
    Lange, Little & Taylor (1989), Robust Statistical Modeling Using the t Distribution, equation 1; Takahashi et al.
    (2018), Student-t Variational Autoencoder for Robust Density Estimation.

    Examples
    --------
    >>> import torch
    >>> p = StudentT(scale=1.0, df=1.0); p.build(2)
    >>> p.log_prob(torch.zeros(2), torch.tensor([0.0, 1e10]))  # -log pi and -log pi - 2 log 1e10
    tensor([ -1.1447, -47.1964])
    """

    df: float | str = "shared"
    min_df: float = 1.0

    def build(self, n_features: int) -> None:
        """Make the parameters log s and log nu, each with one or D elements, if they are learned.

        Raises
        ------
        ValueError
            If `scale` or `df` is neither positive nor one of its names.
        """
        super().build(n_features)
        check_positive(type(self).__name__, "df", self.df, self.min_df, ("shared", "feature"))
        if isinstance(self.df, str):
            self.raw_log_df = learned(self.df, n_features)

    def tensor_shapes(self, n_features: int) -> Iterator[TensorShape]:
        """Yield the tensors that are saved."""
        yield from super().tensor_shapes(n_features)
        yield from learned_shapes("raw_log_df", self.df, n_features)

    def _df(self, h: Tensor) -> Tensor:
        """Return nu, () or (1,) or (D,)."""
        if isinstance(self.df, (int, float)):
            return h.new_tensor(self.df)
        return soft_floor(self.min_df, _LOG_INITIAL_DF + log_learned(self.raw_log_df)).exp()

    unit_variance = 1.25  # at the initial 10 degrees of freedom

    def forward(self, h: Tensor) -> TorchStudentT:
        """Return t(f(z), s, nu)."""
        centre, log_scale = self._centre_and_log_scale(h)
        scale, df = (v.expand_as(centre) for v in (log_scale.exp(), self._df(h)))
        return TorchStudentT(df, centre, scale, validate_args=False)

    def log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return log p(x_d|z), (..., D)."""
        centre, log_scale = self._centre_and_log_scale(h)
        df = self._df(h)
        far = (x - centre) * (-log_scale - 0.5 * df.log()).exp()
        constant = _log_gamma_step(0.5 * df) - 0.5 * df.log() - _HALF_LOG_PI
        return constant - log_scale - 0.5 * (df + 1) * _log_one_plus_square(far)


def _log_gamma_step(a: Tensor) -> Tensor:
    """Return log Gamma(a + 1/2) - log Gamma(a), by a series where the difference would lose digits."""
    large = a > 30
    small, b = torch.where(large, 1.0, a), torch.where(large, a, 30.0)
    series = 0.5 * b.log() - 1 / (8 * b) + 1 / (192 * b**3) - 1 / (640 * b**5)
    return torch.where(large, series, torch.lgamma(small + 0.5) - torch.lgamma(small))


def _log_one_plus_square(t: Tensor) -> Tensor:
    """Return log(1 + t^2), also where t^2 overflows."""
    far = t.abs() > 1
    near = torch.log1p(torch.where(far, 0.0, t).square())
    return torch.where(far, 2 * torch.hypot(torch.where(far, t, 1.0), torch.ones_like(t)).log(), near)
