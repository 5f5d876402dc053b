"""The sections of a report on likelihoods, odd rows, missing cells and columns."""

from __future__ import annotations

import math

from isthmus.assessment import Examination
from isthmus.assessment._evidence import number, percent, plus_minus
from isthmus.assessment._odd import AT_CODE
from isthmus.report import _charts as charts
from isthmus.report import _images as pictures
from isthmus.report.page import Section, Table

__all__ = ["columns", "dependencies", "imputation", "likelihood", "marginals", "missing", "odd"]

_SHOWN = 30  # columns that tables list

Shape = tuple[int, ...]


# ---- likelihoods and odd rows --------------------------------------------------------------------------------


def likelihood(examination: Examination, _shape: Shape | None) -> Section:
    """Show the likelihoods of rows, and of simple models."""
    part = examination.assessment.likelihood
    text = f"The mean {examination.score_name} is {number(float(examination.scores.mean()))} nats per row."
    if part is not None:
        text += (
            f" The ELBO is {plus_minus(part.elbo)}: distortion {number(part.distortion)} and rate {number(part.rate)}. "
            f"The estimate is unreliable in {len(part.unreliable)} {'row' if len(part.unreliable) == 1 else 'rows'}."
        )
    rows = []
    for reference in examination.references:
        gain = examination.scores - reference.scores
        error = float(gain.std(ddof=1)) / math.sqrt(len(gain))
        mean = number(float(reference.scores.mean()))
        rows.append([str(reference), mean, f"{number(float(gain.mean()))} ± {number(error)}"])
    fitted = (
        "the training rows"
        if examination.training_scores is not None
        else "two thirds of these rows, and scored on the others"
    )
    caption = f"Simple models, fitted to {fitted}; gains are paired over rows."
    tables = [Table(caption, ["model", "log p(x)", "gain of this model"], rows, True)] if rows else []
    return Section("likelihood", "Likelihoods", "", text, [charts.likelihood_chart(examination)], tables)


def odd(examination: Examination, shape: Shape | None) -> Section:
    given = "the code" if AT_CODE in examination.not_computed else "the other cells"
    text = f"The least likely rows under the model, and their cells that are oddest given {given} of the row."
    rows = []
    for row in examination.odd:
        cells = "; ".join(f"{c.column} = {c.value}, expected {c.expected} ({number(c.nats)} nats)" for c in row.cells)
        rows.append([f"row {row.row}", number(row.score), cells])
    table = Table("", ["", examination.score_name, "odd cells, with their log p and the usual one"], rows)
    drawn = [] if shape is None else [pictures.odd_images(examination, shape)]
    return Section("odd", "Odd rows", "", text, drawn, [] if shape is not None else [table])


def imputation(examination: Examination, _shape: Shape | None) -> Section | None:
    """Show how well hidden cells are imputed."""
    part = examination.assessment.imputation
    if part is None:
        return None
    words = [f"{part.n_hidden:,} cells were hidden and imputed."]
    if part.rmse is not None and part.rmse_of_column_means is not None:
        words.append(
            f"The error of imputed numbers is {number(part.rmse)} standard deviations; that of column means is "
            f"{number(part.rmse_of_column_means)}."
        )
    if part.accuracy is not None and part.accuracy_of_most_frequent is not None:
        words.append(
            f"{percent(part.accuracy)} of hidden levels are imputed correctly; the most frequent level is correct for "
            f"{percent(part.accuracy_of_most_frequent)}."
        )
    if not part.coverage:
        examination.not_computed["Coverage of imputations"] = "the model has no density p(x), or no numbers were hidden"
        return Section("imputation", "Missing cells", "", " ".join(words))
    if part.coverage_90 is not None:
        words.append(f"Intervals of 90 % contain {percent(part.coverage_90)} of the hidden cells.")
    return Section("imputation", "Missing cells", "", " ".join(words), [charts.coverage_chart(examination)])


# ---- columns -------------------------------------------------------------------------------------------------


def columns(examination: Examination, shape: Shape | None) -> Section | None:
    """Show the errors of columns."""
    if shape is not None:
        return None
    by_share = sorted(examination.assessment.reconstruction.columns, key=lambda c: -_finite(c.explained))
    shown = by_share[:_SHOWN]
    rows = [
        [
            c.name,
            percent(c.explained) if math.isfinite(c.explained) else "constant",
            percent(c.error) if c.kind == "category" else number(c.error),
            percent(c.baseline) if c.kind == "category" else number(c.baseline),
            number(c.negative_log_likelihood),
        ]
        for c in shown
    ]
    more = f" The {_SHOWN} of {len(by_share)} columns that are explained best." if len(by_share) > _SHOWN else ""
    caption = (
        "Errors of reconstructions: of numbers the root mean squared error in their own units (days for times), "
        "next to the standard deviation; of categories the share of wrong levels, and "
        f"that of the most frequent level.{more}"
    )
    header = ["column", "explained", "error", "error of the mean", "−log p(x|code), nats"]
    return Section("columns", "Columns", "", "", [], [Table(caption, header, rows, True)])


def _finite(value: float) -> float:
    return value if math.isfinite(value) else -math.inf


def marginals(examination: Examination, _shape: Shape | None) -> Section | None:
    """Show the distributions of columns."""
    if not examination.marginals:
        return None
    worst = examination.marginals[0]
    text = (
        f"Rows and samples differ most in {worst.name}: the total variation distance of its distributions is "
        f"{number(worst.distance)} (0: equal, 1: disjoint)."
    )
    return Section("marginals", "Distributions of columns", "", text, [charts.marginal_charts(examination)])


def dependencies(examination: Examination, _shape: Shape | None) -> Section | None:
    """Show the dependencies between columns."""
    if examination.dependencies is None:
        return None
    text = (
        f"Dependencies between pairs of columns differ by {number(examination.dependencies.difference)} on average "
        "between rows and samples (0: equal, at most 1)."
    )
    return Section("dependencies", "Dependencies between columns", "", text, [charts.dependency_chart(examination)])


def missing(examination: Examination) -> list[Section]:
    """Return a section on what was not computed, if anything."""
    if not examination.not_computed:
        return []
    rows = [[name, f"Not computed, because {reason}."] for name, reason in examination.not_computed.items()]
    return [Section("missing", "Not computed", "", "", [], [Table("", ["", ""], rows)])]
