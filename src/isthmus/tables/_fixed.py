"""The codecs of columns of which nothing is learned: constant, empty, or left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from isthmus.likelihoods import Likelihood
from isthmus.tables._cells import level_from_json, level_to_json
from isthmus.tables._column import Column
from isthmus.tables._plain import Plain

__all__ = ["ConstantColumn", "EmptyColumn", "OmittedColumn", "category_fields", "category_series"]


@dataclass(eq=False, repr=False)
class ConstantColumn(Column):
    """The codec of a column with one value: the matrix has 0 for it, and 1 for any other value.

    Parameters
    ----------
    form : str
        What the value is: one of the forms of :class:`Plain`.
    value : object
        The value; of times and durations, the number of microseconds.
    categories : tuple, optional
        The categories of a pandas dtype.
    ordered : bool
        Whether that dtype is ordered.
    """

    form: str = "levels"
    value: Any = None
    categories: tuple[Any, ...] | None = None
    ordered: bool = False

    kind: ClassVar[str] = "constant"

    @classmethod
    def fit(cls, column: Plain, categories: Any = None) -> Self:
        """Return the codec of a column with one value."""
        value = column.observed()[0]
        return cls(
            column.name,
            column.dtype,
            float(column.missing.mean()),
            form=column.form,
            value=int(value.astype(np.int64)) if column.form in ("times", "durations") else level_to_json(value),
            **category_fields(categories),
        )

    def likelihoods(self) -> tuple[str | Likelihood, ...]:
        """Return the likelihood of another value."""
        return ("bernoulli",)

    def encode(self, column: Plain, noise: np.random.Generator | None) -> np.ndarray:  # noqa: ARG002 - nothing is rounded
        """Return where the value is another one."""
        same = column.form == self.form
        differs = column.values != self._repeated(len(column.values)) if same else ~column.missing
        return np.where(column.missing, np.nan, differs.astype(np.float64))[:, None]

    def decode(self, matrix: np.ndarray) -> np.ndarray:
        """Return the value everywhere."""
        return self._repeated(len(matrix))

    def _repeated(self, n: int) -> np.ndarray:
        made = np.empty(n, dtype=_TYPES.get(self.form, object))
        value = level_from_json(self.value)
        made[:] = [value] * n if made.dtype == object else np.array(value).astype(made.dtype)
        return made

    def to_series(self, values: np.ndarray) -> Any:
        """Return the values as a pandas Series of the dtype."""
        return super().to_series(values) if self.categories is None else category_series(self, values)

    def levels(self) -> str:
        """Return the value."""
        return str(self._repeated(1)[0])


class _UnencodedColumn(Column):
    """Base of the codecs that have no column in the matrix."""

    def likelihoods(self) -> tuple[str | Likelihood, ...]:
        """Return none."""
        return ()

    def outputs(self) -> tuple[str, ...]:
        """Return none."""
        return ()

    def encode(self, column: Plain, noise: np.random.Generator | None) -> np.ndarray:  # noqa: ARG002 - nothing is encoded
        """Return no column."""
        return np.empty((len(column.values), 0))


@dataclass(eq=False, repr=False)
class EmptyColumn(_UnencodedColumn):
    """The codec of a column without an observed cell: the matrix has nothing of it, and all decoded cells are missing.

    Parameters
    ----------
    categories : tuple, optional
        The categories of a pandas dtype.
    ordered : bool
        Whether that dtype is ordered.
    """

    categories: tuple[Any, ...] | None = None
    ordered: bool = False

    kind: ClassVar[str] = "empty"

    def decode(self, matrix: np.ndarray) -> np.ndarray:
        """Return missing cells."""
        return np.full(len(matrix), None, dtype=object)

    def to_series(self, values: np.ndarray) -> Any:
        """Return missing cells as a pandas Series of the dtype."""
        return super().to_series(values) if self.categories is None else category_series(self, values)


@dataclass(eq=False, repr=False)
class OmittedColumn(_UnencodedColumn):
    """The codec of a column that is left out: identifiers and texts that differ in nearly every row.

    Whole numbers that identify rows go on counting in decoded rows; texts are missing there.

    Parameters
    ----------
    reason : str
        Why it was left out.
    first : int, optional
        The smallest identifier, or 0.
    """

    reason: str = ""
    first: int | None = None

    kind: ClassVar[str] = "left out"

    @classmethod
    def fit(cls, column: Plain, reason: str, *, within_support: bool = True) -> Self:
        """Return the codec of a column, with the reason why it is left out."""
        first = None
        if column.form in ("numbers", "identifiers"):
            first = int(column.observed().min()) if within_support else 0
        return cls(column.name, column.dtype, float(column.missing.mean()), reason, first)

    def decode(self, matrix: np.ndarray) -> np.ndarray:
        """Return identifiers that count from the smallest, or missing cells."""
        if self.first is None:
            return np.full(len(matrix), None, dtype=object)
        return np.array([self.first + i for i in range(len(matrix))], dtype=object)

    def levels(self) -> str:
        """Return why it was left out."""
        return self.reason


def category_fields(dtype: Any) -> dict[str, Any]:
    """Return the fields of a column that describe a CategoricalDtype; none for any other dtype."""
    if dtype is None:
        return {}
    return {"categories": tuple(map(level_to_json, dtype.categories.tolist())), "ordered": bool(dtype.ordered)}


def category_series(column: Any, values: np.ndarray) -> Any:
    """Return levels as a pandas Series of the categories of a column's dtype."""
    import pandas as pd

    categories = list(map(level_from_json, column.categories))
    return pd.Series(pd.Categorical(values, categories=categories, ordered=column.ordered))


_TYPES = {"numbers": "float64", "times": "datetime64[us]", "durations": "timedelta64[us]"}
