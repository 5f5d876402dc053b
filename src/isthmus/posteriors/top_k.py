"""Posteriors that keep only the largest units of a code."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus._distributions import PointMass
from isthmus.posteriors._base import Posterior

__all__ = ["TopK"]


@dataclass(eq=False, repr=False)
class TopK(Posterior):
    r"""A point mass at a sparse code: the k largest units of h, and 0 for the others.

    .. math:: q(z|x) = \delta(z - \mathrm{top}_k(h))

    Parameters
    ----------
    k : int, default=16
        Number of units that are kept.

    References
    ----------
    Makhzani & Frey (2014), k-Sparse Autoencoders, arXiv:1312.5663.

    Examples
    --------
    >>> import torch
    >>> q = TopK(k=1); q.build(3)
    >>> q(torch.tensor([[1.0, 3.0, 2.0]])).mean
    tensor([[0., 3., 0.]])
    """

    k: int = 16

    @property
    def mean_activation(self) -> None:
        """None, because which units are kept depends on all of them."""
        return

    def build(self, n_components: int) -> None:
        """Check that k is a number of units.

        Raises
        ------
        ValueError
            If k is not between 1 and K.
        """
        super().build(n_components)
        if not 1 <= self.k <= n_components:
            raise ValueError(f"TopK(k={self.k}) needs 1 <= k <= n_components, and n_components={n_components}.")

    def forward(self, h: Tensor) -> PointMass:
        """Return the point mass at the k largest units of h."""
        values, index = h.topk(self.k, dim=-1, sorted=False)
        return PointMass(torch.zeros_like(h).scatter(-1, index, values))
