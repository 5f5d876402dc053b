"""Parts of somebody's own: a likelihood, a network and a prior."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from isthmus.likelihoods import Likelihood
from isthmus.networks import Network, Sizes
from isthmus.priors import Prior

__all__ = ["Cauchy", "Gated", "Laplacian"]


@dataclass(eq=False, repr=False)
class Cauchy(Likelihood):
    """log p(x|z) = -log(pi s (1 + ((x - f(z)) / s)^2)); s is the width of the training data, times a factor.

    The width is a buffer, so that it is saved and follows the model to its device and dtype.
    """

    factor: float = 1.0
    interval_support = True

    def set_from_data(self, x: Tensor, weight: Tensor | None = None) -> None:
        self._width = x.nanquantile(0.75) - x.nanquantile(0.25)

    def build(self, n_features: int) -> None:
        super().build(n_features)
        self.register_buffer("width", getattr(self, "_width", torch.ones(())).clone())

    def forward(self, h: Tensor) -> torch.distributions.StudentT:
        scale = (self.factor * self.width).to(h)
        return torch.distributions.StudentT(torch.ones_like(h), h, scale.expand_as(h), validate_args=False)

    def mean(self, h: Tensor) -> Tensor:
        return h  # the median: a Cauchy distribution has no mean


@dataclass(eq=False, repr=False)
class Gated(Network):
    """h = W x * sigmoid(V x), and a linear decoder."""

    width: int = 8

    def build(self, sizes: Sizes) -> None:
        self.sizes = sizes
        n_inputs = sizes.n_features * (2 if sizes.masked else 1) + sizes.n_conditions
        self.value, self.gate = nn.Linear(n_inputs, self.width), nn.Linear(n_inputs, self.width)
        self.out = nn.Linear(self.width, sizes.n_encoder_outputs)
        self.back = nn.Linear(sizes.n_components + sizes.n_conditions, sizes.n_decoder_outputs)

    def encode(self, x: Tensor, c: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        mask = (torch.ones_like(x) if mask is None else mask) if self.sizes.masked else None
        inputs = torch.cat([v for v in (x, mask, c) if v is not None], dim=-1)
        return self.out(self.value(inputs) * torch.sigmoid(self.gate(inputs)))

    def decode(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        return self.back(z if c is None else torch.cat([z, c.expand(*z.shape[:-1], c.shape[-1])], dim=-1))


@dataclass(eq=False, repr=False)
class Laplacian(Prior):
    """p(z) = prod_k exp(-|z_k| / s_k) / (2 s_k), with a learned s."""

    start: float = 1.0

    def build(self, n_components: int, n_features: int = 0, n_conditions: int = 0) -> None:
        super().build(n_components, n_features, n_conditions)
        self.log_scale = nn.Parameter(torch.full((n_components,), self.start).log())

    def forward(self, c: Tensor | None = None, encode: object = None) -> torch.distributions.Distribution:
        scale = self.log_scale.exp()
        one = torch.distributions.Laplace(torch.zeros_like(scale), scale, validate_args=False)
        return torch.distributions.Independent(one, 1, validate_args=False)
