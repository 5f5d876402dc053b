"""Names of parts, and errors for unknown names, with the nearest known one. Standard library only."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["PART_MODULES", "UnknownNameError", "suggestion", "unknown_name"]

# The module of isthmus with the parts that a parameter of an estimator can name.
PART_MODULES = {
    "network": "networks",
    "likelihood": "likelihoods",
    "posterior": "posteriors",
    "prior": "priors",
    "scaling": "scaling",
    "corruption": "corruptions",
    "penalties": "penalties",
    "objective": "objectives",
    "optimizer": "optimizers",
}


class UnknownNameError(ValueError):
    """An unknown name; the message lists the known ones and suggests the nearest."""


def suggestion(name: object, known: Iterable[str]) -> str:
    """Return " Did you mean ...?" with the known name nearest to `name`, or "" if none is near.

    Examples
    --------
    >>> suggestion("digit", ["digits", "iris"])
    " Did you mean 'digits'?"
    """
    close = difflib.get_close_matches(str(name).lower(), list(known), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> UnknownNameError:
    """Return the error for an unknown `name`; the caller raises it.

    Parameters
    ----------
    kind : str
        What the name should stand for ("likelihood", "parameter of VAE", ...), for the message.
    name : object
        The unknown name.
    known : iterable of str
        The known names.

    Examples
    --------
    >>> unknown_name("data set", "digit", ["iris", "digits"])
    UnknownNameError("unknown data set 'digit'. Did you mean 'digits'? Known: digits, iris.")
    """
    names = sorted(known)
    return UnknownNameError(f"unknown {kind} {name!r}.{suggestion(name, names)} Known: {', '.join(names)}.")
