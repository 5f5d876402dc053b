"""The contractive penalty: the squared norm of the encoder's Jacobian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from isthmus._activations import activation, derivative, derivative_at_output
from isthmus._random import generator
from isthmus.networks import Layer, join_inputs
from isthmus.penalties._base import EncodedBatch, Penalty, Warmup

__all__ = ["Contraction"]


@dataclass(eq=False, repr=False)
class Contraction(Penalty):
    r"""The contractive penalty, Omega(h, x) = sum_i ||grad_x h_i||^2, of the code h (for a VAE, the posterior mean).

    Parameters
    ----------
    weight : float or Warmup, default=1.0
        lambda.
    method : {"auto", "exact", "projection"}, default="auto"
        "exact" is the squared Frobenius norm of the Jacobian: for one layer the closed form
        sum_j s_j^2 ||W_j||^2 with the slopes s_j of the activation, for a chain of dense layers a product of matrices
        per sample, otherwise automatic differentiation. "projection" is an unbiased estimate from random sign vectors
        v, with one more pass each: E ||J v||^2 forwards through a chain of dense layers, otherwise E ||J' v||^2
        backwards through the encoder. "auto" is "exact" for one layer, otherwise "projection".
    n_projections : int, default=1
        Number of sign vectors per sample.

    Notes
    -----
    Automatic differentiation is used if the encoder is not a chain of dense layers (``Network.encoder_layers``), the
    code is not an elementwise function of its outputs (``Posterior.mean_activation``), cells are missing or masked, or
    the likelihood transforms the encoder's inputs (``Likelihood.transforms_input``, as those of counts do).

    References
    ----------
    Rifai et al. (2011), Contractive Auto-Encoders; Hutchinson (1990) for the estimate of the trace of J'J.
    """

    weight: float | Warmup = 1.0
    method: str = "auto"
    n_projections: int = 1

    def forward(self, batch: EncodedBatch) -> Tensor:
        """Return ||df/dx||^2, (N,).

        Raises
        ------
        ValueError
            If `method` is not one of the three, or `n_projections` is less than 1.
        """
        if self.method not in ("auto", "exact", "projection"):
            raise ValueError(f"{self!r}: method must be 'auto', 'exact' or 'projection'.")
        if self.n_projections < 1:
            raise ValueError(f"{self!r}: n_projections must be at least 1.")
        layers = _layers_to_code(batch)
        if self.method != "projection" and layers is not None and len(layers) == 1:
            return _one_layer(batch, layers[0])
        jacobian = None if layers is None else _factors(batch, layers)
        if self.method != "exact":
            return torch.stack([_projected(batch, jacobian) for _ in range(self.n_projections)]).mean(0)
        return _autodiff(batch) if jacobian is None else _product(jacobian)


class _Factors(NamedTuple):
    """The Jacobian of a chain of dense layers with a skip connection.

    Attributes
    ----------
    layers : list of tuple of Tensor
        For each layer the slopes (N, outputs) of its activation, and its weight.
    skip : Tensor of shape (K, D) or None
        The weight of the skip connection, which is added to that of the last layer.
    """

    layers: list[tuple[Tensor, Tensor]]
    skip: Tensor | None


def _layers_to_code(batch: EncodedBatch) -> list[Layer] | None:
    """Return the encoder's layers up to the code, or None if the code is not a chain of dense layers applied to x~."""
    model = batch.model
    last = model.posterior.mean_activation
    if batch.input_mask is not None or last is None or model.likelihood.transforms_input:
        return None
    layers = model.network.encoder_layers()
    return None if layers is None else [*layers[:-1], layers[-1]._replace(activation=last)]


def _one_layer(batch: EncodedBatch, layer: Layer) -> Tensor:
    """Return sum_j slope_j^2 ||W_j||^2, (N,); most activations give the slopes from the code, without another pass."""
    slope_at_code = derivative_at_output(layer.activation)
    weight = _without_condition(batch, layer)
    slope = _factors(batch, [layer]).layers[0][0] if slope_at_code is None else slope_at_code(batch.q.mean)
    return slope.square() @ weight.square().sum(1).to(slope)


def _without_condition(batch: EncodedBatch, layer: Layer) -> Tensor:
    """Return the columns of the first layer's weight that read x~."""
    n_features = batch.corrupted.shape[-1]  # slicing only if needed, as the gradient of a slice is padded with zeros
    return layer.weight if layer.weight.shape[1] == n_features else layer.weight[:, :n_features]


def _factors(batch: EncodedBatch, layers: list[Layer]) -> _Factors:
    network = batch.model.network
    x = batch.model.encoder_input(batch.corrupted).to(network.dtype)
    inputs = join_inputs(network.sizes, x, None if batch.c is None else batch.c.to(network.dtype))
    skip, h, factors = network.encoder_skip(), inputs, []
    for i, layer in enumerate(layers):
        a = F.linear(h, layer.weight, layer.bias)
        if skip is not None and i == len(layers) - 1:
            a = a + F.linear(inputs, skip)
        factors.append((derivative(layer.activation)(a), layer.weight))
        h = activation(layer.activation)(a)
    factors[0] = factors[0][0], _without_condition(batch, layers[0])
    return _Factors(factors, None if skip is None else skip[:, : x.shape[-1]])


def _product(factors: _Factors) -> Tensor:
    (slope, weight), *later = factors.layers
    jacobian = slope.unsqueeze(-1) * weight  # (N, H, D)
    for i, (slope, weight) in enumerate(later, start=1):
        jacobian = weight @ jacobian
        if factors.skip is not None and i == len(later):
            jacobian = jacobian + factors.skip
        jacobian = slope.unsqueeze(-1) * jacobian
    return jacobian.square().sum((-2, -1))


def _random_signs(like: Tensor) -> Tensor:
    return torch.empty_like(like).bernoulli_(generator=generator(like.device)).mul_(2).sub_(1)


def _projected(batch: EncodedBatch, factors: _Factors | None) -> Tensor:
    """Return ||J v||^2, or ||J' v||^2 where the Jacobian has no factors, for random signs v, (N,)."""
    if factors is None:
        code, pull = torch.func.vjp(lambda x: batch.model.q(x, batch.c, batch.input_mask).mean, batch.corrupted)[:2]
        return pull(_random_signs(code))[0].square().sum(-1)
    signs = v = _random_signs(batch.corrupted).to(factors.layers[0][1].dtype)  # (N, D)
    for i, (slope, weight) in enumerate(factors.layers):
        v = v @ weight.T
        if factors.skip is not None and i == len(factors.layers) - 1:
            v = v + signs @ factors.skip.T
        v = slope * v
    return v.square().sum(-1)


def _autodiff(batch: EncodedBatch) -> Tensor:
    def code(x: Tensor, *given: Tensor | None) -> Tensor:
        return batch.model.q(x.unsqueeze(0), *(None if g is None else g.unsqueeze(0) for g in given)).mean.squeeze(0)

    over = (0, None if batch.c is None else 0, None if batch.input_mask is None else 0)
    jacobian = torch.func.vmap(torch.func.jacrev(code), in_dims=over)(batch.corrupted, batch.c, batch.input_mask)
    return jacobian.square().sum((-2, -1))
