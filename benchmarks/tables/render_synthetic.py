"""The parts of docs/tables_measured.md about synthetic rows."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))

from pages import table

__all__ = ["ablations", "by_set", "holes", "magic", "summary"]

Runs = Mapping[str, Mapping[str, Mapping[str, Any]]]

# Figures by name: the heading, and which is best: the largest, the smallest, or none.
FIGURES = {
    "c2st": ("C2ST", max),
    "auroc": ("AUROC of a classifier trained on them", max),
    "accuracy": ("its accuracy", max),
    "information_error": ("error of mutual information", min),
    "shape": ("columns", max),
    "membership": ("membership by log p(x)", None),
    "membership_by_distance": ("by distance", None),
    "copying": ("copying check", None),
}
# Figures of MAGIC by april-tools/tabpc, means of 5 trainings: C2ST, AUROC, columns, 1 - error of information.
PUBLISHED = {
    "CTGAN": (0.103, 0.882, 0.944, 0.920),
    "TVAE": (0.298, 0.918, 0.954, 0.972),
    "ShallowMixture": (0.626, 0.928, 0.984, 0.943),
    "TabSyn": (0.760, 0.937, 0.990, 0.997),
    "TabDiff": (0.773, 0.936, 0.992, 0.995),
    "TabPC": (0.860, 0.932, 0.990, 0.993),
}


def _marked(values: Sequence[float | None], best: Any) -> list[str]:
    """Return numbers as text, the best one bold."""
    texts = ["" if value is None else f"{value:.3f}" for value in values]
    known = [value for value in values if value is not None]
    if best is None or len(known) < 2:
        return texts
    winner = f"{best(known):.3f}"
    return [f"**{text}**" if text == winner else text for text in texts]


def _sides(runs: Runs) -> list[str]:
    return list(dict.fromkeys(side for run in runs.values() for side in run if side != "real rows"))


def _by_name(runs: Runs) -> dict[str, list[Mapping[str, Mapping[str, Any]]]]:
    found: dict[str, list[Any]] = {}
    for key, run in runs.items():
        found.setdefault(key.split("|")[0], []).append(run)
    return found


def _value(found: Sequence[Mapping[str, Mapping[str, Any]]], side: str, figure: str) -> float | None:
    values = [run[side].get(figure) for run in found if side in run]
    known = [value for value in values if value is not None]
    return mean(known) if known else None


def _means(found: Sequence[Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, float | None]]:
    """Return the means over the splits of a set, of the sides that were fitted to all of them."""
    sides = [side for side in found[0] if all(side in run for run in found)]
    return {side: {figure: _value(found, side, figure) for figure in found[0][side]} for side in sides}


def _columns(sides: Sequence[str], found: Sequence[Any]) -> list[list[str]]:
    """Return the text of each figure of each side."""
    return [_marked([_value(found, side, figure) for side in sides], best) for figure, (_, best) in FIGURES.items()]


def magic(runs: Runs) -> str:
    """Return all figures of MAGIC, and those that were published."""
    found = _by_name(runs)["magic"]
    sides = _sides({"magic": found[0]})
    rows = [[side, *cells] for side, *cells in zip(sides, *_columns(sides, found), strict=True)]
    real = found[0].get("real rows", {})
    rows.append(["real rows", "", f"{real['auroc']:.3f}", f"{real['accuracy']:.3f}", *[""] * 5] if real else [])
    for name, (c2st, auroc, columns, information) in PUBLISHED.items():
        rows.append(
            [f"{name}, published", f"{c2st:.3f}", f"{auroc:.3f}", "", f"{1 - information:.3f}", f"{columns:.3f}"]
            + [""] * 3
        )
    return table(["MAGIC", *(head for head, _ in FIGURES.values())], [row for row in rows if row])


def summary(runs: Runs) -> str:
    """Return the means of the generators that were fitted to all sets."""
    sets = [_means(found) for found in _by_name(runs).values()]
    sides = [side for side in _sides(runs) if all(side in run for run in sets)]
    rows = [[side, *cells] for side, *cells in zip(sides, *_columns(sides, sets), strict=True)]
    if all("real rows" in run for run in sets):
        real = [mean(run["real rows"][figure] for run in sets) for figure in ("auroc", "accuracy")]
        rows.append(["real rows", "", *(f"{value:.3f}" for value in real), *[""] * 5])
    head = [f"mean of {len(sets)} tables", *(head for head, _ in FIGURES.values())]
    return table(head, rows)


def by_set(runs: Runs) -> str:
    """Return C2ST and AUROC by set, and how often each generator is the best."""
    sides, texts = _sides(runs), []
    for figure in ("c2st", "auroc"):
        rows, wins = [], dict.fromkeys(sides, 0)
        for name, found in _by_name(runs).items():
            values = [_value(found, side, figure) for side in sides]
            best = max(value for value in values if value is not None)
            for side, value in zip(sides, values, strict=True):
                wins[side] += value == best
            rows.append([name, *_marked(values, max)])
        said = ", ".join(f"{side} {n}" for side, n in wins.items() if n)
        texts.append(f"{table([FIGURES[figure][0], *sides], rows)}\n\nBest in, of {len(rows)}: {said}.")
    return "\n\n".join(texts)


def holes(runs: Runs) -> str:
    """Return how far missing rates are from those of the data."""
    lines = []
    for name, found in _by_name(runs).items():
        sides = [side for side in _sides({name: found[0]}) if _value(found, side, "missing") is not None]
        if sides:
            texts = ", ".join(f"{side} {_value(found, side, 'missing'):.1f}" for side in sides)
            lines.append(
                f"Largest difference of a column's missing rate from that of `{name}`, in standard errors: {texts}."
            )
    return "\n\n".join(lines)


def ablations(runs: Runs) -> str:
    """Return the figures of the first setting, how those of the others differ, and C2ST by set.

    A setting that changes nothing in a set, None, is left out there.
    """
    default, *others = sides = _sides(runs)
    whole = {key: run for key, run in runs.items() if all(side in run for side in sides)}
    figures = ("c2st", "auroc", "information_error", "membership_by_distance")
    rows = [[default, *(f"{mean(run[default][figure] for run in whole.values()):.3f}" for figure in figures)]]
    for side in others:
        changed = [run for run in whole.values() if run[side]]
        rows.append([side, *(_difference([run[side][f] - run[default][f] for run in changed]) for f in figures)])
    sets = _by_name(whole)
    for side, row in zip(sides, rows, strict=True):
        for own in sets.values():
            known = [run[side]["c2st"] for run in own if run[side]]
            row.append(f"{mean(known):.3f}" if known else "")
    names = {"auroc": "AUROC", "membership_by_distance": "membership by distance"}
    head = [
        "setting",
        *(names.get(figure, FIGURES[figure][0]) for figure in figures),
        *(f"C2ST, {name}" for name in sets),
    ]
    return table(head, rows)


def _difference(values: Sequence[float]) -> str:
    """Return the mean, and its standard error."""
    error = f" ({stdev(values) / len(values) ** 0.5:.3f})" if len(values) > 1 else ""
    return f"{mean(values):+.3f}{error}"
