"""Write docs/quality.md and docs/likelihoods.md from the committed results, the source of every number on them.

    python benchmarks/quality/render.py

A section has the protocol from the docstring of its script, its targets, a table for each task, and the paragraphs of
words/NAME.md. In these, ``{{task|model|metric:.3f}}`` is the mean over seeds of a number in results/quality/NAME.json
or NAME.tuning.json, and ``{{run.seconds}}``, ``{{versions.torch}}`` and the like come from the provenance of the run.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))

from pages import table

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "quality"
NAMES = (
    "likelihood",
    "likelihood_full",
    "bits",
    "reconstruction",
    "codes",
    "denoising",
    "missing",
    "refine",
    "tables",
    "features",
)
PAGES = {"quality": ROOT / "docs" / "quality.md", "likelihoods": ROOT / "docs" / "likelihoods.md"}

Report = dict[str, Any]

_PLACEHOLDER = re.compile(r"\{\{([^}|]+)(?:\|([^}|]+)\|([^}|:]+)(?::([^}]+))?)?\}\}")
_HIGHER = {"5-NN", "accuracy", "log p"}  # of these metrics more is better


def load(name: str) -> Report | None:
    """Return a committed report, or None if there is none."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def number(value: float) -> str:
    """Format a number with four significant digits, and at least all digits before the point."""
    if value == 0:
        return "0"
    digits = max(0, 3 - int(np.floor(np.log10(abs(value)))))
    return f"{value:.{digits}f}".replace("-", "−")


def cell(values: Sequence[float]) -> str:
    """Format the mean over seeds, with its standard error if there are several."""
    mean = number(float(np.mean(values)))
    if len(values) < 2:
        return mean
    error = float(np.std(values, ddof=1) / np.sqrt(len(values)))
    return f"{mean} ± {error:.1g}" if error else mean


def entries_table(entries: Sequence[Report]) -> str:
    """Return the table of one task: models, metrics, seconds and parameters."""
    metrics = list(dict.fromkeys(metric for e in entries for metric in e["values"]))
    rows = []
    for e in entries:
        name = f"**{e['model']}**" if e["role"] == "ours" else e["model"]
        cells = [cell(e["values"][m]) if m in e["values"] else "" for m in metrics]
        seconds = float(np.mean(e["seconds"]))
        rows.append(
            [name, *cells, f"{seconds:.1f}" if seconds else "", f"{e['parameters']:,}" if e["parameters"] else ""]
        )
    return table(["", *metrics, "seconds", "parameters"], rows)


def paired(entries: Sequence[Report]) -> list[str]:
    """Return a line for each of our models with several seeds: its paired difference to the best peer."""
    metric = next(iter(entries[0]["values"]))
    sign = -1 if metric in _HIGHER else 1
    peers = [e for e in entries if e["role"] == "peer" and metric in e["values"]]
    if not peers:
        return []
    peer = min(peers, key=lambda e: sign * np.mean(e["values"][metric]))
    lines = []
    for e in entries:
        if e["role"] == "ours" and len(e["values"][metric]) == len(peer["values"][metric]) > 2:
            gap = np.subtract(e["values"][metric], peer["values"][metric])
            text = f"{number(float(gap.mean()))} ± {gap.std(ddof=1) / np.sqrt(len(gap)):.1g}"
            lines.append(f"- {metric} of {e['model']} minus that of {peer['model']}, paired over seeds: {text}")
    return lines


def tasks_tables(report: Report) -> str:
    """Return a table for each task of a report."""
    parts = []
    for task in dict.fromkeys(e["task"] for e in report["entries"]):
        entries = [e for e in report["entries"] if e["task"] == task]
        parts += [f"*{task}*", entries_table(entries), "\n".join(paired(entries))]
    return "\n\n".join(part for part in parts if part)


