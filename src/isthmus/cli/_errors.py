"""One line for everything that can go wrong with what the user passed in."""

from __future__ import annotations

import contextlib
import re
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import click

from isthmus._names import UnknownNameError, nearest

__all__ = ["Commands", "about", "note", "one_line"]

# UnknownNameError, DataError and FileError are ValueErrors. A RuntimeError is torch's word for a device or memory.
_EXPECTED = (ValueError, TypeError, FloatingPointError, OSError, ImportError, MemoryError, RuntimeError)
_MAYBE_OURS = (TypeError, RuntimeError)
_OTHERS_ADVICE = re.compile(r"\s*Reshape your data either using.*", re.DOTALL)  # to a caller in Python


class Failure(click.ClickException):
    """Input that cannot be used."""

    exit_code = 2


class Interrupted(click.ClickException):
    """Ctrl-C or SIGTERM; the exit code is 128 and the signal's number, as shells have it."""

    def __init__(self, message: str, exit_code: int = 130) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click declares it for the class


class Commands(click.Group):
    """A group of commands whose failures are one line each."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order in which they are used, not by the alphabet."""
        return list(self.commands)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find a command; an unknown name is an error with the nearest one."""
        name = args[0]
        if name not in self.commands and not name.startswith("-"):
            raise click.UsageError(str(nearest("command", name, self.commands)), ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; expected exceptions become a `Failure`."""
        try:
            with _warnings_as_notes():
                return super().invoke(ctx)
        except KeyboardInterrupt as error:
            if sys.stderr.isatty():  # the terminal has written ^C on the line
                click.echo(err=True)
            number = getattr(error, "signal", None)  # of a run that left a checkpoint
            if number is None:
                raise Interrupted("interrupted; no file is half-written.") from error
            raise Interrupted("interrupted; to go on, give the same command with --resume.", 128 + number) from error
        except (BrokenPipeError, click.exceptions.Exit, click.Abort):  # `isthmus info vae | head` ends quietly
            raise
        except _EXPECTED as error:
            if ctx.params["traceback"]:
                import traceback

                traceback.print_exc()
            raise Failure(_text(error)) from error


def _text(error: BaseException) -> str:
    """Return an exception's own words, or its kind where it has none."""
    text = str(error) or ("not enough memory" if isinstance(error, MemoryError) else type(error).__name__)
    if isinstance(error, OSError) and error.filename is not None:
        text = f"{error.filename}: {error.strerror}."
    if isinstance(error, _MAYBE_OURS):
        text += " (`isthmus --traceback ...` shows where.)"
    return text


def one_line(error: click.ClickException) -> str:
    """Return the message of an error as one line of printable characters.

    Examples
    --------
    >>> one_line(click.ClickException("Expected 2D array,  got 1D array."))
    'Expected 2D array, got 1D array.'
    """
    text = " ".join(error.format_message().split())
    if isinstance(error, click.UsageError):
        # click writes most of its sentences with a full stop, but not all
        text = text.rstrip(".?") + ("?" if text.endswith("?") else ".")
        text += f" See `{error.ctx.command_path} --help`." if error.ctx else ""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


@contextlib.contextmanager
def about(source: object) -> Iterator[None]:
    """Put the name of the data before what an estimator says of its X.

    What is said of a field ("n_components=0 must be ...") or part ("Gaussian(scale=-1): ...") is left as it is.
    """
    from isthmus.data import DataError

    try:
        yield
    except (DataError, UnknownNameError):
        raise
    except ValueError as error:
        text = _OTHERS_ADVICE.sub("", str(error))
        if re.match(r"\w+[=(]", text):
            raise
        raise ValueError(f"{source}: {text}") from error


def note(text: str) -> None:
    """Say something that is no result, on stderr."""
    click.echo(f"isthmus: {text}", err=True)


@contextlib.contextmanager
def _warnings_as_notes() -> Iterator[None]:
    """Show a warning as a line of its own, without the place in the code."""

    def show(message: Warning | str, *_args: Any) -> None:
        note("warning: " + " ".join(str(message).split()))

    with warnings.catch_warnings():
        # Columns are matched by name here, and then passed on as an array.
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        warnings.showwarning = show  # type: ignore[assignment]
        yield
