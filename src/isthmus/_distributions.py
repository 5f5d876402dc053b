"""Distributions of codes: torch distributions that also map given noise to draws.

``from_noise`` makes draws reproducible, whatever else was drawn.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from isthmus._random import generator

__all__ = [
    "LOG_SCALE_BOUND",
    "DiagonalGaussian",
    "FlowDistribution",
    "FullGaussian",
    "LatentDistribution",
    "PointMass",
    "WhitenedGaussian",
    "bounded_log_scale",
    "raw_log_scale",
]

_LOG_2PI = math.log(2 * math.pi)

# Standard deviations stay between exp(-8) and exp(8), whose squares do not overflow in float32.
LOG_SCALE_BOUND = 8.0


def bounded_log_scale(raw: Tensor) -> Tensor:
    """Return a log scale between -8 and 8 for any number: a tanh, whose gradient does not vanish as a clamp's does."""
    return LOG_SCALE_BOUND * torch.tanh(raw / LOG_SCALE_BOUND)


def raw_log_scale(log_scale: Tensor) -> Tensor:
    """Return the number whose :func:`bounded_log_scale` is a log scale within the bounds."""
    return LOG_SCALE_BOUND * torch.atanh((log_scale / LOG_SCALE_BOUND).clamp(-0.99, 0.99))


class LatentDistribution(Distribution):
    """Base of the distributions on R^K that are functions of standard normal noise.

    Parameters
    ----------
    mean : Tensor of shape (..., K)
        The mean; the last dimension is the event.
    """

    has_rsample = True
    support = constraints.real_vector
    arg_constraints: dict[str, Any] = {}

    @property
    def numbers_per_unit(self) -> int:
        """The numbers that computing the density at one code holds at a time for each of the K units."""
        return 1

    def __init__(self, mean: Tensor) -> None:
        super().__init__(mean.shape[:-1], mean.shape[-1:], validate_args=False)
        self._mean = mean

    @property
    def mean(self) -> Tensor:
        """The mean, (..., K)."""
        return self._mean

    @property
    def precision(self) -> Tensor | None:
        """The inverse of the covariance, (..., K, K), of a normal distribution; None for others."""
        return None

    @abstractmethod
    def from_noise(self, noise: Tensor) -> Tensor:
        """Return draws from standard normal `noise` (S, ..., K), or (..., K) for a single draw, of the same shape."""

    def scaled(self, factor: Tensor) -> LatentDistribution:  # noqa: ARG002 - a default
        """Return the distribution with noise multiplied by a factor (...); by default the distribution itself."""
        return self

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draw with gradients."""
        shape, device = torch.Size(sample_shape) + self._mean.shape, self._mean.device
        noise = torch.randn(shape, dtype=self._mean.dtype, device=device, generator=generator(device))
        return self.from_noise(noise)


class PointMass(LatentDistribution):
    """A point mass, the posterior of a deterministic autoencoder. It has no density.

    Parameters
    ----------
    mean : Tensor of shape (..., K)
        The point.
    selected_from : Tensor of shape (..., K), optional
        The numbers of which the code keeps some and sets the others to 0, in training; for penalties on the others.
    """

    def __init__(self, mean: Tensor, selected_from: Tensor | None = None) -> None:
        super().__init__(mean)
        self.selected_from = selected_from

    def from_noise(self, noise: Tensor) -> Tensor:
        """Return the point for every draw."""
        return self._mean.expand(noise.shape)


class DiagonalGaussian(LatentDistribution):
    r"""N(mean, diag(exp(2 log_scale))).

    Parameters
    ----------
    mean, log_scale : Tensor of shape (..., K)
        Mean and logarithm of the standard deviation.
    standard : bool, default=False
        Whether this is N(0, I), for which divergences have a shorter form.
    """

    def __init__(self, mean: Tensor, log_scale: Tensor, *, standard: bool = False) -> None:
        super().__init__(mean)
        self.log_scale, self.standard = log_scale, standard

    @property
    def variance(self) -> Tensor:
        """The variances, (..., K)."""
        return (2 * self.log_scale).exp()

    @property
    def precision(self) -> Tensor:
        """The inverse of the covariance, (..., K, K)."""
        return torch.diag_embed((-2 * self.log_scale).exp())

    def scaled(self, factor: Tensor) -> DiagonalGaussian:
        """Return N(mean, (factor * scale)^2)."""
        return DiagonalGaussian(self._mean, self.log_scale + factor.log().unsqueeze(-1))

    def from_noise(self, noise: Tensor) -> Tensor:
        """Return mean + scale * noise."""
        return self._mean + self.log_scale.exp() * noise

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log density in nats, (...)."""
        standard = (value - self._mean) * (-self.log_scale).exp()
        return -0.5 * standard.square().sum(-1) - self.log_scale.sum(-1) - 0.5 * self._mean.shape[-1] * _LOG_2PI


