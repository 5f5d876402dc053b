"""Samples of a model together with what belongs to each of them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution

from isthmus._distributions import LatentDistribution
from isthmus.model import Model

__all__ = ["Rows"]


class Rows(NamedTuple):
    """N samples of a model.

    Attributes
    ----------
    model : Model
        The model.
    x : Tensor of shape (N, D)
        Samples in the model's units, finite also where a cell is missing.
    c : Tensor of shape (N, C) or None
        Conditions.
    mask : Tensor of shape (N, D) or None
        1 where a cell was observed.
    prior : Distribution, optional
        p(z), if it is the same for all samples and was made before: for hundreds of units that takes long.
    """

    model: Model
    x: Tensor
    c: Tensor | None = None
    mask: Tensor | None = None
    prior: Distribution | None = None

    def take(self, index: Tensor | slice) -> Rows:
        """Return the samples with these indices."""
        c, mask = (None if t is None else t[index] for t in (self.c, self.mask))
        return self._replace(x=self.x[index], c=c, mask=mask)

    def with_prior(self) -> Rows:
        """Return the samples with their prior, unless it may depend on conditions."""
        return self if self.c is not None or self.prior is not None else self._replace(prior=self.model.p_z())

    def p_z(self) -> Distribution:
        """Return p(z), or p(z|c)."""
        return self.model.p_z(self.c) if self.prior is None else self.prior

    def encode(self) -> LatentDistribution:
        """Return q(z|x)."""
        return self.model.encode(self.x, self.c, self.mask)

    def unlike_training(self) -> Tensor:
        """Return which samples have missing cells that the encoder was not trained with, bool of shape (N,)."""
        if self.mask is None or self.model.network.sizes.masked:
            return torch.zeros(len(self.x), dtype=torch.bool, device=self.x.device)
        return (self.mask == 0).any(-1)

    def log_joint(self, z: Tensor) -> Tensor:
        """Return log p(x, z), (..., N), of codes (..., N, K); minus infinity where it is not a number."""
        log_px = self.model.log_likelihood(z, self.x, self.c, self.mask)
        return (log_px + self.p_z().log_prob(z)).nan_to_num(nan=-torch.inf)

    def log_weights(self, p: LatentDistribution, z: Tensor, h: Tensor | None = None) -> Tensor:
        """Return the log importance weights (S, N) of codes (S, N, K) drawn from `p`, by their decoder outputs `h`."""
        return self.model.log_joint_ratio(p, z, self.x, self.c, self.mask, h, self.prior)
