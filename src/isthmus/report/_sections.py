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


def cards(found: Examination) -> list[Card]:
    """Return the key numbers."""
    assessment, result = found.assessment, []
    if assessment.likelihood is not None:
        best = max(found.references, key=lambda r: float(r.scores.mean()), default=None)
        beside = "no simple model is comparable" if best is None else f"{best}: {number(float(best.scores.mean()))}"
        value = number(float(found.scores.mean()))
        result.append(Card("likelihood", "Density", value, f"{found.score_name}, nats per row", beside))
    linear = found.linear
    own = assessment.reconstruction.explained_variance if linear is None else linear.explained_by_model
    beside = "" if linear is None else f"PCA with {linear.n_components} units: {percent(linear.explained)}"
    result.append(Card("reconstructions", "Reconstructions", percent(own), "of the data explained", beside))
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
        result.append(Card("samples", "Samples", accuracy, "told from rows", "alike: 50 %"))
    elif assessment.codes is not None:
        trust = number(assessment.codes.trustworthiness)
        result.append(Card("latent", "Codes", trust, "trustworthiness of neighbours", "at best 1"))
    return result


def sections(found: Examination, image_shape: Shape | None) -> list[Section]:
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
    made = [write(found, image_shape) for write in writers]
    return [section for section in made if section is not None] + missing(found)


# ---- model and training --------------------------------------------------------------------------------------


