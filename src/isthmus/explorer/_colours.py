"""What points can be coloured by: the label, a column, the score."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from isthmus.explorer._cells import number_text, number_values
from isthmus.explorer._rows import Images

__all__ = ["Colour", "default_colour", "list_colours"]

_MAX_LEVELS = 12
_N_BANDS = 8
_DAY = 86_400_000_000  # microseconds
_MAX_COLUMNS = 200  # columns that are offered


@dataclass(frozen=True)
class Colour:
    """One way to colour the points.

    Parameters
    ----------
    name : str
        What it is called.
    kind : {"label", "column", "given", "score"}
        What it is.
    read : callable
        Returns the value of each row.
    """

    name: str
    kind: str
    read: Callable[[Any], Any]

    def compute(self, explorer: Any) -> tuple[dict[str, Any], np.ndarray]:
        """Return the legend, and the number of its entry for each row.

        Numbers are put into eight bands with equally many rows. Beyond eleven levels, the rarer ones share an entry.
        """
        values = self.read(explorer)
        numbers = number_values(values) if hasattr(values, "dtype") and values.dtype.kind in "iufmM" else None
        few = numbers is not None and values.dtype.kind in "iuf" and len(np.unique(numbers)) <= _MAX_LEVELS
        if numbers is None or (self.kind != "score" and few):
            return _levels(values)
        legend, index = _bands(numbers, values.dtype.kind)
        if self.kind == "score":
            legend["growing"] = explorer.n_scored < explorer.n_to_score
            if legend["missing"]:
                legend["names"][-1] = "not scored"
        return legend, index


def list_colours(explorer: Any) -> list[Colour]:
    """Return what the points of an explorer can be coloured by."""
    found = []
    if explorer.y is not None and explorer.y.ndim == 1:
        found.append(Colour("label", "label", lambda e: e.y))
    if not explorer.n_rows:
        return []
    found.append(Colour(explorer.quantity, "score", lambda e: e.scores.astype(np.float64)))
    if not isinstance(explorer.rows, Images):
        names = explorer.rows.columns[:_MAX_COLUMNS]
        found += [Colour(str(name), "column", _reader(name, i)) for i, name in enumerate(names)]
    if explorer.given_columns:
        fields = explorer.conditions.fields
        found += [Colour(f"{field.name} (given)", "given", _given_reader(k)) for k, field in enumerate(fields)]
    return found


def default_colour(explorer: Any) -> int | None:
    """Return the number of the label, else of the first column of categories, else of the score; None without rows.

    If most rows are not scored, it is the first column instead of the score.
    """
    kinds = [colour.kind for colour in explorer.colours]
    if "label" in kinds or not kinds:
        return 0 if kinds else None
    if hasattr(explorer.X, "iloc"):
        for k, colour in enumerate(explorer.colours):
            if colour.kind == "column" and colour.read(explorer).dtype.kind not in "iufmM":
                return k
    few_scores = 2 * explorer.n_to_score < explorer.n_rows
    return kinds.index("column" if few_scores and "column" in kinds else "score")


def _reader(name: Any, i: int) -> Callable[[Any], Any]:
    def read(explorer: Any) -> Any:
        X = explorer.X
        if hasattr(X, "iloc"):
            return explorer.rows.ordered(i, X[name])
        if isinstance(X, np.ndarray):
            return X[:, i]
        return np.concatenate([X[start : start + 65536][:, i] for start in range(0, len(X), 65536)])

    return read


def _given_reader(k: int) -> Callable[[Any], Any]:
    return lambda explorer: explorer.given_columns[k]


def _levels(values: Any) -> tuple[dict[str, Any], np.ndarray]:
    """Return the legend of categories, in their order if there are few, else with the most frequent ones."""
    import pandas as pd

    codes, found = pd.factorize(values)  # -1 for missing values
    counts = np.bincount(codes[codes >= 0], minlength=len(found))
    kept = np.argsort(-counts, kind="stable").tolist()
    kept = kept if len(found) <= _MAX_LEVELS else kept[: _MAX_LEVELS - 1]
    try:
        kept = sorted(kept, key=lambda k: found[k])
    except TypeError:  # levels of several types
        kept = sorted(kept, key=lambda k: str(found[k]))
    names = [_text(found[k]) for k in kept]
    if len(kept) < len(found):
        names.append(f"{len(found) - len(kept)} others")
    entry = np.full(len(found) + 1, len(kept))
    entry[np.array(kept, dtype=int)] = np.arange(len(kept))
    index, missing = entry[codes], codes < 0
    return _legend("levels", names, index, missing)


def _bands(numbers: np.ndarray, kind: str) -> tuple[dict[str, Any], np.ndarray]:
    """Return the legend of numbers, or microseconds if `kind` is M or m, in bands of equally many rows."""
    if kind == "m":
        numbers = numbers / _DAY
    missing = ~np.isfinite(numbers)
    seen = numbers[~missing]
    if not len(seen):
        return _legend("bands", [], np.zeros(len(numbers), dtype=int), missing)
    edges = np.unique(np.quantile(seen, np.linspace(0, 1, _N_BANDS + 1)))
    edges = np.repeat(edges, 2) if len(edges) < 2 else edges
    index = np.clip(np.searchsorted(edges[1:-1], np.nan_to_num(numbers), side="right"), 0, len(edges) - 2)
    if kind == "M":
        names = [f"{_day(low)} to {_day(high)}" for low, high in pairwise(edges.tolist())]
        return _legend("bands", names, index, missing)
    digits = max(3, math.ceil(math.log10(max(abs(edges).max() / max(np.diff(edges).min(), 1e-300), 1.0))) + 1)
    unit = " days" if kind == "m" else ""
    pairs = pairwise(edges.tolist())
    names = [f"{low:.{digits}g} to {high:.{digits}g}{unit}".replace("-", "−") for low, high in pairs]
    return _legend("bands", names, index, missing)


def _legend(kind: str, names: list[str], index: np.ndarray, missing: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
    names = list(names)
    if missing.any():
        index = np.where(missing, len(names), index)
        names.append("missing")
    counts = np.bincount(index, minlength=len(names)).tolist()
    return {"kind": kind, "names": names, "counts": counts, "missing": bool(missing.any())}, index


def _day(value: float) -> str:
    return str(np.datetime64(int(value), "us"))[:10]


def _text(value: Any) -> str:
    number = isinstance(value, (float, np.floating))
    return number_text(float(value)) if number else str(value)
