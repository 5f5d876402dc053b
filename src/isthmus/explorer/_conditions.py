"""What a conditional model is given: a class, or a value for each of the columns that it is conditioned on."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
from typing import Any

import numpy as np

from isthmus.tables import CategoryColumn, Column, TimeColumn
from isthmus.tables._cells import as_text
from isthmus.tables._fixed import ConstantColumn
from isthmus.tables._plain import Plain
from isthmus.tables._times import DurationColumn

__all__ = ["Conditions"]

_DAY = 86_400_000_000  # microseconds
_SHOWN = 6  # levels that a message names


class _Field(ABC):
    """A condition column, as a field of the page.

    Parameters
    ----------
    name : object
        Name of the column.
    column : Column, optional
        Its codec, if the model was fitted with a table of conditions.
    """

    kind: str
    levels: tuple[str, ...] = ()

    def __init__(self, name: Any, column: Any = None) -> None:
        self.name, self.column = name, column

    @abstractmethod
    def cells(self, text: str) -> Any:
        """Return the column of one cell that a text stands for.

        Raises
        ------
        ValueError
            If there is no such cell.
        """

    @abstractmethod
    def text(self, value: Any) -> str:
        """Return the text of a plain value."""

    def typical(self, values: np.ndarray) -> str:
        """Return the text of the median of plain values."""
        return self.text(np.sort(values)[(len(values) - 1) // 2])


class _Number(_Field):
    """A condition column of numbers."""

    kind = "number"

    def cells(self, text: str) -> Any:
        """Return the column of one cell that a text stands for."""
        return [_number(self.name, text)]

    def text(self, value: Any) -> str:
        """Return the text of a plain value."""
        return _number_text(float(value))


class _Days(_Field):
    """A condition column of durations, as a number of days."""

    kind = "days"

    def cells(self, text: str) -> Any:
        """Return the column of one cell that a text stands for."""
        ticks = round(_number(self.name, text) * _DAY)
        return self.column.to_series(np.array([ticks], dtype="timedelta64[us]"))

    def text(self, value: Any) -> str:
        """Return the text of a plain value."""
        return _number_text(value / np.timedelta64(_DAY, "us"))


class _Time(_Field):
    """A condition column of dates or times."""

    def __init__(self, name: Any, column: Any) -> None:
        super().__init__(name, column)
        self.kind = "date" if column.resolution % _DAY == 0 else "datetime-local"

    def cells(self, text: str) -> Any:
        """Return the column of one cell that a text stands for."""
        try:
            time: Any = np.datetime64(text, "us")
        except ValueError:
            time = np.datetime64("NaT", "us")
        if np.isnat(time):
            example = "2024-03-31" if self.kind == "date" else "2024-03-31T12:00"
            raise ValueError(f"{self.name} must be a date such as {example}{_but(text)}.")
        return self.column.to_series(np.array([time]))

    def text(self, value: Any) -> str:
        """Return the text of a plain value."""
        return str(np.datetime_as_string(value, unit="D" if self.kind == "date" else "s"))


class _Levels(_Field):
    """A condition column of categories, or of one value."""

    kind = "level"

    def __init__(self, name: Any, column: Any) -> None:
        super().__init__(name, column)
        n = len(column.values) if isinstance(column, CategoryColumn) else 1
        self.values = column.decode(np.arange(n, dtype=np.float64)[:, None])
        self.levels = tuple(map(self.text, self.values.tolist()))

    def cells(self, text: str) -> Any:
        """Return the column of one cell that a text stands for."""
        if text not in self.levels:
            more = ", …" if len(self.levels) > _SHOWN else ""
            raise ValueError(f"{self.name} must be one of {', '.join(self.levels[:_SHOWN])}{more}{_but(text)}.")
        k = self.levels.index(text)
        return self.column.to_series(self.values[k : k + 1])

    def text(self, value: Any) -> str:
        """Return the text of a plain value."""
        return as_text(value)

    def typical(self, values: np.ndarray) -> str:
        """Return the text of the most frequent of plain values."""
        return self.text(Counter(values.tolist()).most_common(1)[0][0])


class Conditions:
    """What the page can give a model: nothing, the number of a class, or a text for each condition column.

    Parameters
    ----------
    model : estimator
        Fitted.

    Attributes
    ----------
    start : dict
        Text of each condition column at first: of a median or most frequent value of the rows shown. Without rows, it
        is what the mean of the encoded training data is decoded to.
    """

    def __init__(self, model: Any) -> None:
        self.classes = getattr(model, "classes_", None)
        self._usual = None if self.classes is None else self.classes[[int(model._condition.class_weight.argmax())]]
        self._condition = model._condition if model.conditional and self.classes is None else None
        self.codec = getattr(self._condition, "codec", None)
        self.in_table = self.codec is not None
        self.fields: list[_Field] = []
        self.start: dict[str, str] = {}
        if self._condition is None:
            return
        if self.codec is None:
            self.fields = [_Number(name) for name in _names(self._condition)]
            values = self._condition.mean
        else:
            decoded = self.codec.decode_values(self._condition.mean[None], missing=False)
            self.fields = [_field(column) for column in self.codec.columns if column.outputs()]
            values = [v[0] for v, column in zip(decoded, self.codec.columns, strict=True) if column.outputs()]
        self.start = {str(f.name): f.text(value) for f, value in zip(self.fields, values, strict=True)}

    def start_from(self, y: Any) -> None:
        """Start with the median, or the most frequent value, of each column of `y`."""
        self.start = {str(f.name): f.typical(values) for f, values in zip(self.fields, self.values(y), strict=True)}

    def describe(self) -> dict[str, Any]:
        """Return the classes and the condition columns, for JSON."""
        return {
            "classes": None if self.classes is None else [str(label) for label in self.classes],
            "given": [
                {"name": str(f.name), "kind": f.kind, "levels": list(f.levels), "start": self.start[str(f.name)]}
                for f in self.fields
            ],
        }

    def parse(self, condition: Any) -> Any:
        """Return the y of a model: a class, or one row of condition columns; None if nothing is given.

        Parameters
        ----------
        condition : int or dict, optional
            Number of a class; or texts, numbers or truth values by condition column, as for ``sample(given=...)``.

        Raises
        ------
        ValueError
            If it does not fit the model.
        """
        if condition is None or (self.classes is None and not self.fields):
            return None
        if self.classes is not None:
            if isinstance(condition, bool) or not isinstance(condition, int):
                raise ValueError("condition: must be the number of a class.")
            if not 0 <= condition < len(self.classes):
                raise ValueError(f"class {condition}: there are {len(self.classes)}, numbered from 0.")
            return self.classes[condition]
        if not isinstance(condition, dict) or set(condition) != set(self.start):
            raise ValueError(f"condition: must have a value for each of {', '.join(self.start)}, and no other.")
        return self._row({f.name: f.cells(_as_text(condition[str(f.name)])) for f in self.fields})

    def _row(self, cells: dict[Any, Any]) -> Any:
        """Return columns of one cell as y."""
        if self.codec is None:
            return np.array(list(cells.values())).T
        import pandas as pd

        return pd.DataFrame({name: cells.get(name, [0]) for name in self.codec.names})  # any value of those left out

    def of_row(self, y: Any) -> int | dict[str, str] | None:
        """Return the condition of a row with the label, or the table of condition columns, `y`."""
        if self.classes is not None and y is not None:
            found = np.flatnonzero(self.classes == y[0])
            return int(found[0]) if len(found) else None
        if y is None or not self.fields:
            return None
        return {str(f.name): f.text(values[0]) for f, values in zip(self.fields, self.values(y), strict=True)}

    def typical(self) -> Any:
        """Return one typical condition as y: the most frequent class, or the values at which columns start."""
        return self.parse(self.start) if self._usual is None else self._usual

    def values(self, y: Any) -> list[np.ndarray]:
        """Return the values of each condition column."""
        if self.codec is None:
            return list(np.asarray(y, dtype=np.float64).reshape(len(y), -1).T)
        columns = [Plain.of(f.name, y[f.name]) for f in self.fields]
        return [
            (plain.as_times(f.column.text_format) if isinstance(f, _Time) else plain).observed()
            for plain, f in zip(columns, self.fields, strict=True)
        ]


def _field(column: Column) -> _Field:
    if isinstance(column, (CategoryColumn, ConstantColumn)):
        return _Levels(column.name, column)
    if isinstance(column, TimeColumn):
        return _Time(column.name, column)
    return (_Days if isinstance(column, DurationColumn) else _Number)(column.name, column)


def _names(condition: Any) -> list[Any]:
    """Return what columns of numbers are called."""
    if condition.width == 1:
        return ["y" if condition.name is None else condition.name]
    return [f"column {i}" for i in range(condition.width)]


def _as_text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _number(name: Any, text: str) -> float:
    """Return the number that a text stands for, or raise a ValueError."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{name} must be a number{_but(text)}.")
    return number


def _number_text(number: float) -> str:
    return f"{number:.0f}" if number.is_integer() else f"{number:.10g}"


def _but(text: str) -> str:
    return f", and is {text!r}" if text.strip() else ""
