"""Infer the type of a text column block by block, with the same result as from all of its cells at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from isthmus.data.formats import _text_values as text
from isthmus.data.formats._text_style import NumberStyle
from isthmus.data.formats._text_values import Converted, matches, observed_cells

__all__ = ["TextColumn"]

_TRUTHS = ("True", "False")


class _Numbers:
    """Check whether all cells are numbers in one notation, and find their type.

    Parameters
    ----------
    patterns : sequence of str
        What all cells match.
    plain : callable
        Returns cells as plain numbers.
    """

    def __init__(self, patterns: tuple[str, ...], plain: Callable[[Any], Any]) -> None:
        self.patterns, self.plain = patterns, plain
        self.fits = self.whole = self.integer = True
        self.has_zeros = self.is_long = False

    def add(self, cells: Any) -> None:
        """Take the cells of a block."""
        self.fits = self.fits and all(_all(cells, pattern) for pattern in self.patterns)
        if not self.fits:
            return
        plain = self.plain(cells)
        self.fits = _all(plain, text.NUMBER)
        self.whole = self.whole and _all(plain, text.WHOLE)
        self.integer = self.integer and _all(plain, text.INTEGER)
        self.has_zeros = self.has_zeros or _any(plain, text.LEADING_ZERO)
        self.is_long = self.is_long or _any(plain, text.LONG)

    @property
    def are_codes(self) -> bool:
        """Whether they are codes such as 01234, or too long for a number."""
        return self.whole and (self.has_zeros if self.integer else self.is_long)


class TextColumn:
    """A column whose blocks of cells are added one after the other, in the order of the file.

    Parameters
    ----------
    name : str
        Its name.
    decimal : {".", ","}
        The decimal sign of the file.
    """

    def __init__(self, name: str, decimal: str) -> None:
        self.name = name
        self.n_cells = self.n_observed = self.n_numbers = self.n_truths = 0
        self.placeholders: dict[str, None] = {}
        self.style = NumberStyle()
        self._decimal, self._pattern = decimal, text.COMMA if decimal == "," else text.NUMBER
        self._plain = _Numbers((text.NUMBER,), lambda cells: cells)
        self._signed = _Numbers((text.DECORATED, text.DIGIT), text.without_signs)
        self._ways = [_Numbers((text.COMMA,), text.with_points)] if decimal == "," else []
        self._ways += [self._plain, self._signed]

    def add(self, cells: Any) -> None:
        """Take the cells of a block, strings as they are written."""
        import pyarrow as pa
        import pyarrow.compute as pc

        observed = observed_cells(cells).drop_null()
        self.n_cells += len(cells)
        self.n_observed += len(observed)
        self.n_truths += pc.sum(pc.is_in(observed, pa.array(_TRUTHS))).as_py() or 0
        self.n_numbers += pc.sum(matches(observed, self._pattern)).as_py() or 0
        placeholder = pc.is_in(observed, pa.array(text.PLACEHOLDERS))
        self.placeholders |= dict.fromkeys(pc.unique(observed.filter(placeholder)).to_pylist())
        rest = observed.filter(pc.invert(placeholder))
        for way in self._ways:
            way.add(rest)
        if any(way.fits for way in self._ways):
            self.style = self.style.join(NumberStyle.of(observed, self._decimal))

    def _numbers(self, *, codes: bool) -> _Numbers | None:
        """Return how numbers are written, or None if the column is not one of numbers."""
        way = next((way for way in self._ways if way.fits), None)
        if way is None or (codes and way is not self._signed and way.are_codes):
            return None
        return way if not self.placeholders or self.n_numbers > text.MOSTLY * self.n_observed else None

    def kind(self, *, texts: bool = False, codes: bool = True) -> str:
        """Return "missing", "integer", "float", "truth" or "text".

        Parameters
        ----------
        texts : bool
            Whether to keep texts that look like numbers.
        codes : bool
            Whether whole numbers with leading zeros, or of 19 digits and more, are texts.
        """
        if not self.n_observed:
            return "missing"
        if texts:
            return "text"
        if (way := self._numbers(codes=codes)) is not None:
            return "integer" if way.integer else "float"
        return "truth" if self.n_truths == self.n_observed else "text"

    def arrow(self, cells: Any, *, texts: bool = False, codes: bool = True) -> Any:
        """Return cells of the column as a pyarrow array of numbers, truth values or strings."""
        import pyarrow as pa
        import pyarrow.compute as pc

        observed, kind = observed_cells(cells), self.kind(texts=texts, codes=codes)
        if kind == "text":
            return observed
        if kind == "missing":
            return pc.cast(observed, pa.float64())
        if kind == "truth":
            return pc.equal(observed, _TRUTHS[0])
        way = self._numbers(codes=codes)
        assert way is not None  # by its kind
        placeholder = pc.is_in(observed, pa.array(text.PLACEHOLDERS))
        plain = way.plain(pc.if_else(placeholder, pa.scalar(None, pa.string()), observed))
        return text.cast_numbers(plain, whole=kind == "integer")

    def to_series(self, values: Any) -> Any:
        """Return what :meth:`arrow` returns as the pandas Series that the whole column would give."""
        import pandas as pd
        import pyarrow as pa

        gone = self.n_observed < self.n_cells or bool(self.placeholders)
        nullable = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()} if gone else {}
        if pa.types.is_floating(values.type) or pa.types.is_string(values.type) or not gone:
            return values.to_pandas()
        return values.to_pandas(types_mapper=nullable.get)

    def convert(self, cells: Any, *, texts: bool = False, codes: bool = True) -> Converted:
        """Return cells of the column in the type of the whole column."""
        return Converted(self.to_series(self.arrow(cells, texts=texts, codes=codes)))

    def notes(self) -> list[str]:
        """Return what was decided about the column that its reader may not expect."""
        import itertools

        if self.kind() not in ("integer", "float"):
            return []
        found = []
        if self._numbers(codes=True) is self._signed:
            found.append(f"column {self.name!r} has numbers, read without signs of money, percent or thousands")
        if self.placeholders:
            shown = ", ".join(map(repr, itertools.islice(self.placeholders, 3)))
            verb = "s" if len(self.placeholders) == 1 else ""
            found.append(f"column {self.name!r} has numbers; {shown} count{verb} as missing there")
        return found


def _all(cells: Any, pattern: str) -> bool:
    import pyarrow.compute as pc

    found = pc.all(matches(cells, pattern)).as_py()
    return found is None or bool(found)


def _any(cells: Any, pattern: str) -> bool:
    import pyarrow.compute as pc

    return bool(pc.any(matches(cells, pattern)).as_py())
