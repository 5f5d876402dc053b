"""Penalties R_i(x, q, z), each with its weight: what keeps an autoencoder from learning the identity."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution

from isthmus._activations import derivative, derivative_at_output
from isthmus._distributions import DiagonalGaussian, LatentDistribution
from isthmus._part import Part
from isthmus.kl import kl_divergence, kl_per_unit
from isthmus.model import Model
from isthmus.networks import Layer

__all__ = ["KL", "L1", "Contraction", "EncodedBatch", "KLSparsity", "Penalty", "Warmup"]


class EncodedBatch(NamedTuple):
    """A batch with its codes: what penalties and objectives are computed from.

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
    """

    model: Model
    corrupted: Tensor
    q: LatentDistribution
    z: Tensor
    weight: Tensor
    c: Tensor | None = None
    mask: Tensor | None = None
    input_mask: Tensor | None = None


@dataclass(eq=False, repr=False)
class Warmup(Part):
    """A weight that rises linearly from 0 to `value` over the first part of training, then stays.

    Parameters
    ----------
    value : float, default=1.0
        Final weight.
    over : float, default=0.2
        Share of the training steps that the rise takes.

    References
    ----------
    Bowman et al. (2016), Generating Sentences from a Continuous Space.

    Examples
    --------
    >>> Warmup(2.0, over=0.5).at(0.25)
    1.0
    """

    value: float = 1.0
    over: float = 0.2

    def at(self, progress: float | Tensor) -> float | Tensor:
        """Return the weight when the share `progress` of the training is done; a tensor of a tensor."""
        if self.over <= 0:
            return self.value
        share = progress / self.over
        return self.value * (share.clamp(max=1.0) if isinstance(share, Tensor) else min(1.0, share))


class Penalty(Part):
    """Base of the penalties: ``forward`` returns R(x, q, z), unweighted, in nats, of shape (N,).

    ``weight`` is a number or a :class:`Warmup`; the objective applies it.
    """

    weight: float | Warmup

    @property
    def name(self) -> str:
        """The name of the term in the history."""
        return str(getattr(self, "alias", None) or type(self).__name__.lower())

    def weight_at(self, progress: float | Tensor) -> float | Tensor:
        """Return the weight when the share `progress` of the training is done."""
        return self.weight.at(progress) if isinstance(self.weight, Warmup) else self.weight

    @abstractmethod
    def forward(self, batch: EncodedBatch) -> Tensor:
        """Return the penalty of every row, (N,)."""


@dataclass(eq=False, repr=False)
class KL(Penalty):
    r"""KL(q(z|x) || p(z)), in closed form where there is one; with weight 1 the objective is the negative ELBO.

    Parameters
    ----------
    weight : float or Warmup, default=1.0
        beta.
    free_bits : float, default=0.0
        Nats that every latent unit may use for nothing: its mean divergence over the batch counts only above
        it, and below it has no gradient. Needs posterior and prior with independent units.

    References
    ----------
    Kingma & Welling (2014); Higgins et al. (2017), beta-VAE; Kingma et al. (2016), Improved Variational
    Inference with Inverse Autoregressive Flow, appendix C.8, for free bits.
    """

    weight: float | Warmup = 1.0
    free_bits: float = 0.0

    def forward(self, batch: EncodedBatch) -> Tensor:
        """Return KL(q || p), (N,)."""
        prior: Distribution = batch.model.p_z(batch.c)
        if not self.free_bits:
            return kl_divergence(batch.q, prior, batch.z)
        if not (isinstance(batch.q, DiagonalGaussian) and isinstance(prior, DiagonalGaussian)):
            raise ValueError(
                "free_bits needs independent latent units: posterior='diagonal_normal', prior='standard_normal'."
            )
        units = kl_per_unit(batch.q, prior)  # (N, K)
        mean = _mean_over_samples(units, batch.weight)
        return torch.where(mean > self.free_bits, units, self.free_bits).sum(-1)


@dataclass(eq=False, repr=False)
class L1(Penalty):
    r"""E sum_k \|z_k\| ||W_k||: each unit weighted by the norm of the decoder's column that reads it.

    Without the norms a network lowers the penalty for nothing: it shrinks the codes and grows the decoder. Behind a
    deep decoder's first layer the norm is multiplied by the gain of the later ones (``Network.code_norms``), which
    could grow as well.

    Parameters
    ----------
    weight : float or Warmup, default=1.0
        Nats for a unit of \|z\|.

    References
    ----------
    Bricken et al. (2023), Towards Monosemanticity; Conerly et al. (2024), Update on How We Train SAEs.
    """

    weight: float | Warmup = 1.0

    def forward(self, batch: EncodedBatch) -> Tensor:
        """Return the weighted L1 norm of the codes, (N,)."""
        size = batch.z.abs()
        norms = batch.model.network.code_norms()
        return (size if norms is None else size * norms).sum(-1).mean(0)


@dataclass(eq=False, repr=False)
class KLSparsity(Penalty):
    r"""sum_k KL(rho || rho_k), rho_k the mean activation of unit k **over the samples** of the batch.

    .. math:: \mathrm{KL}(\rho\|\hat\rho_k) = \rho\log\frac{\rho}{\hat\rho_k} + (1-\rho)\log\frac{1-\rho}{1-\hat\rho_k}

    Parameters
    ----------
    weight : float or Warmup, default=1.0
        Weight of the sum.
    rho : float, default=0.05
        Wanted mean activation of a unit, in (0, 1).

    Notes
    -----
    Codes have to lie in (0, 1): use ``code_activation="sigmoid"``. The term is a number of the batch, the same
    for each of its rows.

    References
    ----------
    Ng (2011), CS294A Lecture Notes: Sparse Autoencoder.
    """

    weight: float | Warmup = 1.0
    rho: float = 0.05
    alias = "kl_sparsity"

    def forward(self, batch: EncodedBatch) -> Tensor:
        """Return the divergence of the batch, (N,), the same for every row."""
        if batch.model.posterior.mean_activation != "sigmoid":
            raise ValueError("kl_sparsity needs codes in (0, 1): set code_activation='sigmoid'.")
        mean = _mean_over_samples(batch.z.mean(0), batch.weight).clamp(1e-6, 1 - 1e-6)
        on = self.rho * (math.log(self.rho) - mean.log())
        off = (1 - self.rho) * (math.log(1 - self.rho) - (1 - mean).log())
        return (on + off).sum().expand(batch.z.shape[1])


@dataclass(eq=False, repr=False)
class Contraction(Penalty):
    r"""The notes' Omega(h, x) = sum_i ||grad_x h_i||^2, h the code (for a VAE, the posterior mean).

    Parameters
    ----------
    weight : float or Warmup, default=1.0
        lambda.
    method : {"auto", "exact", "projection"}, default="auto"
        "exact" is the squared Frobenius norm of the Jacobian: for one layer the closed form
        sum_j a'(a_j)^2 ||W_j||^2, for a chain of layers a product of matrices a row, else autodiff.
        "projection" estimates it without bias from random sign vectors v, each for one more pass: as E ||J v||^2
        forward through a chain of layers, else as E ||J' v||^2 back through the encoder. "auto" is exact for one
        layer, else projection.
    n_projections : int, default=1
        Sign vectors a row.

    References
    ----------
    Rifai et al. (2011), Contractive Auto-Encoders; Hutchinson (1990) for the estimate of the trace of J'J.
    """

    weight: float | Warmup = 1.0
    method: str = "auto"
    n_projections: int = 1

    def forward(self, batch: EncodedBatch) -> Tensor:
        """Return ||df/dx||^2, (N,)."""
        if self.method not in ("auto", "exact", "projection"):
            raise ValueError(f"{self!r}: method must be 'auto', 'exact' or 'projection'.")
        if self.method != "projection" and (found := _one_layer(batch)) is not None:
            return found
        chain = _code_chain(batch)
        if self.method != "projection" and chain is not None and len(chain) == 1:
            return _frobenius(_slope(chain[0]), chain[0].weight)
        if self.method != "exact":
            return torch.stack([_projected(batch, chain) for _ in range(self.n_projections)]).mean(0)
        return _product(chain) if chain is not None else _autodiff(batch)


def _mean_over_samples(values: Tensor, weight: Tensor) -> Tensor:
    return weight @ values / weight.sum()


def _sees_rows(batch: EncodedBatch) -> bool:
    """Tell whether the encoder's Jacobian is the network's: it sees whole rows, moved at most."""
    return batch.input_mask is None and batch.model.likelihood.encoder_input(batch.corrupted) is batch.corrupted


def _code_chain(batch: EncodedBatch) -> list[Layer] | None:
    """Return the encoder's layers up to the code, or None where it is no chain of them on the rows themselves."""
    if not _sees_rows(batch):
        return None
    network, seen = batch.model.network, batch.model.encoder_input(batch.corrupted)
    chain = network.chain(seen.to(network.dtype), None if batch.c is None else batch.c.to(network.dtype))
    last = batch.model.posterior.mean_activation
    if chain is None or last is None:
        return None
    return [*chain[:-1], chain[-1]._replace(activation=last)]


