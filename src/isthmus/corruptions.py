"""Corruptions c(x~|x): random changes of the encoder's inputs during training."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus._part import Part
from isthmus._random import normal_like, uniform_like

__all__ = ["Corruption", "GaussianNoise", "Masking", "NoCorruption", "SaltAndPepper", "UniformNoise", "VaryingNoise"]


class Corruption(Part):
    """Base of the corruptions, applied in training only: ``forward`` draws x~ given scaled samples x.

    Attributes
    ----------
    input_mask : bool
        Whether the encoder gets a mask in addition to x~, with 0 where a cell was masked.
    simulates_missing : bool
        Whether a corrupted cell looks like a missing one, so that the model is trained for imputation.
    """

    input_mask: bool = False
    simulates_missing: bool = False

    def build(self, x: Tensor) -> None:
        """Check the hyperparameters, and compute what depends on the training samples `x` (N, D)."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Draw x~ ~ c(.|x), (N, D)."""

    def corrupt(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return x~, drawn as ``forward`` draws it, and the encoder's mask.

        With ``input_mask`` the mask is (N, D), in the dtype of `x`, 1 where a cell was kept; otherwise it is None.
        """
        return self(x), None


@dataclass(eq=False, repr=False)
class NoCorruption(Corruption):
    """Leave samples unchanged: x~ = x."""

    alias = "none"

    def forward(self, x: Tensor) -> Tensor:
        """Return x itself."""
        return x


@dataclass(eq=False, repr=False)
class GaussianNoise(Corruption):
    r"""Add normal noise: x~ ~ N(x, scale^2 I).

    Parameters
    ----------
    scale : float, default=0.5
        Standard deviation, in the units of the scaled data (the data's own units with ``scaling="none"``).

    References
    ----------
    Vincent (2011), A Connection Between Score Matching and Denoising Autoencoders.
    """

    scale: float = 0.5

    def build(self, x: Tensor) -> None:  # noqa: ARG002 - the signature of the base class
        """Check the scale."""
        _check_scale(self, self.scale)

    def forward(self, x: Tensor) -> Tensor:
        """Add the noise."""
        return x + self.scale * normal_like(x)


@dataclass(eq=False, repr=False)
class VaryingNoise(Corruption):
    r"""Add normal noise whose level differs between samples: x~ ~ N(x, s^2 I) with s ~ U(0, scale) for each sample.

    A model that is trained with noise of one level takes every sample to be that noisy, and smooths samples without
    noise too. If the level varies from 0 on, the model learns to recognise it.

    Parameters
    ----------
    scale : float, default=0.7
        Largest standard deviation of the noise, in the units of the scaled data (the data's own units with
        ``scaling="none"``).

    See Also
    --------
    GaussianNoise : Noise of a known level.

    References
    ----------
    Zhang et al. (2017), Beyond a Gaussian Denoiser: Residual Learning of Deep CNN for Image Denoising, which calls it
    blind denoising.

    Examples
    --------
    >>> import torch
    >>> level = (VaryingNoise(0.7)(torch.zeros(1000, 500))).std(1)
    >>> bool(level.min() < 0.1 and level.max() > 0.6)
    True
    """

    scale: float = 0.7

    def build(self, x: Tensor) -> None:  # noqa: ARG002 - the signature of the base class
        """Check the scale."""
        _check_scale(self, self.scale)

    def forward(self, x: Tensor) -> Tensor:
        """Add the noise."""
        return x + self.scale * uniform_like(x[..., :1]) * normal_like(x)


@dataclass(eq=False, repr=False)
class UniformNoise(Corruption):
    r"""Add uniform noise, independently to each cell: x~ ~ U[x - scale, x + scale].

    Parameters
    ----------
    scale : float, default=0.5
        Largest change of a cell, in the units of the scaled data (the data's own units with ``scaling="none"``). The
        standard deviation of the noise is scale / sqrt(3).

    See Also
    --------
    GaussianNoise : Noise without a bound.

    Examples
    --------
    >>> import torch
    >>> bool((UniformNoise(0.5)(torch.ones(100, 2)) - 1).abs().max() <= 0.5)
    True
    """

    scale: float = 0.5

    def build(self, x: Tensor) -> None:  # noqa: ARG002 - the signature of the base class
        """Check the scale."""
        _check_scale(self, self.scale)

    def forward(self, x: Tensor) -> Tensor:
        """Add the noise."""
        return x + self.scale * (2 * uniform_like(x) - 1)


@dataclass(eq=False, repr=False)
class Masking(Corruption):
    r"""Set every cell to 0 with a given probability (after standard scaling, 0 is the feature's mean).

    With m ~ Bernoulli(1 - probability) for each cell, x~ = m x. The encoder cannot tell a masked cell of x~ from one
    that is 0. With ``input_mask`` it gets (m x, m). Missing cells have m = 0 as well, so the model is trained for
    :meth:`impute`, which then takes a single pass. The loss counts masked cells, whose values are known, but never
    missing ones.

    Parameters
    ----------
    probability : float, default=0.3
        Expected fraction of the cells that are masked.
    input_mask : bool, default=False
        Whether the encoder also gets the mask m. It is fixed by the first ``fit``, because ``warm_start`` cannot
        add inputs to a network. A complete sample has m = 1 everywhere, which rarely occurs in training if
        `probability` is large.

    References
    ----------
    Vincent et al. (2010), Stacked Denoising Autoencoders, JMLR 11, section 3.3; Pathak et al. (2016), Context
    Encoders: Feature Learning by Inpainting, for the mask.

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([[3.0, 0.0, 5.0, 7.0]])
    >>> corrupted, mask = Masking(0.5, input_mask=True).corrupt(x)
    >>> bool((corrupted == x * mask).all())
    True
    """

    probability: float = 0.3
    input_mask: bool = False

    simulates_missing = True

    def build(self, x: Tensor) -> None:  # noqa: ARG002 - the signature of the base class
        """Check the probability."""
        _check_probability(self, self.probability)

    def forward(self, x: Tensor) -> Tensor:
        """Mask the cells."""
        return self.corrupt(x)[0]

    def corrupt(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Mask the cells, and return the mask if the encoder gets it."""
        kept = uniform_like(x) >= self.probability
        return torch.where(kept, x, 0.0), kept.to(x.dtype) if self.input_mask else None


@dataclass(eq=False, repr=False)
class SaltAndPepper(Corruption):
    """Set every cell, with a given probability, to the minimum or the maximum of its feature, with equal chances.

    Parameters
    ----------
    probability : float, default=0.1
        Expected fraction of the cells that are replaced.

    References
    ----------
    Vincent et al. (2010), Stacked Denoising Autoencoders, JMLR 11, section 3.3.
    """

    probability: float = 0.1

    def build(self, x: Tensor) -> None:
        """Check the probability, and store the extremes of each feature."""
        _check_probability(self, self.probability)
        self.register_buffer("low", x.amin(0), persistent=False)
        self.register_buffer("high", x.amax(0), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Replace the cells."""
        u = uniform_like(x)
        extreme = torch.where(u < 0.5 * self.probability, self.get_buffer("low"), self.get_buffer("high"))
        return torch.where(u < self.probability, extreme, x)


def _check_scale(part: Part, scale: float) -> None:
    if not scale >= 0:
        raise ValueError(f"{part!r}: scale must not be negative.")


def _check_probability(part: Part, probability: float) -> None:
    if not 0 <= probability <= 1:
        raise ValueError(f"{part!r}: probability must lie in [0, 1].")
