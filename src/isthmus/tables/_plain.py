"""Columns of any dtype as plain arrays: numbers, times, durations or levels."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np

from isthmus.tables._date_texts import exception_to, format_of, parse_dates
from isthmus.tables._dtypes import dtype_name, is_integer
from isthmus.tables._frame import Frame, to_pandas

__all__ = ["Plain", "as_frame", "read_columns"]

EXACT = 2**53  # every integer up to this one is a float64


class Plain(NamedTuple):
    """A column of a table.

    Attributes
    ----------
    name : object
        Its name.
    dtype : str
        What :func:`isthmus.tables._dtypes.as_series` needs to make cells of the same type again.
    form : {"numbers", "times", "durations", "levels", "identifiers", "empty", "other"}
        What the values are. Identifiers are whole numbers that float64 cannot hold; "empty" has no observed cell, and
        "other" is nothing that can be encoded.
    values : ndarray of shape (N,)
        float64, NaN where missing, of numbers; datetime64[us], the local time, of times; timedelta64[us] of durations;
        objects of levels and identifiers.
    missing : ndarray of shape (N,)
        Where cells are missing.
    """

    name: Any
    dtype: str
    form: str
    values: np.ndarray
    missing: np.ndarray

    @classmethod
    def of(cls, name: Any, series: Any) -> Self:
        """Return a column of a pandas DataFrame, whose dtype or cells decide what it is.

        Raises
        ------
        ValueError
            If a number is infinite.
        """
        import pandas as pd

        dtype = dtype_name(series)
        objects = series.dtype.kind == "O" if not isinstance(series.dtype, pd.CategoricalDtype) else True
        missing = np.asarray(series.isna(), dtype=bool)
        if not objects and series.dtype.kind == "f":  # an Arrow column may hold NaN beside nulls
            values = series.to_numpy(dtype=np.float64, na_value=np.nan)
            if np.isinf(values).any():
                row = int(np.isinf(values).argmax())
                raise ValueError(f"column {name!r} has infinity (inf) in row {row}: clip it, or make it missing.")
            return cls(name, dtype, "numbers" if not np.isnan(values).all() else "empty", values, np.isnan(values))
        if missing.all():
            return cls(name, dtype, "empty", np.full(len(series), None, dtype=object), missing)
        form = _form(series, dtype)
        if form == "numbers" and is_integer(dtype):
            cells = series[~missing]
            if max(abs(int(cells.min())), abs(int(cells.max()))) > EXACT:  # float64 cannot hold them
                form = "identifiers"
        return cls(name, dtype, form, _values(series, form, missing), missing)

    def observed(self) -> np.ndarray:
        """Return the values that are not missing."""
        return self.values[~self.missing]

    def as_times(self, text_format: str | None) -> Self:
        """Return a column of texts or whole numbers, such as "2024-03-31" or 20240331, as times.

        Raises
        ------
        ValueError
            If a cell is not a date in this format.
        """
        import pandas as pd

        if self.form == "times":
            return self
        texts = pd.Series(self.values.astype(object)).mask(pd.Series(self.missing))
        texts = texts.map(lambda v: v if isinstance(v, str) else str(int(v)), na_action="ignore")
        times = parse_dates(texts, text_format)
        wrong = np.asarray(times.isna()) & ~self.missing
        if wrong.any():
            row = int(wrong.argmax())
            form = f" in the format {text_format!r}" if text_format else ""
            raise ValueError(
                f"column {self.name!r} has {texts[row]!r:.40} in row {row}, not a date{form}: correct it, or make it "
                "missing."
            )
        return self._replace(form="times", values=times.to_numpy(dtype="datetime64[us]"))

    def exception_to_dates(self) -> tuple[str, int] | None:
        """Return the first text that is not a date, and its row, if nearly all others are dates in one format."""
        if self.form != "levels" or not all(isinstance(v, str) for v in self.observed()):
            return None
        rows = np.flatnonzero(~self.missing)
        found = exception_to(self.values[rows])
        return None if found is None else (self.values[rows[found]], int(rows[found]))

    def date_format(self) -> str | None:
        """Return the format of texts that are all dates, or None."""
        observed = self.observed()
        if self.form != "levels" or not all(isinstance(v, str) for v in observed):
            return None
        return format_of(observed)


def _form(series: Any, dtype: str) -> str:
    """Return the form of a column that has an observed cell."""
    if dtype.startswith("object["):
        kind = dtype[len("object[") : -1].partition(" ")[0]
        found = {"int": "numbers", "float": "numbers", "Decimal": "numbers", "timedelta": "durations"}
        found |= {"date": "times", "datetime": "times", "levels": "levels"}
        return found.get(kind, "other")
    if dtype in ("category", "str", "string", "bool", "boolean"):
        return "levels"
    kind = series.dtype.kind
    if dtype.startswith("arrow:"):
        text = dtype[len("arrow:") :]
        kind = "f" if text.startswith("decimal") else kind
        kind = "M" if text.startswith(("date", "timestamp")) else kind
        kind = "b" if text.startswith(("dictionary", "string", "large_string")) else kind
        kind = "O" if text.startswith("time") and kind != "M" else kind
    return {"i": "numbers", "u": "numbers", "f": "numbers", "M": "times", "m": "durations", "b": "levels"}.get(
        kind, "other"
    )


def _values(series: Any, form: str, missing: np.ndarray) -> np.ndarray:
    """Return the cells of a column of some form."""
    import pandas as pd

    if form == "numbers":
        if series.dtype.kind != "O":
            return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))
        return np.array([np.nan if gone else float(v) for v, gone in zip(series, missing, strict=True)])
    if form == "times":
        if getattr(series.dtype, "tz", None) is not None:
            series = series.dt.tz_localize(None)  # local time, whose days and hours people live by
        elif isinstance(series.dtype, pd.ArrowDtype):
            zone = getattr(series.dtype.pyarrow_dtype, "tz", None)
            series = pd.to_datetime(series.astype(object).where(~missing, None), utc=bool(zone))
            series = series.dt.tz_convert(zone).dt.tz_localize(None) if zone else series
        elif series.dtype.kind == "O":
            series = pd.to_datetime(series)
            series = series.dt.tz_localize(None)
        return np.asarray(series.to_numpy(dtype="datetime64[us]", na_value=np.datetime64("NaT", "us")))
    if form == "durations":
        return np.asarray(
            pd.to_timedelta(series.astype(object).where(~missing, None)).to_numpy(dtype="timedelta64[us]")
        )
    cells = np.empty(len(series), dtype=object)
    for i, (value, gone) in enumerate(zip(series, missing, strict=True)):
        cells[i] = None if gone else value.item() if isinstance(value, np.generic) else value
    return cells


def read_columns(X: Any, names: list[Any]) -> list[Plain]:
    """Return the columns with these names of a table or array, in this order.

    Raises
    ------
    ValueError
        If a column is missing, or has no such name.
    """
    table = as_frame(X, names)
    lacking, extra = [n for n in names if n not in table.columns], [n for n in table.columns if n not in names]
    if lacking or extra:
        texts = [f"lacks {', '.join(map(repr, lacking))}"] if lacking else []
        texts += [f"has {', '.join(map(repr, extra))}, which fit did not see: drop them"] if extra else []
        raise ValueError(f"X {' and '.join(texts)}.")
    if not len(table):
        raise ValueError("X has no rows.")
    return [Plain.of(name, table[name]) for name in names]


def as_frame(X: Any, names: list[Any]) -> Any:
    """Return a table as a pandas DataFrame, or one with these names of an array."""
    import pandas as pd

    if isinstance(X, np.ndarray) and X.ndim == 2:
        if X.shape[1] != len(names):
            raise ValueError(f"X has {X.shape[1]} columns, but {len(names)} in fit.")
        return pd.DataFrame({name: X[:, i] for i, name in enumerate(names)})
    Frame.of(X)  # checks the names
    return to_pandas(X)
