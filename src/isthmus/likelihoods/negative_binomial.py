"""The negative binomial likelihood: counts that vary more than Poisson counts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor
from torch.distributions import NegativeBinomial as TorchNegativeBinomial
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from isthmus._tensor_shapes import TensorShape
from isthmus._torch_private import standard_gamma
from isthmus.likelihoods._counts import Counts, draw_counts, log_mean, negative_binomial, output_for_mean
from isthmus.likelihoods._positive import check_positive, learned, learned_shapes, log_learned, soft_floor

__all__ = ["NegativeBinomial"]


@dataclass(eq=False, repr=False)
class NegativeBinomial(Counts):
    r"""The negative binomial likelihood of counts with mean mu and variance mu + alpha mu^2.

    .. math::

        \log p(x|z) = \sum_d \log\frac{\Gamma(x_d + r)}{\Gamma(r)\, x_d!} + r\log\frac{r}{r + \mu_d(z)}
        + x_d\log\frac{\mu_d(z)}{r + \mu_d(z)}, \qquad r = 1/\alpha

    The likelihood is p(x|z) = prod_d NB(x_d; mu_d(z), alpha); the decoder outputs log mu.

    Parameters
    ----------
    dispersion : float or {"shared", "feature", "decoder"}, default="feature"
        alpha, without unit: the squared coefficient of variation minus 1 / mu, that of a Poisson count. A number fixes
        it; "shared" learns one for all features, "feature" one per feature; with "decoder" it is a function of z,
        alpha_d(z).
    min_dispersion : float, default=1e-6
        Lower bound of learned alpha; 0 would be the Poisson distribution.

    Notes
    -----
    The data are not scaled; the encoder gets log(1 + x), standardised. Above exp(30) the mean grows linearly with the
    decoder output, so that it does not overflow.

    See Also
    --------
    ZeroInflatedNegativeBinomial : Counts with more zeros.

    References
    ----------
    Hilbe (2011), Negative Binomial Regression, chapter 8 (its NB2); Lopez et al. (2018), Deep Generative Modeling for
    Single-Cell Transcriptomics.

    Examples
    --------
    >>> import torch
    >>> p = NegativeBinomial(dispersion=1.0); p.build(2)
    >>> p.log_prob(torch.zeros(2), torch.tensor([0.0, 2.0])).exp()  # geometric: 1/2, 1/4, 1/8, ...
    tensor([0.5000, 0.1250])
    """

    dispersion: float | str = "feature"
    min_dispersion: float = 1e-6

    def build(self, n_features: int) -> None:
        """Make the parameter log alpha, with one or D elements, if it is learned.

        Raises
        ------
        ValueError
            If `dispersion` is neither positive nor one of the three names.
        """
        super().build(n_features)
        check_positive(type(self).__name__, "dispersion", self.dispersion, self.min_dispersion)
        if self.dispersion in ("shared", "feature"):
            self.raw_log_dispersion = learned(self.dispersion, n_features)

    def tensor_shapes(self, n_features: int) -> Iterator[TensorShape]:
        """Yield the tensors that are saved."""
        yield from super().tensor_shapes(n_features)
        yield from learned_shapes("raw_log_dispersion", self.dispersion, n_features)

    def count_outputs(self, n_features: int) -> int:
        """Return the number of decoder outputs: D log mu, and with ``dispersion="decoder"`` D log alpha."""
        return n_features * (2 if self.dispersion == "decoder" else 1)

    def initial_output(self, mean: Tensor) -> Tensor:
        """Return outputs for the means, and for alpha(z) = 1."""
        return F.pad(output_for_mean(mean), (0, self.n_outputs - self.n_features))

    def _log_moments(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return log mu (..., D), and log r = -log alpha, which broadcasts with it."""
        if isinstance(self.dispersion, (int, float)):
            return log_mean(h), h.new_tensor(-math.log(self.dispersion))
        if self.dispersion == "decoder":
            h, log_dispersion = h.split(self.n_features, dim=-1)
        else:
            log_dispersion = log_learned(self.raw_log_dispersion)
        return log_mean(h), -soft_floor(self.min_dispersion, log_dispersion)

    def forward(self, h: Tensor) -> TorchNegativeBinomial:
        """Return NB(mu(z), alpha)."""
        log_mu, log_r = self._log_moments(h)
        return TorchNegativeBinomial(log_r.exp().expand_as(log_mu), logits=log_mu - log_r, validate_args=False)

    def log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return log p(x_d|z), (..., D)."""
        return negative_binomial(*self._log_moments(h), x)

    def mean(self, h: Tensor) -> Tensor:
        """Return mu(z), (..., D)."""
        return self._log_moments(h)[0].exp()

    def sample(self, h: Tensor) -> Tensor:
        """Draw counts, (..., D): Poisson counts with rates from a gamma distribution."""
        log_mu, log_r = self._log_moments(h)
        return draw_counts(standard_gamma(log_r.exp().expand_as(log_mu)) * (log_mu - log_r).exp())
