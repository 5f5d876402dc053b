"""How rows are shown in the browser: as images, or as cells with texts."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from isthmus.tables import is_table, to_pandas

__all__ = ["Cells", "Images", "RowFormat", "make_format", "n_rows", "take"]

MAX_CELLS = 256  # columns that are shown of a row
_SAMPLE = 2000  # rows that the range of pixels and columns is taken from


def n_rows(X: Any) -> int:
    """Return the number of rows; 0 for None."""
    return 0 if X is None else len(X)


def take(X: Any, index: Any) -> Any:
    """Return the rows of a table, array or source at some indices, or in a slice."""
    if hasattr(X, "iloc"):
        return X.iloc[index]
    if isinstance(index, slice) or not hasattr(X, "take") or isinstance(X, np.ndarray):
        return X[index]
    return X.take(np.asarray(index))


class RowFormat(ABC):
    """Base of the forms in which rows are sent to the browser."""

    kind: str
    n_cells: int

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return what the page has to know of the form, for JSON."""

    @abstractmethod
    def pack(self, rows: Any) -> tuple[dict[str, Any], bytes]:
        """Return rows (n, D) as an object for JSON and as bytes."""

    @abstractmethod
    def names(self) -> list[str]:
        """Return the name of each of the D features."""

    def groups(self, missing: Sequence[int]) -> list[int]:
        """Return the features that belong to cells (or pixels) that were cleared."""
        return list(missing)


class Images(RowFormat):
    """Rows that are images: one byte for each pixel and channel.

    Parameters
    ----------
    shape : tuple of int
        (height, width), (channels, height, width) or (height, width, channels), with 1 or 3 channels.
    rows : ndarray of shape (n, D)
        Rows whose smallest and largest value are shown black and white.

    Raises
    ------
    ValueError
        If the shape is not that of an image.
    """

    kind = "image"

    def __init__(self, shape: tuple[int, ...], rows: np.ndarray) -> None:
        first = len(shape) == 3 and shape[0] in (1, 3)
        last = len(shape) == 3 and shape[-1] in (1, 3) and not first
        if not (len(shape) == 2 or first or last):
            raise ValueError(
                f"image_shape={shape}: must be (height, width), or with 1 or 3 channels before or after them."
            )
        self.channels_first = first
        self.channels = 1 if len(shape) == 2 else shape[0] if first else shape[-1]
        self.height, self.width = shape[-2:] if len(shape) == 2 or first else shape[:2]
        seen = rows[np.isfinite(rows)] if rows.size else np.array([0.0, 1.0])
        self.low, self.high = (float(seen.min()), float(seen.max())) if seen.size else (0.0, 1.0)
        if self.high <= self.low:
            self.high = self.low + 1.0
        self.n_cells = self.height * self.width

    def describe(self) -> dict[str, Any]:
        """Return the size and the range of values."""
        size = {"width": self.width, "height": self.height, "channels": self.channels}
        return {"kind": self.kind, "low": self.low, "high": self.high, **size}

    def names(self) -> list[str]:
        """Return the names of pixels by their row and column."""
        n = self.width * self.height
        places = [f"pixel ({i // self.width}, {i % self.width})" for i in range(n)]
        if self.channels_first:
            return places * self.channels
        return [place for place in places for _ in range(self.channels)]

    def groups(self, missing: Sequence[int]) -> list[int]:
        """Return the features of pixels."""
        n = self.width * self.height
        if self.channels_first:
            return [channel * n + i for i in missing for channel in range(self.channels)]
        return [i * self.channels + channel for i in missing for channel in range(self.channels)]

    def pack(self, rows: Any) -> tuple[dict[str, Any], bytes]:
        """Return the number of images, and bytes (n, height, width, channels)."""
        return {"n": len(rows)}, self.to_bytes(np.asarray(rows), self.low, self.high)

    def to_bytes(self, rows: np.ndarray, low: float, high: float) -> bytes:
        """Return rows as bytes; missing pixels are in the middle of the range."""
        scaled = np.nan_to_num((rows - low) * (255.0 / (high - low)), nan=127.0)
        if self.channels_first and self.channels > 1:
            scaled = scaled.reshape(len(rows), self.channels, -1).transpose(0, 2, 1)
        return np.clip(scaled + 0.5, 0, 255).astype(np.uint8).tobytes()

    def from_bytes(self, body: bytes) -> np.ndarray:
        """Return the row (1, D) of an image given as bytes (height, width, channels).

        Raises
        ------
        ValueError
            If there are more or fewer bytes.
        """
        n = self.n_cells * self.channels
        if len(body) != n:
            raise ValueError(f"the image has {len(body)} bytes, and one of the model has {n}.")
        pixels = np.frombuffer(body, np.uint8).astype(np.float64).reshape(self.n_cells, self.channels)
        pixels = pixels.T if self.channels_first else pixels
        return (self.low + pixels * ((self.high - self.low) / 255.0)).reshape(1, n)


