"""Priors p(z) over codes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from isthmus._activations import activation
from isthmus._distributions import DiagonalGaussian, FlowDistribution, LatentDistribution, Mixture
from isthmus._part import Part
from isthmus._zuko import coupling_flow

__all__ = ["ConditionalNormal", "Flow", "MixtureOfNormals", "Prior", "StandardNormal", "VampPrior"]

_Encode = Callable[[Tensor], LatentDistribution]


class Prior(Part):
    """Base of the priors: ``forward`` returns p(z), or p(z|c), as a distribution on R^K."""

    n_components: int

    def build(self, n_components: int, n_features: int = 0, n_conditions: int = 0) -> None:  # noqa: ARG002 - some need them
        """Make the tensors for K = `n_components` units, D = `n_features` columns and conditions of width C."""
        self.n_components = n_components

    def init_from_data(self, x: Tensor) -> None:
        """Read from training rows `x` (N, D), in the model's units, what training starts from."""

    @abstractmethod
    def forward(self, c: Tensor | None = None, encode: _Encode | None = None) -> Distribution:
        """Return p(z), given conditions (N, C) and the encoder x -> q(z|x), for priors that use them."""


@dataclass(eq=False, repr=False)
class StandardNormal(Prior):
    r"""p(z) = N(0, I).

    Examples
    --------
    >>> import torch
    >>> p = StandardNormal(); p.build(2)
    >>> p().log_prob(torch.zeros(2))
    tensor(-1.8379)
    """

    def build(self, n_components: int, n_features: int = 0, n_conditions: int = 0) -> None:
        """Make the zeros that are both mean and log scale."""
        super().build(n_components, n_features, n_conditions)
        self.register_buffer("zeros", torch.zeros(n_components), persistent=False)

    def forward(self, c: Tensor | None = None, encode: _Encode | None = None) -> DiagonalGaussian:  # noqa: ARG002
        """Return N(0, I)."""
        zeros = self.get_buffer("zeros")
        return DiagonalGaussian(zeros, zeros, standard=True)


@dataclass(eq=False, repr=False)
class MixtureOfNormals(Prior):
    r"""p(z) = sum_m pi_m N(z; mu_m, diag(sigma_m^2)), all learned.

    Parameters
    ----------
    n_mixture : int, default=10
        M, number of components. They start as draws from N(0, I), each of half its width.

    References
    ----------
    Dilokthanakul et al. (2016), Deep Unsupervised Clustering with Gaussian Mixture Variational Autoencoders.

    Examples
    --------
    >>> import torch
    >>> p = MixtureOfNormals(3); p.build(2)
    >>> p().log_prob(torch.zeros(5, 2)).shape
    torch.Size([5])
    """

    n_mixture: int = 10

    def build(self, n_components: int, n_features: int = 0, n_conditions: int = 0) -> None:
        """Make weights, means and scales."""
        super().build(n_components, n_features, n_conditions)
        _check_count(self, self.n_mixture)
        self.logits = nn.Parameter(torch.zeros(self.n_mixture))
        self.means = nn.Parameter(torch.randn(self.n_mixture, n_components))
        self.log_scales = nn.Parameter(torch.full((self.n_mixture, n_components), -0.7))

    @property
    def numbers_per_row(self) -> int:
        """M K: a code is compared with every component."""
        return self.n_mixture * self.n_components

    def forward(self, c: Tensor | None = None, encode: _Encode | None = None) -> Mixture:  # noqa: ARG002
        """Return the mixture."""
        return Mixture(self.logits.log_softmax(0), DiagonalGaussian(self.means, self.log_scales))


