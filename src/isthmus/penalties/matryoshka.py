"""The penalty of nested codes: the first units of a code must reconstruct the sample alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus.penalties._base import EncodedBatch, Penalty, Warmup, constant

__all__ = ["Matryoshka"]


@dataclass(eq=False, repr=False)
class Matryoshka(Penalty):
    r"""The reconstruction losses of nested codes: of only the first m units, for several widths m.

    .. math:: -\sum_m \log p(x \mid z_1, \dots, z_m, 0, \dots, 0)

    General features move to the first units, and special ones to the last: otherwise, in wide codes, a special feature
    often absorbs a general one.

    Parameters
    ----------
    weight : float or Warmup, default=1.0
        Weight of the sum.
    widths : tuple of (int or float), default=(0.0625, 0.125, 0.25, 0.5)
        The widths m: numbers of units, or fractions of K. The reconstruction from all K units is in the loss anyway.

    References
    ----------
    Bussmann et al. (2025), Learning Multi-Level Features with Matryoshka Sparse Autoencoders, arXiv:2503.17547.
    """

    weight: float | Warmup = 1.0
    widths: Sequence[float] = (0.0625, 0.125, 0.25, 0.5)

    def forward(self, batch: EncodedBatch) -> Tensor:
        """Return the sum of the reconstruction losses, (N,). They do not change the likelihood's own parameters.

        Raises
        ------
        ValueError
            If a width is not between 0 and K.
        """
        model, z = batch.model, batch.z
        units = torch.arange(z.shape[-1], device=z.device)
        total = z.new_zeros(z.shape[:-1])
        with constant(model.likelihood):
            for width in self.n_units(z.shape[-1]):
                total = total - model.log_likelihood(z * (units < width), batch.x, batch.c, batch.mask)
        return total.mean(0)

    def n_units(self, n_components: int) -> list[int]:
        """Return the widths as numbers of units.

        Examples
        --------
        >>> Matryoshka(widths=(3, 0.5)).n_units(16)
        [3, 8]
        """
        counts = [m if isinstance(m, int) else max(1, round(m * n_components)) for m in self.widths]
        for width, count in zip(self.widths, counts, strict=True):
            if width <= 0 or count >= n_components:
                raise ValueError(
                    f"{self!r}: widths must be whole numbers from 1 to n_components - 1 = {n_components - 1}, "
                    f"or fractions below 1, not {width!r}."
                )
        return counts
