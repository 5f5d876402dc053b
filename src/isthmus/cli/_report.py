"""``isthmus report``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from isthmus.cli._data import LABELS, align_columns, read_data
from isthmus.cli._errors import about, note
from isthmus.cli._evaluate import Stages
from isthmus.cli._models import load_model
from isthmus.cli._paths import check_output

__all__ = ["report"]


@click.command(short_help="Write one page that says whether a model is any good.")
@click.argument("models", nargs=-1, metavar="MODEL [MODEL]")
@click.argument("data")
@click.option("-o", "--output", metavar="FILE", default="report.html", show_default=True, help="Page to write.")
@click.option("--train", metavar="DATA", help="Training rows, to check for overfitting and to fit simple models to.")
@LABELS
@click.option(
    "--max-rows",
    type=click.IntRange(2),
    metavar="N",
    default=1000,
    show_default=True,
    help="Rows to use, drawn at random if there are more.",
)
@click.option("--seed", type=click.IntRange(0), metavar="N", default=0, show_default=True, help="Random seed.")
def report(
    models: tuple[str, ...],
    data: str,
    output: str,
    train: str | None,
    labels: str | None,
    max_rows: int,
    seed: int,
) -> None:
    """Write one self-contained page about one or two saved models on DATA, which should be held-out rows.

    It says in sentences whether the model is better than PCA, FactorAnalysis and GaussianMixture, over- or underfitted,
    has collapsed units, ignores columns or finds too many rows improbable, and shows reconstructions, the latent plane,
    what each unit does, samples, odd rows and imputations. The numbers are also written as JSON, next to the page.

    \b
    isthmus report m.safetensors test.csv --train train.csv -o report.html
    isthmus report a.safetensors b.safetensors test.csv    two models side by side
    """  # noqa: D301
    if not models:
        raise ValueError(f"{data}: alone is not enough: pass one or two models, then DATA.")
    check_output(output, *models, data, train, labels, suffix=".html")
    numbers = str(Path(output).with_suffix(".json"))
    check_output(numbers, *models, data, train, labels, suffix=".json")
    if data.endswith(".safetensors"):
        raise ValueError(f"{data}: is a model, not data; pass the models first, then DATA.")
    if len(models) > 2:
        raise ValueError(f"{', '.join(models)}: are {len(models)} models; a report is on one or two.")
    fitted = [load_model(model) for model in models]
    rows, y, row_labels = _read(fitted[0], data, labels)
    for path, other in zip(models[1:], fitted[1:], strict=True):
        own = align_columns(other, rows, data)
        if own.columns != rows.columns or own.is_frame != rows.is_frame:
            raise ValueError(f"{path}: was fitted to other columns than {models[0]}, or in another order.")
    trained = _read(fitted[0], train, labels) if train else (None, None, None)

    from isthmus.report import make_comparison, make_report
    from isthmus.report.page import check_installed

    check_installed()
    with about(data), Stages() as stages:
        options: dict[str, Any] = {
            "labels": row_labels,
            "X_train": None if trained[0] is None else trained[0].X,
            "y_train": trained[1],
            "image_shape": rows.image_shape,
            "name": rows.name,
            "max_rows": max_rows,
            "seed": seed,
            "progress": stages.show,
        }
        if len(models) == 1:
            made = make_report(fitted[0], rows.X, y, **options)
        else:
            names = [Path(model).stem for model in models]
            names = list(models) if len(set(names)) < 2 else names
            made = make_comparison(fitted, names, rows.X, y, **options)
    made.save(output)
    note(f"wrote {output}, and its numbers as {numbers}")
    if len(models) == 1:
        for check in made.numbers["verdict"]:
            click.echo(f"{check['id']}  {check['status']:<8} {check['sentence']}")
    else:
        click.echo(made.numbers["difference"]["sentence"])


def _read(model: Any, data: str, labels: str | None) -> tuple[Any, Any, Any]:
    """Return rows of data, their conditions, and their labels."""
    rows = align_columns(model, read_data(data, labels), data)
    y = rows.y if labels is not None and model.conditional else None
    return rows, y, rows.y if rows.y is not None and rows.y.ndim == 1 else None
