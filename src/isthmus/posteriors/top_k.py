"""Posteriors that keep only the largest units of a code."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus._distributions import PointMass
from isthmus._tensor_shapes import TensorShape
from isthmus.posteriors._base import Posterior

__all__ = ["BatchTopK", "LargestUnits", "TopK"]

_ROUNDING = 1 - 1e-5  # of sums of weights
_THRESHOLD_RATE = 0.1  # of the moving average: about ten batches, during which the encoder hardly changes


@dataclass(eq=False, repr=False)
class LargestUnits(Posterior):
    """Base of the posteriors that keep the largest units of h, and set the others to 0.

    Parameters
    ----------
    k : int, default=16
        Number of units that are kept.

    Attributes
    ----------
    idle : Tensor of shape (K,)
        Number of training samples since each unit was last active. It is not saved. In several processes, each counts
        its own samples.
    """

    k: int = 16

    @property
    def mean_activation(self) -> None:
        """None, because which units are kept depends on all of them."""
        return

    def build(self, n_components: int) -> None:
        """Check that k is a number of units, and make the buffers.

        Raises
        ------
        ValueError
            If k is not between 1 and K.
        """
        super().build(n_components)
        if not 1 <= self.k <= n_components:
            name = type(self).__name__
            raise ValueError(f"{name}(k={self.k}) needs 1 <= k <= n_components, and n_components={n_components}.")
        self.register_buffer("idle", torch.zeros(n_components), persistent=False)

    @property
    def idleness(self) -> Tensor:
        """How many times the average unit was active since each unit was last active, (K,)."""
        return self.get_buffer("idle") * (self.k / self.n_components)

    def of_batch(self, h: Tensor, weight: Tensor) -> PointMass:
        """Return the point mass at the code of each training sample, and count which units are active."""
        code = self._select(h, weight)
        with torch.no_grad():
            counted = weight > 0
            active = (code != 0).logical_and(counted.unsqueeze(-1)).any(0)
            self.get_buffer("idle").add_(counted.sum()).masked_fill_(active, 0.0)
        return PointMass(code, h)

    @abstractmethod
    def _select(self, h: Tensor, weight: Tensor) -> Tensor:
        """Return the codes (N, K) of a batch; a sample of `weight` 2 counts as two copies."""

    @abstractmethod
    def forward(self, h: Tensor) -> PointMass:
        """Return the point mass at the code of each sample alone."""


@dataclass(eq=False, repr=False)
class TopK(LargestUnits):
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

    def _select(self, h: Tensor, weight: Tensor) -> Tensor:  # noqa: ARG002 - samples do not affect each other
        values, index = h.topk(self.k, dim=-1, sorted=False)
        return torch.zeros_like(h).scatter(-1, index, values)

    def forward(self, h: Tensor) -> PointMass:
        """Return the point mass at the k largest units of h."""
        values, index = h.topk(self.k, dim=-1, sorted=False)
        return PointMass(torch.zeros_like(h).scatter(-1, index, values))


@dataclass(eq=False, repr=False)
class BatchTopK(LargestUnits):
    r"""A point mass at a sparse code of positive units: on average k of them, more for samples that need more.

    In training, the k N largest positive units of a batch of N samples are kept. Otherwise, a unit is kept if it is
    larger than a threshold, so that the code of a sample depends on that sample alone:

    .. math:: q(z|x) = \delta(z - h \, [h > \theta])

    The threshold is a moving average of the smallest units that were kept in training.

    Parameters
    ----------
    k : int, default=16
        Mean number of active units per sample.

    Attributes
    ----------
    threshold : Tensor of shape ()
        theta; 0 before training.

    References
    ----------
    Bussmann, Leask & Nanda (2024), BatchTopK Sparse Autoencoders, arXiv:2412.06410; Rajamanoharan et al. (2024),
    Jumping Ahead: Improving Reconstruction Fidelity with JumpReLU Sparse Autoencoders, arXiv:2407.14435.

    Examples
    --------
    >>> import torch
    >>> q = BatchTopK(k=1); q.build(3)
    >>> h = torch.tensor([[1.0, 3.0, 2.0], [0.5, 0.1, -9.0]])
    >>> q.of_batch(h, torch.ones(2)).mean  # the two largest of six
    tensor([[0., 3., 2.],
            [0., 0., 0.]])
    """

    def build(self, n_components: int) -> None:
        """Check that k is a number of units, and make the buffers."""
        super().build(n_components)
        self.register_buffer("threshold", torch.zeros(()))
        self.register_buffer("n_batches", torch.zeros(()), persistent=False)

    def tensor_shapes(self, n_components: int) -> Iterator[TensorShape]:  # noqa: ARG002 - it is one number
        """Yield the tensors that are saved."""
        yield "threshold", ()

    def _select(self, h: Tensor, weight: Tensor) -> Tensor:
        with torch.no_grad():
            smallest_kept = self._smallest_kept(h, weight)
            n_batches, threshold = self.get_buffer("n_batches"), self.get_buffer("threshold")
            n_batches += 1  # the mean of the first batches, then a moving average
            threshold.lerp_(smallest_kept.to(threshold), (1 / n_batches).clamp(min=_THRESHOLD_RATE))
        return torch.where(h >= smallest_kept, h.relu(), 0.0)

    def _smallest_kept(self, h: Tensor, weight: Tensor) -> Tensor:
        """Return the smallest of the largest units, whose samples have k times the weight of the batch."""
        candidates = (h.relu() * (weight > 0).unsqueeze(-1)).flatten()
        # k N of them if all weights are equal, and more if the samples with the largest units have small weights
        values, index = candidates.topk(min(2 * self.k * len(h), len(candidates)))
        weights = weight.index_select(0, index.div(self.n_components, rounding_mode="floor"))
        larger = weights.cumsum(0) - weights
        n_kept = (larger < self.k * weight.sum() * _ROUNDING).sum()
        return values.gather(0, (n_kept - 1).clamp(min=0).reshape(1)).squeeze(0)

    def forward(self, h: Tensor) -> PointMass:
        """Return the point mass at the units of h above the threshold."""
        return PointMass(torch.where(h > self.get_buffer("threshold"), h, 0.0))
