"""``isthmus transform``, ``reconstruct``, ``impute`` and ``sample``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from isthmus.cli._data import LABELS, OUTPUT, aligned, check_output, save_array, save_by_rows, stream_rows
from isthmus.cli._errors import about
from isthmus.cli._models import load_model
from isthmus.cli._values import parse_value

if TYPE_CHECKING:
    from isthmus.data import Dataset

__all__ = ["impute", "model_and_rows", "reconstruct", "sample", "transform"]


def model_and_rows(path: str, data: str, labels: str | None) -> tuple[Any, Dataset, Any]:
    """Return a saved model, rows for it, and their conditions where they were asked for."""
    if data.endswith(".safetensors"):
        raise ValueError(f"{data}: is a model, and DATA was expected; the model comes first, then the data.")
    rows = stream_rows(data, labels)
    model = load_model(path)
    if labels is not None and not is_conditional(model):
        raise ValueError(f"--y {labels}: {path} is no ConditionalVAE but {type(model).__name__}: it takes no y.")
    return model, aligned(model, rows, data), None if labels is None else rows.y


def is_conditional(model: Any) -> bool:
    """Tell whether a model's rows have conditions."""
    return type(model).__name__ == "ConditionalVAE"


def _write_mapped(method: str, path: str, data: str, labels: str | None, output: str) -> None:
    """Write what one of a model's methods makes of the rows, chunk by chunk."""
    check_output(output, path, data)
    model, rows, y = model_and_rows(path, data, labels)
    function = getattr(model, method)
    # The chunks are the estimator's own: their number of rows may decide on a result's last bits.
    draws = method == "impute" or (is_conditional(model) and y is None)
    width = scoring_width(model) if draws else scoring_width(model) // getattr(model, "n_draws", 1)
    columns = list(model.get_feature_names_out()) if method == "transform" else rows.columns or _columns(model)
    with about(data):
        save_by_rows(output, method, lambda X, c: function(X) if c is None else function(X, c), rows, y, width, columns)


def scoring_width(model: Any) -> int:
    """Return the numbers that an importance-weighted estimate needs for a row."""
    from isthmus.estimators._fields import layer_sizes

    draws = getattr(model, "n_draws", 1)
    return int(draws * max(model.n_features_in_, model.n_components, *layer_sizes(model.hidden_layer_sizes), 1))


@click.command(short_help="Write the codes of rows.")
@click.argument("model")
@click.argument("data")
@OUTPUT
@LABELS
def transform(model: str, data: str, output: str, labels: str | None) -> None:
    """Write the code of every row of DATA, (N, K): for a VAE the posterior mean.

    A conditional_vae averages over p(y|x), unless --y gives the labels.
    """
    _write_mapped("transform", model, data, labels, output)


@click.command(short_help="Write what is left of rows after the isthmus.")
@click.argument("model")
@click.argument("data")
@OUTPUT
@LABELS
def reconstruct(model: str, data: str, output: str, labels: str | None) -> None:
    """Write every row of DATA as its code restores it, (N, D), in the data's own units.

    Of a denoising autoencoder this is the denoised row. A conditional_vae averages over p(y|x), unless --y gives the
    labels.
    """
    _write_mapped("reconstruct", model, data, labels, output)


@click.command(short_help="Fill the missing cells of rows.")
@click.argument("model")
@click.argument("data")
@OUTPUT
@LABELS
def impute(model: str, data: str, output: str, labels: str | None) -> None:
    """Write the rows of DATA with every missing cell (NaN, or empty in a .csv) filled by its conditional mean.

    Observed cells stay as they are, bit for bit. A conditional_vae averages over p(y|x), unless --y gives the labels.
    """
    _write_mapped("impute", model, data, labels, output)


@click.command(short_help="Draw new rows from p(x).")
@click.argument("model")
@click.option("-n", "--rows", "n", type=click.IntRange(1), default=1, show_default=True, help="How many.")
@OUTPUT
@click.option("--y", "label", metavar="LABEL", help="What to draw, of a conditional_vae: one label, or [3, 5, 7] of n.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="The same seed, the same rows.")
def sample(model: str, n: int, output: str, label: str | None, seed: int) -> None:
    """Draw rows from p(x), noise of p(x|z) included; of a conditional_vae from p(x|y).

    Without --y, a conditional_vae draws labels from their shares in the training rows first.
    """
    check_output(output, model)
    fitted = load_model(model)
    if not hasattr(fitted, "sample"):
        raise ValueError(
            f"{model}: is {type(fitted).__name__}, which has no p(x) to draw from; fit a vae or conditional_vae."
        )
    if label is None:
        drawn = fitted.sample(n, random_state=seed)
    elif is_conditional(fitted):
        drawn = fitted.sample(n, y=_label(fitted, label), random_state=seed)
    else:
        raise ValueError(
            f"--y {label}: {model} is {type(fitted).__name__}; only a conditional_vae draws what is asked for."
        )
    save_array(output, drawn, _columns(fitted))


def _label(model: Any, text: str) -> Any:
    """Return a typed label, as text where the model's labels are text."""
    classes = getattr(model, "classes_", None)
    value = parse_value(text)
    if classes is None or classes.dtype.kind != "U":
        return value
    return [str(item) for item in value] if isinstance(value, list) else text


def _columns(model: Any) -> list[str] | None:
    """Return the names of a model's columns, where it knows them."""
    names = getattr(model, "feature_names_in_", None)
    return None if names is None else list(names)
