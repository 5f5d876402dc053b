"""``isthmus evaluate``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from isthmus.cli._apply import is_conditional
from isthmus.cli._data import LABELS, aligned, read_rows, refuse_inputs
from isthmus.cli._errors import about, note
from isthmus.cli._models import MODELS, build, class_name, load_model, plain, public_class
from isthmus.cli._values import merge, parse_assignment

if TYPE_CHECKING:
    from isthmus.data import Dataset

__all__ = ["evaluate"]

_OWN = (
    "callbacks",
    "loggers",
    "checkpoint_dir",
    "verbose",
    "warm_start",
)  # fields of a saved model that another fit leaves out


@click.command(short_help="Measure all there is to measure of a model, or choose its size.")
@click.argument("model")
@click.argument("data")
@click.option("-o", "--output", metavar="FILE", help="Write the numbers: FILE.json.")
@LABELS
@click.option("--draws", type=click.IntRange(2), default=1000, show_default=True, help="For log p(x), a row.")
@click.option("--ais", type=click.IntRange(1), metavar="N", help="Check log p(x) of N rows by annealing (slow).")
@click.option("--impute", type=float, metavar="SHARE", help="Hide this share of the cells, fill them, and compare.")
@click.option("--components", metavar="K,K,...", help="Fit these sizes instead, and choose one: 2,4,8,16.")
@click.option(
    "--set", "assignments", metavar="NAME=VALUE", multiple=True, help="A field of these fits; may be repeated."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of draws, splits and fits.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def evaluate(
    model: str,
    data: str,
    output: str | None,
    labels: str | None,
    draws: int,
    ais: int | None,
    impute: float | None,
    components: str | None,
    assignments: tuple[str, ...],
    seed: int,
    as_json: bool,
) -> None:
    """Print how good MODEL is on the rows of DATA, which it should not have been fitted to.

    Of a vae: log p(x) with its error, and rows where it cannot be trusted; the ELBO as rate and distortion; what each
    latent unit is used for; reconstruction by column; samples against rows; whether codes keep neighbours together (and
    labels, where DATA has some). Of the deterministic autoencoders, which have no p(x): what they have of it.

    With --components, MODEL is a model's name, or a saved model whose fields are taken. Every size is fitted to four
    fifths of the rows and log p(x) of the others printed, beside that of scikit-learn's densities:

    \b
    isthmus evaluate m.safetensors test.csv --impute 0.3 -o numbers.json
    isthmus evaluate vae digits --components 2,4,8,16 --set max_epochs=50
    """  # noqa: D301
    if output is not None:
        _check_json(output, model, data)
    if components is None:
        if assignments:
            raise ValueError(f"--set {assignments[0]}: is for the fits of --components; a saved model is as it is.")
        result = _assessed(model, data, labels, draws, ais or 0, impute, seed)
    else:
        if ais is not None or impute is not None:
            raise ValueError(f"--components {components}: goes without --ais and --impute.")
        result = _chosen(model, data, labels, components, assignments, draws, seed)
    _give(result, output, as_json=as_json)


def _give(result: Any, output: str | None, *, as_json: bool) -> None:
    """Print a result, and write it where that was asked for."""
    import json

    from isthmus._atomic import atomic_write
    from isthmus.cli._evaluate_text import as_text, plain_values

    text = json.dumps(plain_values(result), allow_nan=False)
    if output is not None:
        with atomic_write(output) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
        note(f"wrote {output}")
    click.echo(text if as_json else as_text(result))


def _check_json(path: str, *inputs: str) -> None:
    """Raise now if JSON could not be written to `path` later."""
    folder = Path(os.path.realpath(path)).parent
    if Path(path).suffix != ".json":
        raise ValueError(f"{path}: the numbers are written as JSON; write -o {Path(path).with_suffix('.json')}.")
    if Path(path).is_dir():
        raise ValueError(f"{path}: is a folder; name another file.")
    if not folder.is_dir():
        raise ValueError(f"{path}: its folder does not exist; make the folder {folder} first.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(f"{path}: its folder may not be written; change its permissions or name another.")
    refuse_inputs(path, inputs)


# ---- one model -----------------------------------------------------------------------------------------------


def _assessed(path: str, data: str, labels: str | None, draws: int, ais: int, impute: float | None, seed: int) -> Any:
    """Return the assessment of a saved model."""
    if data.endswith(".safetensors"):
        raise ValueError(f"{data}: is a model, and DATA was expected; the model comes first, then the data.")
    if _is_name(path) and not Path(path).exists():
        raise ValueError(f"{path}: is a model's name; add --components 2,4,8 to fit it, or give a saved model.")
    if impute is not None and not 0 < impute < 1:
        raise ValueError(f"--impute {impute:g}: must be a share of the cells, above 0 and below 1.")
    rows = read_rows(data, labels)
    model = load_model(path)
    rows = aligned(model, rows, data)
    given = rows.y if labels is not None and is_conditional(model) else None

    from isthmus.assessment import assess

    with about(data), _Stages() as stages:
        return assess(
            model, rows.X, given, labels=_one_column(rows), n_draws=draws, ais=ais, impute=impute or 0.0, seed=seed,
            progress=stages.show,
        )  # fmt: skip


def _one_column(rows: Dataset) -> Any:
    """Return labels, where each row has one."""
    return rows.y if rows.y is not None and rows.y.ndim == 1 else None


class _Stages:
    """Tells a terminal what is measured now."""

    def __enter__(self) -> _Stages:
        return self

    def show(self, name: str) -> None:
        """Put `name` in the place of the last one."""
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{name} ...")
            sys.stderr.flush()

    def __exit__(self, *_: object) -> None:
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


# ---- several sizes -------------------------------------------------------------------------------------------


def _chosen(
    model: str, data: str, labels: str | None, components: str, assignments: tuple[str, ...], draws: int, seed: int
) -> Any:
    """Return the choice among several sizes."""
    sizes = _sizes(components)
    typed = dict(parse_assignment(text) for text in assignments)
    if "n_components" in typed:
        raise ValueError("--set n_components: the sizes are those of --components.")
    rows = read_rows(data, labels)
    estimator = _unfitted(model, typed, rows, seed)
    conditional = is_conditional(estimator)
    if conditional and rows.y is None:
        raise ValueError(f"{data}: has no labels to condition on; name them with --y (a file, or a column of DATA).")
    if labels is not None and not conditional:
        note(f"--y is not used: {type(estimator).__name__} learns from the rows alone")
    _warn_of_whole_numbers(rows, data)

    from isthmus.assessment.model_selection import choose_n_components

    with about(data):
        y = rows.y if conditional else None
        return choose_n_components(estimator, rows.X, y, sizes=sizes, random_state=seed, n_draws=draws)


def _sizes(text: str) -> list[int]:
    """Return the sizes of "2,4,8"."""
    try:
        sizes = [int(word) for word in text.split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1:
        raise ValueError(f"--components {text}: must be whole numbers of at least 1 with commas, such as 2,4,8,16.")
    return sizes


def _is_name(text: str) -> bool:
    """Tell whether a word is a model's name."""
    return plain(text) in {plain(name) for name in (*MODELS, *MODELS.values(), "cvae")}


def _unfitted(model: str, typed: dict[str, Any], rows: Dataset, seed: int) -> Any:
    """Return the estimator of a name, or one with the fields of a saved model."""
    fields: dict[str, Any] = {"random_state": seed}
    if not Path(model).exists() and not model.endswith(".safetensors"):
        cls = public_class(class_name(model))
    else:
        saved = load_model(model)
        cls = type(saved)
        kept = {name: value for name, value in saved.get_params(deep=False).items() if name not in _OWN}
        fields = kept | fields
    return build(cls, merge({"verbose": int(sys.stderr.isatty())}, fields, typed), rows)


def _warn_of_whole_numbers(rows: Dataset, data: str) -> None:
    """Say so where a density means little."""
    import numpy as np

    X = np.asarray(rows.X[:1000], dtype=np.float64)
    if bool(np.all((np.round(X) == X) | np.isnan(X))):
        note(
            f"{data}: holds whole numbers only; densities of them have no upper bound, and favour what narrows on the "
            "values (FactorAnalysis in constant columns): add uniform noise of one step to compare them"
        )
