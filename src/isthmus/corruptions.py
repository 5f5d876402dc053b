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

    @property
    def masks(self) -> bool:
        """Whether the encoder is told which cells were kept: it then takes a mask beside the row."""
        return False

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Draw x~ ~ c(.|x), (N, D)."""

    def corrupt(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Draw x~ as ``forward`` does, with 1 where the encoder is told that a cell was kept and 0 where masked.

        The second is (N, D), in x's type, where ``masks`` says so; otherwise it is None.
        """
        return self(x), None


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
    r"""Every cell is set to 0 (after scaling: the mean, by default) with a given probability.

    With m ~ Bernoulli(1 - probability) for each cell, x~ = m x. By x~ alone an encoder cannot tell a masked cell from
    one that is 0. With ``seen`` it gets (m x, m), and a cell that is missing in the data is one that has m = 0: the
    model is trained for the very task of :meth:`impute`, which is then one pass. The loss counts the masked cells,
    which are known, and never the missing ones.

    Parameters
    ----------
    probability : float, default=0.3
        Share of the cells that are masked.
    seen : bool, default=False
        Whether the encoder is told which cells were masked, as it is told which are missing; imputation then is one
        pass. It is decided by the first ``fit``: ``warm_start`` cannot add an input to a network. A complete row has
        m = 1 everywhere, which training with a large probability hardly ever shows.

    References
    ----------
    Vincent et al. (2010), Stacked Denoising Autoencoders, JMLR 11, section 3.3; Pathak et al. (2016), Context
    Encoders: Feature Learning by Inpainting, for the mask.

    Examples
    --------
    >>> import torch
    >>> from isthmus._random import seeded
    >>> with seeded(0):
    ...     row, kept = Masking(0.5, seen=True).corrupt(torch.tensor([[3.0, 0.0, 5.0, 7.0]]))
    >>> bool((row == torch.tensor([[3.0, 0.0, 5.0, 7.0]]) * kept).all())
    True
    """

    probability: float = 0.3
    seen: bool = False

    def build(self, x: Tensor) -> None:  # noqa: ARG002 - the signature is the base's
        """Check the probability."""
        _check_probability(self, self.probability)

    @property
    def masks(self) -> bool:
        """Whether the encoder is told which cells were kept."""
        return self.seen

    def forward(self, x: Tensor) -> Tensor:
        """Mask the cells."""
        return self.corrupt(x)[0]

    def corrupt(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Mask the cells, and say which were kept if they are to be seen."""
        kept = torch.rand_like(x) >= self.probability
        return x * kept, kept.to(x.dtype) if self.seen else None


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
