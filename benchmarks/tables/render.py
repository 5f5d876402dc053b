"""Write docs/tables_measured.md from the results and page.md: every number in its tables comes from there.

python benchmarks/tables/render.py
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import render_synthetic
from imputation_peers import ROUNDED

sys.path.append(str(Path(__file__).resolve().parents[1]))

from pages import table

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parents[0] / "results" / "tables"
PAGE = HERE.parents[1] / "docs" / "tables_measured.md"
PROTOCOLS = {"all": "fitted to all rows", "normal": "fitted to normal rows"}

Runs = Mapping[str, Mapping[str, Mapping[str, Any]]]


def grouped(runs: Runs) -> dict[tuple[str, str], list[Mapping[str, Mapping[str, Any]]]]:
    """Return the runs of each set and protocol, whatever the seed."""
    found: dict[tuple[str, str], list[Any]] = {}
    for key, run in runs.items():
        name, kind, _ = key.split("|")
        found.setdefault((name, kind), []).append(run)
    return found


def sides_of(runs: Runs) -> list[str]:
    """Return the sides of which all runs have results."""
    first, *others = runs.values()
    return [side for side in first if all(side in run for run in others)]


def marked(values: Mapping[str, float], *, lowest: bool, digits: int = 3) -> list[str]:
    """Return numbers as text, the best one bold."""
    best = min(values.values()) if lowest else max(values.values())
    texts = {side: f"{value:.{digits}f}" for side, value in values.items()}
    return [f"**{text}**" if text == f"{best:.{digits}f}" else text for text in texts.values()]


def imputation(runs: Runs, measure: str) -> str:
    """Return the table of an error by table, mechanism and side, and how often each side is best."""
    sides = sides_of(runs)
    if measure == "wrong":
        sides.remove(ROUNDED)  # its categories are those of "mean or mode"
    lines, wins = [], dict.fromkeys(sides, 0)
    for (name, mechanism), found in grouped(runs).items():
        if found[0][sides[0]][measure] is None:
            continue
        values = {side: mean(run[side][measure] for run in found) for side in sides}
        wins[min(values, key=lambda side: values[side])] += 1
        lines.append([name, mechanism, *marked(values, lowest=True)])
    said = ", ".join(f"{side} {n}" for side, n in wins.items() if n)
    return f"{table(['table', 'missing', *sides], lines)}\n\nBest in, of {len(lines)}: {said}."


def coverage(runs: Runs) -> str:
    by_kind: dict[str, list[float]] = {}
    for (_, kind), found in grouped(runs).items():
        by_kind.setdefault(kind, []).append(mean(run["AutoencoderImputer"]["coverage"] for run in found))
    texts = ", ".join(f"{kind} {mean(values):.3f}" for kind, values in by_kind.items())
    return f"Share of missing numbers inside 90 % intervals of 39 draws (`sample_imputations`): {texts}."


def means(runs: Runs) -> str:
    """Return the table of mean AUROC and average precision by detector and protocol."""
    sides = sides_of(runs)
    columns = []
    for protocol in PROTOCOLS:
        own = [run for key, run in runs.items() if f"|{protocol}|" in key]
        columns += [
            marked({side: mean(run[side][measure] for run in own) for side in sides}, lowest=False)
            for measure in ("auroc", "average_precision")
        ]
    both = marked({side: mean(run[side]["auroc"] for run in runs.values()) for side in sides}, lowest=False)
    head = ["detector"]
    for text in PROTOCOLS.values():
        head += [f"AUROC, {text}", "average precision"]
    rows = [[side, *cells] for side, *cells in zip(sides, *columns, both, strict=True)]
    n_sets = len({key.split("|")[0] for key in runs})
    n_seeds = len({key.split("|")[2] for key in runs})
    return f"Means over {n_sets} sets and {n_seeds} choices of rows:\n\n{table([*head, 'AUROC, both'], rows)}"


def alarms(runs: Runs) -> str:
    own = [run["AutoencoderOutlierDetector"] for key, run in runs.items() if "|normal|" in key]
    rows = sum(run["normal_rows"] for run in own)
    share = sum(run["false_alarms"] * run["normal_rows"] for run in own) / rows
    error = stdev(run["false_alarms"] for run in own) / len(own) ** 0.5
    return (
        f"With `false_alarm_rate=0.05`, {100 * share:.1f} % (standard error {100 * error:.1f}) of {rows:,} normal rows "
        "that were not in training are called outliers."
    )


def sets(runs: Runs) -> str:
    sides = sides_of(runs)
    lines = []
    for protocol, text in PROTOCOLS.items():
        for (name, kind), found in grouped(runs).items():
            if kind == protocol:
                values = {side: mean(run[side]["auroc"] for run in found) for side in sides}
                lines.append([name, text, *marked(values, lowest=False)])
    return table(["set", "protocol", *sides], lines)


def candidates(runs: Runs) -> str:
    sides = sides_of(runs)
    columns = []
    for protocol in PROTOCOLS:
        own = [run for key, run in runs.items() if f"|{protocol}|" in key]
        columns.append(marked({side: mean(run[side]["auroc"] for run in own) for side in sides}, lowest=False))
    head = ["`VAE`, one hidden layer of 32, 60 epochs", *PROTOCOLS.values()]
    return table(head, [list(row) for row in zip(sides, *columns, strict=True)])


def about(run: Mapping[str, Any]) -> str:
    """Return when and where a part was measured."""
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    load = " Other work ran at the same time." if run["busy"] else ""
    return f"<small>{run['date']}; {run['cores']} cores, {run['processor']}; {versions}.{load}</small>"


def large(runs: Runs) -> str:
    """Return the table of what each command takes, by table and command."""
    lines = []
    for key, found in runs.items():
        name, n_rows = key.split("|")
        shown = f"{int(n_rows):,} x {found['table']['columns']}{', 50,000 levels' if name == 'levels' else ''}"
        for command, took in found.items():
            if "memory" in took:
                more = took["memory"] - found["info"]["memory"]
                numbers = [took["seconds"], took["cpu"], took["memory"], more]
                lines.append([shown, command, *(f"{number:,.0f}" for number in numbers)])
    return table(["table", "command", "seconds", "seconds of processor", "memory, MB", "more than `info`"], lines)


PARTS = {
    "magic": ("synthetic", render_synthetic.magic),
    "summary": ("synthetic", render_synthetic.summary),
    "by set": ("synthetic", render_synthetic.by_set),
    "holes": ("synthetic", render_synthetic.holes),
    "ablations": ("synthetic.tuning", render_synthetic.ablations),
    "numbers": ("imputation", lambda runs: imputation(runs, "rmse")),
    "categories": (
        "imputation",
        lambda runs: imputation(runs, "wrong"),
    ),
    "coverage": ("imputation", coverage),
    "large": ("large", large),
    "means": ("outliers", means),
    "alarms": ("outliers", alarms),
    "sets": ("outliers", sets),
    "candidates": ("outliers.tuning", candidates),
}
LAST = {
    "holes": "synthetic",
    "ablations": "synthetic.tuning",
    "coverage": "imputation",
    "large": "large",
    "sets": "outliers",
    "candidates": "outliers.tuning",
}


def main() -> None:
    page = (HERE / "page.md").read_text()
    if (RESULTS / "synthetic.json").exists():
        page = page.replace("<!-- synthetic rows -->\n", (HERE / "page_synthetic.md").read_text())
    page = page.replace("<!-- synthetic rows -->\n\n", "")
    for name, (file, part) in PARTS.items():
        path = RESULTS / f"{file}.json"
        text = "Not measured yet."
        if path.exists():
            report = json.loads(path.read_text())
            text = part(report["runs"]) + (f"\n\n{about(report['run'])}" if name in LAST else "")
        page = page.replace(f"<!-- {name} -->", text)
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
