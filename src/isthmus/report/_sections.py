"""The sections of a report, from what was fitted on what to what was not computed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from isthmus.assessment import Examination
from isthmus.assessment._evidence import number, percent, plus_minus
from isthmus.assessment._odd import cell_text
from isthmus.report import _charts as charts
from isthmus.report import _images as pictures
from isthmus.report._numbers import describe
from isthmus.report._rows_and_columns import columns, dependencies, imputation, likelihood, marginals, missing, odd
from isthmus.report.page import Card, Section, Table

__all__ = ["cards", "sections"]

_SHOWN = 30  # columns that tables list
_CELLS = 8  # columns of tables of rows
_N_ROWS = 6

Shape = tuple[int, ...]


def cards(examination: Examination) -> list[Card]:
    """Return the key numbers."""
    assessment, result = examination.assessment, []
    if assessment.likelihood is not None:
        best = max(examination.references, key=lambda r: float(r.scores.mean()), default=None)
        comparison = "no simple model is comparable" if best is None else f"{best}: {number(float(best.scores.mean()))}"
        value = number(float(examination.scores.mean()))
        result.append(Card("likelihood", "Density", value, f"{examination.score_name}, nats per row", comparison))
    linear = examination.linear
    own = assessment.reconstruction.explained_variance if linear is None else linear.explained_by_model
    comparison = "" if linear is None else f"PCA with {linear.n_components} units: {percent(linear.explained)}"
    result.append(Card("reconstructions", "Reconstructions", percent(own), "of the data explained", comparison))
    latent = assessment.latent
    if latent is not None:
        information = (
            f"{number(latent.mutual_information)} to {number(latent.mutual_information_upper)} nats of information"
        )
        result.append(
            Card("latent", "Latent units", f"{latent.active_units} of {latent.n_units}", "are active", information)
        )
    if assessment.samples is not None:
        accuracy = percent(assessment.samples.two_sample_accuracy)
        result.append(Card("samples", "Samples", accuracy, "accuracy of a classifier", "indistinguishable: 50 %"))
    elif assessment.codes is not None:
        trust = number(assessment.codes.trustworthiness)
        result.append(Card("latent", "Codes", trust, "trustworthiness of neighbours", "at best 1"))
    return result


def sections(examination: Examination, image_shape: Shape | None) -> list[Section]:
    """Return all sections that can be shown; reasons for those that cannot are in the last one."""
    writers: list[Callable[[Examination, Shape | None], Section | None]] = [
        _model,
        _training,
        _reconstructions,
        _latent,
        _units,
        _samples,
        likelihood,
        odd,
        imputation,
        columns,
        marginals,
        dependencies,
    ]
    made = [write(examination, image_shape) for write in writers]
    return [section for section in made if section is not None] + missing(examination)


# ---- model and training --------------------------------------------------------------------------------------


def _model(examination: Examination, _shape: Shape | None) -> Section:
    """Say what was fitted on what."""
    estimator, about = examination.context.estimator, describe(examination.context.estimator)
    rows = [
        ["Model", about["fields"]],
        ["Likelihood", about["likelihood"]],
        *([["Prior", about["prior"]]] if about["prior"] else []),
        ["Parameters", f"{about['n_parameters']:,}"],
        ["Training", f"{about['epochs']} epoch{'' if about['epochs'] == 1 else 's'}, {about['seconds']:.1f} s"],
        ["Used here", f"{len(examination.index):,} of {examination.n_rows:,} rows"],
    ]
    tables = [Table("", ["", ""], rows)]
    if estimator._codec is not None:
        tables.append(_codec_table(estimator._codec))
    return Section("model", "Model and data", "", "", [], tables)


def _codec_table(codec: Any) -> Table:
    """Return the columns of a table and how each is encoded."""
    rows = []
    for column in codec.columns[:_SHOWN]:
        missing = f"{100 * column.missing:.1f} %" if column.missing else ""
        names = [
            likelihood if isinstance(likelihood, str) else type(likelihood).__name__
            for likelihood in column.likelihoods()
        ]
        rows.append([str(column.name), column.kind, " + ".join(names).lower(), missing, column.levels()])
    more = f" (the first {_SHOWN} of {len(codec.columns)})" if len(codec.columns) > _SHOWN else ""
    return Table(f"The columns of the table{more}.", ["column", "kind", "likelihood", "missing", "levels"], rows)


def _training(examination: Examination, _shape: Shape | None) -> Section | None:
    history = examination.context.estimator.history_
    if not history:
        examination.not_computed["Learning curves"] = "the model has no history: there was nothing to train"
        return None
    terms = [name for name in history[-1] if name not in ("epoch", "learning_rate", "seconds")]
    ends = history[:: max(1, len(history) - 1)]  # one record of one epoch
    table = Table(
        "", ["epoch", *(t.replace("_", " ") for t in terms)],
        [[str(int(r["epoch"])), *(number(r.get(t, math.nan)) for t in terms)] for r in ends], True,
    )  # fmt: skip
    return Section("training", "Learning curves", "", "", [charts.history_chart(examination)], [table])


# ---- reconstructions -----------------------------------------------------------------------------------------


def _reconstructions(examination: Examination, shape: Shape | None) -> Section:
    part, linear = examination.assessment.reconstruction, examination.linear
    share = "" if linear is None else f" PCA with {linear.n_components} units explains {percent(linear.explained)}."
    own = part.explained_variance if linear is None else linear.explained_by_model
    text = (
        f"Reconstructions from the codes explain {percent(own)} of the data.{share} "
        f"The mean log p(x|code) is {plus_minus(part.score)} nats per row."
    )
    if shape is not None:
        return Section(
            "reconstructions", "Reconstructions", "", text, [pictures.reconstructed_images(examination, shape)]
        )
    return Section("reconstructions", "Reconstructions", "", text, [], [_reconstruction_table(examination)])


def _reconstruction_table(examination: Examination) -> Table:
    """Return the rows that are reconstructed best, as usual and worst, with their reconstructions."""
    ctx = examination.context
    error = np.asarray(ctx.call("reconstruction_error"), dtype=np.float64)
    order = np.argsort(error, kind="stable")
    middle = len(order) // 2
    chosen = {"best": order[:2], "typical": order[middle : middle + 2], "worst": order[::-1][:2]}
    names, places = _telling(examination)
    rows = []
    for name, index in chosen.items():
        real, rebuilt = ctx.rows(index), ctx.call("reconstruct", index)
        for i, row in enumerate(index):
            head = f"{name}: row {examination.index[row]}"
            rows.append([head, *(cell_text(real, i, d) for d in places)])
            rows.append(["reconstruction", *(cell_text(rebuilt, i, d) for d in places)])
    return Table(_of_columns(examination, names), ["", *names], rows)


def _telling(examination: Examination) -> tuple[list[str], list[int]]:
    """Return names and places of at most eight columns, those that are explained best."""
    ctx = examination.context
    all_names = ctx.cells(ctx.rows()).names if ctx.table is None else list(map(str, ctx.table.columns))
    columns = [c for c in examination.assessment.reconstruction.columns if math.isfinite(c.explained)]
    best = {c.name for c in sorted(columns, key=lambda c: -c.explained)[:_CELLS]}
    names = [name for name in all_names if name in best]
    return names, [all_names.index(name) for name in names]


def _of_columns(examination: Examination, names: list[str]) -> str:
    """Return a note on which columns are shown."""
    total = len(examination.assessment.reconstruction.columns)
    return f"The {len(names)} of {total} columns that are reconstructed best." if len(names) < total else ""


# ---- latent space --------------------------------------------------------------------------------------------


def _latent(examination: Examination, _shape: Shape | None) -> Section | None:
    latent, codes = examination.assessment.latent, examination.assessment.codes
    words = []
    if latent is not None:
        words.append(
            f"{latent.active_units} of {latent.n_units} units are active. Codes carry "
            f"{number(latent.mutual_information)} to {number(latent.mutual_information_upper)} nats of "
            "information on their row."
        )
    if codes is not None:
        words.append(f"The trustworthiness of neighbours is {number(codes.trustworthiness)} (at best 1).")
        if codes.neighbour_accuracy is not None and codes.neighbour_accuracy_in_data is not None:
            words.append(
                f"Five nearest codes predict the label with an accuracy of {percent(codes.neighbour_accuracy)}, five "
                f"nearest rows with {percent(codes.neighbour_accuracy_in_data)}."
            )
    drawn = []
    if examination.codes.shape[1] > 1:
        drawn += charts.plane_charts(examination)
    else:
        examination.not_computed["Latent plane"] = "the model has one latent unit"
    if latent is not None:
        drawn.append(charts.information_chart(examination))
    else:
        examination.not_computed["Information of each unit"] = "the model has no density p(x)"
    return Section("latent", "Latent space", "", " ".join(words), drawn)


def _units(examination: Examination, shape: Shape | None) -> Section | None:
    if shape is not None:
        if examination.context.estimator.conditional:
            examination.not_computed["Traversals"] = "decoding needs a condition"
            return None
        return Section("units", "What each unit does", "", "", [pictures.traversed_images(examination, shape)])
    if examination.effects is None:
        return None
    return Section("units", "What each unit does", "", "", [charts.effect_chart(examination)])


def _samples(examination: Examination, shape: Shape | None) -> Section | None:
    part = examination.assessment.samples
    if examination.samples is None:
        examination.not_computed["Samples"] = "the model has no density p(x)"
        return None
    text = ""
    if part is not None:
        text = (
            f"A classifier of nearest neighbours tells {part.n_samples:,} samples from as many rows with an accuracy "
            f"of {percent(part.two_sample_accuracy)}: 50 % if they are alike, and less if samples copy rows. "
            f"{percent(part.precision)} of the samples lie among the rows, {percent(part.recall)} of the rows among "
            "the samples."
        )
    if examination.classifier is not None:
        text += (
            f" Gradient-boosted trees trained to tell them apart are right for "
            f"{percent(examination.classifier.accuracy)} of those that they were not fitted to "
            f"(50 ± {100 * examination.classifier.standard_error:.0f} % if samples and rows are alike)."
        )
    if shape is not None:
        return Section("samples", "Samples", "", text, [pictures.sampled_images(examination, shape)])
    ctx = examination.context
    names, places = _telling(examination)
    index = np.random.default_rng(ctx.seed).permutation(len(examination.scores))[:_N_ROWS]
    real, drawn = ctx.rows(index), examination.samples
    n = min(_N_ROWS, len(examination.scores))
    rows = [["row", *(cell_text(real, i, d) for d in places)] for i in range(n)]
    rows += [["sample", *(cell_text(drawn, i, d) for d in places)] for i in range(n)]
    return Section("samples", "Samples", "", text, [], [Table(_of_columns(examination, names), ["", *names], rows)])
