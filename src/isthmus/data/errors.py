"""Errors in data and files: one line that says what is wrong, where, and how to mend it."""

from __future__ import annotations

import contextlib
import lzma
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

__all__ = ["AGAIN", "DataError", "MissingFileError", "damaged", "errors_of_reading", "errors_of_writing"]

AGAIN = "write or fetch it again"

# What numpy, zipfile and gzip raise for a file that is not what its name says.
_DAMAGE = (
    EOFError, LookupError, ArithmeticError, RuntimeError, SyntaxError, TypeError, ValueError,
    lzma.LZMAError, struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


class DataError(ValueError):
    """Raised for data that cannot be read, written or used.

    Parameters
    ----------
    message : str
        One line. Characters that are not printable are escaped: the message may quote a damaged file.
    """

    def __init__(self, message: str) -> None:
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in message))


class MissingFileError(DataError, FileNotFoundError):
    """Raised for a file or folder that does not exist."""


@contextlib.contextmanager
def damaged(where: object) -> Iterator[None]:
    """Turn what a library raises for a damaged file into one `DataError`; surround its calls only."""
    try:
        yield
    except DataError:
        raise
    except (OSError, *_DAMAGE) as error:
        if isinstance(error, OSError) and error.strerror:  # set by the system, but not by gzip
            raise
        raise DataError(f"{where}: is damaged, cut short, or not what its name says; {AGAIN}.") from error


@contextlib.contextmanager
def errors_of_reading(path: Path) -> Iterator[None]:
    """Turn the system's refusal to read a file into one `DataError`."""
    try:
        yield
    except DataError:
        raise
    except MemoryError as error:
        raise DataError(f"{path}: does not fit in memory; read a part of it.") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from error


@contextlib.contextmanager
def errors_of_writing(path: Path) -> Iterator[None]:
    """Turn the system's refusal to write a file into one `DataError`."""
    try:
        yield
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error}).") from error