def _slope(layer: Layer) -> Tensor:
    return derivative(layer.activation)(layer.a)  # (N, outputs)


def _frobenius(slope: Tensor, weight: Tensor) -> Tensor:
    """Return sum_j slope_j^2 ||W_j||^2, (N,)."""
    return slope.square() @ weight.square().sum(1).to(slope)


def _one_layer(batch: EncodedBatch) -> Tensor | None:
    """Return the norm by the closed form where the encoder is one layer whose slope the code tells, else None."""
    weight, last = batch.model.network.only_weight(), batch.model.posterior.mean_activation
    slope = None if last is None else derivative_at_output(last)
    if weight is None or slope is None or not _sees_rows(batch):
        return None
    return _frobenius(slope(batch.q.mean), weight)


def _product(chain: list[Layer]) -> Tensor:
    jacobian = _slope(chain[0]).unsqueeze(-1) * chain[0].weight  # (N, H, D)
    for layer in chain[1:]:
        jacobian = _slope(layer).unsqueeze(-1) * (layer.weight @ jacobian)
    return jacobian.square().sum((-2, -1))


def _signs(like: Tensor) -> Tensor:
    return torch.empty_like(like).bernoulli_().mul_(2).sub_(1)


def _projected(batch: EncodedBatch, chain: list[Layer] | None) -> Tensor:
    if chain is None:
        code, pull = torch.func.vjp(_code(batch), batch.corrupted)[:2]
        return pull(_signs(code))[0].square().sum(-1)
    v = _signs(batch.corrupted).to(chain[0].weight.dtype)  # (N, D)
    for layer in chain:
        v = _slope(layer) * (v @ layer.weight.T)
    return v.square().sum(-1)


def _code(batch: EncodedBatch) -> Callable[[Tensor], Tensor]:
    return lambda x: batch.model.q(x, batch.c, batch.input_mask).mean


def _autodiff(batch: EncodedBatch) -> Tensor:
    def one(x: Tensor, *given: Tensor | None) -> Tensor:
        return batch.model.q(x.unsqueeze(0), *(None if g is None else g.unsqueeze(0) for g in given)).mean.squeeze(0)

    over = (0, None if batch.c is None else 0, None if batch.input_mask is None else 0)
    jacobian = torch.func.vmap(torch.func.jacrev(one), in_dims=over)(batch.corrupted, batch.c, batch.input_mask)
    return jacobian.square().sum((-2, -1))
