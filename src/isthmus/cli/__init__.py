"""The command line.

Nothing heavy is imported until a command needs it: ``isthmus --help`` runs without torch, numpy and scikit-learn.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import click

from isthmus import __version__
from isthmus._formats import BUNDLED, FETCHED, any_of, readable_suffixes, writable_suffixes
from isthmus.cli._apply import impute, reconstruct, sample, transform
from isthmus.cli._demo import demo
from isthmus.cli._errors import Commands, Failure, one_line, text_of_output
from isthmus.cli._evaluate import evaluate
from isthmus.cli._explore import explore
from isthmus.cli._export import export
from isthmus.cli._fetch import data
from isthmus.cli._fit import fit
from isthmus.cli._info import info
from isthmus.cli._launch import launch
from isthmus.cli._outliers import outliers
from isthmus.cli._process import raise_on_sigterm, with_streams
from isthmus.cli._report import report
from isthmus.cli._score import score

__all__ = ["main"]

_COMMANDS = (
    fit,
    transform,
    reconstruct,
    impute,
    sample,
    score,
    outliers,
    evaluate,
    report,
    explore,
    export,
    launch,
    info,
    data,
    demo,
)

_HELP = f"""\
Autoencoders and variational autoencoders for tables, images and counts.

\b
isthmus info people.csv                                  describe a file
isthmus fit people.csv -o m.safetensors                  fit a VAE
isthmus fit digits --model sparse -o m.safetensors       fit a sparse autoencoder
isthmus score m.safetensors digits                       print the mean log p(x), in nats per row
isthmus transform m.safetensors digits -o z.csv          encode rows
isthmus impute m.safetensors gaps.csv -o filled.csv      fill in missing cells
isthmus sample m.safetensors -n 1000 -o new.parquet      generate rows
isthmus outliers people.csv --explain                    find improbable rows, and say why
isthmus evaluate m.safetensors test.csv                  print all quality metrics
isthmus report m.safetensors test.csv -o report.html     write a page about the quality of the model
isthmus evaluate vae digits --sizes 2,4,8,16             select the number of latent units
isthmus explore m.safetensors digits                     explore the latent space in the browser
isthmus export m.safetensors --onnx onnx                 write ONNX files, which run without isthmus

DATA is a file ({any_of(readable_suffixes())}), a folder of tables or images, or the name of a data set
({any_of((*BUNDLED, FETCHED[0]))}). It may be a table with text, dates and missing cells.
Results are written as {any_of(writable_suffixes())}.
Human-readable results go to stdout; progress and notes go to stderr.
"""


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=_HELP,
)
@click.version_option(__version__, message="isthmus %(version)s")
@click.option("--traceback", is_flag=True, help="Print the traceback of any error.")
@click.pass_context
def isthmus(ctx: click.Context, traceback: bool) -> None:  # noqa: ARG001 - Commands.invoke reads it
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


for _command in _COMMANDS:
    isthmus.add_command(_command)


def main(args: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Parameters
    ----------
    args : sequence of str, optional
        The arguments; by default, those of the process.

    Returns
    -------
    int
        0 for success; 2 for input that cannot be used, with one line on stderr; 1 for a bug, with its traceback; 130
        after Ctrl-C and 143 after SIGTERM.
    """
    with with_streams():
        return _run(args)


def _run(args: Sequence[str] | None) -> int:
    try:
        with raise_on_sigterm():
            code = _main(args)
    except click.ClickException as error:
        with contextlib.suppress(OSError):  # who cannot be told still gets the exit code
            click.echo(f"isthmus: {one_line(error)}", err=True)
        return error.exit_code
    except click.Abort:
        return 130
    return code if isinstance(code, int) else 0  # `launch` returns the code of its processes


def _main(args: Sequence[str] | None) -> object:
    """Run the command; the help and the version are printed before the errors of commands are looked at."""
    try:
        return isthmus.main(args, prog_name="isthmus", standalone_mode=False)
    except OSError as error:
        if (text := text_of_output(error)) is None:
            raise
        raise Failure(text) from error
