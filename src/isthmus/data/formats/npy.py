"""The header of an .npy file: what stands in it is checked before anything is allocated."""

from __future__ import annotations

import math
from typing import IO, Any, NamedTuple

import numpy as np

from isthmus.data.dataset import DataError

__all__ = ["AGAIN", "NUMERIC", "Header", "check_dtype", "read_header"]

NUMERIC = "biuf"  # numpy's kinds of dtype
AGAIN = "write or fetch it again"


class Header(NamedTuple):
    """What an .npy holds.

    Attributes
    ----------
    shape : tuple of int
        Of the array.
    dtype : numpy.dtype
        Of its numbers, as they are stored.
    by_columns : bool
        Whether it is in Fortran's order.
    offset : int
        Where the numbers begin, in bytes.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    by_columns: bool
    offset: int


def read_header(stream: IO[bytes], size: int, where: str, kinds: str = NUMERIC) -> Header:
    """Read the header of an .npy of `size` bytes, and leave the stream behind it.

    Raises
    ------
    DataError
        If it is no array of numbers (or words, where `kinds` allows them), or not of that size.
    """
    if size == 0:
        raise DataError(f"{where}: is empty; {AGAIN}.")
    headers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(stream)
    if version not in headers:  # 3.0 is for tables with field names outside Latin-1
        raise DataError(f"{where}: is not a plain array of numbers; convert it to float64 first.")
    shape, by_columns, dtype = headers[version](stream)
    check_dtype(dtype, where, kinds)
    expected = stream.tell() + math.prod(shape) * dtype.itemsize
    if expected != size:
        raise DataError(f"{where}: {expected} bytes by its header, but there are {size}; {AGAIN}.")
    return Header(shape, dtype, by_columns, stream.tell())


def check_dtype(dtype: np.dtype[Any], where: object, kinds: str = NUMERIC) -> None:
    """Refuse arrays that are not real numbers (or words, where `kinds` allows them)."""
    if dtype.kind not in kinds:
        raise DataError(f"{where}: holds {dtype.name}, not real numbers; convert it to float64 first.")
