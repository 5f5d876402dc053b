"""Errors of the command: one line for input that cannot be used, a traceback for a bug."""

from __future__ import annotations

import contextlib
import re
import sys
import traceback
import warnings
from collections.abc import Iterator
from typing import Any

import click

from isthmus._chunks import is_out_of_memory
from isthmus._names import UnknownNameError, unknown_name
from isthmus.cli._process import Terminated

__all__ = ["Commands", "Failure", "about", "note", "one_line", "text_of_output"]

# Advice for callers in Python, in messages of scikit-learn.
_RESHAPE_ADVICE = re.compile(r"\s*Reshape your data either using.*", re.DOTALL)


class Failure(click.ClickException):
    """Input that cannot be used."""

    exit_code = 2


class Bug(click.ClickException):
    """An error that no input should cause."""

    exit_code = 1


class Interrupted(click.ClickException):
    """Ctrl-C or SIGTERM. The exit code is 128 plus the signal's number, as in shells."""

    def __init__(self, message: str, exit_code: int = 130) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click declares it for the class


class Commands(click.Group):
    """A group of commands that turns exceptions into the errors above."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of a typical workflow."""
        return list(self.commands)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find a command; the error for an unknown name suggests the nearest one."""
        name = args[0]
        if name not in self.commands and not name.startswith("-"):
            raise click.UsageError(str(unknown_name("command", name, self.commands)), ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            with _warnings_as_notes():
                return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise _interrupted(error) from error
        except (BrokenPipeError, click.ClickException, click.exceptions.Exit, click.Abort):
            raise  # a closed pipe, as in `isthmus info vae | head`, ends the command quietly
        except Exception as error:
            text = _text_of_expected(error)
            if text is None or ctx.params["traceback"]:
                traceback.print_exc()
            if text is None:
                name = type(error).__name__
                raise Bug(f"this {name} is a bug in isthmus; please report it with the traceback above.") from error
            raise Failure(text) from error


def _interrupted(error: KeyboardInterrupt) -> Interrupted:
    if sys.stderr.isatty():  # the terminal has written ^C on the line
        click.echo(err=True)
    signal = getattr(error, "signal", None)  # set where a checkpoint was written
    if isinstance(error, Terminated):
        return Interrupted("terminated; no partial file was written.", 143)
    if signal is None:
        return Interrupted("interrupted; no partial file was written.")
    return Interrupted("interrupted; to continue, run the same command with --resume.", 128 + signal)


def _text_of_expected(error: Exception) -> str | None:
    """Return the message of an error that the input or the machine can cause; None for any other."""
    text = str(error)
    if (about_output := text_of_output(error)) is not None:
        return about_output
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    if isinstance(error, FileNotFoundError) and error.errno is not None:  # of os.getcwd, which has no name to give
        return "the current folder does not exist any more; change to another one."
    if is_out_of_memory(error):
        size = re.search(r"allocate (\d+) bytes", text)  # in torch's message
        failed = f" (An allocation of {int(size[1]) / 1e9:,.1f} GB failed.)" if size else ""
        return f"not enough memory: use less data, smaller layers or a smaller batch_size.{failed}"
    missing_library = isinstance(error, ImportError) and not (error.name or "").startswith("isthmus")
    if missing_library or isinstance(error, (ValueError, FloatingPointError, OSError)):
        return text or type(error).__name__
    return None


def text_of_output(error: Exception) -> str | None:
    """Return the message of an error of printing, whose file has no name; None for any other error."""
    if not isinstance(error, OSError):
        return None
    printing = [frame for frame, _ in traceback.walk_tb(error.__traceback__) if frame.f_code is click.echo.__code__]
    if not printing:
        return None
    stream = "error" if printing[-1].f_locals.get("err") else "output"
    return f"standard {stream} could not be written: {error.strerror or error}."


def one_line(error: click.ClickException) -> str:
    """Return the message of an error as one line of printable characters.

    Examples
    --------
    >>> one_line(click.ClickException("Expected 2D array,  got 1D array."))
    'Expected 2D array, got 1D array.'
    """
    text = " ".join(error.format_message().split())
    if isinstance(error, click.UsageError):
        # click ends most of its sentences with a full stop, but not all
        text = text.rstrip(".?") + ("?" if text.endswith("?") else ".")
        text += f" See `{error.ctx.command_path} --help`." if error.ctx else ""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


@contextlib.contextmanager
def about(source: object) -> Iterator[None]:
    """Prefix errors about X with the name of the data.

    Errors about a field ("n_components=0 must be ...") or a part ("Gaussian(scale=-1): ...") stay as they are.
    """
    from isthmus.data import DataError

    try:
        yield
    except (DataError, UnknownNameError):
        raise
    except ValueError as error:
        text = _RESHAPE_ADVICE.sub("", str(error))
        if re.match(r"\w+[=(]", text):
            raise
        raise ValueError(f"{source}: {text}") from error


def note(text: str) -> None:
    """Print a line that is not a result, on stderr."""
    click.echo(f"isthmus: {text}", err=True)


@contextlib.contextmanager
def _warnings_as_notes() -> Iterator[None]:
    """Print each warning as one line, once, without its place in the code."""
    shown = set()

    def show(message: Warning | str, *_args: Any) -> None:
        text = " ".join(str(message).split())
        if text not in shown:
            note(f"warning: {text}")
        shown.add(text)

    with warnings.catch_warnings():
        # The command matches columns by name, and then passes an array.
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        warnings.showwarning = show  # type: ignore[assignment]
        yield
