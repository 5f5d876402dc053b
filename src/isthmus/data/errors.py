"""Errors in data and files: one line that says what is wrong, where, and how to fix it."""

from __future__ import annotations

import contextlib
import lzma
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from isthmus._formats import any_of
from isthmus._names import suggestion

__all__ = [
    "AGAIN",
    "DECOMPRESSION",
    "HEADER",
    "DataError",
    "MissingFileError",
    "damaged",
    "errors_of_reading",
    "errors_of_writing",
    "unknown_suffix",
]

AGAIN = "write or fetch it again"

# What gzip and zipfile raise for a damaged file, and what numpy raises for a damaged header, beside OSError.
DECOMPRESSION = (EOFError, RuntimeError, ValueError, lzma.LZMAError, struct.error, zipfile.BadZipFile, zlib.error)
HEADER = (EOFError, LookupError, ArithmeticError, SyntaxError, TypeError, ValueError, tokenize.TokenError)


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
def damaged(where: object, errors: tuple[type[Exception], ...] = DECOMPRESSION) -> Iterator[None]:
    """Turn the errors that a library raises for a damaged file into one `DataError`."""
    try:
        yield
    except DataError:
        raise
    except OSError as error:
        if error.strerror:  # set by the system, but not by gzip
            raise
        raise DataError(f"{where}: is damaged, cut short, or not what its name says; {AGAIN}.") from error
    except errors as error:
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


def unknown_suffix(path: Path, known: tuple[str, ...], verb: str) -> DataError:
    """Return the error for a file name that no format has."""
    ending = f"{path.suffix!r} files cannot be {verb}." if path.suffix else "the name has no extension."
    # Not a name that merely has the same letters: nobody who has a .png wants an .npz.
    near = [suffix for suffix in known if sorted(suffix) == sorted(path.suffix.lower()) or path.suffix in suffix]
    return DataError(f"{path}: {ending}{suggestion(path.suffix, near)} Use {any_of(known)}.")
