"""Priors: distributions p(z) or p(z|c) of codes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from isthmus._activations import activation
from isthmus._distributions import DiagonalGaussian, FlowDistribution, LatentDistribution, Mixture, bounded_log_scale
from isthmus._layer_sizes import layer_sizes
from isthmus._part import Part
from isthmus._zuko import coupling_flow

__all__ = ["ConditionalNormal", "Flow", "MixtureOfNormals", "Prior", "StandardNormal", "VampPrior"]

_Encode = Callable[[Tensor], LatentDistribution]


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

    def init_from_data(self, x: Tensor) -> None:
        """Initialise parameters from training samples `x` (N, D) in the model's units; does nothing by default."""

    @abstractmethod
    def forward(self, c: Tensor | None = None, encode: _Encode | None = None) -> Distribution:
        """Return p(z), or p(z|c).

        Parameters
        ----------
        c : Tensor of shape (N, C), optional
            Conditions.
        encode : callable, optional
            The encoder x -> q(z|x), for priors that are mixtures of posteriors.
        """


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

    def forward(self, c: Tensor | None = None, encode: _Encode | None = None) -> DiagonalGaussian:  # noqa: ARG002
        """Return N(0, I)."""
        zeros = self.get_buffer("zeros")
        return DiagonalGaussian(zeros, zeros, standard=True)


@dataclass(eq=False, repr=False)
class MixtureOfNormals(Prior):
    r"""A mixture of normal distributions, whose weights, means and scales are learned.

    .. math:: p(z) = \sum_m \pi_m\, N(z; \mu_m, \mathrm{diag}(\sigma_m^2))

    Parameters
    ----------
    n_mixture : int, default=10
        M, the number of components. Their means are initialised with draws from N(0, I), their scales with 1/2.

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
        """M K, because a code is compared with every component."""
        return self.n_mixture * self.n_components

    def forward(self, c: Tensor | None = None, encode: _Encode | None = None) -> Mixture:  # noqa: ARG002
        """Return the mixture."""
        return Mixture(self.logits.log_softmax(0), DiagonalGaussian(self.means, self.log_scales))


@dataclass(eq=False, repr=False)
class VampPrior(Prior):
    r"""A mixture of the posteriors of learned pseudo-inputs u_m, which have the shape of a sample.

    .. math:: p(z) = \sum_m \pi_m\, q(z|u_m)

    Parameters
    ----------
    n_pseudo_inputs : int, default=100
        M.

    Notes
    -----
    Pseudo-inputs are initialised with training samples plus noise of half a standard deviation per feature, so that
    a saved model does not hold training samples. Pseudo-inputs may still resemble training samples, so the noise alone
    does not make a model of private data safe to publish.

    References
    ----------
    Tomczak & Welling (2018), VAE with a VampPrior, equation 9.

    Examples
    --------
    >>> from isthmus import VAE
    >>> from sklearn.datasets import load_iris
    >>> model = VAE(2, prior=VampPrior(20), max_epochs=1, random_state=0).fit(load_iris().data)
    >>> model.model_.prior.pseudo_inputs.shape
    torch.Size([20, 4])
    """

    n_pseudo_inputs: int = 100

    def build(self, n_components: int, n_features: int = 0, n_conditions: int = 0) -> None:
        """Make the pseudo-inputs.

        Raises
        ------
        ValueError
            If there are conditions, which pseudo-inputs do not have.
        """
        super().build(n_components, n_features, n_conditions)
        _check_count(self, self.n_pseudo_inputs)
        if n_conditions:
            raise ValueError(f"{self!r} takes no conditions; use 'standard_normal' or 'conditional_normal'.")
        self.logits = nn.Parameter(torch.zeros(self.n_pseudo_inputs))
        self.pseudo_inputs = nn.Parameter(torch.randn(self.n_pseudo_inputs, n_features))

    @property
    def numbers_per_row(self) -> int:
        """M K, because a code is compared with every component."""
        return self.n_pseudo_inputs * self.n_components

    def init_from_data(self, x: Tensor) -> None:
        """Set the pseudo-inputs to random training samples plus noise; a sample is reused only if there are too few."""
        order = torch.randperm(len(x)).repeat(-(-self.n_pseudo_inputs // len(x)))
        chosen = x[order[: self.n_pseudo_inputs]]
        with torch.no_grad():
            self.pseudo_inputs.copy_(chosen + 0.5 * x.std(0, correction=0) * torch.randn_like(chosen))

    def forward(self, c: Tensor | None = None, encode: _Encode | None = None) -> Mixture:  # noqa: ARG002
        """Return the mixture of posteriors.

        Raises
        ------
        ValueError
            If the encoder is missing.
        """
        if encode is None:
            raise ValueError(f"{self!r} is a mixture of posteriors: call it with the encoder, p(encode=model.q).")
        return Mixture(self.logits.log_softmax(0), encode(self.pseudo_inputs))


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

    def forward(self, c: Tensor | None = None, encode: _Encode | None = None) -> FlowDistribution:  # noqa: ARG002
        """Return the distribution of T(noise)."""
        return FlowDistribution(self.flow().transform.inv, self.get_buffer("zeros"))


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
        widths = [n_conditions, *layer_sizes(self), 2 * n_components]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        for parameter in self.layers[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, c: Tensor | None = None, encode: _Encode | None = None) -> DiagonalGaussian:  # noqa: ARG002
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


def _check_count(part: Part, count: int) -> None:
    if count < 1:
        raise ValueError(f"{part!r}: needs at least one component.")
