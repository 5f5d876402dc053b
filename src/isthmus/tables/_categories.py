"""The codec of columns of categories, and of numbers with few values."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from isthmus.likelihoods import Categorical, EmbeddedCategorical, Likelihood, Mixed
from isthmus.tables._cells import as_text, level_from_json, level_to_json
from isthmus.tables._column import Column
from isthmus.tables._fixed import category_fields, category_series
from isthmus.tables._plain import Plain

__all__ = ["UNSEEN", "CategoryColumn", "join_parts"]

UNSEEN = ("missing", "other", "error")
_EMBEDDED = 50  # levels up to which each is an input of the encoder, and an output of the decoder
_SHOWN = 4  # levels that a table or a message names


@dataclass(eq=False, repr=False)
class CategoryColumn(Column):
    """The codec of categories: their levels are numbered 0, 1, 2, ...

    Samples are drawn from the levels' probabilities, so that rare levels keep their frequency. A decoded mean is the
    most probable level, or, of numbers and ordered categories, the median.

    Parameters
    ----------
    values : tuple
        The levels in the column, sorted, or in the order of the categories of the dtype.
    categories : tuple, optional
        The categories of a pandas dtype, also those that do not occur.
    ordered : bool
        Whether that dtype is ordered.
    unseen : {"missing", "other", "error"}
        How a level that was not in the training data is treated: it counts as missing, after a warning; it is one
        more level, of low probability; or it is an error.
    likelihood : str or Likelihood, optional
        By default "bernoulli" for two levels, "categorical" for up to 50, and "embedded_categorical" for more.
    """

    values: tuple[Any, ...] = ()
    categories: tuple[Any, ...] | None = None
    ordered: bool = False
    unseen: str = "missing"
    likelihood: str | Likelihood | None = None

    kind: ClassVar[str] = "category"
    forms: ClassVar[tuple[str, ...]] = ("levels", "numbers")

    @classmethod
    def fit(
        cls,
        column: Plain,
        *,
        categories: Any = None,
        unseen: str = "missing",
        likelihood: str | Likelihood | None = None,
    ) -> Self:
        """Return the codec of a column.

        Parameters
        ----------
        column : Plain
            Levels or numbers.
        categories : CategoricalDtype, optional
            The dtype of the column.
        unseen : str, default="missing"
            See the class.
        likelihood : str or Likelihood, optional
            See the class.
        """
        present = set(column.observed().tolist())
        order = list(present) if categories is None else [c for c in categories.categories.tolist() if c in present]
        if categories is None:
            order.sort(key=lambda level: (0, level) if _is_number(level) else (1, str(level)))
        return cls(
            column.name,
            column.dtype,
            float(column.missing.mean()),
            values=tuple(map(level_to_json, order)),
            unseen=unseen,
            likelihood=likelihood,
            **category_fields(categories),
        )

    def likelihoods(self) -> tuple[str | Likelihood, ...]:
        """Return the likelihood of the level."""
        other = self.unseen == "other"
        if self.likelihood is not None:
            return (self.likelihood,)
        n_levels = len(self.values) + other
        if n_levels > _EMBEDDED:
            return (EmbeddedCategorical(n_levels=(n_levels,)),)
        if n_levels == 2 and not other:
            return ("bernoulli",)
        ordered = (True,) if self._has_order and not other else None
        return (Categorical(n_levels=(n_levels,), ordered=ordered),)

    def encode(self, column: Plain, noise: np.random.Generator | None) -> np.ndarray:  # noqa: ARG002 - nothing is rounded
        """Return the number of each level.

        Raises
        ------
        ValueError
            If a level is new, and `unseen` is "error".
        """
        import pandas as pd

        number = {level_from_json(level): float(i) for i, level in enumerate(self.values)}
        found = np.array(pd.Series(column.values, dtype=object).map(number), dtype=np.float64)
        unknown = np.isnan(found) & ~column.missing
        if unknown.any():
            found[unknown] = self._unseen(column.values[unknown])
        return found[:, None]

    def _unseen(self, levels: np.ndarray) -> float:
        """Return the number of levels that were not in the training data, after a warning or an error."""
        if self.unseen == "other":
            return float(len(self.values))
        new = list(dict.fromkeys(levels.tolist()))
        text = f"column {self.name!r} has {_named(new)}, which the training data did not have"
        if self.unseen == "error":
            raise ValueError(f"{text}; it had {len(self.values)} others.")
        warnings.warn(
            f"{text}; {len(levels)} cell{'s count' if len(levels) > 1 else ' counts'} as missing.", stacklevel=2
        )
        return np.nan

    def decode(self, matrix: np.ndarray) -> np.ndarray:
        """Return the nearest level of each number, or None for one that stands for other levels."""
        gone = len(self.values)
        index = np.where(np.isnan(matrix[:, 0]), gone, np.nan_to_num(matrix[:, 0]).round()).astype(int)
        levels = np.empty(gone + 1, dtype=object)
        levels[:gone] = list(map(level_from_json, self.values))
        cells = levels[np.clip(index, 0, gone)]
        return cells if self._objects else cells.astype(np.float64)

    def has_own_mean(self) -> bool:
        """Return whether levels are numbers, and more than two: the level of two that is nearer has p > 1/2."""
        return not self._objects and len(self.values) > 2 and isinstance(self.likelihoods()[0], Categorical)

    def level_of_mean(self, share: np.ndarray) -> np.ndarray:
        """Return the number of the level that is nearest to the mean, (N,), for probabilities of levels (N, L)."""
        values = np.array(list(map(level_from_json, self.values)), dtype=np.float64)
        known = share[:, : len(values)]  # without the level that stands for all others
        mean = known @ values / known.sum(axis=1)
        return np.abs(mean[:, None] - values).argmin(axis=1).astype(np.float64)

    @property
    def _has_order(self) -> bool:
        """Whether levels are numbers, or ordered categories."""
        return self.ordered or not self._objects

    @property
    def _objects(self) -> bool:
        """Whether cells are objects, not numbers."""
        return self.categories is not None or not all(map(_is_number, self.values))

    def to_series(self, values: np.ndarray) -> Any:
        """Return levels as a pandas Series of the dtype."""
        return super().to_series(values) if self.categories is None else category_series(self, values)

    def levels(self) -> str:
        """Return the first levels, and how many there are."""
        shown = ", ".join(as_text(level_from_json(level)) for level in self.values[:_SHOWN])
        return f"{len(self.values)}: {shown}{', ...' if len(self.values) > _SHOWN else ''}"


def _is_number(level: Any) -> bool:
    return isinstance(level, (int, float)) and not isinstance(level, bool)


def _named(levels: list[Any]) -> str:
    """Return the first of some levels, as text."""
    more = f" and {len(levels) - _SHOWN} more" if len(levels) > _SHOWN else ""
    return ("the level " if len(levels) == 1 else "the levels ") + ", ".join(map(repr, levels[:_SHOWN])) + more


def join_parts(parts: list[str | Likelihood]) -> Mixed:
    """Return the likelihood of columns with these likelihoods, in which all that are categorical are one part."""
    members = [part for part in parts if isinstance(part, Categorical) and part.n_levels]
    levels = tuple(level for part in members for level in part.n_levels or ())
    ordered = tuple(flag for part in members for flag in part.ordered or [False] * len(part.n_levels or ()))
    joined = Categorical(n_levels=levels, ordered=ordered if any(ordered) else None)
    return Mixed.by_column([joined if isinstance(p, Categorical) and p.n_levels else p for p in parts])
