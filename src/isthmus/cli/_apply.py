"""``isthmus transform``, ``reconstruct``, ``impute`` and ``sample``."""

from __future__ import annotations

import itertools
import sys
from typing import TYPE_CHECKING, Any

import click

from isthmus._formats import find_row
from isthmus.cli._data import LABELS, OUTPUT, AlignedBlocks, align_columns, named_rows, open_data
from isthmus.cli._errors import about, note
from isthmus.cli._given import parse_given
from isthmus.cli._models import load_model, loading
from isthmus.cli._paths import check_output
from isthmus.cli._results import datasets, write_by_chunks, write_frame_result, write_frames, write_result
from isthmus.cli._tables import as_result_frame, check_holds, with_text
from isthmus.cli._values import parse_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from isthmus.data import Dataset

__all__ = ["impute", "model_and_rows", "numbers_per_row", "reconstruct", "sample", "split_files", "transform"]


def model_and_rows(path: str, data: str, labels: str | None, *, tables: bool = False) -> tuple[Any, Dataset, Any]:
    """Return a saved model, the rows of DATA, and their conditions if `labels` names them.

    With `tables` true, large tables stay on the disk, and are read in the order of their rows.
    """
    if data.endswith(".safetensors"):
        raise ValueError(f"{data}: is a model, not data; pass MODEL first, then DATA.")
    rows = open_data(data, labels, columns=False, tables=tables, in_order=True)
    model = load_model(path)
    if labels is not None and not model.conditional:
        raise ValueError(f"--y {labels}: {path} holds {_article(model)}, which has no conditions; leave out --y.")
    return model, align_columns(model, rows, data), None if labels is None else rows.y


def _article(model: Any) -> str:
    """Return the name of the model's class with its article."""
    name = type(model).__name__
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


def split_files(files: tuple[str, ...], command: str) -> tuple[str | None, str]:
    """Return MODEL, or None, and DATA of a command that fits a model if none is given."""
    if len(files) > 2:
        raise ValueError(f"{command} takes DATA, or MODEL and DATA; got {' '.join(files)}.")
    if len(files) == 1 and files[0].endswith(".safetensors"):
        raise ValueError(f"{files[0]}: is a model; pass DATA, too.")
    return (files[0] if len(files) > 1 else None), files[-1]


def _write_rows(method: str, path: str, data: str, labels: str | None, output: str) -> None:
    """Write ``model.method(X, y)``, computed chunk by chunk."""
    check_output(output, path, data, labels)
    _write_result_of(method, *model_and_rows(path, data, labels, tables=True), data, output)


def _write_result_of(method: str, model: Any, rows: Dataset, y: Any, data: str, output: str) -> None:
    """Write ``model.method(X, y)`` of rows."""
    function = getattr(model, method)
    if method != "transform" and isinstance(rows.X, AlignedBlocks):
        with about(data):
            _write_blocks(method, model, rows, output)
        return
    if rows.is_frame and method != "transform":
        check_holds(output, rows.X)
    if method != "transform":
        rows = _with_form(method, rows, data, output)
    if rows.is_frame or (method != "transform" and rows.text is not None):
        with about(data):
            result = function(rows.X) if y is None else function(rows.X, y)
        _write_table(method, output, result, rows, model)
        return
    width = _chunk_width(method, model, y)
    columns = list(model.get_feature_names_out()) if method == "transform" else rows.columns or _column_names(model)
    with about(data):
        write_by_chunks(
            output, method, lambda X, c: function(X) if c is None else function(X, c), rows, y, width, columns
        )


def _chunk_width(method: str, model: Any, y: Any) -> int:
    """Return the numbers per row that set the chunks of the estimator: their size can change the last bits."""
    return numbers_per_row(model, draws=method == "impute" or (model.conditional and y is None))


def _write_blocks(method: str, model: Any, rows: Dataset, output: str) -> None:
    """Write ``model.method(X)`` of a table that is read block by block, in its form."""
    function = getattr(model, method)
    parts = datasets(method, rows, _chunk_width(method, model, None))
    first = next(parts)
    if first.is_frame:
        check_holds(output, first.X)
    is_text = _is_text(output)
    fills = method == "impute" and is_text and first.text is not None

    def results() -> Iterator[Any]:
        for part in itertools.chain([first], parts):
            made = as_result_frame(function(part.X), part)
            yield part.text.fill_missing(made) if fills else made

    write_frames(output, results(), first.text if is_text else None)


def _is_text(output: str) -> bool:
    """Return whether a file to write is a table of text."""
    row = find_row(output)
    return row is not None and row.is_text


def _with_form(method: str, rows: Dataset, data: str, output: str) -> Dataset:
    """Return rows with their text, if the result is a table of text too, so that it can have the same form."""
    if not _is_text(output):
        return rows._replace(text=None) if not rows.is_frame else rows
    return with_text(rows, data) if method == "impute" else rows


def _write_table(method: str, output: str, result: Any, rows: Dataset, model: Any) -> None:
    """Write the result for a table in its form: the same columns, order, format and decimals."""
    if method == "transform":
        write_result(output, result, list(model.get_feature_names_out()))
        return
    made = as_result_frame(result, rows)
    if method == "impute" and rows.text is not None and _is_text(output):
        made = rows.text.fill_missing(made)
    write_frame_result(output, made, rows.text)


def numbers_per_row(model: Any, *, draws: bool = True) -> int:
    """Return the numbers that the widest layer holds per row, for all importance samples if `draws`."""
    return int((getattr(model, "n_draws", 1) if draws else 1) * model.model_.numbers_per_row)