class Cells(RowFormat):
    """Rows that are shown as a list of named cells: those of a table, or the numbers of an array.

    Parameters
    ----------
    names : list
        Names of the columns.
    rows : DataFrame or ndarray of shape (n, D)
        Rows from which the range of each column is taken.
    """

    kind = "cells"

    def __init__(self, names: Sequence[Any], rows: Any) -> None:
        self.columns = list(names)
        self.shown = self.columns[:MAX_CELLS]
        self.n_cells = len(self.columns)
        self.ranges = [_range(_values(column)) for column in self._columns(rows)]

    def describe(self) -> dict[str, Any]:
        """Return the names of the columns that are shown, and how many there are."""
        return {"kind": self.kind, "columns": [str(name) for name in self.shown], "n_columns": len(self.columns)}

    def names(self) -> list[str]:
        """Return the names of all columns."""
        return [str(name) for name in self.columns]

    def _columns(self, rows: Any) -> list[Any]:
        if is_table(rows):
            rows = to_pandas(rows)
            return [rows[name] for name in self.shown]
        return list(np.asarray(rows).T[: len(self.shown)])

    def pack(self, rows: Any) -> tuple[dict[str, Any], bytes]:
        """Return the texts of the cells, and where numbers lie in the range of their column (0 to 1, else None)."""
        columns, n = self._columns(rows), len(rows)
        texts = [_texts(column) for column in columns]
        places = [_places(_values(column), limits, n) for column, limits in zip(columns, self.ranges, strict=True)]
        return {
            "n": n,
            "text": [[column[i] for column in texts] for i in range(n)],
            "place": [[column[i] for column in places] for i in range(n)],
        }, b""


def make_format(model: Any, X: Any, image_shape: tuple[int, ...] | None, sample: Any) -> RowFormat:
    """Return the form in which rows of a model are shown.

    Parameters
    ----------
    model : estimator
        Fitted.
    X : table, array, source or None
        The data, if there are any.
    image_shape : tuple of int, optional
        Shape of a row that is an image.
    sample : table or array
        Some rows of the data, or of the model.

    Raises
    ------
    ValueError
        If rows do not have as many features as the image has pixels.
    """
    n_features = model.n_features_in_
    shape = image_shape or _shape_of_network(model, n_features, X)
    if shape is not None:
        if is_table(sample):
            raise ValueError("image_shape: the rows are those of a table, and no images.")
        if math.prod(shape) != n_features:
            size = " x ".join(map(str, shape))
            raise ValueError(f"image_shape: the model has rows of {n_features} numbers, and an image has {size}.")
        return Images(shape, np.asarray(sample))
    codec = model._codec
    if codec is not None:
        return Cells(codec.names, sample)
    unnamed = [f"column {i}" for i in range(n_features)]
    return Cells(list(getattr(model, "feature_names_in_", unnamed)), sample)


def _shape_of_network(model: Any, n_features: int, X: Any) -> tuple[int, ...] | None:
    """Return the image shape of a convolutional network; without data or names, that of a square."""
    if model._codec is not None:
        return None
    network = model.model_.network
    if hasattr(network, "image_shape"):
        side = math.isqrt(n_features)
        return tuple(network.image_shape or (side, side))
    side = math.isqrt(n_features)
    unknown = X is None and not hasattr(model, "feature_names_in_") and n_features >= 64
    return (side, side) if unknown and side * side == n_features else None


# ---- cells ---------------------------------------------------------------------------------------------------------


def _values(column: Any) -> np.ndarray | None:
    """Return the numbers of a column, NaN where missing; None if it has no numbers."""
    if isinstance(column, np.ndarray):
        return column.astype(np.float64)
    kind = column.dtype.kind
    if kind in "iuf":
        return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
    if kind in "mM" and not hasattr(column.dtype, "pyarrow_dtype"):
        times = np.asarray(column.to_numpy(dtype=f"{kind}8[us]"))
        return np.where(np.isnat(times), np.nan, times.astype(np.int64).astype(np.float64))
    return None


def _range(values: np.ndarray | None) -> tuple[float, float] | None:
    if values is None or not np.isfinite(values).any():
        return None
    low, high = np.nanquantile(values, [0.005, 0.995])
    return (float(low), float(high)) if high > low else None


def _places(values: np.ndarray | None, limits: tuple[float, float] | None, n: int) -> list[float | None]:
    """Return where numbers lie in a range, 0 to 1; None where there is no number."""
    if values is None or limits is None:
        return [None] * n
    place = np.clip((values - limits[0]) / (limits[1] - limits[0]), 0.0, 1.0)
    return [None if math.isnan(p) else round(p, 4) for p in place.tolist()]


def _texts(column: Any) -> list[str | None]:
    """Return cells as texts, None where missing."""
    cells = column.tolist()
    kind = column.dtype.kind
    if kind == "f":
        return [None if cell is None or cell != cell else _number(float(cell)) for cell in cells]  # noqa: PLR0124
    gone = [cell is None or cell != cell for cell in cells] if isinstance(column, np.ndarray) else column.isna()  # noqa: PLR0124
    if kind == "M":
        cells = [str(cell).removesuffix(" 00:00:00") for cell in cells]
    return [None if missing else str(cell) for cell, missing in zip(cells, gone, strict=True)]


def _number(value: float) -> str:
    """Return a number with five digits, without an exponent where that is short."""
    if value == 0:
        return "0"
    if 1e-4 <= abs(value) < 1e7:
        decimals = max(0, 4 - math.floor(math.log10(abs(value))))
        text = f"{value:.{decimals}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{value:.3e}"
