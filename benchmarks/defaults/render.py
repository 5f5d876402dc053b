"""Write docs/defaults.md from the results and page.md: every number in its tables comes from there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

from pages import about, table

from tables import SINGULAR

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "defaults.md"
PEERS = ("factor analysis", "mixture")

Report = dict[str, Any]


def density(found: Report) -> str:
    """Return the table of held-out likelihoods, and how many tables are won."""
    rows, won, counted, worst = [], 0, 0, 0.0
    for name, runs in found["tables"].items():
        scores = {side: mean(run[side]["log_likelihood"] for run in runs) for side in (*PEERS, "VAE")}
        seconds = {side: mean(run[side]["seconds"] for run in runs) for side in ("mixture", "VAE")}
        margin = scores["VAE"] - max(scores[side] for side in PEERS)
        if name not in (*SINGULAR, "digits"):
            won, counted, worst = won + (margin >= 0), counted + 1, min(worst, margin)
        label = f"{name} (singular)" if name in SINGULAR else name
        size = f"{runs[0]['rows']:,} x {runs[0]['columns']}"
        cells = [f"{scores[side]:.2f}" for side in (*PEERS, "VAE")]
        rows.append([label, size, *cells, f"{margin:+.2f}", *(f"{s:.1f}" for s in seconds.values())])
    head = ["table", "rows x columns", "factor analysis", "mixture", "`VAE()`", "margin", "s, mixture", "s, `VAE()`"]
    said = f"At or above the better peer on {won} of {counted} tables; at worst {-worst:.2f} nats below it."
    return f"{table(head, rows)}\n\n{said}"


def truth(found: Report) -> str:
    """Return the distance from the true density."""
    gap = mean(run["truth"] - run["VAE"] for run in found["runs"])
    return f"20,000 rows of a factor model with 3 factors and 10 columns: `VAE()` is {gap:.3f} nats below the truth."


def over_widths(found: Report, key: str, form: str, peers: Sequence[str] = ("PCA",)) -> str:
    """Return the table of a number by estimator and width, beside those of peers."""
    widths = list(next(iter(found["estimators"].values())))

    def row(name: str, runs: Report, key: str) -> list[str]:
        return [name, *(f"{mean(run[key] for run in runs[k]):{form}}" for k in widths)]

    first = next(iter(found["estimators"].values()))
    rows = [
        *(row(peer, first, peer) for peer in peers),
        *(row(f"`{name}`", runs, key) for name, runs in found["estimators"].items()),
    ]
    return table(["", *(f"K = {k}" for k in widths)], rows)


def images(found: Report) -> str:
    """Return the table of fits to images beside pythae."""
    rows = []
    for data in ("fashion_mnist", "digits"):
        sides = found[data]["sides"]
        peer = sides.get("pythae")
        for name, values in sides.items():
            ratio = "" if peer is None else f"{median(values['seconds']) / median(peer['seconds']):.2f}"
            spread = f"{min(values['seconds']):.1f} to {max(values['seconds']):.1f}"
            bound = f"{median(values['negative_elbo']):.2f}"
            rows.append([data, name, f"{median(values['seconds']):.1f} ({spread})", ratio, bound])
    return table(["data", "fit", "seconds (spread)", "of pythae's", "negative ELBO of test images, nats"], rows)


def rows(found: Report) -> str:
    """Return the table of seconds by rows."""
    lines = [
        [f"{int(n):,}", f"{median(v['seconds']):.1f}", f"{min(v['seconds']):.1f} to {max(v['seconds']):.1f}"]
        for n, v in found["sides"].items()
    ]
    return table(["rows", "seconds", "spread"], lines)


PARTS = {
    "density": density,
    "truth": truth,
    "reconstruction": lambda found: over_widths(found, "error", ".2f"),
    "codes": lambda found: over_widths(found, "accuracy", ".3f", ("PCA", "PCA, whitened")),
    "images": images,
    "rows": rows,
}


def main(report: Report) -> None:
    """Write the page; a part that was not measured says so."""
    page = (HERE / "page.md").read_text()
    for name, part in PARTS.items():
        text = f"{part(report[name])}\n\n{about(report[name]['run'])}" if name in report else "Not measured yet."
        page = page.replace(f"<!-- {name} -->", text)
    PAGE.write_text(page)