def bars_table(report: Report) -> str:
    """Return the table of targets, with the margins by which they were met or missed."""
    rows = []
    for bar in report["bars"]:
        share = abs(bar["ours"] - bar["bar"]) / abs(bar["bar"])
        verdict = (
            "met" if bar["met"] else "**missed**"
        ) + f", by {number(abs(bar['ours'] - bar['bar']))} ({share:.1%})"
        kind = "aim" if bar["aim"] else "target"
        rows.append([bar["says"], kind, bar["model"], number(bar["ours"]), number(bar["bar"]), verdict])
    return table(["goal", "kind", "model", "result", "required", "verdict"], rows)


def provenance(report: Report) -> str:
    """Return a sentence on when, where and how a report was made."""
    run, machine, versions = report["run"], report["machine"], report["versions"]
    used = run["seeds"][: max(len(values) for e in report["entries"] for values in e["values"].values())]
    seeds = f"seeds {', '.join(map(str, used))}" if len(used) > 1 else f"seed {used[0]} only"
    busy = " Other work shared the machine, so the seconds are too large." if run["busy_machine"] else ""
    again = "".join(f" Added or repeated later: {r['only']} ({r['seconds']} s)." for r in run.get("again", []))
    gpu = "" if machine["gpu"] == "none" else f", {machine['gpu']}"
    threads = f"{machine['threads']} thread{'s' if machine['threads'] > 1 else ''} of {machine['cores']} cores"
    return (
        f"{run['form'].capitalize()} form, {seeds}, {run['date']}, {run['seconds']} s on {machine['processor']}{gpu}, "
        f"{threads}; torch {versions['torch']}, scikit-learn {versions['scikit-learn']}.{busy}{again}"
    )


def doc_of(name: str) -> tuple[str, str]:
    """Return the first line and the rest of the docstring of a script, without running it."""
    doc = ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text())) or ""
    title, _, rest = doc.partition("\n\n")
    return title, rest


def filled(text: str, reports: Sequence[Report | None]) -> str:
    """Insert numbers for ``{{task|model|metric:format}}`` and ``{{record.key}}``.

    Raises
    ------
    KeyError
        If no report has such a number.
    """

    def one(match: re.Match[str]) -> str:
        task, model, metric, form = match.groups()
        if model is None:
            scope, _, key = task.partition(".")
            return str(next(r for r in reports if r)[scope][key])
        for report in reports:
            for e in report["entries"] if report else ():
                if (e["task"], e["model"]) == (task, model) and metric in e["values"]:
                    value = float(np.mean(e["values"][metric]))
                    return format(value, form).replace("-", "−") if form else number(value)
        raise KeyError(f"no run wrote {match[0]}")

    return _PLACEHOLDER.sub(one, text)


def words(name: str, *reports: Report | None) -> str:
    """Return words/NAME.md with its numbers, or an empty string if there is no such file."""
    path = HERE / "words" / f"{name}.md"
    return filled(path.read_text().strip(), reports) if path.exists() else ""


def section(name: str) -> str:
    """Return the section of one script."""
    title, protocol = doc_of(name)
    report, tuning = load(name), load(f"{name}.tuning")
    parts = [f"## {title.rstrip('.')}", protocol, f"`benchmarks/quality/{name}.py`"]
    if report is None:
        parts.append("Not run yet.")
    else:
        parts += [provenance(report), bars_table(report), tasks_tables(report)]
    parts.append(words(name, report, tuning))
    if tuning is not None:
        parts += ["**Candidates on validation rows.** " + provenance(tuning), tasks_tables(tuning)]
    return "\n\n".join(part for part in parts if part)


def quality() -> str:
    """Return docs/quality.md."""
    return "\n\n".join([words("quality"), *(section(name) for name in NAMES)]) + "\n"


def likelihoods() -> str:
    """Return docs/likelihoods.md."""
    report = load("scores")
    if report is None:
        return "# What score_samples is\n\nNot run yet.\n"
    return "\n\n".join([words("likelihoods", report), provenance(report), tasks_tables(report)]) + "\n"


def main() -> None:
    for name, text in (("quality", quality()), ("likelihoods", likelihoods())):
        PAGES[name].write_text(text)
        print(f"wrote {PAGES[name].relative_to(ROOT)}")


if __name__ == "__main__":
    main()
