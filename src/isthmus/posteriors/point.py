"""The point mass: the code of a deterministic autoencoder."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from isthmus._activations import activation
from isthmus._distributions import PointMass
from isthmus.posteriors._base import Posterior

__all__ = ["Point"]


@dataclass(eq=False, repr=False)
class Point(Posterior):
    r"""A point mass: the code of a deterministic autoencoder.

    .. math:: q(z|x) = \delta(z - a(h))

    Parameters
    ----------
    activation : str, default="identity"
        a, applied to the outputs: "sigmoid" for Rifai's contractive encoder, "relu" for sparse codes.

    References
    ----------
    Hinton & Salakhutdinov (2006), Reducing the Dimensionality of Data with Neural Networks.

    Examples
    --------
    >>> import torch
    >>> q = Point("relu"); q.build(2)
    >>> q(torch.tensor([[-1.0, 2.0]])).mean
    tensor([[0., 2.]])
    """

    activation: str = "identity"

    has_free_scale = True

    @property
    def mean_activation(self) -> str:
        """The activation a."""
        return self.activation

    @property
    def starts_linear(self) -> bool:  # type: ignore[override]
        """Whether the activation is the identity."""
        return self.activation == "identity"

    def linear_outputs(self, weight: Tensor, bias: Tensor, log_scale: Tensor) -> tuple[Tensor, Tensor]:
        """Return weight and bias for least-squares codes: the mean of a normal posterior is nearer to 0."""
        gain = 1 / (1 - (2 * log_scale).exp()).clamp(min=1e-3)
        return gain.unsqueeze(-1) * weight, gain * bias

    def forward(self, h: Tensor) -> PointMass:
        """Return the point mass at a(h)."""
        return PointMass(activation(self.activation)(h))
