"""Rows that are dropped on the page: where they land, and how likely they are."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from isthmus.explorer._reading import parse_conditions, parse_rows
from isthmus.explorer._rows import Images

__all__ = ["place"]


def place(explorer: Any, name: str, body: bytes, condition: Any = None) -> dict[str, Any]:
    """Remember rows that were dropped, and return their codes and scores.

    Parameters
    ----------
    explorer : Explorer
        Model and data.
    name : str
        Name of the file, of which only the ending counts; "pixels" for an image that the browser has read and scaled.
    body : bytes
        Its content.
    condition : dict, optional
        What the rows are encoded given, by condition column, if the file does not have these columns.

    Raises
    ------
    ValueError
        If it cannot be read, or does not fit the model.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of levels that are new, which count as missing
        X = _pixels(explorer.rows, body) if name == "pixels" else parse_rows(explorer.model, name, body)
        X = explorer.with_names(X)
        y = parse_conditions(explorer.conditions.codec, name, body) if explorer.conditions.in_table else None
        own = y is not None
        y = y if own else explorer.conditions.parse(condition)
        codes, scores = explorer.encode(X, y), explorer.score(X, y)
    explorer.dropped, explorer.dropped_y = X, y if own else None
    if not np.isfinite(codes).all():
        raise ValueError(f"{name}: rows that the model cannot encode (their codes are not finite).")
    return {
        "n": len(codes),
        "codes": codes.tolist(),
        "scores": [float(score) if np.isfinite(score) else None for score in scores],
        "ranks": [explorer.rank(float(score)) for score in scores],
    }


def _pixels(rows: Any, body: bytes) -> np.ndarray:
    """Return an image as a row of the model."""
    if not isinstance(rows, Images):
        raise ValueError("The model is not one of images: drop a .csv file.")
    return rows.from_bytes(body)