@click.command(short_help="Encode rows.")
@click.argument("model")
@click.argument("data")
@OUTPUT
@LABELS
def transform(model: str, data: str, output: str, labels: str | None) -> None:
    """Write the code of each row of DATA: the posterior mean for a vae.

    The result has one column per latent unit. A conditional_vae averages over p(y|x), unless --y gives the labels.
    """
    _write_rows("transform", model, data, labels, output)


@click.command(short_help="Reconstruct rows from their codes.")
@click.argument("model")
@click.argument("data")
@OUTPUT
@LABELS
def reconstruct(model: str, data: str, output: str, labels: str | None) -> None:
    """Write the reconstruction of each row of DATA, in the units of the data.

    A denoising autoencoder returns denoised rows. A conditional_vae averages over p(y|x), unless --y gives the labels.
    """
    _write_rows("reconstruct", model, data, labels, output)


@click.command(short_help="Fill in missing cells.")
@click.argument("files", nargs=-1, required=True, metavar="[MODEL] DATA")
@OUTPUT
@LABELS
@click.option("--seed", type=click.IntRange(0), metavar="N", default=0, show_default=True, help="Seed of the fit.")
def impute(files: tuple[str, ...], output: str, labels: str | None, seed: int) -> None:
    """Write DATA with each missing cell replaced by its conditional mean, or its most probable level.

    A cell is missing if it is NaN or null, or, in a table of text, empty, NA, N/A, NULL, None or ?. All other cells are
    copied unchanged. Without MODEL, a vae is fitted to DATA first. A conditional_vae averages over p(y|x), unless --y
    gives the labels.

    \b
    isthmus impute gaps.csv -o filled.csv
    isthmus impute m.safetensors gaps.csv -o filled.csv
    """  # noqa: D301
    path, data = split_files(files, "impute")
    if path is not None:
        _write_rows("impute", path, data, labels, output)
        return
    check_output(output, data)
    if labels is not None:
        raise ValueError(f"--y {labels}: is for a fitted conditional_vae; pass MODEL first.")
    rows = open_data(data, tables=True)
    if rows.is_frame:
        check_holds(output, rows.X)
    with loading():
        from isthmus import VAE, AutoencoderImputer
    with about(data):
        imputer = AutoencoderImputer(VAE(random_state=seed, verbose=int(sys.stderr.isatty()))).fit(named_rows(rows))
    model = imputer.estimator_
    if not (rows.is_frame or hasattr(rows.X, "dtype")):  # it stays on the disk
        rows = align_columns(model, open_data(data, columns=False, tables=True, in_order=True), data)
    _write_result_of("impute", model, rows, None, data, output)


@click.command(short_help="Generate new rows.")
@click.argument("model")
@click.option(
    "-n", "--rows", "n", type=click.IntRange(1), metavar="N", default=1, show_default=True, help="Number of rows."
)
@OUTPUT
@click.option("--given", "given", metavar="NAME=VALUE", multiple=True, help="A value of a column; may be repeated.")
@click.option("--y", "label", metavar="LABEL", help="Condition of a conditional_vae: one label, or a list of n labels.")
@click.option("--seed", type=click.IntRange(0), metavar="N", default=0, show_default=True, help="Random seed.")
def sample(model: str, n: int, output: str, given: tuple[str, ...], label: str | None, seed: int) -> None:
    """Write new rows drawn from p(x), from p(x | given values) of a vae, or from p(x|y) of a conditional_vae.

    Without --y, the labels of a conditional_vae are drawn with their frequencies in the training data.

    \b
    isthmus sample m.safetensors -n 1000 -o synthetic.parquet
    isthmus sample m.safetensors -n 100 --given sex=f --given age=30 -o women.csv
    isthmus sample m.safetensors -n 3 --y "[3, 5, 7]" -o new.npy
    """  # noqa: D301 - \b is click's mark for lines that stay as they are
    check_output(output, model)
    fitted = load_model(model)
    if not fitted.has_density:
        raise ValueError(
            f"{model}: holds {_article(fitted)}, which has no density p(x) to sample from; fit a vae or "
            "conditional_vae instead."
        )
    if given and label is not None:
        raise ValueError("--given and --y both name conditions; leave one out.")
    if given and fitted.conditional:
        drawn = fitted.sample(n, given=parse_given(fitted, given), random_state=seed)
    elif given:
        drawn = fitted.sample(n, given=parse_given(fitted, given), random_state=seed)
        note(f"the rows come from {fitted.effective_sample_size_:,.0f} effective draws")
    elif label is None:
        drawn = fitted.sample(n, random_state=seed)
    elif fitted.conditional:
        drawn = fitted.sample(n, y=_parse_label(fitted, label), random_state=seed)
    else:
        raise ValueError(f"--y {label}: {model} holds {_article(fitted)}; only a conditional_vae takes labels.")
    if hasattr(drawn, "iloc"):
        write_frame_result(output, drawn)
    else:
        write_result(output, drawn, _column_names(fitted))


def _parse_label(model: Any, text: str) -> Any:
    """Return the value of a label or list of labels; strings if the model's labels are strings."""
    classes = getattr(model, "classes_", None)
    value = parse_value(text)
    if isinstance(value, dict):
        raise ValueError(f"--y {text}: must be a label or a list of labels.")
    if classes is None or classes.dtype.kind != "U":
        return value
    return [str(item) for item in value] if isinstance(value, list) else text


def _column_names(model: Any) -> list[str] | None:
    """Return the column names of the training data, if they are known."""
    names = getattr(model, "feature_names_in_", None)
    return None if names is None else list(names)
