"""The codec of tables: a matrix of numbers for a table of any columns, and back."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np

from isthmus._part import Settings
from isthmus.likelihoods import Likelihood, Mixed
from isthmus.serialization import FileError
from isthmus.tables._categories import UNSEEN, join_parts
from isthmus.tables._checks import check_columns
from isthmus.tables._column import Column
from isthmus.tables._description import columns_as_html, describe_columns
from isthmus.tables._fixed import OmittedColumn
from isthmus.tables._frame import LIBRARIES, Frame, fill_missing, is_table, join_columns, made_like, to_pandas, without
from isthmus.tables._infer import Options, check_names, fit_column
from isthmus.tables._numbers import NumberColumn
from isthmus.tables._plain import Plain, as_frame, read_columns

__all__ = ["TableCodec"]


@dataclass(eq=False, repr=False)
class TableCodec(Settings):
    """A table of any columns as a matrix of numbers for which a model has a likelihood, and back.

    Each column is encoded by its kind, which follows from its dtype and its cells:

    ===============  ==================================================================================================
    number           normal scores: a smooth increasing map after which the column is about normal. Values that are
                     ten times as frequent as their neighbours are levels of a column of their own. Decoded numbers
                     have the decimals of the column, and lie in its range.
    category         texts, booleans, pandas categories, and numbers with at most 20 values: the number of the level
    time             dates and times, also as texts: weeks, weekdays, days of the year and times of day, where they are
                     not evenly distributed; months, where all days are the first or the last of one; otherwise days
                     since 1970
    timedelta        normal scores of the number of days
    constant         0 for the constant, 1 for any other value
    empty            nothing: a column without observed cells
    left out         nothing: identifiers, and texts that differ in most rows
    ===============  ==================================================================================================

    Missing cells are NaN in the matrix. The table may be a pandas or polars DataFrame, a pyarrow Table or a list of
    dictionaries; decoded tables have the same form, columns and dtypes.

    Parameters
    ----------
    kinds : dict, optional
        Kinds of columns by name, one of "number", "category", "time", "timedelta" and "left out", where they are not to
        be inferred. Whole numbers or texts become dates with a format: ``{"day": "time:%Y%m%d"}``.
    likelihoods : dict, optional
        Likelihoods of columns by name, such as ``{"visits": "negative_binomial"}``. Such a column is passed to its
        likelihood as it is: its numbers are not transformed.
    unseen : {"missing", "other", "error"}, default="missing"
        How a level that was not in the training data is treated: it counts as missing, after a warning; all such
        levels are one more level, of low probability; or it is an error.
    within_support : bool, default=True
        Whether decoded numbers and times stay in the range of their column. If False, the codec and a saved model keep
        neither the extremes of columns nor any other number of a single row.
    sample_missing : bool, default=False
        Whether missing cells are learned: the matrix then has a column of 0 and 1 for each column with missing cells,
        and samples have missing cells as often as the data.
    frame : Frame, optional
        The form of the table that was fitted.
    columns : tuple of Column, optional
        The codec of each column, which :meth:`fit` makes. A codec that has them is used as it is.

    Notes
    -----
    A density of the matrix becomes one of the table with :meth:`log_det`. Densities of times are per day.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"size": [1.5, 2.0, None, 3.5], "colour": ["red", "red", "blue", None]})
    >>> codec = TableCodec().fit(table)
    >>> codec
    column  kind      likelihood  missing  levels
    size    number    gaussian    25.0 %   1.5 to 3.5
    colour  category  bernoulli   25.0 %   2: blue, red
    >>> matrix = codec.encode(table)
    >>> matrix.shape, codec.decode(matrix).equals(table)
    ((4, 2), True)
    """

    kinds: Mapping[Any, str] | None = None
    likelihoods: Mapping[Any, str | Likelihood] | None = None
    unseen: str = "missing"
    within_support: bool = True
    sample_missing: bool = False
    frame: Frame | None = None
    columns: tuple[Column, ...] | None = None

    def fit(self, X: Any) -> Self:
        """Learn the columns of a table.

        Parameters
        ----------
        X : DataFrame of pandas or polars, pyarrow Table, or list of dict
            Rows of the table.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If two columns have the same name, a parameter names no column, or a column does not fit its kind.
        """
        if self.unseen not in UNSEEN:
            raise ValueError(f"unseen={self.unseen!r} must be one of {', '.join(map(repr, UNSEEN))}.")
        frame = Frame.of(X)
        table, names = to_pandas(X), frame.column_names()
        if not len(table):
            raise ValueError("X has no rows.")
        for parameter, named in (("kinds", self.kinds), ("likelihoods", self.likelihoods)):
            check_names(parameter, named or {}, names)
        self.columns = tuple(self._fit_column(name, table[name]) for name in names)
        self.frame = frame
        self._warn_left_out()
        return self

    @classmethod
    def of_numbers(cls, X: Any) -> Self:
        """Return the codec of a table of numbers that leaves them as they are.

        Decoded numbers of columns of whole numbers are rounded, and lie in the range of the column.

        Parameters
        ----------
        X : table
            With columns of numbers only.
        """
        frame, table = Frame.of(X), to_pandas(X)
        plain = [Plain.of(name, table[name]) for name in frame.column_names()]
        return cls(frame=frame, columns=tuple(map(NumberColumn.as_it_is, plain)))

    def _fit_column(self, name: Any, series: Any) -> Column:
        column = Plain.of(name, series)
        options = Options(
            (self.kinds or {}).get(name),
            (self.likelihoods or {}).get(name),
            self.unseen,
            self.within_support,
        )
        return fit_column(column, options, series.dtype if column.dtype == "category" else None)

    def _warn_left_out(self) -> None:
        """Warn of columns that were left out though nobody asked for it."""
        asked = {name for name, kind in (self.kinds or {}).items() if kind == "left out"}
        out = [c for c in self._columns if isinstance(c, OmittedColumn) and c.name not in asked]
        if out:
            reasons = "; ".join(f"column {c.name!r} {c.reason}" for c in out)
            warnings.warn(
                f"Left out of the model: {reasons}. Their cells come back as they are, and are missing (identifiers: "
                "numbered) in samples. Drop them, or set kinds of TableCodec.",
                stacklevel=3,
            )

    def check_values(self) -> None:
        """Raise a FileError unless a codec that was read from a file is like one that was fitted."""
        if self.columns is None or self.frame is None or self.frame.library not in LIBRARIES:
            raise FileError("its table has no columns, or is of an unknown library; save the model again.")
        check_columns(self.columns)

    # ---- the matrix ---------------------------------------------------------------------------------------------

    @property
    def _columns(self) -> tuple[Column, ...]:
        if self.columns is None:
            raise ValueError("this TableCodec has no columns yet: call fit first.")
        return self.columns

    @property
    def names(self) -> list[Any]:
        """Names of the table's columns."""
        return [column.name for column in self._columns]

    def columns_with_missing(self) -> list[Column]:
        """Return the columns whose missing cells are learned."""
        return [c for c in self._columns if self.sample_missing and c.outputs() and 0 < c.missing < 1]

    def outputs(self) -> list[str]:
        """Return the names of the matrix' columns, M of them."""
        names = [name for column in self._columns for name in column.outputs()]
        return names + [f"{column.name} (missing)" for column in self.columns_with_missing()]

    def likelihood(self) -> Mixed:
        """Return the unbuilt likelihood of the matrix, with one part for all columns of the same kind."""
        parts = [part for column in self._columns for part in column.likelihoods()]
        return join_parts([*parts, *("bernoulli" for _ in self.columns_with_missing())])

    def encode(self, X: Any, noise_seed: int | None = None) -> np.ndarray:
        """Return the matrix (N, M) of a table, NaN where there is no number.

        Parameters
        ----------
        X : DataFrame of pandas or polars, pyarrow Table, list of dict, or array of shape (N, C)
            A table with the columns of :meth:`fit`, in any order; an array has them in the same order.
        noise_seed : int, optional
            For training: numbers that were rounded are spread evenly over what was rounded to them, by a generator of
            this seed.

        Raises
        ------
        ValueError
            If a column is missing, or unknown; if its cells are of another kind than in ``fit``, or infinite; or if a
            level is new, and ``unseen`` is "error".
        """
        noise = None if noise_seed is None else np.random.default_rng(noise_seed)
        plain = read_columns(X, self.names)
        parts = [c.to_matrix(p, noise) for c, p in zip(self._columns, plain, strict=True)]
        gone = {c.name: p.missing for c, p in zip(self._columns, plain, strict=True)}
        parts += [gone[column.name][:, None].astype(np.float64) for column in self.columns_with_missing()]
        return np.column_stack(parts)

    def decode(self, matrix: np.ndarray, *, like: Any = None, missing: bool = True) -> Any:
        """Return the table of a matrix (N, M).

        Parameters
        ----------
        matrix : ndarray of shape (N, M)
            As :meth:`encode` makes it. Numbers that stand for levels are rounded; NaN becomes a missing cell.
        like : object, optional
            If a table of N rows, the result has its library, its index, and its cells of columns that are left out.
        missing : bool, default=True
            Whether cells are missing where the matrix says so, if ``sample_missing``.
        """
        assert self.frame is not None  # fit sets it
        made = self._decode(matrix, missing=missing)
        frame, index = self.frame, None
        if is_table(like):
            table = to_pandas(like)
            frame, index = self.frame.clone().set_params(library=Frame.of(like).library), table.index
            out = {c.name for c in self._columns if isinstance(c, OmittedColumn)} & set(table.columns)
            made = [table[name] if name in out else series for name, series in zip(self.names, made, strict=True)]
        return frame.restore(join_columns(made, self.names, index))

    def complete(self, X: Any, matrix: np.ndarray) -> Any:
        """Return a table with its missing cells filled in by those of a matrix (N, M); all others as they are."""
        assert self.frame is not None  # fit sets it
        frame, table = Frame.of(X) if is_table(X) else self.frame, as_frame(X, self.names)
        decoded = zip(self._columns, self.decode_values(matrix, missing=False), strict=True)
        made = {column.name: made_like(table[column.name], column, values) for column, values in decoded}
        filled = [fill_missing(table[name], made[name]) for name in frame.column_names()]
        return frame.restore(join_columns(filled, frame.column_names(), table.index))

    def _decode(self, matrix: np.ndarray, *, missing: bool) -> list[Any]:
        """Return the columns of the table of a matrix, as pandas Series."""
        values = self.decode_values(matrix, missing=missing)
        return [column.to_series(cells) for column, cells in zip(self._columns, values, strict=True)]

    def decode_values(self, matrix: np.ndarray, *, missing: bool) -> list[np.ndarray]:
        """Return the values (N,) of each column, as :class:`Plain` has them: :meth:`decode` without pandas."""
        columns = self._columns
        matrix = np.asarray(matrix, dtype=np.float64)
        *parts, gone = self._split(matrix)
        values = dict(zip(self.names, (c.decode(m) for c, m in zip(columns, parts, strict=True)), strict=True))
        for column, away in zip(self.columns_with_missing(), gone.T, strict=True):
            if missing:
                values[column.name] = without(values[column.name], np.nan_to_num(away) >= 0.5)
        for column, part in zip(columns, parts, strict=True):
            if column.outputs():
                values[column.name] = without(values[column.name], np.isnan(part).all(axis=1))
        return list(values.values())

    def log_det(self, matrix: np.ndarray) -> np.ndarray:
        """Return what log p of each cell of a matrix (N, M) gains in the units of the table, (N, M)."""
        parts = zip(self._columns, self._split(matrix), strict=False)  # the rest says what is missing
        return np.column_stack(
            [*(c.log_det(part) for c, part in parts), np.zeros((len(matrix), len(self.columns_with_missing())))]
        )

    def _split(self, matrix: np.ndarray) -> list[np.ndarray]:
        """Return the matrix of each column, and then that of missing cells."""
        return np.split(matrix, np.cumsum([len(column.outputs()) for column in self._columns]), axis=1)

    def sum_by_column(self, values: np.ndarray) -> np.ndarray:
        """Return sums (..., C) over the matrix' columns of each of the table's, of values (..., M).

        NaN counts as 0, but a sum of nothing else is NaN. Values of missing cells belong to their column.
        """
        result = np.full((*values.shape[:-1], len(self._columns)), np.nan)
        for i, own in enumerate(self.matrix_columns()):
            part = values[..., own]
            result[..., i] = np.where(np.isnan(part).all(axis=-1), np.nan, np.nansum(part, axis=-1))
        return result

    def leaves(self) -> list[tuple[Column, list[int]]]:
        """Return the codecs of single columns, those of times split into elements, with their columns of the matrix."""
        leaves = [leaf for column in self._columns for leaf in column.leaves()]
        ends = np.cumsum([0, *(len(leaf.outputs()) for leaf in leaves)]).tolist()
        return [(leaf, list(range(start, end))) for leaf, (start, end) in zip(leaves, pairwise(ends), strict=True)]

    def matrix_columns(self) -> list[list[int]]:
        """Return the indices of the matrix' columns of each of the table's, also that of its missing cells."""
        ends = np.cumsum([len(column.outputs()) for column in self._columns]).tolist()
        own = [list(range(start, end)) for start, end in pairwise([0, *ends])]
        for i, column in enumerate(self.columns_with_missing()):
            own[self.names.index(column.name)].append(ends[-1] + i)
        return own

    def __repr__(self) -> str:
        return super().__repr__() if self.columns is None else describe_columns(self.columns)

    def _repr_html_(self) -> str | None:
        return None if self.columns is None else columns_as_html(self.columns)
