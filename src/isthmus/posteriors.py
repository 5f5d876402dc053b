"""Posteriors: maps from the encoder's outputs to a distribution q(z|x) of codes."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions.transforms import AffineTransform, ComposeTransform

from isthmus._activations import activation
from isthmus._distributions import (
    DiagonalGaussian,
    FlowDistribution,
    FullGaussian,
    LatentDistribution,
    PointMass,
    bounded_log_scale,
)
from isthmus._layer_sizes import layer_sizes
from isthmus._part import Part
from isthmus._zuko import coupling_flow

__all__ = ["DiagonalNormal", "FlowNormal", "FullNormal", "Point", "Posterior", "TopK"]


class Posterior(Part):
    """Base of the posteriors: ``forward`` maps encoder outputs (..., n_outputs) to a distribution on R^K.

    The mean, which is the code, is ``mean_activation`` of the first K outputs.
    """

    n_components: int

    @property
    def mean_activation(self) -> str | None:
        """The activation that maps the first K outputs to the mean, or None if the mean is another function."""
        return "identity"

    def build(self, n_components: int) -> None:
        """Make the tensors for codes with K = `n_components` units."""
        self.n_components = n_components

    @property
    def n_outputs(self) -> int:
        """The number of encoder outputs per sample."""
        return self.n_components

    @abstractmethod
    def forward(self, h: Tensor) -> LatentDistribution:
        """Return q(z|x) for encoder outputs `h` of shape (..., n_outputs)."""


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

    @property
    def mean_activation(self) -> str:
        """The activation a."""
        return self.activation

    def forward(self, h: Tensor) -> PointMass:
        """Return the point mass at a(h)."""
        return PointMass(activation(self.activation)(h))


@dataclass(eq=False, repr=False)
class TopK(Posterior):
    r"""A point mass at a sparse code: the k largest units of h, and 0 for the others.

    .. math:: q(z|x) = \delta(z - \mathrm{top}_k(h))

    Parameters
    ----------
    k : int, default=16
        Number of units that are kept.

    References
    ----------
    Makhzani & Frey (2014), k-Sparse Autoencoders, arXiv:1312.5663.

    Examples
    --------
    >>> import torch
    >>> q = TopK(k=1); q.build(3)
    >>> q(torch.tensor([[1.0, 3.0, 2.0]])).mean
    tensor([[0., 3., 0.]])
    """

    k: int = 16

    @property
    def mean_activation(self) -> None:
        """None, because which units are kept depends on all of them."""
        return

    def build(self, n_components: int) -> None:
        """Check that k is a number of units.

        Raises
        ------
        ValueError
            If k is not between 1 and K.
        """
        super().build(n_components)
        if not 1 <= self.k <= n_components:
            raise ValueError(f"TopK(k={self.k}) needs 1 <= k <= n_components, and n_components={n_components}.")

    def forward(self, h: Tensor) -> PointMass:
        """Return the point mass at the k largest units of h."""
        values, index = h.topk(self.k, dim=-1, sorted=False)
        return PointMass(torch.zeros_like(h).scatter(-1, index, values))


@dataclass(eq=False, repr=False)
class DiagonalNormal(Posterior):
    r"""A normal distribution with independent units, whose means and scales are encoder outputs.

    .. math:: q(z|x) = N(z; \mu(x), \mathrm{diag}(\sigma(x)^2))

    The second K outputs are log sigma, which a scaled tanh keeps between -8 and 8.

    References
    ----------
    Kingma & Welling (2014), Auto-Encoding Variational Bayes, appendix C.2.

    Examples
    --------
    >>> import torch
    >>> q = DiagonalNormal(); q.build(2)
    >>> q(torch.zeros(5, 4)).variance.shape
    torch.Size([5, 2])
    """

    @property
    def n_outputs(self) -> int:
        """2 K: means, then logarithms of standard deviations."""
        return 2 * self.n_components

    def forward(self, h: Tensor) -> DiagonalGaussian:
        """Return N(mu, diag(sigma^2))."""
        mean, raw = h.split(self.n_components, dim=-1)
        return DiagonalGaussian(mean, bounded_log_scale(raw))


@dataclass(eq=False, repr=False)
class FullNormal(Posterior):
    r"""A normal distribution with a full covariance matrix, given by its Cholesky factor L.

    .. math:: q(z|x) = N(z; \mu(x), L(x) L(x)^\top)

    The outputs are K means, K logarithms of the diagonal of L and the K (K - 1) / 2 numbers below it.

    References
    ----------
    Kingma & Welling (2019), An Introduction to Variational Autoencoders, section 2.5.1.

    Examples
    --------
    >>> import torch
    >>> q = FullNormal(); q.build(3)
    >>> q.n_outputs, q(torch.zeros(5, 9)).scale_tril.shape
    (9, torch.Size([5, 3, 3]))
    """

    def build(self, n_components: int) -> None:
        """Store the indices of the numbers below the diagonal."""
        super().build(n_components)
        self.register_buffer("below", torch.tril_indices(n_components, n_components, -1), persistent=False)

    @property
    def n_outputs(self) -> int:
        """K + K (K + 1) / 2."""
        return self.n_components + self.n_components * (self.n_components + 1) // 2

    @property
    def numbers_per_row(self) -> int:
        """K^2, for the Cholesky factor."""
        return self.n_components**2

    def forward(self, h: Tensor) -> FullGaussian:
        """Return N(mu, L L')."""
        k = self.n_components
        mean, raw, below = h.split([k, k, self.n_outputs - 2 * k], dim=-1)
        rows, columns = self.get_buffer("below")
        tril = torch.diag_embed(bounded_log_scale(raw).exp())
        tril[..., rows, columns] = below
        return FullGaussian(mean, tril)


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

    @property
    def n_outputs(self) -> int:
        """2 K + n_context."""
        return 2 * self.n_components + self.n_context

    def forward(self, h: Tensor) -> FlowDistribution:
        """Return the distribution of mu + sigma T_h(noise)."""
        mean, raw, context = h.split([self.n_components, self.n_components, self.n_context], dim=-1)
        affine = AffineTransform(mean, bounded_log_scale(raw).exp(), event_dim=1)
        flow = self.flow(context).transform.inv
        return FlowDistribution(ComposeTransform([flow, affine]), torch.zeros_like(mean))
