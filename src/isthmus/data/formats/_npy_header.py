"""The header of an array saved by numpy, checked before anything is allocated."""

from __future__ import annotations

import io
import math
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isthmus.data.dataset import NUMERIC, check_dtype
from isthmus.data.errors import AGAIN, HEADER, DataError, damaged

__all__ = ["Header", "read_array", "read_header", "write_header"]


class Header(NamedTuple):
    """The header of an .npy file.

    Attributes
    ----------
    shape : tuple of int
        Shape of the array.
    dtype : numpy.dtype
        Type of its numbers as they are stored.
    fortran_order : bool
        Whether it is stored column by column.
    offset : int
        Where the numbers begin, in bytes.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool
    offset: int


def read_header(stream: IO[bytes], size: int, where: str, kinds: str = NUMERIC) -> Header:
    """Read the header of an .npy of `size` bytes, and leave the stream at the numbers.

    Raises
    ------
    DataError
        If the array is not of numbers (or of strings, if `kinds` allows them), or not of that size.
    """
    if size == 0:
        raise DataError(f"{where}: is empty; {AGAIN}.")
    headers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    with damaged(where, HEADER):
        version = np.lib.format.read_magic(stream)
        if version not in headers:  # 3.0 is for tables with field names outside Latin-1
            raise DataError(f"{where}: is not a plain array of numbers; convert it to float64 first.")
        length = stream.read(2 * version[0])
        if int.from_bytes(length, "little") > size:  # numpy would reserve the memory
            raise EOFError
        header = io.BytesIO(length + stream.read(int.from_bytes(length, "little")))
        shape, fortran_order, dtype = headers[version](header)
        expected = stream.tell() + math.prod(shape) * dtype.itemsize
    check_dtype(dtype, where, kinds)
    if expected != size:
        said = expected if abs(expected) < 1 << 63 else "far too many"  # a number of thousands of digits is no text
        raise DataError(f"{where}: {said} bytes by its header, but there are {size}; {AGAIN}.")
    return Header(shape, dtype, fortran_order, stream.tell())


def read_array(stream: IO[bytes], size: int, where: str, kinds: str = NUMERIC) -> NDArray[Any]:
    """Return the array of an .npy of `size` bytes."""
    dtype = read_header(stream, size, where, kinds).dtype
    stream.seek(0)
    with damaged(where, HEADER):
        array = np.lib.format.read_array(stream, allow_pickle=False)
    return array.astype(dtype.newbyteorder("="), copy=False)  # torch takes the machine's own order only


def write_header(stream: IO[bytes], dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    """Write the header of an array whose rows follow in C order."""
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
