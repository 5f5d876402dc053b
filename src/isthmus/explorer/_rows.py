"""How rows are shown in the browser: the base of the forms, and images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["Images", "RowFormat", "n_rows", "take"]


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

    def pack_decoded(self, values: np.ndarray) -> tuple[dict[str, Any], bytes]:
        """Return decoder means (n, D) as :meth:`pack` does; of a table, they are the matrix of its codec."""
        return self.pack(values)

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
