"""Tables with other columns than numbers: their columns as a model expects them, and results in their form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from isthmus.cli._errors import note

if TYPE_CHECKING:
    from isthmus.data import Dataset

__all__ = [
    "align_frame",
    "as_result_frame",
    "as_table",
    "check_all_numbers",
    "check_columns",
    "check_holds",
    "with_text",
    "with_whole_numbers",
]

_SHOWN = 6  # columns that a message names


def named(names: list[Any]) -> str:
    """Return the first of some names of columns, as text."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(repr(str(name)) for name in names[:_SHOWN]) + more


def check_columns(wanted: Any, present: Any, source: str, *, notes: bool = True) -> None:
    """Raise a ValueError that names the columns of the model that a file does not have; note those that it has besides.

    Parameters
    ----------
    wanted, present : sequence of str
        The columns of the model and of the file.
    source : str
        The file.
    notes : bool, default=True
        Whether to print notes.
    """
    missing = [name for name in wanted if name not in set(present)]
    if missing:
        raise ValueError(
            f"{source}: has no column {named(missing)} ({len(missing)} of the {len(wanted)} columns of the model are "
            f"missing); the model was fitted on: {', '.join(map(str, wanted))}."
        )
    extra = [name for name in present if name not in set(wanted)]
    if extra and notes:
        note(f"{source}: ignored columns that the model was not fitted on: {', '.join(map(str, extra))}")


def align_frame(model: Any, rows: Dataset, source: str, *, notes: bool = True) -> Dataset:
    """Return a table with the columns of a model, in the order of the file, and with cells of the same kind.

    A model of numbers gets an array with its columns in its own order. With `notes` false, no note is printed on other
    columns.

    Raises
    ------
    ValueError
        If a column is missing, or holds something else than in the training data.
    """
    codec = model._codec
    wanted = codec.names if codec is not None else getattr(model, "feature_names_in_", None)
    if rows.is_frame:
        rows = _retyped(rows, codec)
        frame = rows.X
    else:
        frame = _frame_of_numbers(rows, wanted, source)
    if wanted is not None:
        names = {str(name): name for name in wanted}
        check_columns(list(names), [str(name) for name in frame.columns], source, notes=notes)
        frame = frame[[name for name in frame.columns if str(name) in names]]
        frame.columns = [names[str(name)] for name in frame.columns]
    if codec is not None:
        return rows._replace(X=frame, columns=tuple(map(str, frame.columns)))
    frame = frame if wanted is None else frame[list(wanted)]
    check_all_numbers(frame, source, rows)
    return rows._replace(X=as_array(frame), columns=tuple(map(str, frame.columns)))


def _frame_of_numbers(rows: Dataset, wanted: Any, source: str) -> Any:
    """Return numbers as a DataFrame, for a model of a table."""
    import pandas as pd

    if rows.columns is None and rows.X.shape[1] != len(wanted):
        raise ValueError(
            f"{source}: has {rows.X.shape[1]} columns without names, and the model was fitted on {len(wanted)}: "
            f"{', '.join(map(str, wanted))}."
        )
    return pd.DataFrame(rows.X[:], columns=wanted if rows.columns is None else list(rows.columns))


def _retyped(rows: Dataset, codec: Any) -> Dataset:
    """Return a table of text whose columns are read as numbers or texts as in the training data, not by their cells."""
    if rows.text is None or codec is None:
        return rows
    from isthmus.tables import CategoryColumn, DurationColumn, NumberColumn, TimeColumn

    texts, numbers, times, truths = set(), set(), {}, []
    for column in codec.columns:
        name = str(column.name)
        if isinstance(column, CategoryColumn) and all(isinstance(level, str) for level in column.values):
            texts.add(name)
        elif isinstance(column, CategoryColumn) and all(isinstance(level, bool) for level in column.values):
            truths.append(name)
        elif isinstance(column, NumberColumn):
            numbers.add(name)
        elif isinstance(column, TimeColumn):
            texts.add(name)
            times[name] = column.text_format or "ISO8601"
        elif isinstance(column, DurationColumn):
            times[name] = ""
    found = rows.text.dataset(texts=texts, numbers=numbers)
    frame = found.X if found.is_frame else _frame_of_numbers(found, found.columns, str(rows.text.path))
    for name in times.keys() & {name for name in frame if frame[name].dtype.kind not in "Mm"}:
        converted = _as_times(frame[name], rows, name, times[name])
        frame[name] = converted if times[name] in ("", "ISO8601") else frame[name]  # dates as texts stay texts
    spellings = {"TRUE": True, "FALSE": False, "true": True, "false": False}  # R writes TRUE and FALSE
    for name in truths:
        if name in frame and frame[name].dtype.kind not in "biuf":  # pandas 2 warns if `replace` gives another dtype
            frame[name] = frame[name].map(lambda cell: spellings.get(cell, cell))
    frame = frame[list(rows.columns or frame.columns)]  # a column of conditions was taken out of the rows
    return rows._replace(X=frame, columns=rows.columns or found.columns)


