"""``isthmus evaluate``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from isthmus.cli._build import build
from isthmus.cli._data import LABELS, align_columns, read_data
from isthmus.cli._errors import about, note
from isthmus.cli._models import MODELS, check_condition, class_name, load_model, normalize, public_class
from isthmus.cli._paths import check_output
from isthmus.cli._values import merge, parse_assignment

if TYPE_CHECKING:
    from isthmus.data import Dataset

__all__ = ["Stages", "evaluate"]

# Fields of a saved model that are not used for another fit.
_NOT_COPIED = ("verbose", "warm_start")


@click.command(short_help="Evaluate a model, or select the number of latent units.")
@click.argument("model")
@click.argument("data")
@click.option("-o", "--output", metavar="FILE", help="Write the results as JSON: FILE.json.")
@LABELS
@click.option(
    "--n-draws",
    type=click.IntRange(2),
    metavar="N",
    default=1000,
    show_default=True,
    help="Importance samples per row for log p(x).",
)
@click.option("--ais", type=click.IntRange(1), metavar="N", help="Check log p(x) of N rows by annealing (slow).")
@click.option("--impute", type=float, metavar="SHARE", help="Hide this share of the cells, impute them and compare.")
@click.option("--sizes", metavar="K,K,...", help="Fit these numbers of latent units and select one, as in 2,4,8,16.")
@click.option("--set", "assignments", metavar="NAME=VALUE", multiple=True, help="A field for --sizes; may be repeated.")
@click.option("--seed", type=click.IntRange(0), metavar="N", default=0, show_default=True, help="Random seed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def evaluate(
    model: str,
    data: str,
    output: str | None,
    labels: str | None,
    n_draws: int,
    ais: int | None,
    impute: float | None,
    sizes: str | None,
    assignments: tuple[str, ...],
    seed: int,
    as_json: bool,
) -> None:
    """Evaluate a saved MODEL on DATA, which should be held-out rows.

    For a vae, this prints log p(x) with its standard error and the rows where it is unreliable, the ELBO as rate and
    distortion, what the latent units are used for, reconstructions by column, generated samples compared with the data,
    and how well codes preserve neighbourhoods (and labels, if DATA has any). The deterministic autoencoders have no
    density p(x); the other metrics are printed for them.

    With --sizes, MODEL is the name of a model, or a saved model whose fields are used. Each size is fitted to 80% of
    the rows; log p(x) of the other 20% is printed next to that of scikit-learn's density models.

    \b
    isthmus evaluate m.safetensors test.csv --impute 0.3 -o results.json
    isthmus evaluate vae digits --sizes 2,4,8,16 --set max_epochs=50
    """  # noqa: D301
    if output is not None:
        check_output(output, model, data, labels, suffix=".json")
    if sizes is None:
        if assignments:
            raise ValueError(f"--set {assignments[0]}: needs --sizes; a saved model cannot be changed.")
        result = _assess(model, data, labels, n_draws, ais or 0, impute, seed)
    else:
        if ais is not None or impute is not None:
            raise ValueError(f"--sizes {sizes}: cannot be combined with --ais or --impute.")
        result = _select(model, data, labels, sizes, assignments, n_draws, seed)
    _print(result, output, as_json=as_json)


def _print(result: Any, output: str | None, *, as_json: bool) -> None:
    """Print a result, and write it to `output` if given."""
    from isthmus._atomic import atomic_write
    from isthmus.assessment._text import as_text, plain_values

    text = json.dumps(plain_values(result), allow_nan=False)
    if output is not None:
        with atomic_write(output) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
        note(f"wrote {output}")
    click.echo(text if as_json else as_text(result))


# ---- one model -----------------------------------------------------------------------------------------------


def _assess(path: str, data: str, labels: str | None, n_draws: int, ais: int, impute: float | None, seed: int) -> Any:
    """Return the assessment of a saved model."""
    if data.endswith(".safetensors"):
        raise ValueError(f"{data}: is a model, not data; pass MODEL first, then DATA.")
    names = {normalize(name) for name in (*MODELS, *MODELS.values(), "cvae")}
    if normalize(path) in names and not Path(path).exists():
        raise ValueError(f"{path}: is the name of a model; add --sizes 2,4,8 to fit it, or pass a saved model.")
    if impute is not None and not 0 < impute < 1:
        raise ValueError(f"--impute {impute:g}: must be a share of the cells, above 0 and below 1.")
    rows = read_data(data, labels)
    model = load_model(path)
    rows = align_columns(model, rows, data)
    y = rows.y if labels is not None and model.conditional else None
    row_labels = rows.y if rows.y is not None and rows.y.ndim == 1 else None

    from isthmus.assessment import assess

    with about(data), Stages() as stages:
        return assess(
            model,
            rows.X,
            y,
            labels=row_labels,
            n_draws=n_draws,
            ais=ais,
            impute=impute or 0.0,
            seed=seed,
            progress=stages.show,
        )


class Stages:
    """Show the name of the current metric on a terminal."""

    def __enter__(self) -> Stages:
        return self

    def show(self, name: str) -> None:
        """Show a name instead of the last one."""
        self._write(f"\r\x1b[K{name} ...")

    def __exit__(self, *_: object) -> None:
        self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(text)
            sys.stderr.flush()


# ---- several sizes -------------------------------------------------------------------------------------------


def _select(
    model: str, data: str, labels: str | None, sizes: str, assignments: tuple[str, ...], n_draws: int, seed: int
) -> Any:
    """Return the result of `choose_n_components`."""
    numbers = _parse_sizes(sizes)
    fields = dict(parse_assignment(text) for text in assignments)
    if "n_components" in fields:
        raise ValueError("--set n_components: is set by --sizes; leave it out.")
    rows = read_data(data, labels)
    if rows.is_frame:
        raise ValueError(
            f"{data}: --sizes compares models of numbers, and this is a table with other columns; leave --sizes out: "
            "`isthmus fit` chooses the number of latent units."
        )
    estimator = _unfitted(model, fields, rows, seed)
    y = check_condition(estimator, rows, data, labels)
    _note_integers(rows, data)

    from isthmus.assessment import choose_n_components

    with about(data):
        return choose_n_components(estimator, rows.X, y, sizes=numbers, random_state=seed, n_draws=n_draws)


def _parse_sizes(text: str) -> list[int]:
    """Return the numbers in "2,4,8"."""
    try:
        sizes = [int(word) for word in text.split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1:
        raise ValueError(f"--sizes {text}: must be positive integers separated by commas, such as 2,4,8,16.")
    return sizes


def _unfitted(model: str, given: dict[str, Any], rows: Dataset, seed: int) -> Any:
    """Return the estimator of a name, or one with the fields of a saved model; `given` fields replace them."""
    fields: dict[str, Any] = {"random_state": seed}
    if not Path(model).exists() and not model.endswith(".safetensors"):
        cls = public_class(class_name(model))
    else:
        saved = load_model(model)
        cls = type(saved)
        copied = {name: value for name, value in saved.get_params(deep=False).items() if name not in _NOT_COPIED}
        fields = copied | fields
    return build(cls, merge({"verbose": int(sys.stderr.isatty())}, fields, given), rows)


def _note_integers(rows: Dataset, data: str) -> None:
    """Print a note if all values are integers, for which a density means little."""
    import numpy as np

    X = np.asarray(rows.X[:1000], dtype=np.float64)
    if bool(np.all((np.round(X) == X) | np.isnan(X))):
        note(
            f"{data}: all values are integers; their density has no upper bound, which favours models that concentrate "
            "on them (FactorAnalysis for constant columns): add uniform noise on [0, 1) for a fair comparison"
        )
