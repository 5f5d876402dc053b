"""The error of each cell in words: compared with the errors of the same column in the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.explorer._cells import MAX_CELLS
from isthmus.explorer._rows import Images, RowFormat

__all__ = ["Judgement", "Oddness"]

_UNUSUAL, _VERY = 0.95, 0.995  # quantiles of a column's errors
_LEAST = 1.0  # nats above the median below which no error is unusual, however rare it is
_NAMED = 5  # odd cells that are named


@dataclass(frozen=True)
class Judgement:
    """The odd cells of a row: an object for JSON, and for images the excess errors, one byte per pixel."""

    header: dict[str, Any]
    picture: bytes


class Oddness:
    """Errors to expect of each feature.

    Parameters
    ----------
    errors : ndarray of shape (n, D)
        Errors of rows of the data in nats, NaN where a cell is missing.
    """

    def __init__(self, errors: np.ndarray) -> None:
        n_features = errors.shape[1]
        filled = errors if len(errors) else np.zeros((1, n_features))
        seen = ~np.isnan(filled).all(axis=0)
        limits = np.full((3, n_features), np.nan)
        limits[:, seen] = np.nanquantile(filled[:, seen], [0.5, _UNUSUAL, _VERY], axis=0)
        self.median, self.unusual, self.very = np.nan_to_num(limits)

    def words(self, errors: np.ndarray) -> list[str]:
        """Return how unusual each error (D,) is."""
        least = self.median + _LEAST
        level = (errors > np.maximum(self.unusual, least)).astype(int) + (errors > np.maximum(self.very, least))
        names = ("as expected", "unusual", "very unusual")
        return ["missing" if np.isnan(e) else names[k] for e, k in zip(errors.tolist(), level.tolist(), strict=True)]

    def judge(self, errors: np.ndarray, rows: RowFormat) -> Judgement:
        """Return what is odd about a row with these errors (D,)."""
        words, names = self.words(errors), rows.names()
        excess = np.nan_to_num(errors - self.median)
        odd = [i for i in np.argsort(-excess).tolist() if words[i].endswith("unusual")]
        header = {
            "n_unusual": len(odd),
            "odd": [{"name": names[i], "word": words[i], "excess": round(float(excess[i]), 3)} for i in odd[:_NAMED]],
        }
        if isinstance(rows, Images):
            largest = max(float(np.quantile(np.maximum(excess, 0.0), 0.99)), 3.0)
            per_pixel = np.clip(excess / largest, 0.0, 1.0)[None]
            return Judgement(header | {"excess_range": largest}, rows.to_bytes(per_pixel, 0.0, 1.0))
        nats = [None if np.isnan(e) else round(float(e), 3) for e in errors[:MAX_CELLS]]
        return Judgement(header | {"errors": nats, "words": words[:MAX_CELLS]}, b"")
