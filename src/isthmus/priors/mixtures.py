"""Mixtures as priors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from isthmus._distributions import DiagonalGaussian, WhitenedGaussian
from isthmus._mixture import Mixture
from isthmus._tensor_shapes import TensorShape
from isthmus.priors._base import Encode, Prior, check_count

__all__ = ["MixtureOfNormals", "VampPrior"]


@dataclass(eq=False, repr=False)
class MixtureOfNormals(Prior):
    r"""A mixture of normal distributions, whose weights, means and covariances are learned.

    .. math:: p(z) = \sum_m \pi_m\, N(z; \mu_m, C_m), \qquad C_m = \mathrm{diag}(\sigma_m^2) \text{ or }
        (A_m^\top A_m)^{-1} \text{ with a lower triangular } A_m

    Parameters
    ----------
    n_mixture : int, default=10
        M, the number of components. Their means are initialised with draws from N(0, I), their scales with 1/2.
    covariance : {"diag", "full"}, default="diag"
        Form of the covariance matrices.

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
    covariance: str = "diag"

    def build(self, n_components: int, n_features: int = 0, n_conditions: int = 0) -> None:
        """Make weights, means and scales.

        Raises
        ------
        ValueError
            If `n_mixture` is below 1, or `covariance` is neither "diag" nor "full".
        """
        super().build(n_components, n_features, n_conditions)
        check_count(self, self.n_mixture)
        if self.covariance not in ("diag", "full"):
            raise ValueError(f"{self!r}: covariance must be 'diag' or 'full'.")
        self.logits = nn.Parameter(torch.zeros(self.n_mixture))
        self.means = nn.Parameter(torch.randn(self.n_mixture, n_components))
        self.log_scales = nn.Parameter(torch.full((self.n_mixture, n_components), -0.7))
        if self.covariance == "full":
            self.below_diagonal = nn.Parameter(torch.zeros(self.n_mixture, n_components, n_components))

    def tensor_shapes(self, n_components: int, n_features: int = 0, n_conditions: int = 0) -> Iterator[TensorShape]:  # noqa: ARG002
        """Yield the tensors that are saved."""
        yield "logits", (self.n_mixture,)
        yield from ((name, (self.n_mixture, n_components)) for name in ("means", "log_scales"))
        if self.covariance == "full":
            yield "below_diagonal", (self.n_mixture, n_components, n_components)

    @torch.no_grad()
    def set_mixture(self, weights: Tensor, means: Tensor, covariances: Tensor) -> None:
        """Set weights (M,), means (M, K) and covariances (M, K, K) of a mixture with full covariances."""
        whitening = torch.linalg.inv(torch.linalg.cholesky(covariances))
        self.logits.copy_(weights.log())
        self.means.copy_(means)
        self.log_scales.copy_(-whitening.diagonal(dim1=-2, dim2=-1).log())
        self.below_diagonal.copy_(whitening.tril(-1))

    @property
    def numbers_per_row(self) -> int:
        """M K, because a code is compared with every component."""
        return self.n_mixture * self.n_components

    def forward(self, c: Tensor | None = None, encode: Encode | None = None) -> Mixture:  # noqa: ARG002
        """Return the mixture."""
        log_weight = self.logits.log_softmax(0)
        if self.covariance == "diag":
            return Mixture(log_weight, DiagonalGaussian(self.means, self.log_scales))
        whitening = self.below_diagonal.tril(-1) + torch.diag_embed((-self.log_scales).exp())
        return Mixture(log_weight, WhitenedGaussian(self.means, whitening))


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
        check_count(self, self.n_pseudo_inputs)
        if n_conditions:
            raise ValueError(f"{self!r} takes no conditions; use 'standard_normal' or 'conditional_normal'.")
        self.logits = nn.Parameter(torch.zeros(self.n_pseudo_inputs))
        self.pseudo_inputs = nn.Parameter(torch.randn(self.n_pseudo_inputs, n_features))

    def tensor_shapes(self, n_components: int, n_features: int = 0, n_conditions: int = 0) -> Iterator[TensorShape]:  # noqa: ARG002
        """Yield the tensors that are saved."""
        yield from (("logits", (self.n_pseudo_inputs,)), ("pseudo_inputs", (self.n_pseudo_inputs, n_features)))

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

    def forward(self, c: Tensor | None = None, encode: Encode | None = None) -> Mixture:  # noqa: ARG002
        """Return the mixture of posteriors.

        Raises
        ------
        ValueError
            If the encoder is missing.
        """
        if encode is None:
            raise ValueError(f"{self!r} is a mixture of posteriors: call it with the encoder, p(encode=model.q).")
        return Mixture(self.logits.log_softmax(0), encode(self.pseudo_inputs))
