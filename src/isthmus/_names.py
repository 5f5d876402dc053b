"""Names that users type: what is nearest to an unknown one. Standard library only."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["UnknownNameError", "nearest", "suggestion"]


class UnknownNameError(ValueError):
    """A name that stands for nothing: the message lists what there is, and the nearest of it."""


def suggestion(name: object, known: Iterable[str]) -> str:
    """Return " Did you mean ...?" with the known name nearest to `name`, or "" if none is near.

    Examples
    --------
    >>> suggestion("digit", ["digits", "iris"])
    " Did you mean 'digits'?"
    """
    close = difflib.get_close_matches(str(name).lower(), list(known), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""


def nearest(kind: str, name: object, known: Iterable[str]) -> UnknownNameError:
    """Return the error for an unknown `name`, with the nearest known one and all of them.

    Parameters
    ----------
    kind : str
        What was looked for ("likelihood", "parameter of VAE", ...), for the message.
    name : object
        What was asked for.
    known : iterable of str
        The names that exist.
    """
    names = sorted(known)
    return UnknownNameError(f"unknown {kind} {name!r}.{suggestion(name, names)} Known: {', '.join(names)}.")
