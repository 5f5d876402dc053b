"""List what a saved model reveals about its training data, from its description: no rows, but facts about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from isthmus._part import resolve
from isthmus.estimators._condition import Condition, ContinuousCondition, DiscreteCondition
from isthmus.estimators._table_condition import TableCondition
from isthmus.model import Model
from isthmus.priors import VampPrior
from isthmus.scaling import MinMax, NoScaling, PerColumn, Scaling, Standard
from isthmus.tables import (
    CategoryColumn,
    Column,
    ConstantColumn,
    DurationColumn,
    EmptyColumn,
    NumberColumn,
    OmittedColumn,
    TableCodec,
    TimeColumn,
)

__all__ = ["list_kept"]

_SHOWN = 6  # names of columns that a line lists
_FOREVER = 2**62  # microseconds: the range of a time that has none


def list_kept(
    model: Model, codec: TableCodec | None, condition: Condition | None, names: Sequence[str], *, encoded: bool
) -> dict[str, str]:
    """Return what a model keeps of its training data, and from which columns.

    Parameters
    ----------
    model : Model
        It need not be built.
    codec : TableCodec, optional
        Of the table that it was fitted to.
    condition : Condition, optional
        What it is conditioned on.
    names : sequence of str
        Names of the columns, if they had any.
    encoded : bool
        Whether the model learned the matrix of the codec.
    """
    kept = {"column names": _several(names)} if names else {}
    columns = [] if codec is None else list(codec.columns or ())
    if isinstance(condition, TableCondition):
        columns += condition.codec.columns or ()
    kept |= {title: _several(found) for title, found in _of_columns(columns).items() if found}
    kept |= dict(_of_condition(condition))
    kept |= dict(_of_scaling(model.scaling, encoded=encoded))
    if isinstance(model.prior, VampPrior):
        kept["pseudo-inputs"] = f"{model.prior.n_pseudo_inputs} of {model.prior!r}, which may resemble rows"
    return kept


def _several(names: Sequence[str]) -> str:
    """Return the first of some names, and how many there are if there are more."""
    more = f", ... ({len(names)})" if len(names) > _SHOWN else ""
    return f"{', '.join(map(str, names[:_SHOWN]))}{more}"


def _of_columns(columns: Sequence[Column]) -> dict[str, list[str]]:
    """Return what the codecs of columns keep: the columns of each kind of thing."""
    kept: dict[str, list[str]] = {
        "levels": [],
        "extremes": [],
        "quantiles": [],
        "frequent values": [],
        "constants": [],
        "first identifier": [],
    }
    for column in columns:
        for title, text in _of_column(column):
            named = f"{column.name}{text}"
            if named not in kept[title]:
                kept[title].append(named)
    return kept


def _of_column(column: Column) -> Iterator[tuple[str, str]]:
    """Yield what the codec of a column keeps, and how many."""
    if isinstance(column, CategoryColumn):
        n_levels = len({*column.values, *(column.categories or ())})
        yield "levels", f" ({n_levels})"
    elif isinstance(column, (ConstantColumn, EmptyColumn)) and column.categories:
        yield "levels", f" ({len(column.categories)})"
    if isinstance(column, ConstantColumn):
        yield "constants", ""
    elif isinstance(column, OmittedColumn) and column.first:
        yield "first identifier", ""
    elif isinstance(column, NumberColumn):
        if np.isfinite(column.low):
            yield "extremes", ""
        if column.knots is not None and len(column.knots[0]) > 2:  # two are the mean and the standard deviation
            yield "quantiles", f" ({len(column.knots[0])})"
        if column.spikes:
            yield "frequent values", f" ({len(column.spikes)})"
    elif isinstance(column, TimeColumn):
        if column.high < _FOREVER:
            yield "extremes", ""
        for part in column.parts:
            yield from ((title, text) for title, text in _of_column(part) if title != "extremes")
    elif isinstance(column, DurationColumn) and column.days is not None:
        yield from _of_column(column.days)


def _of_condition(condition: Condition | None) -> Iterator[tuple[str, str]]:
    if isinstance(condition, DiscreteCondition):
        yield "labels", f"{len(condition.classes)}, with the sum of the weights of the rows of each"
    elif isinstance(condition, (ContinuousCondition, TableCondition)):
        yield "conditions", f"means and standard deviations of {condition.width} columns"


def _of_scaling(scaling: Scaling, *, encoded: bool) -> Iterator[tuple[str, str]]:
    """Yield what a scaling keeps; each also keeps the values of constant columns.

    In the matrix of a codec, what has a range has 0 and 1.
    """
    parts = [scaling]
    if isinstance(scaling, PerColumn):
        parts = [resolve("scaling", part, Scaling) for part in scaling.scalings]
    if not encoded and any(isinstance(part, MinMax) and None in (part.low, part.high) for part in parts):
        yield "range", "the smallest and the largest number of all columns together"
    if any(isinstance(part, Standard) for part in parts):
        yield "moments", "means and standard deviations of columns, and values of constant columns"
    elif not all(isinstance(part, (MinMax, NoScaling)) for part in parts):
        yield "moments", f"what {type(scaling).__name__} keeps of columns, and values of constant columns"
