"""``isthmus launch``."""

from __future__ import annotations

import logging
import os

import click

__all__ = ["launch"]

# With the elastic launcher's default, a restarted group may wait for ever at an address that has gone.
_ENVIRONMENT = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}


@click.command(
    short_help="Run a command in several processes that train together.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.option("-n", "--processes", type=click.IntRange(1), metavar="N", required=True, help="Processes a machine.")
@click.option("--machines", type=click.IntRange(1), default=1, show_default=True, help="How many take part.")
@click.option("--meet", metavar="HOST:PORT", help="Where several machines meet: the first one, and a free port there.")
@click.option(
    "--restarts", type=click.IntRange(0), default=0, show_default=True, help="How often, when a process dies."
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, required=True)
@click.pass_context
def launch(
    ctx: click.Context, processes: int, machines: int, meet: str | None, restarts: int, command: tuple[str, ...]
) -> None:
    """Run an isthmus COMMAND in several processes, by torchrun.

    \b
    isthmus launch -n 4 fit big.npy -m vae -o m.safetensors          four processes here, or one for each of four GPUs
    isthmus launch -n 8 --machines 2 --meet 10.0.0.1:29400 fit ...   the same on each of two machines

    Every process computes its part of each batch; the parameters are those of one process with as many parts
    (gradient_accumulation). With --restarts, when a process dies all start again from the newest checkpoint; several
    machines need a checkpoint_dir (and DATA) that all of them see. Needs isthmus[scale].
    """  # noqa: D301
    if machines > 1 and meet is None:
        raise click.UsageError("--machines needs --meet HOST:PORT, the same on all of them.", ctx)
    where = (
        ["--standalone"]
        if meet is None
        else [f"--nnodes={machines}", "--rdzv-backend=c10d", f"--rdzv-endpoint={meet}", "--rdzv-id=isthmus"]
    )
    threads = {} if "OMP_NUM_THREADS" in os.environ else {"OMP_NUM_THREADS": _threads(processes)}
    os.environ.update(_ENVIRONMENT | threads)
    ctx.exit(
        _run([*where, f"--nproc-per-node={processes}", f"--max-restarts={restarts}", "-m", "isthmus.cli", *command])
    )


def _run(arguments: list[str]) -> int:
    """Run torchrun and return the exit code of the process that failed first, or 0."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # a process of ours says what is wrong
    try:
        main(arguments)
    except ChildFailedError as error:
        code = error.get_first_failure()[1].exitcode
        return code if code >= 0 else 128 - code
    except SignalException as error:
        return 128 + int(error.sigval)
    return 0


def _threads(processes: int) -> str:
    """Return the threads of each process: together as many as there are cores."""
    return str(max(1, (os.cpu_count() or 1) // processes))
