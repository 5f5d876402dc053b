"""Penalties that make codes sparse."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from isthmus.penalties._base import EncodedBatch, Penalty, Warmup, mean_over_samples

__all__ = ["L1", "KLSparsity"]


@dataclass(eq=False, repr=False)
class L1(Penalty):
    r"""The L1 norm of the code, with each unit weighted by the norm of its decoder column, E sum_k \|z_k\| ||W_k||.

    Without the norms, a network lowers the penalty at no cost: it shrinks the codes and scales the decoder up. Behind
    the first layer of a deep decoder, the norm is multiplied by the gain of every later layer, the root mean square of
    its singular values, because later layers could be scaled up as well; the norm of a skip connection is added.
    Without ``decoder_weights`` there are no weights.

    Parameters
    ----------
    weight : float or Warmup, default=1.0
        Nats per unit of \|z\|.

    References
    ----------
    Bricken et al. (2023), Towards Monosemanticity; Conerly et al. (2024), Update on How We Train SAEs.
    """

    weight: float | Warmup = 1.0

    def forward(self, batch: EncodedBatch) -> Tensor:
        """Return the weighted L1 norm of the codes, (N,)."""
        size = batch.z.abs()
        weights = batch.model.network.decoder_weights()
        if weights:
            first, *later = weights
            norms = first.norm(dim=0)  # (K,)
            for weight in later:
                norms = norms * (weight.norm() / math.sqrt(min(weight.shape)))
            skip = batch.model.network.decoder_skip()
            norms = norms if skip is None else norms + skip.norm(dim=0)
            size = size * norms
        return size.sum(-1).mean(0)


@dataclass(eq=False, repr=False)
class KLSparsity(Penalty):
    r"""The penalty sum_k KL(rho || rho_k), with the mean activation rho_k of unit k over the **samples** of a batch.

    .. math:: \mathrm{KL}(\rho\|\hat\rho_k) = \rho\log\frac{\rho}{\hat\rho_k} + (1-\rho)\log\frac{1-\rho}{1-\hat\rho_k}

    Parameters
    ----------
    weight : float or Warmup, default=1.0
        Weight of the sum.
    rho : float, default=0.05
        Target mean activation of a unit, in (0, 1).

    Notes
    -----
    Codes have to lie in (0, 1): use ``code_activation="sigmoid"``. The term is computed from the batch, and is the
    same for each of its samples.

    References
    ----------
    Ng (2011), CS294A Lecture Notes: Sparse Autoencoder.
    """

    weight: float | Warmup = 1.0
    rho: float = 0.05
    alias = "kl_sparsity"

    def forward(self, batch: EncodedBatch) -> Tensor:
        """Return the divergence of the batch, (N,), the same for every sample.

        Raises
        ------
        ValueError
            If codes need not lie in (0, 1), or `rho` does not.
        """
        if not 0 < self.rho < 1:
            raise ValueError(f"{self!r}: rho must lie strictly between 0 and 1.")
        if batch.model.posterior.mean_activation != "sigmoid":
            raise ValueError("kl_sparsity needs codes in (0, 1): set code_activation='sigmoid'.")
        mean = mean_over_samples(batch.z.mean(0), batch.weight).clamp(1e-6, 1 - 1e-6)
        on = self.rho * (math.log(self.rho) - mean.log())
        off = (1 - self.rho) * (math.log(1 - self.rho) - (1 - mean).log())
        return (on + off).sum().expand(batch.z.shape[1])
