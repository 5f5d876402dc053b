"""Rows that are shown as a list of named cells with texts."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from isthmus.explorer._rows import RowFormat
from isthmus.tables import Column, TableCodec, TimeColumn, is_table, to_pandas

__all__ = ["MAX_CELLS", "Cells", "number_text", "number_values"]

MAX_CELLS = 256  # columns that are shown of a row
_NAIVE = tuple(f"datetime64[{unit}]" for unit in ("s", "ms", "us", "ns"))


class Cells(RowFormat):
    """Rows that are shown as a list of named cells: those of a table, or the numbers of an array.

    Parameters
    ----------
    names : list
        Names of the columns.
    rows : DataFrame or ndarray of shape (n, D)
        Rows from which the range of each column is taken.
    codec : TableCodec, optional
        That of the model, if it has learned a table.
    """

    kind = "cells"

    def __init__(self, names: Sequence[Any], rows: Any, codec: TableCodec | None = None) -> None:
        self.columns, self.codec = list(names), codec
        self.shown = self.columns[:MAX_CELLS]
        self.n_cells = len(self.columns)
        learned = () if codec is None else codec.columns or ()
        self._times = {k: column for k, column in enumerate(learned) if isinstance(column, TimeColumn)}
        self.ranges = [_range(numbers) for numbers in self._numbers(self._columns(rows))]

    def describe(self) -> dict[str, Any]:
        """Return the names of the columns that are shown, and how many there are."""
        return {"kind": self.kind, "columns": [str(name) for name in self.shown], "n_columns": len(self.columns)}

    def names(self) -> list[str]:
        """Return the names of all columns."""
        return [str(name) for name in self.columns]

    def _columns(self, rows: Any) -> list[Any]:
        if is_table(rows):
            rows = to_pandas(rows)
            return [rows[name] for name in self.shown]
        return list(np.asarray(rows).T[: len(self.shown)])

    def pack(self, rows: Any) -> tuple[dict[str, Any], bytes]:
        """Return the texts of the cells, and where numbers lie in the range of their column (0 to 1, else None)."""
        columns = self._columns(rows)
        return self._pack(columns, self._numbers(columns), len(rows))

    def ordered(self, k: int, column: Any) -> Any:
        """Return a column with dates that are texts, whole numbers or objects as times."""
        return self._times[k].times(column) if k in self._times else column

    def _numbers(self, columns: list[Any]) -> list[np.ndarray | None]:
        return [number_values(self.ordered(k, column)) for k, column in enumerate(columns)]

    def pack_decoded(self, values: np.ndarray) -> tuple[dict[str, Any], bytes]:
        """Return decoder means; of a table, without a DataFrame, which would take most of the time of one row."""
        if self.codec is None or self.codec.columns is None:
            return self.pack(values)
        plain = self.codec.decode_values(values, missing=False)[: len(self.shown)]
        columns = [_cells(*pair) for pair in zip(self.codec.columns, plain, strict=False)]
        numbers = [number_values(v if v.dtype.kind == "M" else c) for v, c in zip(plain, columns, strict=True)]
        return self._pack(columns, numbers, len(values))

    def _pack(self, columns: list[Any], numbers: list[Any], n: int) -> tuple[dict[str, Any], bytes]:
        texts = [_texts(column) for column in columns]
        places = [_places(values, limits, n) for values, limits in zip(numbers, self.ranges, strict=True)]
        return {
            "n": n,
            "text": [[column[i] for column in texts] for i in range(n)],
            "place": [[column[i] for column in places] for i in range(n)],
        }, b""


def _cells(column: Column, values: np.ndarray) -> Any:
    """Return decoded values as an array whose cells have the texts of the column's, or as a Series of its dtype."""
    kind, dtype = values.dtype.kind, column.dtype
    if kind == "f" and re.fullmatch(r"u?int\d+", dtype) and not np.isnan(values).any():
        return np.round(values).astype(np.int64)
    levels = dtype in ("str", "string", "bool", "category", "object[levels]") and None not in values.tolist()
    if (kind == "O" and levels) or (kind == "f" and dtype == "float64") or (kind == "M" and dtype in _NAIVE):
        return values
    return column.to_series(values)


def number_values(column: Any) -> np.ndarray | None:
    """Return the numbers of a column, NaN where missing; None if it has no numbers."""
    kind, array = column.dtype.kind, isinstance(column, np.ndarray)
    if kind in "iuf" or (array and kind == "b"):
        return np.asarray(column if array else column.to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)
    if kind in "mM" and not hasattr(column.dtype, "pyarrow_dtype"):
        times = np.asarray(column if array else column.to_numpy(dtype=f"{kind}8[us]")).astype(f"{kind}8[us]")
        return np.where(np.isnat(times), np.nan, times.astype(np.int64).astype(np.float64))
    return None


def _range(values: np.ndarray | None) -> tuple[float, float] | None:
    if values is None or not np.isfinite(values).any():
        return None
    low, high = np.nanquantile(values, [0.005, 0.995])
    return (float(low), float(high)) if high > low else None


def _places(values: np.ndarray | None, limits: tuple[float, float] | None, n: int) -> list[float | None]:
    """Return where numbers lie in a range, 0 to 1; None where there is no number."""
    if values is None or limits is None:
        return [None] * n
    place = np.clip((values - limits[0]) / (limits[1] - limits[0]), 0.0, 1.0)
    return [None if math.isnan(p) else round(p, 4) for p in place.tolist()]


def _texts(column: Any) -> list[str | None]:
    """Return cells as texts, None where missing."""
    cells = column.tolist()
    kind = column.dtype.kind
    if kind == "f":
        return [None if cell is None or cell != cell else number_text(float(cell)) for cell in cells]  # noqa: PLR0124
    gone = [cell is None or cell != cell for cell in cells] if isinstance(column, np.ndarray) else column.isna()  # noqa: PLR0124
    if kind == "M":
        cells = [str(cell).removesuffix(" 00:00:00") for cell in cells]
    return [None if missing else str(cell) for cell, missing in zip(cells, gone, strict=True)]


def number_text(value: float) -> str:
    """Return a number with five digits, without an exponent where that is short."""
    if value == 0:
        return "0"
    if 1e-4 <= abs(value) < 1e7:
        decimals = max(0, 4 - math.floor(math.log10(abs(value))))
        text = f"{value:.{decimals}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{value:.3e}"
