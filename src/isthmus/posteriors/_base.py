"""The base class of the posteriors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

from torch import Tensor

from isthmus._distributions import LatentDistribution
from isthmus._part import Part
from isthmus._tensor_shapes import TensorShape

__all__ = ["Posterior"]


class Posterior(Part):
    """Base of the posteriors: ``forward`` maps encoder outputs (..., n_outputs) to a distribution on R^K.

    The mean, which is the code, is ``mean_activation`` of the first K outputs.
    """

    n_components: int
    starts_linear: bool = False  # whether `linear_outputs` works
    has_free_scale: bool = False  # whether units may have any variance, as no prior gives them one

    @property
    def mean_activation(self) -> str | None:
        """The activation that maps the first K outputs to the mean, or None if the mean is another function."""
        return "identity"

    def build(self, n_components: int) -> None:
        """Make the tensors for codes with K = `n_components` units."""
        self.n_components = n_components

    def tensor_shapes(self, n_components: int) -> Iterator[TensorShape]:  # noqa: ARG002 - subclasses need it
        """Yield the tensors that ``build`` makes and that are saved, for the parts of isthmus."""
        return iter(())

    def count_outputs(self, n_components: int) -> int:
        """Return ``n_outputs`` for K = `n_components`, also before ``build``, for the parts of isthmus."""
        return n_components

    @property
    def n_outputs(self) -> int:
        """The number of encoder outputs per sample."""
        return self.count_outputs(self.n_components)

    def of_batch(self, h: Tensor, weight: Tensor) -> LatentDistribution:  # noqa: ARG002 - a default
        """Return q(z|x) for a batch of training samples, (N, n_outputs); by default :meth:`forward`.

        A posterior that selects among the codes of the whole batch, or counts them, overrides it. Samples of `weight`
        (N,) 0 only fill up the batch and must not count.
        """
        return self(h)

    def linear_outputs(self, weight: Tensor, bias: Tensor, log_scale: Tensor) -> tuple[Tensor, Tensor]:
        """Return weight (n_outputs, D) and bias (n_outputs,) of a linear encoder.

        Parameters
        ----------
        weight : Tensor of shape (K, D)
        bias : Tensor of shape (K,)
            The mean of q(z|x) is ``weight @ x + bias``.
        log_scale : Tensor of shape (K,)
            Log standard deviations of q(z|x), which has independent units.
        """
        raise NotImplementedError

    @abstractmethod
    def forward(self, h: Tensor) -> LatentDistribution:
        """Return q(z|x) for encoder outputs `h` of shape (..., n_outputs)."""
