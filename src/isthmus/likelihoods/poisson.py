"""The Poisson likelihood: counts whose variance equals their mean."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.distributions import Poisson as TorchPoisson

from isthmus.likelihoods._counts import Counts, draw_counts, log_mean, output_for_mean, poisson

__all__ = ["Poisson"]


@dataclass(eq=False, repr=False)
class Poisson(Counts):
    r"""The Poisson likelihood of counts: p(x|z) = prod_d Poisson(x_d; lambda_d(z)). The decoder outputs log lambda.

    .. math:: \log p(x|z) = \sum_d x_d \log\lambda_d(z) - \lambda_d(z) - \log x_d!

    Notes
    -----
    The data are not scaled; the encoder gets log(1 + x), standardised. Above exp(30) the rate grows linearly with the
    decoder output, so that it does not overflow. The standard deviation of a count is the square root of its mean:
    if counts vary more, use NegativeBinomial.

    See Also
    --------
    NegativeBinomial : Counts whose variance is larger than their mean.
    ZeroInflatedPoisson : Counts with more zeros.

    References
    ----------
    Gopalan, Hofman & Blei (2015), Scalable Recommendation with Hierarchical Poisson Factorization; Zhao et al. (2020),
    Variational Autoencoders for Sparse and Overdispersed Discrete Data, section 2.

    Examples
    --------
    >>> import torch
    >>> p = Poisson(); p.build(2)
    >>> p.log_prob(torch.zeros(2), torch.tensor([0.0, 2.0]))  # -1 and -1 - log 2
    tensor([-1.0000, -1.6931])
    """

    def initial_output(self, mean: Tensor) -> Tensor:
        """Return the logarithms of the means."""
        return output_for_mean(mean)

    def forward(self, h: Tensor) -> TorchPoisson:
        """Return Poisson(lambda(z))."""
        return TorchPoisson(log_mean(h).exp(), validate_args=False)

    def log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return log p(x_d|z), (..., D)."""
        return poisson(log_mean(h), x)

    def sample(self, h: Tensor) -> Tensor:
        """Draw counts, (..., D)."""
        return draw_counts(log_mean(h).exp())
