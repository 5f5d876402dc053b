"""Corruptions c(x~|x): what the encoder sees instead of the clean row, while training."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus._part import Part

__all__ = ["Corruption", "GaussianNoise", "Masking", "NoCorruption", "SaltAndPepper"]


def _check_probability(part: Part, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{part!r}: probability must lie in [0, 1].")


class Corruption(Part):
    """Base of the corruptions: ``forward`` draws x~ for rows x of the scaled data. Only training uses it."""

    def build(self, x: Tensor) -> None:
        """Check the hyperparameters and read from training rows `x` (N, D) what depends on them."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Draw x~ ~ c(.|x), (N, D)."""


@dataclass(eq=False, repr=False)
class NoCorruption(Corruption):
    """x~ = x."""

    alias = "none"

    def forward(self, x: Tensor) -> Tensor:
        """Return x itself."""
        return x


@dataclass(eq=False, repr=False)
class GaussianNoise(Corruption):
    r"""x~ ~ N(x, scale^2 I).

    Parameters
    ----------
    scale : float, default=0.5
        Standard deviation, in the units of the scaled data (its own units with ``scaling="none"``).

    References
    ----------
    Vincent (2011), A Connection Between Score Matching and Denoising Autoencoders.
    """

    scale: float = 0.5

    def build(self, x: Tensor) -> None:  # noqa: ARG002 - the signature is the base's
        """Check the scale."""
        if not self.scale >= 0:
            raise ValueError(f"{self!r}: scale must not be negative.")

    def forward(self, x: Tensor) -> Tensor:
        """Add the noise."""
        return x + self.scale * torch.randn_like(x)


@dataclass(eq=False, repr=False)
class Masking(Corruption):
    """Every cell is set to 0 (after scaling: the mean, by default) with a given probability.

    Parameters
    ----------
    probability : float, default=0.3
        Share of the cells that are masked.

    References
    ----------
    Vincent et al. (2010), Stacked Denoising Autoencoders, JMLR 11, section 3.3.
    """

    probability: float = 0.3

    def build(self, x: Tensor) -> None:  # noqa: ARG002 - the signature is the base's
        """Check the probability."""
        _check_probability(self, self.probability)

    def forward(self, x: Tensor) -> Tensor:
        """Mask the cells."""
        return x * (torch.rand_like(x) >= self.probability)


@dataclass(eq=False, repr=False)
class SaltAndPepper(Corruption):
    """Every cell is set, with a given probability, to its column's smallest or largest value, by a fair coin.

    Parameters
    ----------
    probability : float, default=0.1
        Share of the cells that are replaced.

    References
    ----------
    Vincent et al. (2010), Stacked Denoising Autoencoders, JMLR 11, section 3.3.
    """

    probability: float = 0.1

    def build(self, x: Tensor) -> None:
        """Check the probability and store the extremes of each column."""
        _check_probability(self, self.probability)
        self.register_buffer("low", x.amin(0), persistent=False)
        self.register_buffer("high", x.amax(0), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Replace the cells."""
        u = torch.rand_like(x)
        extreme = torch.where(u < 0.5 * self.probability, self.get_buffer("low"), self.get_buffer("high"))
        return torch.where(u < self.probability, extreme, x)
