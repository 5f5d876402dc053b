"""The base class of the likelihoods of features with levels 0, 1, ..., L - 1."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus.likelihoods._base import Likelihood

__all__ = ["LevelLikelihood"]

_MAX_LEVELS = 100_000  # per feature, because each level has parameters


@dataclass(eq=False, repr=False)
class LevelLikelihood(Likelihood):
    """Base of the likelihoods of levels: their numbers, and their frequencies, from which training starts.

    Parameters
    ----------
    n_levels : tuple of int, optional
        L_d, the number of levels of each feature. By default, the largest level in the training data plus 1.
    """

    n_levels: tuple[int, ...] | None = None

    default_scaling = "none"
    density = False
    levels_only = True
    transforms_input = True
    support_text = "that are whole numbers from 0 to the column's number of levels - 1"

    def set_from_data(self, x: Tensor, weight: Tensor | None = None) -> None:
        """Count the levels, and set their numbers if they are None: the largest level + 1, and at least 2.

        Raises
        ------
        ValueError
            If a level is too large to be the number of a category.
        """
        if self.n_levels is None:
            self.n_levels = self._count_levels(x)
        self._log_frequencies = _log_frequencies(x, self.n_levels, weight)

    def build(self, n_features: int) -> None:
        """Check the numbers of levels.

        Raises
        ------
        ValueError
            If `n_levels` is None, or its length is not D.
        """
        super().build(n_features)
        if self.n_levels is None or len(self.n_levels) != n_features:
            raise ValueError(f"{self!r}: n_levels must have one number for each of the {n_features} columns.")

    def log_frequencies(self) -> list[Tensor]:
        """Return the logarithms of the levels' frequencies of each feature, or 0 before they are known."""
        return getattr(self, "_log_frequencies", [torch.zeros(n) for n in self.n_levels or ()])

    def _count_levels(self, x: Tensor) -> tuple[int, ...]:
        """Return the largest level + 1, and at least 2, of each column of `x` (N, D)."""
        largest = x.nan_to_num(0.0).amax(0).clamp(min=0)
        if largest.max() >= _MAX_LEVELS:
            raise ValueError(
                f"{self!r}: column {int(largest.argmax())} has the level {largest.max():g}, and levels "
                f"must be below {_MAX_LEVELS:,}: number its categories 0, 1, 2, ..., or use another likelihood."
            )
        return tuple(max(2, int(top) + 1) for top in largest.tolist())


def _log_frequencies(x: Tensor, n_levels: tuple[int, ...], weight: Tensor | None) -> list[Tensor]:
    """Return the logarithms of the levels' frequencies in each column of `x` (N, D), none of which is 0."""
    share = torch.ones(len(x)) if weight is None else weight.cpu().float()
    found = []
    for column, n in zip(x.cpu().T, n_levels, strict=False):  # build compares their numbers
        level = column.nan_to_num(-1.0).long()
        valid = (level >= 0) & (level < n)
        counts = torch.bincount(level[valid], share[valid], minlength=n) + 0.5
        found.append((counts / counts.sum()).log().float())
    return found
