"""The dtypes of pandas columns as text, and columns made again from plain values and that text."""

from __future__ import annotations

import datetime
import decimal
import re
from typing import Any

import numpy as np

from isthmus.tables._cells import kind_of_objects

__all__ = ["as_series", "dtype_name", "is_integer"]


def dtype_name(series: Any) -> str:
    """Return the dtype of a column as text: pandas' own, "arrow:int64", or "object[int]" by the type of the cells."""
    import pandas as pd

    if isinstance(series.dtype, pd.CategoricalDtype):
        return "category"
    if isinstance(series.dtype, pd.ArrowDtype):
        return f"arrow:{series.dtype.pyarrow_dtype}"
    if isinstance(series.dtype, pd.SparseDtype):
        return str(series.dtype.subtype)
    if series.dtype == object:
        return f"object[{kind_of_objects(series[series.notna()])}]"
    return str(series.dtype)


def is_integer(dtype: str) -> bool:
    """Return whether cells of a dtype are whole numbers."""
    return bool(re.fullmatch(r"(arrow:)?[Uu]?[Ii]nt\d+|object\[int\]", dtype))


def as_series(values: np.ndarray, dtype: str, decimals: int | None = None) -> Any:
    """Return plain values as a column of a dtype.

    Parameters
    ----------
    values : ndarray of shape (N,)
        float64 with NaN, datetime64[us] or timedelta64[us] with NaT, or objects with None where missing.
    dtype : str
        What :func:`dtype_name` returned; of categories, use :func:`pandas.Categorical` instead.
    decimals : int, optional
        Number of decimals of decimal numbers; None has as many as needed.
    """
    import pandas as pd

    if dtype.startswith("arrow:"):
        return _arrow_series(values, arrow_type(dtype[len("arrow:") :]), decimals)
    if dtype.startswith("object[datetime "):
        zoned = as_series(values, f"datetime64[us, {dtype[len('object[datetime ') : -1]}]")
        return zoned.astype(object).where(zoned.notna(), None)
    if dtype.startswith("object["):
        return pd.Series(_objects(values, dtype[len("object[") : -1], decimals), dtype=object)
    series = pd.Series(values)
    if values.dtype.kind == "M" and (zone := re.fullmatch(r"datetime64\[\w+, (.+)\]", dtype)):
        series = series.dt.tz_localize(zone[1], ambiguous=np.ones(len(series), bool), nonexistent="shift_forward")
    target = dtype
    if is_integer(dtype) and values.dtype != object:
        series = series.astype("Float64").round()
        if series.isna().any() and not dtype[0].isupper():  # numpy's integers have no missing cells
            target = dtype.capitalize().replace("Uint", "UInt")
    try:
        return series.astype(target)
    except TypeError as error:  # no library has that dtype: it is from a file, or from another version of the library
        raise ValueError(f"a column cannot have the dtype {dtype!r} ({error}).") from error


def arrow_type(text: str) -> Any:
    """Return the Arrow type whose ``str`` is `text`."""
    import pyarrow as pa

    if found := re.fullmatch(r"timestamp\[(\w+)(?:, tz=(.+))?\]", text):
        return pa.timestamp(found[1], found[2])
    if found := re.fullmatch(r"decimal(\d+)\((\d+), (-?\d+)\)", text):
        return getattr(pa, f"decimal{found[1]}")(int(found[2]), int(found[3]))
    if found := re.fullmatch(r"dictionary<values=(\w+), indices=(\w+), ordered=(\d)>", text):
        index, value = pa.type_for_alias(found[2]), pa.type_for_alias(found[1])
        return pa.dictionary(index, value, ordered=found[3] == "1")
    return pa.type_for_alias(text)


def _arrow_series(values: np.ndarray, kind: Any, decimals: int | None) -> Any:
    """Return plain values as a column of an Arrow type."""
    import pandas as pd
    import pyarrow as pa

    if pa.types.is_decimal(kind):
        values = np.array(_objects(values, "Decimal", kind.scale if decimals is None else decimals), dtype=object)
    elif pa.types.is_integer(kind):
        values = np.array(_objects(values, "int", None), dtype=object)
    if pa.types.is_dictionary(kind):
        array = pa.array(values, type=kind.value_type, from_pandas=True).dictionary_encode().cast(kind)
    elif pa.types.is_timestamp(kind) and kind.tz:
        zoned = as_series(values, f"datetime64[us, {kind.tz}]")
        array = pa.Array.from_pandas(zoned).cast(kind, safe=False)
    else:
        array = pa.array(values, from_pandas=True).cast(kind, safe=False)
    return pd.Series(pd.arrays.ArrowExtensionArray(array))


def _objects(values: np.ndarray, kind: str, decimals: int | None) -> list[Any]:
    """Return plain values as Python objects of a kind, None where missing."""
    import pandas as pd

    gone = pd.isna(values)
    make: dict[str, Any] = {
        "int": lambda v: round(float(v)),
        "float": float,
        "Decimal": lambda v: _as_decimal(float(v), decimals),
        "datetime": lambda v: v.astype(datetime.datetime),
        "date": lambda v: v.astype("datetime64[D]").astype(datetime.date),
        "timedelta": lambda v: v.astype(datetime.timedelta),
    }
    convert = make.get(kind, lambda v: v)
    return [None if missing else convert(v) for v, missing in zip(values, gone, strict=True)]


def _as_decimal(value: float, decimals: int | None) -> decimal.Decimal:
    return decimal.Decimal(repr(value) if decimals is None else f"{value:.{max(decimals, 0)}f}")
