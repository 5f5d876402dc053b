"""``isthmus launch``."""

from __future__ import annotations

import logging
import os

import click

__all__ = ["launch"]

# With torchrun's default, a restarted group can wait forever at the address of a store that no longer exists.
_ENVIRONMENT = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}


@click.command(
    short_help="Run a command in several processes that train together.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.option("-n", "--processes", type=click.IntRange(1), metavar="N", required=True, help="Processes per node.")
@click.option("--nodes", type=click.IntRange(1), metavar="N", default=1, show_default=True, help="Number of machines.")
@click.option(
    "--rendezvous", metavar="HOST:PORT", help="Address of the first machine with a free port; the same on all nodes."
)
@click.option(
    "--restarts",
    type=click.IntRange(0),
    metavar="N",
    default=0,
    show_default=True,
    help="Maximum number of restarts after a failure.",
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, required=True)
@click.pass_context
def launch(
    ctx: click.Context, processes: int, nodes: int, rendezvous: str | None, restarts: int, command: tuple[str, ...]
) -> None:
    """Run an isthmus COMMAND in several processes, with torchrun.

    \b
    isthmus launch -n 4 fit big.npy -m vae -o m.safetensors                  four processes or GPUs on this machine
    isthmus launch -n 8 --nodes 2 --rendezvous 10.0.0.1:29400 fit ...        run this on each of two machines

    Each process computes its share of every batch. The result is that of one process with gradient_accumulation set to
    the number of processes. If a process fails, --restarts lets all of them start again from the newest checkpoint;
    with several nodes, all of them must have access to DATA and trainer.checkpoint_dir. Requires isthmus[scale].
    """  # noqa: D301
    if nodes > 1 and rendezvous is None:
        raise click.UsageError("--nodes needs --rendezvous HOST:PORT, the same on all nodes.", ctx)
    where = (
        ["--standalone"]
        if rendezvous is None
        else [f"--nnodes={nodes}", "--rdzv-backend=c10d", f"--rdzv-endpoint={rendezvous}", "--rdzv-id=isthmus"]
    )
    os.environ.update(_ENVIRONMENT)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))  # each core is used once
    ctx.exit(_run([*where, f"--nproc-per-node={processes}", f"--max-restarts={restarts}", "-m", "isthmus", *command]))


def _run(arguments: list[str]) -> int:
    """Run torchrun and return 0, or the exit code of the process that failed first."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # our own process prints the error
    try:
        main(arguments)
    except ChildFailedError as error:
        code = error.get_first_failure()[1].exitcode
        return code if code >= 0 else 128 - code
    except SignalException as error:
        return 128 + int(error.sigval)
    return 0
