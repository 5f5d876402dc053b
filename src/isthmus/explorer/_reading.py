"""Read files that are dropped on the page."""

from __future__ import annotations

import io
from typing import IO, Any

import numpy as np

__all__ = ["parse_conditions", "parse_rows"]

MAX_DROPPED = 1000  # rows of a dropped file


def _read_table(codec: Any, frame: Any, source: str) -> Any:
    """Return the columns of a DataFrame that a codec was fitted to; texts become times where those were.

    Raises
    ------
    ValueError
        If a column is missing.
    """
    import pandas as pd

    columns = codec.columns
    missing = [column.name for column in columns if column.name not in frame.columns]
    if missing:
        raise ValueError(f"{source}: lacks {_listed(missing)}; the model has the columns {_listed(codec.names)}.")
    table = {}
    for column in columns:
        cells = frame[column.name]
        texts = cells.dtype == object or pd.api.types.is_string_dtype(cells)
        if texts and column.kind == "time" and getattr(column, "text_format", None) is None:
            cells = pd.to_datetime(cells, errors="coerce")
        elif texts and column.kind == "timedelta":
            cells = pd.to_timedelta(cells, errors="coerce")
        table[column.name] = cells
    return pd.DataFrame(table)


def parse_rows(model: Any, name: str, body: bytes) -> Any:
    """Return the rows of a file that was dropped on the page: .csv or .npy.

    Only the end of the name is looked at, and nothing is opened.

    Raises
    ------
    ValueError
        If the file cannot be read, or does not fit the model.
    """
    suffix = name.lower().rpartition(".")[2]
    if suffix == "npy":
        return _parse_npy(model, body)
    if suffix != "csv":
        raise ValueError(f"{name}: drop an image, a .csv or an .npy file.")
    if model._codec is not None or hasattr(model, "feature_names_in_"):
        return _parse_named(model, io.BytesIO(body), name)
    if not body.strip():
        raise ValueError(f"{name}: has no rows.")
    try:
        rows = np.genfromtxt(io.BytesIO(body), delimiter=",", max_rows=MAX_DROPPED + 1, ndmin=2)
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"{name}: is no table of numbers ({error}).") from error
    first = rows[1:] if len(rows) > 1 and np.isnan(rows[0]).all() else rows  # a header
    return _check_width(model, first[:MAX_DROPPED])


def parse_conditions(codec: Any, name: str, body: bytes) -> Any:
    """Return the condition columns of a .csv file that was dropped; None if it does not have all of them."""
    import pandas as pd

    if not name.lower().endswith(".csv"):
        return None
    frame = pd.read_csv(io.BytesIO(body), nrows=MAX_DROPPED)
    return _read_table(codec, frame, name) if set(codec.names) <= set(frame.columns) else None


def _parse_named(model: Any, file: IO[bytes], name: str) -> Any:
    import pandas as pd

    try:
        frame = pd.read_csv(file, nrows=MAX_DROPPED)
    except (ValueError, pd.errors.ParserError) as error:
        raise ValueError(f"{name}: is no .csv file ({error}).") from error
    if not len(frame):
        raise ValueError(f"{name}: has no rows.")
    if model._codec is not None:
        return _read_table(model._codec, frame, name)
    wanted = list(model.feature_names_in_)
    missing = [column for column in wanted if column not in frame.columns]
    if missing:
        raise ValueError(f"{name}: lacks {_listed(missing)}; the model has the columns {_listed(wanted)}.")
    return frame[wanted].to_numpy(dtype=np.float64)


def _parse_npy(model: Any, body: bytes) -> np.ndarray:
    try:
        rows = np.load(io.BytesIO(body), allow_pickle=False)
    except (ValueError, EOFError, OSError, MemoryError, OverflowError) as error:
        raise ValueError(f"the .npy file cannot be read ({error}).") from error
    if rows.dtype.kind not in "biuf" or not rows.size:
        raise ValueError("the .npy file holds no numbers.")
    single = rows.size == model.n_features_in_
    return _check_width(model, rows.reshape(1, -1) if single else rows.reshape(len(rows), -1)[:MAX_DROPPED])


def _check_width(model: Any, rows: np.ndarray) -> np.ndarray:
    if model._codec is not None:
        raise ValueError(f"the model is one of a table with the columns {_listed(model._codec.names)}: drop a .csv.")
    if rows.shape[1] != model.n_features_in_:
        raise ValueError(f"the rows have {rows.shape[1]} numbers, and the model takes {model.n_features_in_}.")
    if not len(rows):
        raise ValueError("there are no rows.")
    return rows.astype(np.float64)


def _listed(names: Any) -> str:
    """Return the first names as text."""
    shown = ", ".join(map(str, names[:8]))
    return shown + (f" and {len(names) - 8} more" if len(names) > 8 else "")
