"""What a data set is, and what is raised where there is none."""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import NDArray

__all__ = ["DataError", "Dataset"]


class DataError(ValueError):
    """Data that cannot be read or written: one line that says what, where and how to mend it.

    Parameters
    ----------
    message : str
        The line. Names out of a damaged file may hold anything: what is not printable is escaped.
    """

    def __init__(self, message: str) -> None:
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in message))


class Dataset(NamedTuple):
    """A data set.

    Attributes
    ----------
    X : ndarray of shape (N, D), or (N,)
        The samples, images flattened; (N,) where the file holds one number a sample, as labels do. Of ``open_rows``,
        and only there, a ``RowSource`` where they do not fit easily in memory.
    columns : tuple of str, or None
        The names of the D columns.
    y : ndarray of shape (N, ...), or None
        The labels or targets.
    image_shape : tuple of int, or None
        The shape of one sample before it was flattened.
    name : str
        The bundled name, or the file's without its folder and extension.
    """

    X: Any
    columns: tuple[str, ...] | None
    y: NDArray[Any] | None
    image_shape: tuple[int, ...] | None
    name: str
