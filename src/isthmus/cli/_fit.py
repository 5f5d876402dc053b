"""``isthmus fit``."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from isthmus.cli._build import build
from isthmus.cli._data import LABELS, named_rows, open_data
from isthmus.cli._errors import about
from isthmus.cli._models import MODELS, check_condition, class_name, public_class
from isthmus.cli._paths import check_log, check_output
from isthmus.cli._values import merge, parse_assignment, read_config

if TYPE_CHECKING:
    from isthmus.data import Dataset

__all__ = ["fit"]


@click.command(short_help="Fit a model to data.")
@click.argument("data")
@click.option("-m", "--model", metavar="MODEL", help=f"One of: {', '.join(MODELS)}.  [default: vae]")
@click.option("-o", "--output", metavar="FILE", required=True, help="File to write, such as model.safetensors.")
@click.option("-k", "--n-components", type=click.IntRange(1), metavar="K", help="Number of latent units.")
@click.option("--epochs", type=click.IntRange(1), metavar="N", help="Maximum number of epochs (the field max_epochs).")
@click.option("--seed", type=click.IntRange(0), metavar="N", help="Random seed (random_state).  [default: 0]")
@LABELS
@click.option("--set", "assignments", metavar="NAME=VALUE", multiple=True, help="Any other field; may be repeated.")
@click.option("-c", "--config", metavar="FILE", help="TOML file with fields and `model`; options override it.")
@click.option("--resume", is_flag=True, help="Resume an interrupted run; the other options must be the same.")
@click.option("--log", metavar="FILE", help="Write the losses of each epoch: a .csv file, or a folder for TensorBoard.")
@click.option("-q", "--quiet", is_flag=True, help="Print only errors.")
@click.option("-v", "--verbose", is_flag=True, help="Print one line per epoch, even if stderr is not a terminal.")
def fit(
    data: str,
    model: str | None,
    output: str,
    n_components: int | None,
    epochs: int | None,
    seed: int | None,
    labels: str | None,
    assignments: tuple[str, ...],
    config: str | None,
    resume: bool,
    log: str | None,
    quiet: bool,
    verbose: bool,
) -> None:
    """Fit a model to the rows of DATA and save it.

    --set sets any field of a model. `isthmus info vae` describes the fields of a vae, `isthmus info likelihoods` lists
    the likelihoods, and `isthmus info gaussian` describes the parameters of one of them:

    \b
    isthmus fit digits -m vae -k 8 -o m.safetensors --set beta=0.5 --set hidden_layer_sizes=128,64
    isthmus fit digits -m vae -o m.safetensors --set likelihood=gaussian --set likelihood.scale=feature
    isthmus fit digits -m sparse -o m.safetensors --set method=top_k --set k=8
    isthmus fit digits -m conditional_vae -o m.safetensors
    isthmus fit train-images-idx3-ubyte.gz --y train-labels-idx1-ubyte.gz -m conditional_vae -o m.safetensors

    A conditional_vae is fitted with the labels of DATA, or those of --y.

    Checkpoints are written to the folder FILE.checkpoints (or trainer.checkpoint_dir), which is removed when the
    model is complete. After Ctrl-C or a crash, run the same command with --resume: the model will be identical to that
    of an uninterrupted run.
    """  # noqa: D301
    check_output(output, data, labels, config, suffix=".safetensors")
    if log is not None:
        check_log(log, data, labels, config, output)
    options = {"n_components": n_components, "max_epochs": epochs, "random_state": seed}
    if quiet or verbose:
        options["verbose"] = int(verbose)
    fields = _fields(config, assignments, options)
    configured = fields.pop("model", None)
    name = class_name(model or configured or "vae")
    rows = open_data(data, labels, tables=True)
    folder = fields.setdefault("trainer__checkpoint_dir", f"{output}.checkpoints")
    estimator = build(public_class(name), fields, rows)
    _check_resume(folder, resume)
    if log is not None:
        from isthmus.engine import CSVLogger, TensorBoardLogger

        logger = CSVLogger(log) if log.endswith(".csv") else TensorBoardLogger(log)
        estimator.set_params(trainer__callbacks=[logger])
    summary = _fit(estimator, rows, check_condition(estimator, rows, data, labels), data, output)
    if summary and not quiet:
        click.echo(summary)


def _fields(config: str | None, assignments: tuple[str, ...], options: dict[str, int | None]) -> dict[str, Any]:
    """Return the fields from all sources: defaults of the command, the file, --set, and the other options."""
    return merge(
        {"random_state": 0, "verbose": int(sys.stderr.isatty())},
        read_config(config),
        dict(parse_assignment(text) for text in assignments),
        {name: value for name, value in options.items() if value is not None},
    )


def _check_resume(folder: str | None, resume: bool) -> None:
    """Refuse to overwrite an interrupted run, and to resume one that does not exist."""
    unfinished = _has_checkpoints(folder)
    restarted = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0"  # by isthmus launch, maybe before a checkpoint
    if unfinished and not (resume or restarted):
        raise ValueError(f"{folder}: holds an unfinished run; add --resume to resume it, or remove the folder.")
    if resume and not (unfinished or restarted):
        raise ValueError(f"{folder}: holds no unfinished run; leave out --resume to start one.")


def _has_checkpoints(folder: str | None) -> bool:
    return folder is not None and any(Path(folder).glob("checkpoint-*"))


def _fit(estimator: Any, rows: Dataset, y: Any, data: str, output: str) -> str:
    """Fit and save; return a summary, empty in all processes but the first."""
    from isthmus.engine import keep_until_saved
    from isthmus.engine.distributed import rank

    with keep_until_saved():
        start = time.perf_counter()
        with about(data):
            estimator.fit(named_rows(rows), y)
        seconds = time.perf_counter() - start
        if rank() > 0:
            return ""
        _save(estimator, output)
    n_rows, n_columns = rows.X.shape
    return (
        f"{output}: {type(estimator).__name__}, {n_columns} columns -> {estimator.n_components_} units, "
        f"fitted to {n_rows} rows; loss after epoch {estimator.n_iter_}: {estimator.history_[-1]['loss']:.4g} nats "
        f"per row of scaled data, {seconds:.1f} s"
    )


def _save(estimator: Any, output: str) -> None:
    """Save the model; if it cannot be written, say where its checkpoints are."""
    folder = estimator.trainer.checkpoint_dir
    try:
        estimator.set_params(verbose=0).save(output)  # so that the file does not depend on how progress was shown
    except OSError as error:
        reason = error.strerror or error.__cause__ or error
        again = "make room, and run the same command again"
        if _has_checkpoints(folder):
            again = f"make room, and run the same command with --resume (the checkpoints are in {folder})"
        raise OSError(f"{output}: the model could not be written ({reason}); {again}.") from error
