"""Tables of several libraries as pandas DataFrames, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from isthmus._part import Settings
from isthmus.tables._cells import level_from_json, level_to_json

__all__ = ["LIBRARIES", "Frame", "fill_missing", "is_table", "join_columns", "made_like", "to_pandas", "without"]


LIBRARIES = ("pandas", "polars", "pyarrow", "dicts")


@dataclass(eq=False, repr=False)
class Frame(Settings):
    """The form of a table: its library and what pandas does not know of it.

    Parameters
    ----------
    library : {"pandas", "polars", "pyarrow", "dicts"}
        What the table is; "dicts" is a list of one dictionary per row.
    names : tuple
        Names of the columns.
    enums : tuple of (name, tuple of str)
        Columns of the type Enum of polars, with their categories.
    """

    library: str = "pandas"
    names: tuple[Any, ...] = ()
    enums: tuple[tuple[Any, tuple[str, ...]], ...] = ()

    @classmethod
    def of(cls, X: Any) -> Self:
        """Return the form of a table.

        Raises
        ------
        ValueError
            If two columns have the same name.
        """
        library = _library(X)
        if library is None:
            raise TypeError(
                f"a table is a DataFrame of pandas or polars, a pyarrow Table or a list of dicts, not {X!r}."
            )
        if library == "dicts":
            return cls(library, tuple(dict.fromkeys(name for row in X for name in row)))
        names = list(X.column_names if library == "pyarrow" else X.columns)
        twice = (
            list(dict.fromkeys(name for name in names if names.count(name) > 1)) if len(set(names)) < len(names) else []
        )
        if twice:
            raise ValueError(f"two columns of X have the same name: {', '.join(map(repr, twice))}; rename one of each.")
        enums = []
        if library == "polars":
            import polars

            enums = [(n, tuple(t.categories.to_list())) for n, t in X.schema.items() if isinstance(t, polars.Enum)]
        return cls(library, tuple(map(level_to_json, names)), tuple(enums))

    def column_names(self) -> list[Any]:
        """Return the names of the columns."""
        return list(map(level_from_json, self.names))

    def restore(self, table: Any) -> Any:
        """Return a pandas DataFrame with these columns as a table of the library."""
        if self.library == "pandas":
            return table
        if self.library == "dicts":
            gone = table.isna().to_numpy()
            cells = np.where(gone, None, table.astype(object).to_numpy(dtype=object))
            return [dict(zip(table.columns, map(_scalar, row), strict=True)) for row in cells]
        import pyarrow as pa

        arrow = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
        if self.library == "pyarrow":
            return arrow
        import polars as pl

        made: Any = pl.from_arrow(arrow)
        return made.cast({name: pl.Enum(list(levels)) for name, levels in self.enums})


def _scalar(cell: Any) -> Any:
    """Return a cell as a Python object."""
    return cell.item() if isinstance(cell, np.generic) else cell


def _library(X: Any) -> str | None:
    """Return the library of a table, or None if it is none."""
    module = type(X).__module__.partition(".")[0]
    if module in ("pandas", "polars") and type(X).__name__ == "DataFrame":
        return module
    if hasattr(X, "iloc") and hasattr(X, "dtypes") and hasattr(X, "columns"):  # a subclass of pandas' DataFrame
        return "pandas"
    if module == "pyarrow" and hasattr(X, "column_names"):
        return "pyarrow"
    return "dicts" if isinstance(X, list) and len(X) > 0 and all(isinstance(row, dict) for row in X) else None


def is_table(X: Any) -> bool:
    """Return whether X is a table with named columns: a DataFrame, a pyarrow Table, or a list of dicts."""
    return _library(X) is not None


def to_pandas(X: Any) -> Any:
    """Return a table as a pandas DataFrame; of polars and pyarrow, with columns of Arrow types.

    Raises
    ------
    ModuleNotFoundError
        If pandas is not installed.
    """
    library = _library(X)
    if library == "pandas":
        return X
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("a table needs pandas: pip install 'isthmus[table]'") from error
    if library == "dicts":
        return pd.DataFrame(X, dtype=object)
    arrow = X.to_arrow() if library == "polars" else X
    return arrow.to_pandas(types_mapper=pd.ArrowDtype)


def join_columns(columns: list[Any], names: list[Any], index: Any) -> Any:
    """Return a pandas DataFrame of columns with these names; their own index is ignored."""
    import pandas as pd

    frame = pd.concat([column.reset_index(drop=True) for column in columns], axis=1)
    frame.columns = pd.Index(names)
    if index is not None:
        frame.index = index
    return frame


def without(values: np.ndarray, gone: np.ndarray) -> np.ndarray:
    """Return plain values with missing cells where `gone`."""
    if not gone.any():
        return values
    no_time, no_duration = np.datetime64("NaT", "us"), np.timedelta64("NaT", "us")
    missing: dict[str, Any] = {"f": np.nan, "M": no_time, "m": no_duration, "O": None}
    return np.where(gone, missing[values.dtype.kind], values)


def made_like(given: Any, column: Any, values: np.ndarray) -> Any:
    """Return decoded values of a column as a pandas Series: times for times, even if those of `fit` were texts."""
    import pandas as pd

    if isinstance(given.dtype, np.dtype) and given.dtype.kind == values.dtype.kind == "M":
        return pd.Series(values.astype(given.dtype))
    return column.to_series(values)


def fill_missing(given: Any, values: Any) -> Any:
    """Return a pandas Series with its missing cells filled in by those of another one."""
    import pandas as pd

    given = given.reset_index(drop=True)
    gone = given.isna()
    if given.dtype.kind == "f" and isinstance(given.dtype, pd.ArrowDtype):
        gone = pd.Series(np.isnan(given.to_numpy(dtype=np.float64, na_value=np.nan)))
    if not gone.any():
        return given
    if given.dtype == values.dtype:
        return given.where(~gone, values)
    if given.dtype.kind in "iuf" and values.dtype.kind in "iuf":
        return given.where(~gone, values.astype(given.dtype))
    return given.astype(object).where(~gone, values.astype(object)).astype(values.dtype)