@dataclass(eq=False, repr=False)
class VampPrior(Prior):
    r"""p(z) = sum_m pi_m q(z|u_m): the posteriors of M learned pseudo-inputs u_m, which are rows.

    Pseudo-inputs start as training rows. The encoder is an argument of ``forward``.

    Parameters
    ----------
    n_pseudo_inputs : int, default=100
        M.

    References
    ----------
    Tomczak & Welling (2018), VAE with a VampPrior, equation 9.
    """

    n_pseudo_inputs: int = 100

    def build(self, n_components: int, n_features: int = 0, n_conditions: int = 0) -> None:
        """Make the pseudo-inputs.

        Raises
        ------
        ValueError
            With conditions: the encoder would need one for every pseudo-input.
        """
        super().build(n_components, n_features, n_conditions)
        _check_count(self, self.n_pseudo_inputs)
        if n_conditions:
            raise ValueError(f"{self!r} knows no conditions; use 'standard_normal' or 'conditional_normal'.")
        self.logits = nn.Parameter(torch.zeros(self.n_pseudo_inputs))
        self.pseudo_inputs = nn.Parameter(torch.randn(self.n_pseudo_inputs, n_features))

    @property
    def numbers_per_row(self) -> int:
        """M K: a code is compared with every component."""
        return self.n_pseudo_inputs * self.n_components

    def init_from_data(self, x: Tensor) -> None:
        """Set the pseudo-inputs to training rows drawn without replacement, or with it where there are too few."""
        order = torch.randperm(len(x)).repeat(-(-self.n_pseudo_inputs // len(x)))
        with torch.no_grad():
            self.pseudo_inputs.copy_(x[order[: self.n_pseudo_inputs]])

    def forward(self, c: Tensor | None = None, encode: _Encode | None = None) -> Mixture:  # noqa: ARG002
        """Return the mixture of posteriors.

        Raises
        ------
        ValueError
            Without an encoder.
        """
        if encode is None:
            raise ValueError(f"{self!r} is a mixture of posteriors: call it with the encoder, p(encode=model.q).")
        return Mixture(self.logits.log_softmax(0), encode(self.pseudo_inputs))


@dataclass(eq=False, repr=False)
class Flow(Prior):
    r"""``p(z) = N(T^-1(z); 0, I) |det dT^-1/dz|``, T a flow of coupling layers (rational quadratic splines).

    Needs zuko: ``pip install "isthmus[flow]"``.

    Parameters
    ----------
    n_layers : int, default=3
        Coupling layers.
    hidden_layer_sizes : tuple of int, default=(64, 64)
        Widths of the networks inside each.

    References
    ----------
    Durkan et al. (2019), Neural Spline Flows; Chen et al. (2017), Variational Lossy Autoencoder, for a flow as prior.
    """

    n_layers: int = 3
    hidden_layer_sizes: tuple[int, ...] = (64, 64)

    def build(self, n_components: int, n_features: int = 0, n_conditions: int = 0) -> None:
        """Make the flow."""
        super().build(n_components, n_features, n_conditions)
        self.flow = coupling_flow(n_components, 0, self.n_layers, self.hidden_layer_sizes)
        self.register_buffer("zeros", torch.zeros(n_components), persistent=False)

    def forward(self, c: Tensor | None = None, encode: _Encode | None = None) -> FlowDistribution:  # noqa: ARG002
        """Return the transported normal."""
        return FlowDistribution(self.flow().transform.inv, self.get_buffer("zeros"))


@dataclass(eq=False, repr=False)
class ConditionalNormal(Prior):
    r"""p(z|c) = N(mu(c), diag(sigma(c)^2)), by a small network: for ``ConditionalVAE``.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default=(64,)
        Widths of its hidden layers.
    activation : str, default="elu"
        Of the hidden layers.

    References
    ----------
    Sohn, Lee & Yan (2015), Learning Structured Output Representation using Deep Conditional Generative Models,
    equation 4.
    """

    hidden_layer_sizes: tuple[int, ...] = (64,)
    activation: str = "elu"

    def build(self, n_components: int, n_features: int = 0, n_conditions: int = 0) -> None:
        """Make the network; it starts as N(0, I) for every condition.

        Raises
        ------
        ValueError
            Without conditions.
        """
        super().build(n_components, n_features, n_conditions)
        if not n_conditions:
            raise ValueError(f"{self!r} needs conditions: it is for ConditionalVAE.")
        widths = [n_conditions, *self.hidden_layer_sizes, 2 * n_components]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        for parameter in self.layers[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, c: Tensor | None = None, encode: _Encode | None = None) -> DiagonalGaussian:  # noqa: ARG002
        """Return N(mu(c), sigma(c)^2), of batch shape (N,).

        Raises
        ------
        ValueError
            Without conditions.
        """
        if c is None:
            raise ValueError(f"{self!r} needs conditions.")
        h = c
        for layer in self.layers[:-1]:
            h = activation(self.activation)(layer(h))
        mean, log_scale = self.layers[-1](h).split(self.n_components, dim=-1)
        return DiagonalGaussian(mean, log_scale.clamp(-8, 8))


def _check_count(part: Part, count: int) -> None:
    if count < 1:
        raise ValueError(f"{part!r}: needs at least one component.")
