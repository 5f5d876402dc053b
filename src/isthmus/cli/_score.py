"""``isthmus score``."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import click

from isthmus._formats import any_of, writable_suffixes
from isthmus.cli._apply import model_and_rows, numbers_per_row
from isthmus.cli._data import LABELS, AlignedBlocks
from isthmus.cli._errors import about, note
from isthmus.cli._paths import check_output
from isthmus.cli._results import compute_by_chunks, write_result

if TYPE_CHECKING:
    import numpy as np

    from isthmus.data import Dataset

__all__ = ["score"]


@click.command(short_help="Print the mean log p(x).")
@click.argument("model")
@click.argument("data")
@click.option("-o", "--output", metavar="FILE", help=f"Write the score of each row: {any_of(writable_suffixes())}.")
@LABELS
@click.option("--by-column", is_flag=True, help="log p of each column given the others; -o writes it for each cell.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def score(model: str, data: str, output: str | None, labels: str | None, by_column: bool, as_json: bool) -> None:
    """Print the mean log p(x) of the rows of DATA, in nats per row. Higher is better.

    For a vae, log p(x) is estimated by importance sampling, in the units of the data: it is comparable to score_samples
    of scikit-learn's GaussianMixture. The ELBO, a lower bound, is printed with its two terms.

    A conditional_vae prints log p(x), summed over the labels, or log p(x|y) if --y gives them. The other autoencoders
    have no density p(x); the score is then log p(x|f(x)), the quality of reconstructions.

    With --by-column, it is log p of each cell given the other cells of its row, where the model is a vae, and else
    log p(x_d | code). Rows are counted from 0.
    """
    if output is not None:
        check_output(output, model, data, labels)
    fitted, rows, y = model_and_rows(model, data, labels, tables=True)
    if by_column:
        _score_columns(fitted, rows, y, data, output, as_json=as_json)
        return
    with about(data):
        if fitted.has_density:
            call = fitted.score_samples if fitted.conditional else lambda X, _: fitted.score_samples(X)
            scores = compute_by_chunks("log p(x)", call, rows, y, numbers_per_row(fitted))
        else:
            scores = -_by_chunks(fitted.reconstruction_error, fitted, rows)
        terms = _elbo_terms(fitted, rows, y)
    quantity = ("log p(x)" if y is None else "log p(x|y)") if fitted.has_density else "log p(x|f(x))"
    result = {"model": type(fitted).__name__, "quantity": quantity, "unit": "nats per row", "rows": len(scores)}
    error = None if len(scores) < 2 else _finite(float(scores.std(ddof=1, dtype="float64") / math.sqrt(len(scores))))
    result |= {"mean": _mean(scores), "standard_error": error, **terms}
    if output is not None:
        write_result(output, scores, ["log_p"])
    click.echo(json.dumps(result) if as_json else _table(result))
    _note_grey_cells(fitted, rows)


def _score_columns(model: Any, rows: Dataset, y: Any, data: str, output: str | None, *, as_json: bool) -> None:
    """Print the mean log p of each column, and write that of each cell."""
    import numpy as np

    given_others = hasattr(model, "score_features") and y is None
    with about(data):
        if given_others:
            cells = _by_chunks(model.score_features, model, rows)
        elif y is None:
            cells = -_by_chunks(model.feature_errors, model, rows)
        else:
            cells = -model.feature_errors(rows.X, y)
    names = rows.columns or tuple(getattr(model, "feature_names_in_", ()))
    if model._codec is not None:
        names, cells = tuple(map(str, model._codec.names)), np.asarray(cells)
    names = names or tuple(f"x{i}" for i in range(cells.shape[1]))
    if output is not None:
        write_result(output, cells, list(names))
    quantity = "log p(x_d | other columns)" if given_others else "log p(x_d | code)"
    means = [None if np.isnan(own).all() else _mean(own[~np.isnan(own)]) for own in cells.T]
    if as_json:
        result = {"model": type(model).__name__, "quantity": quantity, "unit": "nats per cell", "rows": len(cells)}
        click.echo(json.dumps(result | {"columns": dict(zip(names, means, strict=True))}))
        return
    width = max(map(len, names)) + 2
    click.echo(f"{quantity}, nats per cell\n{'column':<{width}}{'mean':>10}{'lowest':>12}   in row")
    for name, mean, own in zip(names, means, cells.T, strict=True):
        if mean is None:
            click.echo(f"{name:<{width}}{'-':>10}   left out of the model, or missing in all rows")
        else:
            click.echo(f"{name:<{width}}{mean:>10.3f}{np.nanmin(own):>12.3f}   {np.nanargmin(own)}")


def _by_chunks(method: Any, model: Any, rows: Dataset) -> Any:
    """Return ``method(X)``, of a table that is read block by block as an array."""
    import numpy as np

    if not isinstance(rows.X, AlignedBlocks):
        return method(rows.X)
    return compute_by_chunks("cells", lambda X, _: np.asarray(method(X)), rows, None, numbers_per_row(model))


def _elbo_terms(model: Any, rows: Dataset, y: Any) -> dict[str, float | None]:
    """Return the means of the ELBO and its terms; nothing for a model without a density."""
    import numpy as np

    if not model.has_density:
        return {}
    call = model.elbo if model.conditional else lambda X, _: model.elbo(X)
    table = compute_by_chunks("ELBO", lambda X, y_: np.stack(call(X, y_), axis=1), rows, y, numbers_per_row(model))
    return dict(zip(("elbo", "reconstruction", "kl"), map(_mean, table.T), strict=True))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _mean(values: np.ndarray) -> float | None:
    return _finite(float(values.mean(dtype="float64")))


def _table(result: dict[str, Any]) -> str:
    """Return the result as lines of text."""

    def line(name: str, key: str, meaning: str) -> str:
        value = result[key]
        return f"{name:<18}{'not finite' if value is None else f'{value:.3f}':>12}{meaning}"

    given = ",y" if result["quantity"] == "log p(x|y)" else ""
    error = result["standard_error"]
    spread = "" if error is None else f" +- {error:.3f}"
    n_rows = f"{result['rows']} row{'' if result['rows'] == 1 else 's'}"
    lines = [line(result["quantity"], "mean", f"{spread}   nats per row, mean +- standard error of {n_rows}")]
    if "elbo" in result:
        lines.append(line("ELBO", "elbo", "   lower bound of log p(x) = -(reconstruction + KL)"))
        lines.append(line("  reconstruction", "reconstruction", f"   E_q[-log p(x|z{given})]"))
        lines.append(line("  KL", "kl", f"   KL(q(z|x{given}) || p(z))"))
    return "\n".join(lines)


def _note_grey_cells(model: Any, rows: Dataset) -> None:
    """Print a note if columns with a binary likelihood hold values between 0 and 1."""
    import numpy as np
    import torch

    if rows.is_frame or isinstance(rows.X, AlignedBlocks):
        return
    likelihood = model.model_.likelihood
    binary = [column for column in range(model.n_features_in_) if likelihood.for_column(column).binary]
    scaled = model.model_.scaling(torch.from_numpy(rows.X[:1000].astype(np.float64)))[:, binary]
    if bool(((scaled > 0) & (scaled < 1)).any()):
        note(
            "DATA has cells between 0 and 1: their Bernoulli log-probability is not a density and cannot be compared "
            "with other likelihoods"
        )
