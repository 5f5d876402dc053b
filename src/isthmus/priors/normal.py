"""Normal priors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from isthmus._activations import activation
from isthmus._distributions import DiagonalGaussian, bounded_log_scale
from isthmus._layer_sizes import layer_sizes
from isthmus._tensor_shapes import TensorShape, dense_shapes
from isthmus.priors._base import Encode, Prior

__all__ = ["ConditionalNormal", "StandardNormal"]


@dataclass(eq=False, repr=False)
class StandardNormal(Prior):
    r"""The standard normal distribution.

    .. math:: p(z) = N(z; 0, I)

    References
    ----------
    Kingma & Welling (2014), Auto-Encoding Variational Bayes, section 3.

    Examples
    --------
    >>> import torch
    >>> p = StandardNormal(); p.build(2)
    >>> p().log_prob(torch.zeros(2))
    tensor(-1.8379)
    """

    def build(self, n_components: int, n_features: int = 0, n_conditions: int = 0) -> None:
        """Make the zeros that serve as mean and log scale."""
        super().build(n_components, n_features, n_conditions)
        self.register_buffer("zeros", torch.zeros(n_components), persistent=False)

    def forward(self, c: Tensor | None = None, encode: Encode | None = None) -> DiagonalGaussian:  # noqa: ARG002
        """Return N(0, I)."""
        zeros = self.get_buffer("zeros")
        return DiagonalGaussian(zeros, zeros, standard=True)


@dataclass(eq=False, repr=False)
class ConditionalNormal(Prior):
    r"""A normal distribution whose means and scales are functions of the condition, for ``ConditionalVAE``.

    .. math:: p(z|c) = N(z; \mu(c), \mathrm{diag}(\sigma(c)^2))

    Parameters
    ----------
    hidden_layer_sizes : int or tuple of int, default=(64,)
        Widths of the network's hidden layers.
    activation : str, default="elu"
        Activation of the hidden layers.

    References
    ----------
    Sohn, Lee & Yan (2015), Learning Structured Output Representation using Deep Conditional Generative Models,
    equation 4.

    Examples
    --------
    >>> import torch
    >>> p = ConditionalNormal(); p.build(2, n_conditions=3)
    >>> p(torch.zeros(5, 3)).log_prob(torch.zeros(5, 2)).shape
    torch.Size([5])
    """

    hidden_layer_sizes: int | tuple[int, ...] = (64,)
    activation: str = "elu"

    def build(self, n_components: int, n_features: int = 0, n_conditions: int = 0) -> None:
        """Make the network, which gives N(0, I) for every condition until it is trained.

        Raises
        ------
        ValueError
            If there are no conditions.
        """
        super().build(n_components, n_features, n_conditions)
        if not n_conditions:
            raise ValueError(f"{self!r} needs conditions: it is for ConditionalVAE.")
        widths = self._widths(n_components, n_conditions)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        for parameter in self.layers[-1].parameters():
            nn.init.zeros_(parameter)

    def _widths(self, n_components: int, n_conditions: int) -> list[int]:
        return [n_conditions, *layer_sizes(self), 2 * n_components]

    def tensor_shapes(self, n_components: int, n_features: int = 0, n_conditions: int = 0) -> Iterator[TensorShape]:  # noqa: ARG002
        """Yield the tensors that are saved."""
        return dense_shapes("layers", self._widths(n_components, n_conditions))

    def forward(self, c: Tensor | None = None, encode: Encode | None = None) -> DiagonalGaussian:  # noqa: ARG002
        """Return N(mu(c), sigma(c)^2), of batch shape (N,).

        Raises
        ------
        ValueError
            If there are no conditions.
        """
        if c is None:
            raise ValueError(f"{self!r} needs conditions.")
        h = c
        for layer in self.layers[:-1]:
            h = activation(self.activation)(layer(h))
        mean, log_scale = self.layers[-1](h).split(self.n_components, dim=-1)
        return DiagonalGaussian(mean, bounded_log_scale(log_scale))
