"""The base class of the codecs of single columns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from isthmus._part import Settings
from isthmus.likelihoods import Likelihood
from isthmus.tables._plain import Plain

__all__ = ["Column"]


@dataclass(eq=False, repr=False)
class Column(Settings, ABC):
    """Base of the codecs of single columns: each maps cells to some columns of a matrix, W of them, and back.

    Everything that was learned from the cells is a parameter, so that a codec is saved as JSON.

    Parameters
    ----------
    name : object
        The column's name.
    dtype : str
        The dtype of its cells, as text.
    missing : float
        The fraction of cells that are missing.
    """

    name: Any = ""
    dtype: str = "float64"
    missing: float = 0.0

    kind: ClassVar[str]
    forms: ClassVar[tuple[str, ...]] = ()  # of cells that can be encoded; () takes any

    @abstractmethod
    def likelihoods(self) -> tuple[str | Likelihood, ...]:
        """Return the likelihood of each of the W columns of the matrix."""

    def outputs(self) -> tuple[str, ...]:
        """Return the names of the W columns of the matrix."""
        return (str(self.name),)

    @abstractmethod
    def encode(self, column: Plain, noise: np.random.Generator | None) -> np.ndarray:
        """Return the columns of the matrix, (N, W), NaN where there is no number.

        Parameters
        ----------
        column : Plain
            Cells.
        noise : Generator, optional
            If given, numbers that were rounded are spread evenly over what was rounded to them, for training: the
            density of rounded numbers would grow without bound.
        """

    def to_matrix(self, column: Plain, noise: np.random.Generator | None) -> np.ndarray:
        """Return :meth:`encode` of cells, after checking that they are of the same form as in ``fit``, or all missing.

        Raises
        ------
        ValueError
            If they are not.
        """
        if column.form == "empty":
            return np.full((len(column.values), len(self.outputs())), np.nan)
        if self.forms and column.form not in self.forms:
            raise ValueError(
                f"column {self.name!r} was one of kind {self.kind!r} in fit, and now holds {column.form} "
                f"({column.dtype}): convert it."
            )
        return self.encode(column, noise)

    @abstractmethod
    def decode(self, matrix: np.ndarray) -> np.ndarray:
        """Return plain values (N,), as :class:`Plain` has them, for columns of the matrix (N, W)."""

    def to_series(self, values: np.ndarray) -> Any:
        """Return plain values as a pandas Series of the dtype."""
        from isthmus.tables._dtypes import as_series

        return as_series(values, self.dtype)

    def leaves(self) -> tuple[Column, ...]:
        """Return the codecs of what it is split into, in the order of the matrix: itself, except of times."""
        return (self,)

    def has_own_mean(self) -> bool:
        """Return whether the mean of cells is not what is decoded from the mean of the matrix."""
        return False

    def log_det(self, matrix: np.ndarray) -> np.ndarray:
        """Return what log p of each number gains in the data's units, (N, W): the log-derivative of ``encode``."""
        return np.zeros(matrix.shape)

    def levels(self) -> str:
        """Return what the column holds, for the table that describes the codec."""
        return ""
