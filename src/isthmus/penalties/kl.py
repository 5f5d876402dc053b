"""The KL divergence of the posterior from the prior."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution

from isthmus._distributions import DiagonalGaussian
from isthmus.kl import kl_divergence, kl_per_unit
from isthmus.penalties._base import EncodedBatch, Penalty, Warmup, mean_over_samples

__all__ = ["KL"]


@dataclass(eq=False, repr=False)
class KL(Penalty):
    r"""The divergence KL(q(z|x) || p(z)), in closed form if there is one; with weight 1 the loss is the negative ELBO.

    Parameters
    ----------
    weight : float or Warmup, default=1.0
        beta.
    free_bits : float, default=0.0
        Nats that every latent unit may use without penalty: its mean divergence over the batch counts only above this
        value, and has no gradient below it. Needs a posterior and a prior with independent units.

    References
    ----------
    Kingma & Welling (2014); Higgins et al. (2017), beta-VAE; Kingma et al. (2016), Improved Variational
    Inference with Inverse Autoregressive Flow, appendix C.8, for free bits.
    """

    weight: float | Warmup = 1.0
    free_bits: float = 0.0

    def forward(self, batch: EncodedBatch) -> Tensor:
        """Return KL(q || p), (N,).

        Raises
        ------
        ValueError
            If `free_bits` is positive and the latent units are not independent.
        """
        prior: Distribution = batch.model.p_z(batch.c)
        if not self.free_bits:
            return kl_divergence(batch.q, prior, batch.z)
        if not (isinstance(batch.q, DiagonalGaussian) and isinstance(prior, DiagonalGaussian)):
            raise ValueError(
                "free_bits needs independent latent units: posterior='diagonal_normal', prior='standard_normal'."
            )
        units = kl_per_unit(batch.q, prior)  # (N, K)
        mean = mean_over_samples(units, batch.weight)
        return torch.where(mean > self.free_bits, units, self.free_bits).sum(-1)
