"""Write docs/sparse.md from the committed results, the source of every number in its tables.

python benchmarks/sparse/render.py
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))

from pages import table

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "results"
PAGE = HERE.parents[1] / "docs" / "sparse.md"
OURS, PEER = "isthmus", "SAELens"
WITHIN = 0.02

Report = dict[str, Any]


def load(name: str) -> Report | None:
    """Return a committed report, or None if there is none."""
    path = RESULTS / name
    return json.loads(path.read_text()) if path.exists() else None


def mean(report: Report, model: str, k: int, metric: str) -> float:
    """Return the mean over seeds."""
    return float(np.mean([e["values"][metric] for e in report["entries"] if (e["model"], e["k"]) == (model, k)]))


def scores_table(report: Report, fits: Iterable[tuple[str, int]]) -> str:
    """Return the table of some models and numbers of active units."""
    metrics = {"cosine": ".3f", "F1": ".3f", "active": ".2f", "dead": ".0f", "error": ".3f", "cpu_seconds": ".0f"}
    rows = [
        [name, str(k), *(f"{mean(report, name, k, metric):{form}}" for metric, form in metrics.items())]
        for name, k in fits
    ]
    return table(["", "k", *list(metrics)[:-1], "CPU seconds"], rows)


def fits(report: Report) -> list[tuple[str, int]]:
    """Return the models and numbers of active units of a report, in its order."""
    return list(dict.fromkeys((e["model"], e["k"]) for e in report["entries"]))


def main_ks(report: Report) -> list[int]:
    """Return the numbers of active units at which both models were fitted."""
    found = fits(report)
    return [k for name, k in found if name == OURS and (PEER, k) in found]


def verdicts(report: Report) -> str:
    """Return the table of the targets: at or above SAELens, within .02, in cosine and F1."""
    rows = []
    for k in main_ks(report):
        for metric in ("cosine", "F1"):
            ours, peer = mean(report, OURS, k, metric), mean(report, PEER, k, metric)
            verdict = "met" if ours >= peer - WITHIN else "**missed**"
            rows.append([f"{metric} with k = {k}", f"{ours:.3f}", f"{peer:.3f}", f"{ours - peer:+.3f}", verdict])
    return table(["", OURS, PEER, "difference", f"at least {PEER} - {WITHIN:g}"], rows)


def run_line(report: Report) -> str:
    """Return the provenance of a run in one sentence."""
    run, machine, versions = report["run"], report["machine"], report["versions"]
    seeds = ", ".join(map(str, run["seeds"]))
    return (
        f"{run['samples']:,} samples in batches of {run['batch_size']}, seed {seeds}, {run['date']}, on "
        f"{machine['processor']}, {machine['threads']} thread of {machine['cores']} cores that other work shared; "
        f"torch {versions['torch']}, sae-lens {versions['sae-lens']}."
    )


def page() -> str:
    """Return the page."""
    report, tuning, large = load("sparse.json"), load("sparse.tuning.json"), load("sparse.large.json")
    assert report is not None
    found = fits(report)
    both = [(name, k) for k in main_ks(report) for name in (OURS, PEER)]
    sections = {
        "run": run_line(report),
        "verdicts": verdicts(report),
        "scores": scores_table(report, both),
        "variants": scores_table(report, [(OURS, 5), *(fit for fit in found if fit not in both)]),
        "settings": "\n".join(f"- {name}: `{text}`" for name, text in report["settings"].items()),
        "tuning": "" if tuning is None else scores_table(tuning, fits(tuning)),
        "large": "" if large is None else _large(large) + "\n",
    }
    text = (HERE / "page.md").read_text()
    for name, section in sections.items():
        text = text.replace("{{" + name + "}}", section)
    return text


def _large(report: Report) -> str:
    head = "## Five million samples"
    return f"{head}\n\n{run_line(report)}\n\n{scores_table(report, fits(report))}\n"


if __name__ == "__main__":
    PAGE.write_text(page())