def _as_times(series: Any, rows: Dataset, name: str, text_format: str) -> Any:
    """Return texts as times of a format, or as durations if it is empty."""
    import pandas as pd

    from isthmus.tables._date_texts import format_dates, parse_dates

    iso = text_format == "ISO8601"
    found = parse_dates(series, text_format) if text_format else pd.to_timedelta(series, errors="coerce")
    wrong = found.isna() & series.notna()
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        [example] = format_dates(pd.Series(pd.to_datetime(["2024-03-31"])), "%Y-%m-%d" if iso else text_format)
        kind = f"date such as {example}" if text_format else "duration"
        raise ValueError(
            f"{rows.text.path}: column {name!r} has {series.iloc[row]!r:.40} in {rows.text.place_of(row)}, "
            f"not a {kind}: correct it, or leave it empty if it is missing."
        )
    return found


def check_all_numbers(frame: Any, source: str, rows: Dataset) -> None:
    """Raise a ValueError that names all columns of a table that hold no numbers."""
    texts = [name for name, dtype in frame.dtypes.items() if dtype.kind not in "iufb"]
    if not texts:
        return
    example = ""
    if rows.text is not None:
        cells = rows.text.cells[rows.text.names.index(str(texts[0]))]
        row = int(frame[texts[0]].notna().to_numpy().argmax())
        example = f" (such as {cells[row].as_py()!r:.40} in {rows.text.place_of(row)})"
    raise ValueError(
        f"{source}: the model was fitted on numbers, and {len(texts)} columns hold something else: {named(texts)}"
        f"{example}; drop or encode them."
    )


def as_array(frame: Any) -> Any:
    """Return a DataFrame of numbers as an array of float64."""
    import numpy as np

    return frame.astype(np.float64).to_numpy(na_value=np.nan)


def with_whole_numbers(rows: Dataset) -> Any:
    """Return an array with names of columns as a DataFrame in which columns of whole numbers are integers.

    None if there are no such columns, or pandas is not installed.
    """
    import numpy as np

    X, exact = rows.X, 2.0**53
    with np.errstate(invalid="ignore"):
        whole = [bool((np.isnan(x) | ((x == np.floor(x)) & (np.abs(x) < exact))).all()) for x in X.T]
    if not any(whole):
        return None
    try:
        import pandas as pd
    except ImportError:
        return None
    names = list(rows.columns or ())
    frame = pd.DataFrame(X, columns=names)
    gone = np.isnan(X).any(axis=0)
    return frame.astype({n: "Int64" if g else "int64" for n, w, g in zip(names, whole, gone, strict=True) if w})


# ---- results ---------------------------------------------------------------------------------------------------------


def with_text(rows: Dataset, source: str) -> Dataset:
    """Return rows with the cells of their file as they are written, if that is a table of text and pandas is there."""
    from pathlib import Path

    from isthmus._formats import find_row
    from isthmus.data import DataError, RowSource

    row = find_row(Path(source).name)
    if rows.text is not None or isinstance(rows.X, RowSource) or row is None or row.class_name != "Csv":
        return rows
    from isthmus.data.formats.csv import Csv

    try:
        text = Csv(Path(source)).read_text()
    except DataError:
        return rows
    named = set(rows.columns or text.names) <= set(text.names)
    return rows._replace(text=text) if named and len(text.cells[0]) == len(rows.X) else rows


def check_holds(path: str, frame: Any) -> None:
    """Raise a ValueError, before the work, if a file cannot hold a table with the columns of this one."""
    from isthmus._formats import find_row

    row = find_row(path)
    texts = [name for name, dtype in frame.dtypes.items() if dtype.kind not in "iufb"]
    if texts and row is not None and row.class_name in ("Npy", "Npz"):
        raise ValueError(f"{path}: cannot hold columns of text or dates ({named(texts)}); write .csv or .parquet.")


def as_table(rows: Dataset) -> Any:
    """Return rows as a DataFrame if their columns have names, so that a message can name them; else as they are."""
    if rows.is_frame or rows.columns is None or rows.image_shape is not None:
        return rows.X
    try:
        import pandas as pd
    except ImportError:
        return rows.X
    index = None if rows.text is None else rows.text.index_values()
    return pd.DataFrame(rows.X, columns=list(rows.columns), index=index)


def as_result_frame(result: Any, rows: Dataset) -> Any:
    """Return results (N, D) as a DataFrame with the columns and the index of the rows they were made of."""
    import pandas as pd

    if hasattr(result, "iloc"):
        return result[list(rows.X.columns)] if rows.is_frame else result
    index = None if rows.text is None else rows.text.index_values()
    return pd.DataFrame(result, columns=list(rows.columns or rows.text.names), index=index)
