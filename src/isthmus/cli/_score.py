"""``isthmus score``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from isthmus.cli._apply import is_conditional, model_and_rows, scoring_width
from isthmus.cli._data import LABELS, by_rows, check_output, save_array
from isthmus.cli._errors import about, note

if TYPE_CHECKING:
    import numpy as np

    from isthmus.data import Dataset

__all__ = ["score"]


@click.command(short_help="Print log p(x), in nats a row.")
@click.argument("model")
@click.argument("data")
@click.option("-o", "--output", metavar="FILE", help="Write the score of every row: .npy, .npz or .csv.")
@LABELS
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def score(model: str, data: str, output: str | None, labels: str | None, as_json: bool) -> None:
    """Print the mean of log p(x) over the rows of DATA, in nats a row and in the data's own units. Higher is better.

    For a vae, log p(x) is estimated by importance sampling with n_draws draws; it is comparable with the score_samples
    of scikit-learn's GaussianMixture. The ELBO, a lower bound of it, is printed with its two parts. A conditional_vae
    prints log p(x), summed over the labels, or log p(x|y) where --y gives them. The other autoencoders have no p(x):
    theirs is log p(x|f(x)), which tells how well rows are restored.
    """
    import json

    if output is not None:
        check_output(output, model, data)
    fitted, rows, y = model_and_rows(model, data, labels)
    with about(data):
        scores = _scores(fitted, rows, y)
        parts = _elbo(fitted, rows, y)
    given = "|y" if y is not None else ""
    name = f"log p(x{given})" if parts else "log p(x|f(x))"
    result = {"model": type(fitted).__name__, "quantity": name, "unit": "nats per row", "rows": len(scores)}
    result |= {"mean": _mean(scores), "standard_error": _standard_error(scores), **parts}
    if output is not None:
        save_array(output, scores, ["log_p"])
    click.echo(json.dumps(result) if as_json else _table(result))
    _warn_of_grey(fitted, rows)


def _scores(model: Any, rows: Dataset, y: Any) -> np.ndarray:
    """Return the score of every row, (N,)."""
    if not hasattr(model, "score_samples"):
        return -model.reconstruction_error(rows.X)
    call = model.score_samples if is_conditional(model) else lambda X, _: model.score_samples(X)
    return by_rows("log p(x)", call, rows, y, scoring_width(model))


def _elbo(model: Any, rows: Dataset, y: Any) -> dict[str, float | None]:
    """Return the mean of the ELBO and of its parts; nothing for a model without."""
    import numpy as np

    if not hasattr(model, "elbo"):
        return {}
    call = model.elbo if is_conditional(model) else lambda X, _: model.elbo(X)
    table = by_rows("ELBO", lambda X, y_: np.stack(call(X, y_), axis=1), rows, y, scoring_width(model))
    return dict(zip(("elbo", "reconstruction", "kl"), map(_mean, table.T), strict=True))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _mean(values: np.ndarray) -> float | None:
    return _finite(float(values.mean(dtype="float64")))


def _standard_error(values: np.ndarray) -> float | None:
    """Return the standard error of the mean; none for one row."""
    if len(values) < 2:
        return None
    return _finite(float(values.std(ddof=1, dtype="float64") / math.sqrt(len(values))))


def _table(result: dict[str, Any]) -> str:
    """Return the numbers as lines to read."""

    def line(name: str, key: str, tail: str = "") -> str:
        value = result[key]
        return f"{name:<26}{'not finite' if value is None else f'{value:.3f}':>12}{tail}"

    given = ",y" if result["quantity"] == "log p(x|y)" else ""
    error = result["standard_error"]
    spread = "" if error is None else f" +- {error:.3f}"
    lines = [
        line(result["quantity"], "mean", f"{spread}   nats a row, mean of {result['rows']} rows +- standard error")
    ]
    if "elbo" in result:
        lines.append(line("ELBO", "elbo", "   = -(reconstruction + KL), a lower bound of it"))
        lines.append(line("  reconstruction", "reconstruction", f"   E_q[-log p(x|z{given})]"))
        lines.append(line("  KL", "kl", f"   KL(q(z|x{given}) || p(z))"))
    return "\n".join(lines)


def _warn_of_grey(model: Any, rows: Dataset) -> None:
    """Say so where a likelihood of zeros and ones was given something between."""
    import numpy as np
    import torch

    likelihood = model.model_.likelihood
    if type(likelihood).__name__ != "Bernoulli":
        return
    scaled = model.model_.scaling(torch.from_numpy(rows.X[:1000].astype(np.float64)))
    if bool(((scaled > 0) & (scaled < 1)).any()):
        note(
            "DATA has cells between 0 and 1: a Bernoulli log-probability of grey cells is no density, "
            "and compares with no other likelihood"
        )
