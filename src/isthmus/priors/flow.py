"""A normalizing flow as prior."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus._distributions import FlowDistribution
from isthmus._layer_sizes import layer_sizes
from isthmus._tensor_shapes import TensorShape
from isthmus._zuko import coupling_flow, coupling_flow_size
from isthmus.priors._base import Encode, Prior

__all__ = ["Flow"]


@dataclass(eq=False, repr=False)
class Flow(Prior):
    r"""A normalizing flow T of coupling layers with rational quadratic splines.

    .. math:: p(z) = N(T^{-1}(z); 0, I)\, |\det \partial T^{-1} / \partial z|

    It needs zuko: ``pip install "isthmus[flow]"``.

    Parameters
    ----------
    n_layers : int, default=3
        Number of coupling layers.
    hidden_layer_sizes : int or tuple of int, default=(64, 64)
        Widths of the hidden layers of the network in each coupling layer.

    References
    ----------
    Durkan et al. (2019), Neural Spline Flows; Chen et al. (2017), Variational Lossy Autoencoder, for a flow as prior.
    """

    n_layers: int = 3
    hidden_layer_sizes: int | tuple[int, ...] = (64, 64)

    def build(self, n_components: int, n_features: int = 0, n_conditions: int = 0) -> None:
        """Make the flow."""
        super().build(n_components, n_features, n_conditions)
        self.flow = coupling_flow(n_components, 0, self.n_layers, layer_sizes(self))
        self.register_buffer("zeros", torch.zeros(n_components), persistent=False)

    def tensor_shapes(self, n_components: int, n_features: int = 0, n_conditions: int = 0) -> Iterator[TensorShape]:  # noqa: ARG002
        """Yield what is known of the flow."""
        yield "flow.", coupling_flow_size(n_components, 0, self.n_layers, layer_sizes(self))

    def forward(self, c: Tensor | None = None, encode: Encode | None = None) -> FlowDistribution:  # noqa: ARG002
        """Return the distribution of T(noise)."""
        return FlowDistribution(self.flow().transform.inv, self.get_buffer("zeros"))
