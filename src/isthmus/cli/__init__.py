"""The command line: ``isthmus fit | transform | reconstruct | impute | sample | score | evaluate | info | demo``.

Nothing heavy is imported until a command needs it: ``isthmus --help`` answers without torch, numpy or scikit-learn.
"""

from __future__ import annotations

from collections.abc import Sequence

import click

from isthmus import __version__
from isthmus.cli._apply import impute, reconstruct, sample, transform
from isthmus.cli._demo import demo
from isthmus.cli._errors import Commands, one_line
from isthmus.cli._evaluate import evaluate
from isthmus.cli._fit import fit
from isthmus.cli._info import info
from isthmus.cli._launch import launch
from isthmus.cli._score import score

__all__ = ["main"]

_ORDER = (fit, transform, reconstruct, impute, sample, score, evaluate, launch, info, demo)


@click.group(cls=Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="isthmus %(version)s")
@click.option("--traceback", is_flag=True, help="Show where in the code an error arose.")
@click.pass_context
def isthmus(ctx: click.Context, traceback: bool) -> None:  # noqa: ARG001 - Commands.invoke reads it
    """Autoencoders and variational autoencoders, from a file to a file.

    \b
    isthmus fit digits --model vae -k 8 -o m.safetensors     learn
    isthmus score m.safetensors digits                       log p(x), in nats a row
    isthmus transform m.safetensors digits -o z.csv          codes
    isthmus impute m.safetensors holes.csv -o filled.csv     missing cells filled
    isthmus sample m.safetensors -n 16 -o s.npy              new rows
    isthmus evaluate m.safetensors test.csv                  how good it is, in all respects
    isthmus evaluate vae digits --components 2,4,8,16        how many units it needs

    DATA is a .npy, .npz, numeric .csv or IDX file (gzipped or not), or a bundled set: breast_cancer, diabetes, digits,
    iris, wine. Results are written as .npy, .npz or .csv. Numbers to read go to stdout, progress and notes to stderr.
    """  # noqa: D301 - \b is click's mark for lines that stay as they are
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


for _command in _ORDER:
    isthmus.add_command(_command)


def main(args: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Parameters
    ----------
    args : sequence of str, optional
        The arguments; those of the process by default.

    Returns
    -------
    int
        0; 2 for input that cannot be used (one line on stderr says why); 130 after Ctrl-C, 143 after SIGTERM.
    """
    try:
        code = isthmus.main(args, prog_name="isthmus", standalone_mode=False)
    except click.ClickException as error:
        click.echo(f"isthmus: {one_line(error)}", err=True)
        return error.exit_code
    except click.Abort:
        return 130
    return code if isinstance(code, int) else 0  # `launch` ends with its processes' code