class FullGaussian(LatentDistribution):
    r"""N(mean, L L'), where L is lower triangular with a positive diagonal.

    Parameters
    ----------
    mean : Tensor of shape (..., K)
        Mean.
    scale_tril : Tensor of shape (..., K, K)
        L, the Cholesky factor of the covariance.
    """

    def __init__(self, mean: Tensor, scale_tril: Tensor) -> None:
        super().__init__(mean)
        self.scale_tril = scale_tril

    @property
    def numbers_per_unit(self) -> int:
        """K, for the Cholesky factor."""
        return self._mean.shape[-1]

    @property
    def variance(self) -> Tensor:
        """The diagonal of the covariance, (..., K)."""
        return self.scale_tril.square().sum(-1)

    @property
    def precision(self) -> Tensor:
        """The inverse of the covariance, (..., K, K)."""
        return torch.cholesky_inverse(self.scale_tril)

    def scaled(self, factor: Tensor) -> FullGaussian:
        """Return N(mean, factor^2 L L')."""
        return FullGaussian(self._mean, factor[..., None, None] * self.scale_tril)

    def from_noise(self, noise: Tensor) -> Tensor:
        """Return mean + L noise."""
        return self._mean + (self.scale_tril @ noise.unsqueeze(-1)).squeeze(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log density in nats, (...)."""
        deviation = (value - self._mean).unsqueeze(-1)
        standard = torch.linalg.solve_triangular(self.scale_tril, deviation, upper=False).squeeze(-1)
        log_det = self.scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return -0.5 * standard.square().sum(-1) - log_det - 0.5 * self._mean.shape[-1] * _LOG_2PI


class WhitenedGaussian(LatentDistribution):
    r"""M distributions N(mean_m, (A_m' A_m)^-1), given by a triangular factor of their precision.

    Parameters
    ----------
    mean : Tensor of shape (M, K)
        Means.
    whitening : Tensor of shape (M, K, K)
        A, triangular with a positive diagonal.
    upper : bool, default=False
        Whether A is upper triangular.
    """

    def __init__(self, mean: Tensor, whitening: Tensor, *, upper: bool = False) -> None:
        super().__init__(mean)
        self.whitening, self.upper = whitening, upper

    @property
    def variance(self) -> Tensor:
        """The diagonal of each covariance, (M, K)."""
        identity = torch.eye(self._mean.shape[-1], dtype=self._mean.dtype, device=self._mean.device)
        inverse = torch.linalg.solve_triangular(self.whitening, identity, upper=self.upper)
        return inverse.square().sum(-1)

    @cached_property
    def precision(self) -> Tensor:
        """A_m' A_m, (M, K, K)."""
        return self.whitening.mT @ self.whitening

    def from_noise(self, noise: Tensor) -> Tensor:
        """Return mean + A^-1 noise, for noise (..., M, K)."""
        columns = noise.reshape(-1, *self._mean.shape).permute(1, 2, 0)
        white = torch.linalg.solve_triangular(self.whitening, columns, upper=self.upper)
        return self._mean + white.permute(2, 0, 1).reshape(noise.shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log densities in nats, (..., M), of values (..., M, K), or of the same (..., 1, K) for all."""
        m, k = self._mean.shape
        if value.shape[-2] == m:
            white = torch.einsum("...mk,mjk->...mj", value - self._mean, self.whitening)
        else:  # one product of matrices
            centre = (self.whitening @ self._mean.unsqueeze(-1)).squeeze(-1)
            white = (value.squeeze(-2) @ self.whitening.reshape(m * k, k).T).unflatten(-1, (m, k)) - centre
        log_det = self.whitening.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return log_det - 0.5 * (white.square().sum(-1) + k * _LOG_2PI)


class FlowDistribution(LatentDistribution):
    """The distribution of T(noise) for an invertible T, such as a normalizing flow.

    Its mean has no closed form: ``mean`` is T(0), the image of the noise's mean, which serves as the code.

    Parameters
    ----------
    transform : torch.distributions.Transform
        T; its parameters broadcast with (..., K).
    zeros : Tensor of shape (..., K)
        Zeros with the dtype and the device of the draws.
    factor : Tensor of shape (...), optional
        Factor of the noise; 1 by default.
    """

    def __init__(self, transform: torch.distributions.Transform, zeros: Tensor, factor: Tensor | None = None) -> None:
        super().__init__(transform(zeros))
        self.transform, self.zeros = transform, zeros
        self.factor = zeros.new_ones(zeros.shape[:-1]) if factor is None else factor

    @property
    def numbers_per_unit(self) -> int:
        """The parameters of a spline, about 24, and the bins that they are compared with."""
        return 32

    def scaled(self, factor: Tensor) -> FlowDistribution:
        """Return the distribution of T(factor * noise)."""
        return FlowDistribution(self.transform, self.zeros, self.factor * factor)

    def from_noise(self, noise: Tensor) -> Tensor:
        """Return T(factor * noise)."""
        return self.transform(self.factor.unsqueeze(-1) * noise)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log density in nats, (...)."""
        if not value.numel():  # which zuko cannot reshape
            return value.sum(-1) - self.factor.log()
        noise = self.transform.inv(value)
        log_noise = -0.5 * (noise / self.factor.unsqueeze(-1)).square().sum(-1) - 0.5 * noise.shape[-1] * _LOG_2PI
        return log_noise - noise.shape[-1] * self.factor.log() - self.transform.log_abs_det_jacobian(noise, value)
