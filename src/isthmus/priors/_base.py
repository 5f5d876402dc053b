"""The base class of the priors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator

from torch import Tensor
from torch.distributions import Distribution

from isthmus._distributions import LatentDistribution
from isthmus._part import Part
from isthmus._tensor_shapes import TensorShape

__all__ = ["Encode", "Prior", "check_count"]

Encode = Callable[[Tensor], LatentDistribution]


class Prior(Part):
    """Base of the priors: ``forward`` returns p(z), or p(z|c), as a distribution on R^K."""

    n_components: int

    def build(self, n_components: int, n_features: int = 0, n_conditions: int = 0) -> None:  # noqa: ARG002 - subclasses need them
        """Make the tensors.

        Parameters
        ----------
        n_components, n_features, n_conditions : int
            K, D and C.
        """
        self.n_components = n_components

    def tensor_shapes(self, n_components: int, n_features: int = 0, n_conditions: int = 0) -> Iterator[TensorShape]:  # noqa: ARG002
        """Yield the tensors that ``build`` makes and that are saved, for the parts of isthmus."""
        return iter(())

    def init_from_data(self, x: Tensor) -> None:
        """Initialise parameters from training samples `x` (N, D) in the model's units; does nothing by default."""

    @abstractmethod
    def forward(self, c: Tensor | None = None, encode: Encode | None = None) -> Distribution:
        """Return p(z), or p(z|c).

        Parameters
        ----------
        c : Tensor of shape (N, C), optional
            Conditions.
        encode : callable, optional
            The encoder x -> q(z|x), for priors that are mixtures of posteriors.
        """


def check_count(part: Part, count: int) -> None:
    """Raise a ValueError unless a mixture has at least one component."""
    if count < 1:
        raise ValueError(f"{part!r}: needs at least one component.")
