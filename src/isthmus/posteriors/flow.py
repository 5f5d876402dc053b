"""A normalizing flow as the distribution of codes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions.transforms import AffineTransform, ComposeTransform

from isthmus._distributions import FlowDistribution, bounded_log_scale
from isthmus._layer_sizes import layer_sizes
from isthmus._tensor_shapes import TensorShape
from isthmus._zuko import coupling_flow, coupling_flow_size
from isthmus.posteriors._base import Posterior

__all__ = ["FlowNormal"]


@dataclass(eq=False, repr=False)
class FlowNormal(Posterior):
    r"""A normalizing flow T_h of coupling layers with rational quadratic splines, conditioned on encoder outputs h.

    .. math:: z = \mu(x) + \sigma(x)\, T_h(\varepsilon), \qquad \varepsilon \sim N(0, I)

    Its divergence from the prior is estimated from the draws. The code is the image of the mean of the noise,
    mu(x) + sigma(x) T_h(0). It needs zuko: ``pip install "isthmus[flow]"``.

    Parameters
    ----------
    n_layers : int, default=2
        Number of coupling layers.
    n_context : int, default=16
        Number of encoder outputs h, besides means and scales.
    hidden_layer_sizes : int or tuple of int, default=(64,)
        Widths of the hidden layers of the network in each coupling layer.

    References
    ----------
    Rezende & Mohamed (2015), Variational Inference with Normalizing Flows; Durkan et al. (2019), Neural Spline Flows.
    """

    n_layers: int = 2
    n_context: int = 16
    hidden_layer_sizes: int | tuple[int, ...] = (64,)

    @property
    def mean_activation(self) -> None:
        """None, because the code is not an elementwise function of the first K outputs."""
        return

    def build(self, n_components: int) -> None:
        """Make the flow."""
        super().build(n_components)
        self.flow = coupling_flow(n_components, self.n_context, self.n_layers, layer_sizes(self))

    def tensor_shapes(self, n_components: int) -> Iterator[TensorShape]:
        """Yield what is known of the flow."""
        yield "flow.", coupling_flow_size(n_components, self.n_context, self.n_layers, layer_sizes(self))

    def count_outputs(self, n_components: int) -> int:
        """Return 2 K + n_context."""
        return 2 * n_components + self.n_context

    def forward(self, h: Tensor) -> FlowDistribution:
        """Return the distribution of mu + sigma T_h(noise)."""
        mean, raw, context = h.split([self.n_components, self.n_components, self.n_context], dim=-1)
        affine = AffineTransform(mean, bounded_log_scale(raw).exp(), event_dim=1)
        flow = self.flow(context).transform.inv
        return FlowDistribution(ComposeTransform([flow, affine]), torch.zeros_like(mean))
