"""Write docs/which_model.md from the results and page.md: every number in its tables comes from there."""

from __future__ import annotations

from pathlib import Path
from statistics import mean
from typing import Any

from pages import about, table

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "which_model.md"

# Measure, its column, its format, and whether less is better.
MEASURES = (
    ("reconstruction", "reconstruction", ".3f", True),
    ("denoising", "denoising", ".3f", True),
    ("imputation", "imputation", ".3f", True),
    ("accuracy", "classes", ".3f", False),
    ("odd", "odd rows", ".3f", False),
    ("change", "change of codes", ".3f", True),
    ("active", "active units", ".1f", None),
    ("log_likelihood", "log p(x), nats", ".1f", False),
)

Report = dict[str, Any]


def measures(found: Report) -> str:
    """Return the table of one data set, the best number of each column bold."""
    runs = found["models"]
    shown = [m for m in MEASURES if any(m[0] in of_one[0] for of_one in runs.values())]
    rows = {name: [f"`{name}`" if name != "PCA" else name] for name in runs}
    for key, _, form, lower in shown:
        values = {name: mean(run[key] for run in of_one) for name, of_one in runs.items() if key in of_one[0]}
        best = None if lower is None else f"{(min if lower else max)(values.values()):{form}}"
        for name, row in rows.items():
            text = f"{values[name]:{form}}" if name in values else ""
            row.append(f"**{text}**" if text == best else text)
    return table(["", *(title for _, title, _, _ in shown)], rows.values())


def main(report: Report) -> None:
    """Write the page."""
    page = (HERE / "page.md").read_text()
    for name, found in report.items():
        page = page.replace(f"<!-- {name} -->", f"{measures(found)}\n\n{about(found['run'])}")
    PAGE.write_text(page)
