"""``isthmus fit``."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from isthmus.cli._data import LABELS, check_model_output, stream_rows
from isthmus.cli._errors import about, note
from isthmus.cli._models import MODELS, build, class_name, public_class
from isthmus.cli._values import merge, parse_assignment, read_config

if TYPE_CHECKING:
    from isthmus.data import Dataset

__all__ = ["fit"]


@click.command(short_help="Learn a model from rows.")
@click.argument("data")
@click.option("-m", "--model", metavar="MODEL", help=f"One of: {', '.join(MODELS)}.")
@click.option("-o", "--output", metavar="FILE", required=True, help="File to write: model.safetensors.")
@click.option("-k", "--components", type=click.IntRange(1), metavar="K", help="Latent units: n_components.")
@click.option("--epochs", type=click.IntRange(1), metavar="N", help="Passes over the data: max_epochs.")
@click.option("--seed", type=click.IntRange(0), metavar="N", help="Of everything random: random_state.  [default: 0]")
@LABELS
@click.option("--set", "assignments", metavar="NAME=VALUE", multiple=True, help="Any other field; may be repeated.")
@click.option("-c", "--config", metavar="FILE", help="TOML file with the same fields, and `model`; options win.")
@click.option("--resume", is_flag=True, help="Go on with a run that was interrupted (give the same options).")
@click.option("--log", metavar="FILE", help="Write every epoch's numbers: a .csv, or a folder for TensorBoard.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="A line an epoch even where stderr is no terminal.")
def fit(
    data: str,
    model: str | None,
    output: str,
    components: int | None,
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
    """Learn a model from the rows of DATA and save it.

    `isthmus info vae` lists every field of a model, with its meaning, for --set; `isthmus info likelihoods` the parts
    that a field can name, and `isthmus info gaussian` their own parameters:

    \b
    isthmus fit digits -m vae -k 8 -o m.safetensors --set beta=0.5 --set hidden_layer_sizes=128,64
    isthmus fit digits -m vae -o m.safetensors --set likelihood=gaussian --set likelihood__scale=feature
    isthmus fit digits -m sparse -o m.safetensors --set method=top_k --set k=8
    isthmus fit digits -m conditional_vae -o m.safetensors
    isthmus fit train-images-idx3-ubyte.gz --y train-labels-idx1-ubyte.gz -m conditional_vae -o m.safetensors

    A conditional_vae takes the labels of DATA (its y), or those of --y.

    Checkpoints are written to a folder beside the output (FILE.checkpoints, or checkpoint_dir) and removed when the
    model is complete. After Ctrl-C, or a crash, the same command with --resume goes on where it was, and ends with the
    very same model.
    """  # noqa: D301
    check_model_output(output, data)
    typed = {"n_components": components, "max_epochs": epochs, "random_state": seed}
    if quiet or verbose:
        typed["verbose"] = int(verbose)
    fields = _fields(config, assignments, typed)
    name = _which(model or fields.pop("model", None))
    fields.pop("model", None)
    rows = stream_rows(data, labels)
    _check_resume(fields.setdefault("checkpoint_dir", f"{output}.checkpoints"), resume)
    summary = _fit(name, fields, rows, data, output, log, labelled=labels is not None)
    if summary and not quiet:
        click.echo(summary)


def _fields(config: str | None, assignments: tuple[str, ...], typed: dict[str, int | None]) -> dict[str, Any]:
    """Return the fields from all places: defaults of the command, the file, --set, and the other options."""
    return merge(
        {"random_state": 0, "verbose": int(sys.stderr.isatty())},
        read_config(config),
        dict(parse_assignment(text) for text in assignments),
        {name: value for name, value in typed.items() if value is not None},
    )


def _check_resume(folder: str, resume: bool) -> None:
    """Refuse to overwrite a run that was interrupted, and to go on with one that is not there."""
    unfinished = any(Path(folder).glob("checkpoint-*"))
    restarted = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0"  # by isthmus launch: there may be none yet
    if unfinished and not (resume or restarted):
        raise ValueError(f"{folder}: holds an unfinished run; add --resume to go on with it, or remove the folder.")
    if resume and not (unfinished or restarted):
        raise ValueError(f"{folder}: holds no unfinished run; leave --resume out to start one.")


def _which(model: Any) -> str:
    """Return the class that was asked for."""
    if model is None:
        raise ValueError(f"which model? Say --model with one of: {', '.join(MODELS)}.")
    return class_name(model)


def _fit(
    name: str, fields: dict[str, Any], rows: Dataset, data: str, output: str, log: str | None, *, labelled: bool
) -> str:
    """Fit, save, and return what there is to say about it."""
    estimator = build(public_class(name), fields, rows)
    if log is not None:
        from isthmus.engine import CSVLogger, TensorBoardLogger

        estimator.set_params(loggers=[CSVLogger(log) if log.endswith(".csv") else TensorBoardLogger(log)])
    from isthmus.engine.distributed import rank

    conditional = name == "ConditionalVAE"
    if conditional and rows.y is None:
        raise ValueError(f"{data}: has no labels to condition on; name them with --y (a file, or a column of DATA).")
    if labelled and not conditional:
        note(f"--y is not used: {name} learns from the rows alone")
    start = time.perf_counter()
    with about(data):
        estimator.fit(rows.X, rows.y if conditional else None)
    seconds = time.perf_counter() - start
    if rank() > 0:  # of several processes, the first one writes and speaks
        return ""
    _name_columns(estimator, rows)
    estimator.set_params(verbose=0, checkpoint_dir=None, loggers=()).save(output)  # the same file, whoever watched
    return f"{output}: {_summary(estimator, rows)}, {seconds:.1f} s"


def _summary(estimator: Any, rows: Dataset) -> str:
    """Return what was fitted to what, and how it ended."""
    name, (n_rows, n_columns) = type(estimator).__name__, rows.X.shape
    return (
        f"{name}, {n_columns} columns -> {estimator.n_components} units, learned from {n_rows} rows; "
        f"loss of epoch {estimator.n_iter_}: {estimator.history_[-1]['loss']:.4g} nats a row of scaled data"
    )


def _name_columns(estimator: Any, rows: Dataset) -> None:
    """Remember the names of a table's columns (those of pixels tell nothing)."""
    import numpy as np

    if rows.columns is not None and rows.image_shape is None:
        estimator.feature_names_in_ = np.array(rows.columns, dtype=object)
