"""The base class of the likelihoods with a centre and a scale."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from isthmus._tensor_shapes import TensorShape
from isthmus.likelihoods._base import Likelihood
from isthmus.likelihoods._positive import (
    check_positive,
    learned,
    learned_shapes,
    log_learned,
    raw_floored,
    set_log_learned,
    soft_floor,
)

__all__ = ["LocationScale"]


@dataclass(eq=False, repr=False)
class LocationScale(Likelihood):
    """Base of the likelihoods in which (x_d - f_d(z)) / s_d has a fixed distribution, symmetric about 0.

    Parameters
    ----------
    scale : float or {"auto", "shared", "feature", "decoder"}, default="auto"
        s: a number fixes it; "shared" learns one for all features, "feature" one per feature; with "decoder" it is
        a function of z, s_d(z).
        "auto" is "decoder" in an estimator with a density if features have different units, otherwise "shared".
    min_scale : float, default=1e-3
        Lower bound of learned scales.
    """

    scale: float | str = "auto"
    min_scale: float = 1e-3

    interval_support = True
    unit_variance = 1.0  # of the distribution with scale 1

    def build(self, n_features: int) -> None:
        """Make the parameter log s, with one or D elements, if it is learned.

        Raises
        ------
        ValueError
            If `scale` is neither positive nor one of the three names.
        """
        super().build(n_features)
        if self.scale == "auto":
            self.scale = "shared"
        check_positive(type(self).__name__, "scale", self.scale, self.min_scale)
        if self.scale in ("shared", "feature"):
            self.raw_log_scale = learned(self.scale, n_features)

    def tensor_shapes(self, n_features: int) -> Iterator[TensorShape]:
        """Yield the tensors that are saved."""
        yield from learned_shapes("raw_log_scale", "shared" if self.scale == "auto" else self.scale, n_features)

    def count_outputs(self, n_features: int) -> int:
        """Return the number of decoder outputs: D centres, and with ``scale="decoder"`` D logarithms of s."""
        return n_features * (2 if self.scale == "decoder" else 1)

    def initial_output(self, mean: Tensor) -> Tensor:
        """Return outputs for the means, and for s(z) = 1."""
        return F.pad(mean, (0, self.n_outputs - self.n_features))

    @property
    def starts_linear(self) -> bool:  # type: ignore[override]
        """Whether the outputs are in the units of the samples."""
        return not self.transforms_input

    def linear_outputs(self, loadings: Tensor, mean: Tensor, noise_variance: Tensor) -> tuple[Tensor, Tensor]:
        """Return weight and bias of a linear decoder, and set the scales."""
        variance = noise_variance / self.unit_variance
        if self.scale == "shared":
            variance = variance.mean().expand(1)
        raw = raw_floored(self.min_scale, 0.5 * variance.log())
        if self.scale == "decoder":
            return F.pad(loadings, (0, 0, 0, self.n_features)), torch.cat([mean, raw])
        if not isinstance(self.scale, (int, float)):
            set_log_learned(self.raw_log_scale, raw)
        return loadings, mean

    def mean(self, h: Tensor) -> Tensor:
        """Return f(z), (..., D)."""
        return h[..., : self.n_features]

    def _centre_and_log_scale(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return the centre (..., D), and log s, which broadcasts with it."""
        if isinstance(self.scale, (int, float)):
            return h, h.new_tensor(math.log(self.scale))
        if self.scale == "decoder":
            centre, log_scale = h.split(self.n_features, dim=-1)
        else:
            centre, log_scale = h, log_learned(self.raw_log_scale)
        return centre, soft_floor(self.min_scale, log_scale)
