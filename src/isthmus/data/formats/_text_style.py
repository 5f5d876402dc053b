"""Numbers as the other cells of a column of text are written."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from isthmus.data.formats._text_values import SIGNS, matches

__all__ = ["NumberStyle", "fill_cells"]

_MANY = 15  # decimals from which numbers are written in full


class NumberStyle(NamedTuple):
    """How the numbers of a column are written.

    Attributes
    ----------
    exponent : bool
        Whether a cell has an exponent.
    decimals : int
        Most decimals of a cell.
    before, after : tuple of str
        Signs of money or percent before and after numbers, "" if a cell has none.
    """

    exponent: bool = False
    decimals: int = 0
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    @classmethod
    def of(cls, cells: Any, decimal: str) -> NumberStyle:
        """Return the style of cells, strings of which missing ones are null."""
        import pyarrow.compute as pc

        seen = cells.drop_null()
        digits = pc.struct_field(pc.extract_regex(seen, rf"{re.escape(decimal)}(?P<digits>\d*)\D*$"), [0])
        return cls(
            bool(pc.any(matches(seen, "[eE]")).as_py()),
            pc.max(pc.utf8_length(digits)).as_py() or 0,
            _found(seen, rf"^(?P<sign>{SIGNS} ?)"),
            _found(seen, rf"(?P<sign> ?(?:%|{SIGNS}))$"),
        )

    def join(self, other: NumberStyle) -> NumberStyle:
        """Return the style of a column of which two parts are known."""
        signs = [tuple(dict.fromkeys(a + b)) for a, b in ((self.before, other.before), (self.after, other.after))]
        return NumberStyle(self.exponent or other.exponent, max(self.decimals, other.decimals), *signs)

    def write(self, values: Any, decimal: str) -> Any:
        """Return a pandas Series of numbers as texts."""
        if self.exponent or not self.before:
            return values.map(repr)
        most = self.decimals
        texts = values.map(lambda v: f"{v:.{most}f}" if most < _MANY else repr(float(v)))
        texts = texts.str.replace(".", decimal, regex=False)
        before, after = (signs[0] if len(signs) == 1 else "" for signs in (self.before, self.after))
        return before + texts + after


def fill_cells(cells: Any, values: Any, gone: Any, style: NumberStyle, decimal: str) -> Any:
    """Return cells as they are written, those that are missing filled in by values, written as the others are.

    Parameters
    ----------
    cells : pyarrow.ChunkedArray of str
        The cells of a column.
    values : pandas.Series
        A value for each cell.
    gone : ndarray of bool
        Which cells are missing.
    style : NumberStyle
        How numbers are written.
    decimal : {".", ","}
        The decimal sign of the file.
    """
    import numpy as np

    texts = cells.to_pandas().astype(object).reset_index(drop=True)
    if not gone.any():
        return texts
    values = values.reset_index(drop=True)[gone]
    new = style.write(values, decimal) if values.dtype.kind in "iuf" else values.map(str)
    texts[gone] = np.where(values.isna(), "", new.to_numpy(dtype=object))
    return texts


def _found(cells: Any, pattern: str) -> tuple[str, ...]:
    """Return the different texts that a pattern finds in cells, "" where it finds none."""
    import pyarrow.compute as pc

    texts = pc.unique(pc.struct_field(pc.extract_regex(cells, pattern), [0])).to_pylist()
    return tuple(dict.fromkeys(text or "" for text in texts))