def _model(found: Examination, _shape: Shape | None) -> Section:
    """Say what was fitted on what."""
    estimator, about = found.context.estimator, describe(found.context.estimator)
    rows = [
        ["Model", about["fields"]],
        ["Likelihood", about["likelihood"]],
        *([["Prior", about["prior"]]] if about["prior"] else []),
        ["Parameters", f"{about['n_parameters']:,}"],
        ["Training", f"{about['epochs']} epoch{'' if about['epochs'] == 1 else 's'}, {about['seconds']:.1f} s"],
        ["Used here", f"{len(found.index):,} of {found.n_rows:,} rows"],
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


def _training(found: Examination, _shape: Shape | None) -> Section | None:
    history = found.context.estimator.history_
    if not history:
        found.not_computed["Learning curves"] = "the model has no history: there was nothing to train"
        return None
    terms = [name for name in history[-1] if name not in ("epoch", "learning_rate", "seconds")]
    ends = history[:: max(1, len(history) - 1)]  # one record of one epoch
    table = Table(
        "", ["epoch", *(t.replace("_", " ") for t in terms)],
        [[str(int(r["epoch"])), *(number(r.get(t, math.nan)) for t in terms)] for r in ends], True,
    )  # fmt: skip
    return Section("training", "Learning curves", "", "", [charts.history_chart(found)], [table])


# ---- reconstructions -----------------------------------------------------------------------------------------


def _reconstructions(found: Examination, shape: Shape | None) -> Section:
    part, linear = found.assessment.reconstruction, found.linear
    beside = "" if linear is None else f" PCA with {linear.n_components} units explains {percent(linear.explained)}."
    own = part.explained_variance if linear is None else linear.explained_by_model
    text = (
        f"Reconstructions from the codes explain {percent(own)} of the data.{beside} "
        f"The mean log p(x|code) is {plus_minus(part.score)} nats per row."
    )
    if shape is not None:
        return Section("reconstructions", "Reconstructions", "", text, [pictures.reconstructed_images(found, shape)])
    return Section("reconstructions", "Reconstructions", "", text, [], [_reconstruction_table(found)])


def _reconstruction_table(found: Examination) -> Table:
    """Return the rows that are reconstructed best, as usual and worst, with their reconstructions."""
    ctx = found.context
    error = np.asarray(ctx.call("reconstruction_error"), dtype=np.float64)
    order = np.argsort(error, kind="stable")
    middle = len(order) // 2
    chosen = {"best": order[:2], "typical": order[middle : middle + 2], "worst": order[::-1][:2]}
    names, places = _telling(found)
    rows = []
    for name, index in chosen.items():
        real, rebuilt = ctx.rows(index), ctx.call("reconstruct", index)
        for i, row in enumerate(index):
            head = f"{name}: row {found.index[row]}"
            rows.append([head, *(cell_text(real, i, d) for d in places)])
            rows.append(["reconstruction", *(cell_text(rebuilt, i, d) for d in places)])
    return Table(_of_columns(found, names), ["", *names], rows)


def _telling(found: Examination) -> tuple[list[str], list[int]]:
    """Return names and places of at most eight columns, those that are explained best."""
    ctx = found.context
    all_names = ctx.cells(ctx.rows()).names if ctx.table is None else list(map(str, ctx.table.columns))
    columns = [c for c in found.assessment.reconstruction.columns if math.isfinite(c.explained)]
    best = {c.name for c in sorted(columns, key=lambda c: -c.explained)[:_CELLS]}
    names = [name for name in all_names if name in best]
    return names, [all_names.index(name) for name in names]


def _of_columns(found: Examination, names: list[str]) -> str:
    """Return a note on which columns are shown."""
    total = len(found.assessment.reconstruction.columns)
    return f"The {len(names)} of {total} columns that are reconstructed best." if len(names) < total else ""


# ---- latent space --------------------------------------------------------------------------------------------


def _latent(found: Examination, _shape: Shape | None) -> Section | None:
    latent, codes = found.assessment.latent, found.assessment.codes
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
    if found.codes.shape[1] > 1:
        drawn += charts.plane_charts(found)
    else:
        found.not_computed["Latent plane"] = "the model has one latent unit"
    if latent is not None:
        drawn.append(charts.information_chart(found))
    else:
        found.not_computed["Information of each unit"] = "the model has no density p(x)"
    return Section("latent", "Latent space", "", " ".join(words), drawn)


def _units(found: Examination, shape: Shape | None) -> Section | None:
    if shape is not None:
        if found.context.estimator.conditional:
            found.not_computed["Traversals"] = "decoding needs a condition"
            return None
        return Section("units", "What each unit does", "", "", [pictures.traversed_images(found, shape)])
    if found.effects is None:
        return None
    return Section("units", "What each unit does", "", "", [charts.effect_chart(found)])


def _samples(found: Examination, shape: Shape | None) -> Section | None:
    part = found.assessment.samples
    if found.samples is None:
        found.not_computed["Samples"] = "the model has no density p(x)"
        return None
    text = ""
    if part is not None:
        text = (
            f"A classifier of nearest neighbours tells {part.n_samples:,} samples from as many rows with an accuracy "
            f"of {percent(part.two_sample_accuracy)}: 50 % if they are alike, and less if samples copy rows. "
            f"{percent(part.precision)} of the samples lie among the rows, {percent(part.recall)} of the rows among "
            "the samples."
        )
    if found.classifier is not None:
        text += (
            f" Gradient-boosted trees trained to tell them apart are right for {percent(found.classifier.accuracy)} of "
            "those that they were not fitted to "
            f"(50 ± {100 * found.classifier.standard_error:.0f} % if samples and rows are alike)."
        )
    if shape is not None:
        return Section("samples", "Samples", "", text, [pictures.sampled_images(found, shape)])
    ctx = found.context
    names, places = _telling(found)
    index = np.random.default_rng(ctx.seed).permutation(len(found.scores))[:_N_ROWS]
    real, drawn = ctx.rows(index), found.samples
    n = min(_N_ROWS, len(found.scores))
    rows = [["row", *(cell_text(real, i, d) for d in places)] for i in range(n)]
    rows += [["sample", *(cell_text(drawn, i, d) for d in places)] for i in range(n)]
    return Section("samples", "Samples", "", text, [], [Table(_of_columns(found, names), ["", *names], rows)])
