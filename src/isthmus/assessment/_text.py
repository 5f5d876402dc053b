"""Results as text, for ``isthmus evaluate`` and notebooks: one line per metric, with its unit and how to read it."""

from __future__ import annotations

import html
import math
import textwrap
from collections.abc import Iterator
from typing import Any

__all__ = ["as_html", "as_text", "plain_values"]

_WIDTH = 99
_NAME, _VALUE = 24, 18  # widths of the columns


def plain_values(value: Any) -> Any:
    """Return nested named tuples as dicts for JSON; None for what is not finite or was not computed.

    Examples
    --------
    >>> plain_values((float("nan"), 1.5))
    [None, 1.5]
    """
    if hasattr(value, "get_params"):
        return repr(value)
    if hasattr(value, "_asdict"):
        return {name: plain_values(item) for name, item in value._asdict().items()}
    if isinstance(value, (list, tuple)):
        return [plain_values(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def as_text(result: Any) -> str:
    """Return an `Assessment` or a `Selection` as text, in lines shorter than 100 characters."""
    lines = _selection(result) if hasattr(result, "baselines") else _assessment(result)
    return "\n".join(line.rstrip() for line in lines)


def as_html(result: Any) -> str:
    """Return the same as HTML, for notebooks."""
    return f'<pre style="margin: 0; line-height: 1.4">{html.escape(as_text(result))}</pre>'


def _line(name: str, value: str, meaning: str = "") -> str:
    """Return the line of a metric; a long meaning is wrapped below itself."""
    head = f"  {name:<{_NAME}}{value:>{_VALUE}}  "
    indent = " " * len(head)
    return textwrap.fill(meaning, _WIDTH, initial_indent=head, subsequent_indent=indent) if meaning else head


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    if not math.isfinite(value):
        return "not finite"
    return f"{value:.3f}" if abs(value) >= 0.01 or value == 0 else f"{value:.2g}"


def _mean(mean: Any) -> str:
    """Return a mean with its standard error."""
    error = "" if math.isnan(mean.standard_error) else f" +- {_number(mean.standard_error)}"
    return _number(mean.mean) + error


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %" if math.isfinite(value) else "-"


def _indices(indices: list[int], n: int = 10) -> str:
    return ", ".join(map(str, indices[:n])) + (", ..." if len(indices) > n else "")


# ---- one model -----------------------------------------------------------------------------------------------


def _assessment(result: Any) -> Iterator[str]:
    yield f"{result.model}, {result.n_samples} rows (+- is the standard error over rows)"
    sections = {
        "likelihood, in nats per row and in the data's units": (_likelihood, result.likelihood),
        "annealed importance sampling, in nats per row": (_annealing, result.annealing),
        "latent space, in nats per row": (_latent, result.latent),
        "reconstruction": (_reconstruction, result.reconstruction),
        _title("generated samples, in standard deviations of the data", result.samples): (_samples, result.samples),
        _title("codes", result.codes): (_codes, result.codes),
        "imputation, in standard deviations of the data": (_imputation, result.imputation),
    }
    for title, (lines, part) in sections.items():
        if part is not None:
            yield from ("", title, *lines(part))


def _title(title: str, part: Any) -> str:
    """Return a title with the number of rows that were used."""
    return title if part is None else f"{title} ({part.n_samples} rows)"


def _likelihood(part: Any) -> Iterator[str]:
    draws = f"{part.median_effective_draws:.0f} of {part.n_draws}"
    yield _line(part.quantity, _mean(part.log_px), "higher is better; as score_samples of scikit-learn")
    yield _line("effective draws", draws, "median over rows; below 10: unreliable")
    rows = f"usually too low there: {_indices(part.unreliable, 6)}" if part.unreliable else ""
    yield _line("unreliable rows", str(len(part.unreliable)), rows)
    yield _line("ELBO", _mean(part.elbo), "-(distortion + rate), a lower bound of log p(x)")
    yield _line("distortion", _number(part.distortion), "E_q[-log p(x|z)], the reconstruction term")
    yield _line("rate", _number(part.rate), "KL(q(z|x) || p(z)), the cost of the code")


def _annealing(part: Any) -> Iterator[str]:
    yield _line("log p(x)", _mean(part.log_px), f"of {len(part.indices)} rows: {_indices(part.indices)}")
    yield _line("difference", _mean(part.difference), "from importance sampling; 0: both agree")
    yield _line("gap between bounds", _mean(part.bound_gap), "on simulated rows; 0: annealing is exact")


def _latent(part: Any) -> Iterator[str]:
    bounds = f"{_number(part.mutual_information)} to {_number(part.mutual_information_upper)}"
    limit = f"of rows and codes; at most log(N) = {part.max_mutual_information:.3f}"
    yield _line("active units", f"{part.active_units} of {part.n_units}", "units whose mean varies between rows")
    yield _line("mutual information", bounds, limit)
    if part.kl_per_unit is not None:
        strongest = sorted(range(part.n_units), key=lambda k: -part.kl_per_unit[k])[:8]
        named = ", ".join(f"{k}: {part.kl_per_unit[k]:.2f}" for k in strongest)
        yield _line("KL per unit", _number(sum(part.kl_per_unit)), f"sum; from its marginal prior, of units {named}")
    if part.aggregate_kl is not None:
        yield _line("KL(q(z) || p(z))", _number(part.aggregate_kl), "0: prior and aggregate posterior match")
    if part.aggregate_mmd is not None:
        yield _line("MMD of q(z) and p(z)", _number(part.aggregate_mmd), "squared; 0: they match")
    for text in part.report.splitlines():
        yield textwrap.fill(text, _WIDTH, initial_indent="  ", subsequent_indent="  ")


def _reconstruction(part: Any) -> Iterator[str]:
    yield _line("log p(x|code)", _mean(part.score), "nats per row at the mean code; higher is better")
    if part.mse is not None:
        yield _line("mean squared error", _number(part.mse), "per cell, in the data's units")
    yield _line("explained variance", _percent(part.explained_variance), "0 %: no better than the column means")
    for column in part.columns[:5]:
        if column.kind == "category":
            spread = f"wrong: {_percent(column.error)}, by the most frequent level {_percent(column.baseline)}"
        else:
            spread = f"RMSE {_number(column.error)}, standard deviation {_number(column.baseline)}"
        name, nats = f"worst: {column.name}"[:_NAME], _number(column.negative_log_likelihood)
        yield _line(name, nats, f"-log p in nats; {spread}")


def _samples(part: Any) -> Iterator[str]:
    reference = f"squared; by chance alone: {_number(part.frechet_reference)}"
    yield _line("Frechet distance", _number(part.frechet_distance), reference)
    yield _line("precision", _percent(part.precision), "of samples lie among the data")
    yield _line("recall", _percent(part.recall), "of the data lie among the samples")
    if part.mmd is not None:
        yield _line("MMD", _number(part.mmd), "squared; 0: samples and data match")
    accuracy = _percent(part.two_sample_accuracy)
    yield _line("two-sample accuracy", accuracy, "nearest neighbour; 50 %: alike, below: memorised")


def _codes(part: Any) -> Iterator[str]:
    yield _line("trustworthiness", _number(part.trustworthiness), "1: codes that are neighbours are so in the data")
    if part.neighbour_accuracy is not None:
        in_data = f"of labels by 5 codes; by 5 rows: {_percent(part.neighbour_accuracy_in_data)}"
        yield _line("neighbour accuracy", _percent(part.neighbour_accuracy), in_data)


def _imputation(part: Any) -> Iterator[str]:
    n = part.n_hidden - part.n_levels
    if part.rmse is not None:
        means = f"of {n} hidden cells; with column means: {_number(part.rmse_of_column_means)}"
        yield _line("RMSE", _number(part.rmse), means)
    if part.accuracy is not None:
        frequent = f"of {part.n_levels} hidden levels; of the most frequent: {_percent(part.accuracy_of_most_frequent)}"
        yield _line("accuracy", _percent(part.accuracy), frequent)
    if part.crps is not None:
        yield _line("CRPS", _number(part.crps), "of 49 imputations; lower is better")
        yield _line("coverage of 50 %", _percent(part.coverage_50), "of hidden cells lie in the 50 % interval")
        yield _line("coverage of 90 %", _percent(part.coverage_90), "of hidden cells lie in the 90 % interval")


# ---- several sizes -------------------------------------------------------------------------------------------


def _selection(result: Any) -> Iterator[str]:
    yield f"log p(x) of {result.n_test} held-out rows, in nats per row, after fitting to {result.n_train} rows"
    yield ""
    baselines = {(model.name, model.n_components): model for model in result.baselines}
    columns = (("PCA", 12), ("FactorAnalysis", 17)) if baselines else ()
    head = f"{'K':>4}{'log p(x)':>20}{'below the best':>20}{'unreliable':>12}{'fit':>10}"
    yield head + "".join(f"{name:>{width}}" for name, width in columns)
    for size in result.sizes:
        log_px = f"{size.log_px:.3f} +- {size.standard_error:.3f}"
        below = f"{size.below_best:.3f} +- {size.below_best_error:.3f}"
        text = f"{size.n_components:>4}{log_px:>20}{below:>20}{size.n_unreliable:>12}{size.seconds:>8.1f} s"
        models = [(baselines.get((name, size.n_components)), width) for name, width in columns]
        yield text + "".join(f"{f'{model.log_px:.3f}' if model else '-':>{width}}" for model, width in models)
    yield ""
    for model in result.baselines:
        if model.name == "GaussianMixture":
            log_px = f"{model.log_px:.3f} +- {model.standard_error:.3f}"
            yield f"GaussianMixture with {model.n_components} components: {log_px}"
    yield f"Selected: {result.n_components}, the smallest within one standard error of the best (paired over rows)."
    if len(result.sizes) > 1 and result.n_components == result.sizes[-1].n_components:
        yield "This is the largest size tried; try larger ones."
