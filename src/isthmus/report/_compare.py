"""Two models side by side on the same rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from isthmus import plots
from isthmus.assessment import Check, Examination, examine
from isthmus.assessment._evidence import number, percent
from isthmus.report._charts import effect_chart, history_chart, information_chart
from isthmus.report._images import reconstructed_images, sampled_images, traversed_images
from isthmus.report._numbers import as_numbers
from isthmus.report._report import Report, facts, image_shape_of
from isthmus.report.page import Card, Page, Section, Table, check_installed, render
from isthmus.report.theme import Picture, Theme, new_figure
from isthmus.report.theme import render as render_figure

__all__ = ["make_comparison"]

Named = dict[str, Examination]


def make_comparison(
    estimators: Sequence[Any],
    names: Sequence[str],
    X: Any,
    y: Any = None,
    *,
    labels: Any = None,
    X_train: Any = None,
    y_train: Any = None,
    image_shape: tuple[int, ...] | None = None,
    name: str = "X",
    max_rows: int = 1000,
    n_draws: int | None = None,
    seed: int = 0,
    progress: Callable[[str], object] | None = None,
) -> Report:
    """Examine two fitted models on the same rows, and write one page that shows them side by side.

    Parameters
    ----------
    estimators : sequence of two estimators
        Fitted to the same columns.
    names : sequence of two str
        What they are called.
    X, y, labels, X_train, y_train, image_shape, name, max_rows, n_draws, seed, progress
        As in :func:`make_report`.

    Returns
    -------
    Report
        Its numbers are those of both reports ("reports"), and the paired difference of their scores ("difference").

    Raises
    ------
    ValueError
        If there are not two models with different names, or the samples do not fit one of them.
    """
    check_installed()
    if len(estimators) != 2 or len(set(names)) != 2:
        raise ValueError(f"a comparison is one of two models with different names, not of {list(names)}.")
    shape = image_shape_of(estimators[0], image_shape)
    examinations: Named = {}
    for label, estimator in zip(names, estimators, strict=True):
        say = None if progress is None else lambda part, label=label: progress(f"{label}: {part}")
        examinations[label] = examine(
            estimator,
            X,
            y if estimator.conditional else None,
            labels=labels,
            X_train=X_train,
            y_train=y_train if estimator.conditional else None,
            images=shape is not None,
            max_rows=max_rows,
            n_draws=n_draws,
            seed=seed,
            progress=say,
        )
    difference = _difference(examinations)
    first = next(iter(examinations.values()))
    page = Page(
        title=" and ".join(examinations),
        lead=f"Two models on {len(first.index):,} of {first.n_rows:,} rows of {name}. {difference['sentence']}",
        cards=[card for label, one in examinations.items() for card in _cards(label, one)],
        header=(),
        rows=(),
        caption="",
        sections=[*_tables(examinations), *_pictures(examinations, shape), *_missing(examinations)],
        facts=facts(first, seed),
    )
    reports = {label: as_numbers(one, name) for label, one in examinations.items()}
    verdict = [check | {"model": label} for label, one in reports.items() for check in one["verdict"]]
    numbers = {"format": 1, "data": reports[names[0]]["data"], "difference": difference, "verdict": verdict}
    return Report(render(page), numbers | {"reports": reports})


def _difference(examinations: Named) -> dict[str, Any]:
    """Return the paired difference of the scores of the rows, in words too."""
    (first, a), (second, b) = examinations.items()
    reason = ""
    if a.score_name != b.score_name:
        reason = f"one score is {a.score_name} and the other {b.score_name}"
    elif _kinds(a) != _kinds(b):
        reason = "one model has densities of columns for which the other has probabilities"
    if reason:
        text = f"Their scores were not compared, because {reason}."
        return {"mean": None, "standard_error": None, "sentence": text}
    gain = b.scores - a.scores
    mean, error = float(gain.mean()), float(gain.std(ddof=1)) / math.sqrt(len(gain))
    if abs(mean) <= 2 * error:
        text = f"{a.score_name} of {first} and {second} does not differ: by {mean:.2f} ± {error:.2f} nats per row."
    else:
        better, worse = (second, first) if mean > 0 else (first, second)
        text = f"{better} is better than {worse}: {a.score_name} is {abs(mean):.2f} ± {error:.2f} nats per row higher."
    return {"mean": mean, "standard_error": error, "sentence": text.replace("-", "−")}


def _kinds(examination: Examination) -> list[bool]:
    flags: list[bool] = examination.context.estimator.model_.likelihood.density_columns().tolist()
    return flags


def _cards(label: str, examination: Examination) -> list[Card]:
    warned = sum(check.status == "warning" for check in examination.checks)
    score = number(float(examination.scores.mean()))
    return [Card("verdicts", label, score, f"{examination.score_name}, nats per row", f"checks that warn: {warned}")]


def _tables(examinations: Named) -> list[Section]:
    """Return the key numbers and both verdicts, side by side."""
    rows = [[name, *(value(one) for one in examinations.values())] for name, value in _NUMBERS.items()]
    models = " ".join(f"{label} is {one.context.estimator!r}." for label, one in examinations.items())
    checks = list(zip(*(one.checks for one in examinations.values()), strict=True))
    verdicts = [[pair[0].id, *map(_judged, pair)] for pair in checks]
    return [
        Section("numbers", "Key numbers", "", models, [], [Table("", ["", *examinations], rows, True)]),
        Section("verdicts", "Verdicts", "", "", [], [Table("", ["check", *examinations], verdicts, wide=True)]),
    ]


def _judged(check: Check) -> str:
    words = {"good": "✓ ", "warning": "! ", "note": "i ", "none": "– "}
    return words[check.status] + check.sentence


def _mean(part: Any, name: str, show: Callable[[float], str] = number) -> str:
    value = None if part is None else getattr(part, name)
    return "–" if value is None else show(value)


_NUMBERS: dict[str, Callable[[Examination], str]] = {
    "score, nats per row": lambda e: f"{number(float(e.scores.mean()))} ({e.score_name})",
    "explained": lambda e: percent(e.assessment.reconstruction.explained_variance),
    "active units": lambda e: (
        "–" if e.assessment.latent is None else f"{e.assessment.latent.active_units} of {e.assessment.latent.n_units}"
    ),
    "rate, nats": lambda e: _mean(e.assessment.likelihood, "rate"),
    "distortion, nats": lambda e: _mean(e.assessment.likelihood, "distortion"),
    "two-sample accuracy, neighbours": lambda e: _mean(e.assessment.samples, "two_sample_accuracy", percent),
    "two-sample accuracy, trees": lambda e: _mean(e.classifier, "accuracy", percent),
    "error of imputed numbers": lambda e: _mean(e.assessment.imputation, "rmse"),
    "accuracy of imputed levels": lambda e: _mean(e.assessment.imputation, "accuracy", percent),
    "trustworthiness of codes": lambda e: _mean(e.assessment.codes, "trustworthiness"),
    "accuracy of labels by neighbours": lambda e: _mean(e.assessment.codes, "neighbour_accuracy", percent),
    "parameters": lambda e: f"{sum(p.numel() for p in e.context.estimator.model_.parameters()):,}",
    "epochs": lambda e: f"{e.context.estimator.n_iter_:,}",
}


def _pictures(examinations: Named, shape: tuple[int, ...] | None) -> list[Section]:
    """Return the charts of both models below each other."""
    result = [
        Section("likelihood", "Likelihoods", "", "", [_likelihoods(examinations)]),
        _section(
            "training", "Learning curves", examinations, history_chart, lambda e: bool(e.context.estimator.history_)
        ),
        _section("latent", "Latent units", examinations, information_chart, lambda e: e.assessment.latent is not None),
    ]
    if shape is None:
        result.append(
            _section("units", "What each unit does", examinations, effect_chart, lambda e: e.effects is not None)
        )
    else:
        result += [
            _section("units", "What each unit does", examinations, lambda e: traversed_images(e, shape), _decodes),
            _section("reconstructions", "Reconstructions", examinations, lambda e: reconstructed_images(e, shape)),
            _section(
                "samples", "Samples", examinations, lambda e: sampled_images(e, shape), lambda e: e.samples is not None
            ),
        ]
    return [section for section in result if section.pictures]


def _decodes(examination: Examination) -> bool:
    """Return whether codes alone can be decoded, and note the reason if not."""
    if examination.context.estimator.conditional:
        examination.not_computed["Traversals"] = "decoding needs a condition"
        return False
    return True


def _missing(examinations: Named) -> list[Section]:
    """Return a section on what was not computed of one of the models, if anything."""
    rows = [
        [name, label, f"Not computed, because {reason}."]
        for label, one in examinations.items()
        for name, reason in one.not_computed.items()
    ]
    return [Section("missing", "Not computed", "", "", [], [Table("", ["", "", ""], rows)])] if rows else []


def _section(
    key: str,
    title: str,
    examinations: Named,
    draw: Callable[[Examination], Picture],
    applies: Callable[[Examination], bool] = lambda _: True,
) -> Section:
    """Return a section with the same picture of each model to which it applies."""
    pictures = []
    for label, one in examinations.items():
        if applies(one):
            picture = draw(one)
            caption = f"{label}. {picture.caption}"
            pictures.append(Picture(f"{label}: {picture.alt}", caption, *_images(picture)))
    return Section(key, title, "", "", pictures)


def _images(picture: Picture) -> tuple[bytes, bytes, int, bool]:
    return picture.light, picture.dark, picture.width, picture.chart


def _likelihoods(examinations: Named) -> Picture:
    """Return histograms of the scores of both models."""
    scores = {label: np.asarray(one.scores) for label, one in examinations.items()}
    name = " and ".join(dict.fromkeys(one.score_name for one in examinations.values()))

    def draw(_theme: Theme) -> Any:
        figure = new_figure(9.2, 3.6)
        plots.log_likelihoods(scores, xlabel=f"{name}, nats", ax=figure.subplots())
        return figure

    alt = f"Histograms of {name} of the rows under {' and '.join(examinations)}."
    return render_figure(draw, alt, "The lowest 0.5 % are in the first bin. Means are in the legend.", chart=True)
