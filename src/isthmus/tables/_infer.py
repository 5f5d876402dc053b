"""The choice of a codec for each column of a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from isthmus._names import suggestion, unknown_name
from isthmus._part import resolve
from isthmus.likelihoods import Bernoulli, Categorical, Likelihood
from isthmus.tables._categories import CategoryColumn
from isthmus.tables._column import Column
from isthmus.tables._fixed import ConstantColumn, EmptyColumn, OmittedColumn, category_fields
from isthmus.tables._numbers import NumberColumn
from isthmus.tables._plain import Plain
from isthmus.tables._times import DurationColumn, TimeColumn

__all__ = ["KINDS", "Options", "check_names", "fit_column"]

KINDS = ("number", "category", "time", "timedelta", "left out")
_FEW, _ROWS_PER_LEVEL = 20, 10  # numbers with at most so many values, each in so many rows on average, are categories
_TEXTS, _TEXT_SHARE = 20, 0.5  # more texts than this, in more than this share of rows, are no categories
_MIN_ROWS = 20  # of a column of whole numbers that only count the rows


@dataclass(frozen=True)
class Options:
    """How to encode a column.

    Attributes
    ----------
    kind : str or None
        One of ``KINDS``, with the format of dates after a colon ("time:%Y%m%d"), or None to choose it.
    likelihood : str, Likelihood or None
        Likelihood of the column, in its own units.
    unseen : str
        How new levels are treated.
    within_support : bool
        Whether decoded cells stay in the range of the column.
    """

    kind: str | None = None
    likelihood: str | Likelihood | None = None
    unseen: str = "missing"
    within_support: bool = True


class _Chosen(NamedTuple):
    kind: str
    reason: str = ""  # why it is left out
    text_format: str | None = None  # of dates


def fit_column(column: Plain, options: Options, dtype: Any = None) -> Column:
    """Return the codec of a column.

    Parameters
    ----------
    column : Plain
        Its cells.
    options : Options
        How to encode it.
    dtype : CategoricalDtype, optional
        The dtype of a column of pandas categories.

    Raises
    ------
    ValueError
        If the column does not fit its options.
    """
    chosen = _asked(column, options) if options.kind else _inferred(column, options)
    forms = _FORMS.get(chosen.kind)
    if forms and column.form not in forms:
        raise ValueError(
            f"column {column.name!r} holds {column.form} ({column.dtype}), which cannot be of kind {chosen.kind!r}."
        )
    make: dict[str, Callable[[], Column]] = {
        "empty": lambda: EmptyColumn(column.name, column.dtype, 1.0, **category_fields(dtype)),
        "left out": lambda: OmittedColumn.fit(column, chosen.reason, within_support=options.within_support),
        "constant": lambda: ConstantColumn.fit(column, dtype),
        "category": lambda: CategoryColumn.fit(
            column, categories=dtype, unseen=options.unseen, likelihood=options.likelihood
        ),
        "time": lambda: TimeColumn.fit(
            column.as_times(chosen.text_format),
            lambda element: fit_column(element, Options(unseen=options.unseen, within_support=options.within_support)),
            text_format=chosen.text_format,
            within_support=options.within_support,
        ),
        "timedelta": lambda: DurationColumn.fit(column, within_support=options.within_support),
        "number": lambda: NumberColumn.fit(
            column, likelihood=options.likelihood, within_support=options.within_support
        ),
    }
    return make[chosen.kind]()


def _asked(column: Plain, options: Options) -> _Chosen:
    """Return the kind that the options name."""
    kind, _, text_format = str(options.kind).partition(":")
    if kind not in KINDS:
        raise unknown_name(f"kind of column {column.name!r}", kind, KINDS)
    return _Chosen("empty" if column.form == "empty" else kind, "as asked", text_format or column.date_format())


def _inferred(column: Plain, options: Options) -> _Chosen:
    """Return the kind that follows from the cells of a column."""
    if column.form in _BY_FORM:
        return _BY_FORM[column.form]._replace(reason=_REASONS.get(column.form, "").format(column.dtype))
    observed = column.observed()
    n_distinct = len(set(observed.tolist()))
    if options.likelihood is not None:
        discrete = isinstance(resolve("likelihoods", options.likelihood, Likelihood), (Bernoulli, Categorical))
        return _Chosen("category" if discrete else "number")
    if n_distinct == 1:
        return _Chosen("constant")
    choose = {"numbers": _numbers, "levels": _levels}.get(column.form)
    return choose(column, n_distinct, len(observed)) if choose else _Chosen(_TIMES[column.form])


def _numbers(column: Plain, n_distinct: int, n_observed: int) -> _Chosen:
    """Return the kind of a column of numbers."""
    if _counts_rows(column):
        return _Chosen("left out", "numbers the rows")
    return _Chosen("category" if n_distinct <= _FEW and n_observed >= _ROWS_PER_LEVEL * n_distinct else "number")


def _levels(column: Plain, n_distinct: int, n_observed: int) -> _Chosen:
    """Return the kind of a column of texts or other levels."""
    if text_format := column.date_format():
        return _Chosen("time", "", text_format)
    if n_distinct > _TEXTS and n_distinct > _TEXT_SHARE * n_observed:
        reason = f"has {n_distinct:,} different values in {n_observed:,} rows"
        if (exception := column.exception_to_dates()) is not None:
            text, row = exception
            reason += f", nearly all of them dates, but not {text!r:.40} in row {row}"
        return _Chosen("left out", reason)
    return _Chosen("category")


def _counts_rows(column: Plain) -> bool:
    """Return whether a column is that of the row numbers, from 0 or 1."""
    values = column.values
    whole = "int" in column.dtype.lower()
    return bool(
        whole
        and len(values) >= _MIN_ROWS
        and values[0] in (0, 1)
        and not np.isnan(values).any()
        and (np.diff(values) == 1).all()
    )


# What columns of each kind may hold, and the kind of columns whose cells need no closer look.
_FORMS = {
    "number": ("numbers",),
    "category": ("levels", "numbers"),
    "time": ("times", "levels", "numbers"),
    "timedelta": ("durations",),
}
_BY_FORM = {"empty": _Chosen("empty"), "other": _Chosen("left out"), "identifiers": _Chosen("left out")}
_REASONS = {"other": "holds values of type {}", "identifiers": "has whole numbers beyond 2^53"}
_TIMES = {"times": "time", "durations": "timedelta"}


def check_names(parameter: str, named: Iterable[Any], names: list[Any]) -> None:
    """Raise a ValueError if a parameter names a column that the table does not have."""
    for name in named:
        if name not in names:
            near = suggestion(name, [str(n) for n in names])
            raise ValueError(f"{parameter} names the column {name!r}, which X does not have.{near}")
