"""The inputs of the graphs of a table: numbers, and indices of levels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from isthmus.tables import (
    CategoryColumn,
    Column,
    ConstantColumn,
    DurationColumn,
    NumberColumn,
    TableCodec,
    TimeColumn,
    is_table,
)
from isthmus.tables._plain import Plain, read_columns
from isthmus.tables._times import as_days

__all__ = ["Input", "describe_inputs", "inputs_of", "onnx_input", "table_input"]

_UNITS = {
    "time": "days since 1970-01-01",
    "day": "whole days since 1970-01-01",
    "week": "weeks since the one that began on Monday, 1969-12-29",
    "weekday": "0 is Monday",
    "year": "calendar year",
    "day of the year": "0 is the first of January",
    "time of day": "part of a day, 0 to 1",
}


class Input(NamedTuple):
    """A column of a graph's input: a column of numbers or codes, or an element of a column of times.

    Attributes
    ----------
    column : Column
        The codec of a table's column.
    leaf : NumberColumn, CategoryColumn or ConstantColumn
        The codec of the input itself; `column`, unless that is split into elements.
    element : str
        What element of a time it is; "" otherwise.
    """

    column: Column
    leaf: Any
    element: str = ""


def inputs_of(codec: TableCodec) -> list[Input]:
    """Return the inputs of a table; columns of which nothing is learned have none."""
    found = []
    for column in codec.columns or ():
        if isinstance(column, TimeColumn):
            found += [Input(column, part, name) for part, name in zip(column.parts, column.elements, strict=True)]
        elif isinstance(column, DurationColumn):
            found.append(Input(column, column.days))
        elif column.outputs():
            found.append(Input(column, column))
    return found


def describe_inputs(codec: TableCodec) -> list[dict[str, Any]]:
    """Return what each column of the input is, for JSON."""
    return [_describe(own) for own in inputs_of(codec)]


def _describe(own: Input) -> dict[str, Any]:
    described: dict[str, Any] = {"name": str(own.column.name)}
    if own.element:
        described |= {"element": own.element, "unit": _UNITS[own.element]}
    if isinstance(own.column, DurationColumn):
        described["unit"] = "days"
    if isinstance(own.leaf, CategoryColumn):
        return described | {"kind": "code", "levels": list(own.leaf.values)}
    if isinstance(own.leaf, ConstantColumn):
        value = own.leaf.levels() if own.leaf.form in ("times", "durations") else own.leaf.value
        return described | {"kind": "code", "levels": [value], "unit": "0 is the only level in training, 1 any other"}
    return described | {"kind": "number"}


def table_input(codec: TableCodec, X: Any) -> np.ndarray:
    """Return a table as numbers and codes, (N, F), NaN where a cell is missing."""
    plain = dict(zip(codec.names, read_columns(X, codec.names), strict=True))
    parts: list[np.ndarray] = []
    for column in codec.columns or ():
        if column.outputs():
            parts += _plain_inputs(column, plain[column.name])
    return np.column_stack(parts)


def _plain_inputs(column: Column, cells: Plain) -> list[np.ndarray]:
    """Return the inputs of a column, (N,) each."""
    if isinstance(column, TimeColumn):
        elements = zip(column.parts, column.elements_of(cells), strict=True)
        return [values for part, element in elements for values in _plain_inputs(part, element)]
    if isinstance(column, DurationColumn):
        return [as_days(cells).values]
    if isinstance(column, NumberColumn):
        return [cells.values]
    return [column.to_matrix(cells, None)[:, 0]]  # the number of a level


def onnx_input(model: Any, X: Any) -> np.ndarray:
    """Return samples as the graphs of :func:`to_onnx` take them: float64, with indices of levels for categories.

    Parameters
    ----------
    model : estimator
        Fitted.
    X : array-like or table of shape (N, D)
        Samples.

    Returns
    -------
    ndarray of shape (N, F)
        Float64, NaN where a cell is missing. Columns of times have a column for each element.

    Examples
    --------
    >>> import pandas as pd
    >>> from isthmus import VAE
    >>> from isthmus.export import onnx_input
    >>> table = pd.DataFrame({"size": [1.5, 2.0, 2.5, 3.5] * 5, "colour": ["red", "blue", "red", "red"] * 5})
    >>> onnx_input(VAE(1, max_epochs=1, random_state=0).fit(table), table[:2])
    array([[1.5, 1. ],
           [2. , 0. ]])
    """
    if model._codec is not None:
        return table_input(model._codec, X)
    rows = model._rows(X)
    return np.asarray(rows[:] if not isinstance(rows, np.ndarray) else rows, dtype=np.float64)


def condition_input(model: Any, y: Any) -> np.ndarray:
    """Return conditions as graphs of a conditional model take them: codes of labels, numbers, or a table's input."""
    condition = model._condition
    codec = getattr(condition, "codec", None)
    if codec is not None:
        return table_input(codec, y)
    if hasattr(condition, "classes"):
        return condition.encode(y, len(y)).argmax(axis=1)[:, None].astype(np.float64)
    values = np.asarray(y if not is_table(y) else y.to_numpy(), dtype=np.float64)
    return values.reshape(len(values), -1)
