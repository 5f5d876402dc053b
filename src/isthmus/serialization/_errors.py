"""Errors about files. Their messages are one line of printable characters, and quote little of what a file says."""

from __future__ import annotations

__all__ = ["FileError", "MissingFileError", "printable", "quoted", "shortened"]

_LONGEST = 60  # characters of a value that a message quotes


class FileError(ValueError):
    """A file that cannot be read; the message says what is wrong with it and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class MissingFileError(FileError, FileNotFoundError):
    """A file that does not exist."""


def printable(text: str) -> str:
    r"""Return `text` with all other characters, such as those that control a terminal, as escapes.

    Examples
    --------
    >>> printable("red: \x1b[31m")
    'red: \\x1b[31m'
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def quoted(value: object) -> str:
    """Return the representation of a value, cut if it is longer than 60 characters.

    Examples
    --------
    >>> quoted("ab" * 1000)
    "'abababababababababababababababababababababababababababab..."
    """
    # The representation of a long text takes as long as the text: of this one, only the beginning is needed.
    text = printable(repr(value[: _LONGEST + 1] if isinstance(value, str) else value))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def shortened(message: str, longest: int = 125) -> str:
    """Return a message as it is, or, if it is long, its first 60 characters, which may quote a file, and its last.

    Examples
    --------
    >>> shortened("MLP(hidden_layer_sizes=(" + "1, " * 10_000 + "0)): must be positive.")[-50:]
    ' 1, 1, 1, 1, 1, 1, 1, 1, 1, 0)): must be positive.'
    """
    return message if len(message) <= longest else f"{message[:_LONGEST]} ... {message[-_LONGEST:]}"
