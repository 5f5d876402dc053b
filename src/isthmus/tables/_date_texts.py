"""Dates as texts: their format is found in the texts, and they are read and written in it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

__all__ = ["exception_to", "format_dates", "format_of", "parse_dates"]

# The first that fits all texts is taken: days come before months in 1/2/2024. "%-d" is the day without a leading zero.
_DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y")
_SHORT_DAYS = ("%-d.%-m.%Y", "%-d/%-m/%Y", "%-m/%-d/%Y")
_NAMED = (
    *("%d %b %Y", "%-d %b %Y", "%d-%b-%Y", "%-d-%b-%Y"),
    *("%b %d %Y", "%b %-d %Y", "%b %d, %Y", "%b %-d, %Y", "%B %-d, %Y", "%-d %B %Y"),
)
_FORMATS = (
    *(*_DAYS, *_SHORT_DAYS, *_NAMED, "%Y-%m", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"),
    *(f"{day} {time}" for day in _DAYS for time in ("%H:%M:%S", "%H:%M")),
    *(f"{day} {time}" for day in _SHORT_DAYS for time in ("%H:%M:%S", "%H:%M", "%-H:%M:%S", "%-H:%M")),
)
_FIELDS = {"%Y": r"\d{4}", "%b": r"[^\W\d]{3,4}\.?", "%B": r"[^\W\d]{3,}"}  # others are two digits
_MONTHS = {"%Y": r"(1[5-9]|20|21)\d\d"}  # other numbers with two more digits, such as 1234-12, are codes
_SAMPLE = 20
_MOST_EXCEPTIONS = 0.1  # share of texts that are not dates in a column of dates with mistakes
_MARK = "\x1f"  # where a leading zero is left out


def parse_dates(texts: Any, text_format: str | None) -> Any:
    """Return a pandas Series of texts as times, NaT where a text is not in the format; pandas guesses it if None."""
    import pandas as pd

    return pd.to_datetime(texts, format=text_format and text_format.replace("%-", "%"), errors="coerce")


def format_dates(times: Any, text_format: str) -> Any:
    """Return a pandas Series of times as texts; the fields ``%-d``, ``%-m`` and ``%-H`` have no leading zeros."""
    texts = times.dt.strftime(text_format.replace("%-", f"{_MARK}%"))
    return texts.str.replace(f"{_MARK}0?", "", regex=True) if "%-" in text_format else texts


def format_of(texts: np.ndarray) -> str | None:
    """Return the format in which all texts are dates and are written again as they are, or None."""
    import pandas as pd

    every = pd.Series(texts)
    for text_format in _FORMATS:
        if _share(texts, text_format) == 1:
            times = parse_dates(every, text_format)
            if times.notna().all() and (format_dates(times, text_format).to_numpy() == texts).all():
                return text_format
    return None


def exception_to(texts: np.ndarray) -> int | None:
    """Return the index of the first text that is not a date, if nearly all others are dates in one format."""
    import pandas as pd

    every = pd.Series(texts)
    for text_format in _FORMATS:
        if _share(texts, text_format) > 0.5:
            wrong = parse_dates(every, text_format).isna().to_numpy()
            if 0 < wrong.mean() <= _MOST_EXCEPTIONS:
                return int(wrong.argmax())
    return None


def _share(texts: np.ndarray, text_format: str) -> float:
    """Return the share of the first texts that have the form of a format."""
    fields = re.split("(%-?[a-zA-Z])", text_format)
    short = r"[1-9]?\d"
    known = _FIELDS | (_MONTHS if text_format == "%Y-%m" else {})
    pattern = "".join(
        known.get(field, short if "-" in field else r"\d\d") if field.startswith("%") else re.escape(field)
        for field in fields
    )
    return float(np.mean([re.fullmatch(pattern, text) is not None for text in texts[:_SAMPLE]]))
