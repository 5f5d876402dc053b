"""What ``isthmus evaluate`` prints: a line for each number, with its unit and what is good."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator
from typing import Any

__all__ = ["as_text", "plain_values"]

_WIDTH = 99
_NAME, _VALUE = 22, 20  # widths of the columns


def plain_values(value: Any) -> Any:
    """Return nested named numbers as dicts for JSON; what is not finite, and what was not measured, is None.

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
    """Return an assessment, or a choice among sizes, as text of lines shorter than 100 characters."""
    lines = _choice(result) if hasattr(result, "baselines") else _assessment(result)
    return "\n".join(line.rstrip() for line in lines)


def _line(name: str, value: str, meaning: str = "") -> str:
    """Return one measure; a meaning too long for the line goes on below."""
    head = f"  {name:<{_NAME}}{value:>{_VALUE}}  "
    return textwrap.fill(
        meaning, _WIDTH, initial_indent=head, subsequent_indent=" " * len(head), break_long_words=False
    ) if meaning else head  # fmt: skip


def _number(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return "not finite" if value is not None else "-"
    return f"{value:.3f}" if abs(value) >= 0.01 or value == 0 else f"{value:.2g}"


def _spread(pair: Any) -> str:
    """Return a mean and its standard error."""
    error = "" if math.isnan(pair.standard_error) else f" +- {_number(pair.standard_error)}"
    return _number(pair.mean) + error


def _share(value: float) -> str:
    return f"{100 * value:.1f} %" if math.isfinite(value) else "-"


def _some(rows: list[int], n: int = 10) -> str:
    return ", ".join(map(str, rows[:n])) + (", ..." if len(rows) > n else "")


# ---- one model -----------------------------------------------------------------------------------------------


def _assessment(found: Any) -> Iterator[str]:
    yield f"{found.model}, {found.rows} rows (+- is the standard error over rows)"
    sections = {
        "likelihood: nats a row, in the data's units": (_likelihood, found.likelihood),
        "annealed importance sampling: nats a row": (_annealed, found.annealed),
        "latent space: nats a row": (_latent, found.latent),
        "reconstruction": (_restored, found.restored),
        _of_rows("samples against rows, in standard deviations of the data", found.samples): (_samples, found.samples),
        _of_rows("codes", found.codes): (_codes, found.codes),
        "imputation, in standard deviations of the data": (_imputation, found.imputation),
    }
    for title, (lines, part) in sections.items():
        if part is not None:
            yield from ("", title, *lines(part))


def _of_rows(title: str, part: Any) -> str:
    """Return a title with the number of rows that were looked at."""
    return title if part is None else f"{title} ({part.rows} rows)"


def _likelihood(part: Any) -> Iterator[str]:
    draws = f"{part.median_effective_draws:.0f} of {part.n_draws}"
    yield _line(part.quantity, _spread(part.log_px), "higher is better; as scikit-learn's score_samples")
    yield _line("effective draws", draws, "median over rows; below 10 tells little")
    if part.unreliable:
        yield _line("rows not trusted", str(len(part.unreliable)), f"too low as a rule; {_some(part.unreliable, 6)}")
    else:
        yield _line("rows not trusted", "0")
    yield _line("ELBO", _spread(part.elbo), "= -(distortion + rate), a lower bound of it")
    yield _line("distortion", _number(part.distortion), "E_q[-log p(x|z)]: what the code leaves open")
    yield _line("rate", _number(part.rate), "KL(q(z|x) || p(z)): what the code costs")


def _annealed(part: Any) -> Iterator[str]:
    yield _line("log p(x)", _spread(part.log_px), f"of {len(part.rows)} rows: {_some(part.rows)}")
    yield _line("above the draws'", _spread(part.above), "near 0: log p(x) above is right for these rows")
    yield _line("sandwich", _spread(part.gap), "upper less lower bound, of rows it drew; 0 is exact")


def _latent(part: Any) -> Iterator[str]:
    known = f"{_number(part.mutual_information)} to {_number(part.mutual_information_upper)}"
    limit = f"of row and code; these rows show {part.largest_possible:.3f} at most"
    yield _line("active units", f"{part.active_units} of {part.n_units}", "their mean varies from row to row")
    yield _line("mutual information", known, limit)
    yield _line("KL(q(z) || p(z))", _number(part.aggregate_kl), "by the lower of these; 0: samples miss nothing")
    if part.aggregate_mmd is not None:
        yield _line("MMD of q(z) and p(z)", _number(part.aggregate_mmd), "squared; 0: codes lie as the prior has them")
    for text in part.report.splitlines():
        yield textwrap.fill(text, _WIDTH, initial_indent="  ", subsequent_indent="  ")


def _restored(part: Any) -> Iterator[str]:
    yield _line("log p(x|code)", _spread(part.score), "nats a row at the code's mean; higher is better")
    yield _line("mean squared error", _number(part.mse), "of a cell, in the data's units")
    yield _line("variance kept", _share(part.variance_kept), "100 %: in full; 0 %: no better than the means")
    for column in part.worst:
        meaning = f"nats; error {_number(column.rmse)}, standard deviation {_number(column.standard_deviation)}"
        yield _line(f"worst: {column.name}"[:_NAME], _number(column.nats), meaning)


def _samples(part: Any) -> Iterator[str]:
    floor = f"squared; two sets of one normal law have {_number(part.frechet_floor)}"
    yield _line("Frechet distance", _number(part.frechet), floor)
    yield _line("precision", _share(part.precision), "of samples lie among the rows")
    yield _line("recall", _share(part.recall), "of rows lie among the samples")
    if part.mmd is not None:
        yield _line("MMD", _number(part.mmd), "squared; 0 if they are alike")
    yield _line("told apart", _share(part.two_sample), "by nearest neighbours; 50 % if alike, less if copies")


def _codes(part: Any) -> Iterator[str]:
    yield _line("trustworthiness", _number(part.trustworthiness), "1: neighbours of a code are neighbours of its row")
    if part.neighbour_accuracy is not None:
        rows = f"of labels by 5 codes; by 5 rows {_share(part.neighbour_accuracy_of_rows)}"
        yield _line("neighbour accuracy", _share(part.neighbour_accuracy), rows)


def _imputation(part: Any) -> Iterator[str]:
    yield _line(
        "error", _number(part.rmse), f"of {part.hidden} hidden cells; {_number(part.rmse_of_means)} by column means"
    )
    if part.crps is not None:
        yield _line("CRPS", _number(part.crps), "of 49 imputations; lower is better")
        yield _line("50 % intervals hold", _share(part.coverage_50), "50 % is right")
        yield _line("90 % intervals hold", _share(part.coverage_90), "90 % is right")


# ---- several sizes -------------------------------------------------------------------------------------------


def _choice(found: Any) -> Iterator[str]:
    rivals = {(row.name, row.n_components): row for row in found.baselines}
    yield f"log p(x) of {found.n_test} rows held out, nats a row, after learning from {found.n_train}"
    yield ""
    head = f"{'K':>4}{'log p(x)':>20}{'below the best':>20}{'unreliable':>11}{'fit':>10}"
    yield head + (f"{'PCA':>12}{'FactorAnalysis':>17}" if rivals else "")
    for row in found.table:
        mean, below = (
            f"{row.log_px:.3f} +- {row.standard_error:.3f}",
            f"{row.below_best:.3f} +- {row.below_best_error:.3f}",
        )
        text = f"{row.n_components:>4}{mean:>20}{below:>20}{row.n_untrusted:>11}{row.seconds:>8.1f} s"
        pair = [rivals.get((name, row.n_components)) for name in ("PCA", "FactorAnalysis")]
        tail = "".join(f"{'-' if r is None else f'{r.log_px:.3f}':>{w}}" for r, w in zip(pair, (12, 17), strict=True))
        yield text + (tail if rivals else "")
    yield ""
    for row in found.baselines:
        if row.name == "GaussianMixture":
            yield f"GaussianMixture of {row.n_components}: {row.log_px:.3f} +- {row.standard_error:.3f}"
    yield f"Chosen: {found.best}, the smallest within one standard error of the best, row by row."
    if len(found.table) > 1 and found.best == found.table[-1].n_components:
        yield "That is the largest that was tried: try larger ones."
