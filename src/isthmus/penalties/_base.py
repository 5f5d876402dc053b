"""The base class of the penalties, their input, and weights that change during training."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from isthmus._distributions import LatentDistribution
from isthmus._part import Part
from isthmus.model import Model

__all__ = ["EncodedBatch", "Penalty", "Warmup", "constant", "mean_over_samples"]


class EncodedBatch(NamedTuple):
    """A batch with its codes, the input of objectives and penalties.

    Attributes
    ----------
    model : Model
        The model.
    corrupted : Tensor of shape (N, D)
        Encoder inputs x~, in the model's units.
    q : LatentDistribution
        q(z|x~).
    z : Tensor of shape (S, N, K)
        Codes drawn from q.
    weight : Tensor of shape (N,)
        Sample weights, for penalties on means over samples.
    c : Tensor of shape (N, C) or None
        Conditions.
    mask : Tensor of shape (N, D) or None
        1 where a cell was observed in the data: the loss counts these cells.
    input_mask : Tensor of shape (N, D) or None
        1 where a cell was observed and not masked by the corruption: the mask that the encoder sees.
    uncorrupted : Tensor of shape (N, D) or None
        The samples before the corruption; None if they are `corrupted`.
    """

    model: Model
    corrupted: Tensor
    q: LatentDistribution
    z: Tensor
    weight: Tensor
    c: Tensor | None = None
    mask: Tensor | None = None
    input_mask: Tensor | None = None
    uncorrupted: Tensor | None = None

    @property
    def x(self) -> Tensor:
        """The samples before the corruption, (N, D)."""
        return self.corrupted if self.uncorrupted is None else self.uncorrupted


@dataclass(eq=False, repr=False)
class Warmup(Part):
    """A weight that rises linearly from 0 to `value` at the start of training, and then stays.

    Parameters
    ----------
    value : float, default=1.0
        Final weight.
    over : float, default=0.2
        Fraction of the training steps during which the weight rises.

    References
    ----------
    Bowman et al. (2016), Generating Sentences from a Continuous Space.

    Examples
    --------
    >>> Warmup(2.0, over=0.5).weight_at(0.25)
    1.0
    """

    value: float = 1.0
    over: float = 0.2

    def weight_at(self, progress: float) -> float:
        """Return the weight after the fraction `progress` of training."""
        return self.value if self.over <= 0 else self.value * min(1.0, progress / self.over)


class Penalty(Part):
    """Base of the penalties: ``forward`` returns R(x, q, z), unweighted, in nats, of shape (N,).

    ``weight`` is a number or a :class:`Warmup`; the training loss applies it.
    """

    weight: float | Warmup

    @property
    def name(self) -> str:
        """The name of the term in the history."""
        return str(getattr(self, "alias", None) or type(self).__name__.lower())

    def weight_at(self, progress: float) -> float:
        """Return the weight after the fraction `progress` of training."""
        return self.weight.weight_at(progress) if isinstance(self.weight, Warmup) else self.weight

    @abstractmethod
    def forward(self, batch: EncodedBatch) -> Tensor:
        """Return the penalty of every sample, (N,)."""


def mean_over_samples(values: Tensor, weight: Tensor) -> Tensor:
    """Return the weighted mean (K,) of `values` (N, K)."""
    return weight @ values / weight.sum()


@contextlib.contextmanager
def constant(module: nn.Module) -> Iterator[None]:
    """Treat the parameters of a module as constants inside the block: they get no gradient from it."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
