"""docs/speed.md from results/speed.json: every number on the page is one that a run wrote. Imports no neighbour."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

__all__ = ["main", "page"]

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "speed.json"
PAGE = ROOT / "docs" / "speed.md"

OWN, SAME, PYTHAE = "isthmus, own recipe", "isthmus, pythae's recipe", "pythae"

Report = dict[str, Any]
Bar = tuple[str, str, str, bool]  # what, needed, found, met

_HEAD = """# Speed

isthmus beside pythae, a textbook PyTorch loop, Keras 3 and a jitted JAX step, and beside the bare matrix products of
the same layers, which nothing can be faster than. `make bench-speed` measures all of it again; the numbers of this page
are in `benchmarks/results/speed.json`.

Every side of tasks A and B runs in a fresh interpreter, on the same cores, with as many threads; the sides alternate,
and each round begins with another one. Imports are not timed, and are listed. A cell is the median of the repeats with
their smallest and largest value. The bound is computed from the trained weights by the same few lines of numpy for
every side, outside the timing, with the same noise. Every side knows the loss of its steps; the JAX step
leaves out the rows that do not fill an epoch's last batch, which would be compiled anew.

No GPU has been at hand: there is no number of one here, and steps replayed as a CUDA graph, bf16 on a GPU and NCCL have
not run on one.
"""


def number(value: float) -> str:
    """Return three significant digits, and no fewer than the whole ones."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    return f"{value:,.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def cell(values: Sequence[float] | None) -> str:
    """Return the median with the smallest and the largest value."""
    if not values:
        return ""
    if len(values) == 1:
        return number(values[0])
    return f"{number(median(values))} ({number(min(values))} to {number(max(values))})"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *rows])


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Return the quotients, repeat by repeat."""
    return [a / b for a, b in zip(above, below, strict=True)]


def provenance(run: Report) -> str:
    """Return the sentence that says where, when and beside what something was measured."""
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    others = "an unknown share" if run["others"] is None else f"{run['others']:.1%}"
    busy = " **The machine was not idle: take no number from here.**" if run["busy"] else ""
    return (
        f"{run['date']}, {run['processor']}, {run['threads']} of {run['cores']} cores, {run['repeats']} repeats, "
        f"{run['seconds']} s in all; other work took {others} of the cores.{busy} {versions}."
    )


def bars(found: Sequence[Bar]) -> str:
    """Return the table of what was aimed at."""
    rows = [[what, needed, ours, "met" if met else "**missed**"] for what, needed, ours, met in found]
    return table(["goal", "needed", "found", ""], rows)


# ---- A and B: training ----------------------------------------------------------------------------------------------


def recipe(fields: Report) -> str:
    """Return a recipe in words."""
    rate = f"peak {fields['learning_rate']:g}" if fields["schedule"] != "constant" else f"{fields['learning_rate']:g}"
    betas = tuple(fields.get("betas", (0.9, 0.999)))
    adam = "Adam" if betas == (0.9, 0.999) else f"Adam of betas {betas[0]:g} and {betas[1]:g}"
    slower = fields.get("slower", 1)
    rate += "" if slower == 1 else f" (the encoder's {rate} over {slower:g})".replace("peak ", "")
    epochs = "1 epoch" if fields["epochs"] == 1 else f"{fields['epochs']} epochs"
    return f"{epochs}, batches of {fields['batch_size']}, {adam} at {rate}, {fields['schedule']}, {fields['precision']}"


def quality_bars(found: Report) -> list[Bar]:
    """Return time to pythae's bound, and whether it was reached."""
    sides, task = found["sides"], found["task"]
    if PYTHAE not in sides:
        return []
    ours, theirs = sides[OWN], sides[PYTHAE]
    times = ratios(theirs["seconds"], ours["seconds"])
    gaps = [a - b for a, b in zip(ours["negative_elbo"], theirs["negative_elbo"], strict=True)]
    reached, middle = sum(gap <= 0 for gap in gaps), median(times)
    goals = dict.fromkeys((task["goal"], task["aim"]))
    bound = (
        "negative ELBO less pythae's, same repeat, nats",
        "0 or less in each",
        f"{cell(gaps)}; {reached} of {len(gaps)}",
        reached == len(gaps),
    )
    shown = [
        ("pythae's seconds over ours, time to its bound", f"{g:g} or more", cell(times), middle >= g) for g in goals
    ]
    return [bound, *shown]


def peer_bars(found: Report) -> list[Bar]:
    """Return every peer's seconds over ours, ours at its bound or better, and by the same recipe.

    Those of compiled ones are given without their compilation as well.
    """
    sides, result = found["sides"], []
    own, same = sides[OWN], sides[SAME]
    for name, values in sides.items():
        if name in (OWN, SAME):
            continue
        pairs = zip(own["negative_elbo"], values["negative_elbo"], strict=True)
        reached = all(ours <= theirs for ours, theirs in pairs)
        for key, what in (("seconds", ""), ("warm_seconds", ", compilation left out")):
            if key not in values:
                continue
            times = ratios(values[key], own["seconds"])
            if name != PYTHAE:  # of whom it was said above
                title = f"{name}'s seconds over ours, time to its bound{what}"
                result.append((title, "above 1", cell(times), reached and median(times) > 1))
            times = ratios(values[key], same["seconds"])
            result.append((f"{name}'s seconds over ours, same recipe{what}", "above 1", cell(times), median(times) > 1))
    return result


def training(found: Report) -> list[str]:
    """Return the section of task A or B."""
    task, n = found["task"], found["rows"]["train"]
    rows = []
    for name, values in found["sides"].items():
        epochs = task["ours" if name == OWN else "peers"]["epochs"]
        rate = [n * epochs / s for s in values["seconds"]]
        cells = (values["seconds"], values.get("warm_seconds"), rate, values["negative_elbo"], values["import_seconds"])
        shown = f"**{name}**" if name == OWN else name
        rows.append([shown, *(cell(c) for c in cells)])
    head = ["", "seconds", "without compilation", "rows a second", "negative test ELBO, nats", "imports, seconds"]
    words = (
        f"{n:,} rows, judged by {found['rows']['test']:,} others. pythae's recipe, that of all peers: "
        f"{recipe(task['peers'])}. isthmus' own, chosen on validation rows: {recipe(task['ours'])}."
    )
    skipped = [f"- {name} was left out: {reason}." for name, reason in found["skipped"].items()]
    return [words, bars(quality_bars(found) + peer_bars(found)), table(head, rows), "\n".join(skipped)]


# ---- C: inference ---------------------------------------------------------------------------------------------------


def _bounded(memory: Sequence[Report]) -> list[Bar]:
    """Return, for each series, the peak at its largest point over that at the one before; below 64 MiB all is one."""
    result = []
    for method, fixed, grown in (
        ("transform", "draws", "rows"),
        ("sample", "draws", "rows"),
        ("score_samples", "draws", "rows"),
        ("score_samples", "rows", "draws"),
    ):
        series = [m for m in memory if m["method"] == method]
        last = max(series, key=lambda m: m[grown], default=None)
        series = [m for m in series if last and m[fixed] == last[fixed] and m[grown] < last[grown]]
        if last and series:
            before = max(series, key=lambda m: m[grown])
            growth = max(last["mebibytes"], 64) / max(before["mebibytes"], 64)
            what = f"{method}: peak memory, {last[grown]:,} {grown} over {before[grown]:,}"
            result.append((what, "1.5 or less", number(growth), growth <= 1.5))
    return result


def inference(found: Report) -> list[str]:
    """Return the section of task C."""
    rows, goals = [], []
    for name, values in found["ratios"].items():
        share, of_blocks = (ratios(values[key], values["seconds"]) for key in ("products", "blocks"))
        columns = [values["seconds"], values["products"], share, values["blocks"], of_blocks]
        rows.append([name, f"{values['rows']:,}", *map(cell, columns)])
        if name != "inverse_transform":
            goals.append(
                (f"{name}: rate over that of the bare products", "0.8 or more", cell(share), median(share) >= 0.8)
            )
    memory = [
        [m["method"], f"{m['rows']:,}", f"{m['draws']:,}", number(m["mebibytes"]), number(m["result_mebibytes"])]
        for m in found["memory"]
    ]
    words = (
        "784-512-20, Bernoulli likelihood, float32 rows. The products are those of the same layers, no bias, no "
        "activation: `torch.mm`, one call a layer for all rows (and draws), with a result as the method gives one. "
        "Beside them, as what no method can reach: the same in blocks of 4,096 rows, into memory that is there and "
        "written to again and again. Peak memory is what a method takes beside the library, the rows and the result, "
        "in an interpreter of its own."
    )
    head = ["", "rows", "seconds", "products, seconds", "share", "in blocks, seconds", "share"]
    return [
        words,
        bars(goals + _bounded(found["memory"])),
        table(head, rows),
        table(["", "rows", "draws", "peak, MiB", "result, MiB"], memory),
    ]


# ---- D: steps -------------------------------------------------------------------------------------------------------


def steps(found: Report) -> list[str]:
    """Return the section of task D."""
    nets, goals, rows = found["contractive"], [], []
    for name, needed in (("one layer", 1.3), ("deep", 2.5)):
        times = ratios(nets[f"{name}, contractive"], nets[f"{name}, plain"])
        goals.append(
            (f"contractive step over plain, {name}", f"{needed} or less", cell(times), median(times) <= needed)
        )
    for k, values in found["draws"].items():
        rows.append(
            [k, cell(values["step"]), cell(values["products"]), cell(ratios(values["step"], values["products"]))]
        )
    few, *_, many = [median(v["step"]) / median(v["products"]) for v in found["draws"].values()]
    what = f"step over its products, {list(found['draws'])[-1]} draws against {next(iter(found['draws']))}"
    goals.append((what, "not more", f"{number(many)} against {number(few)}", many <= few))
    words = (
        "Milliseconds a step of 128 rows of 784 features. Contractive, one layer: 256 tied sigmoid units, closed form; "
        "deep: 512-256-32, one projection. Importance-weighted bound with k draws: 784-512-20, beside its products, "
        "forward and back."
    )
    layers = [[name, cell(values)] for name, values in nets.items()]
    return [
        words,
        bars(goals),
        table(["net", "ms a step"], layers),
        table(["draws", "ms a step", "products, ms", "ratio"], rows),
    ]


# ---- E: curves ------------------------------------------------------------------------------------------------------


def exponent(points: Sequence[float], seconds: Sequence[float]) -> float:
    """Return how cost grows between the last two points: 1 is in proportion."""
    return math.log(seconds[-1] / seconds[-2]) / math.log(points[-1] / points[-2])


def costs(found: Report) -> list[str]:
    """Return the section of task E."""
    parts, goals = [], []
    for axis, values in found["curves"].items():
        points, middle = values["points"], [median(s) for s in values["seconds"]]
        grown = exponent(points, middle)
        what = f"{axis}: exponent of the cost from {points[-2]:,} to {points[-1]:,}"
        goals.append((what, "1.15 or less", f"{grown:.2f}", grown <= 1.15))
        rows = [
            [f"{n:,}", cell(s), number(1e6 * median(s) / n)] for n, s in zip(points, values["seconds"], strict=True)
        ]
        parts += [f"*{found['fixed'][axis]}*", table([axis, "seconds", "microseconds for each"], rows)]
    return [bars(goals), "![Cost against rows, features, latent units and draws](images/cost.png)", *parts]


# ---- F: options -----------------------------------------------------------------------------------------------------


def settings(found: Report) -> list[str]:
    """Return the section of task F."""
    words = (
        "`VAE` in float32, the default, beside its options: seconds in a fresh interpreter, those at the pace of the "
        "middle epoch (all epochs without what comes before them, compilation included), and the test ELBO."
    )
    parts = [words]
    for data, values in found["data"].items():
        rows = [
            [name, cell(side["seconds"]), cell(side["warm_seconds"]), cell(side["negative_elbo"])]
            for name, side in values["sides"].items()
        ]
        fields = ", ".join(f"`{name}={value!r}`" for name, value in values["fields"].items())
        parts += [
            f"*{data}*: {fields}",
            table(["", "seconds", "at the middle epoch's pace", "negative test ELBO, nats"], rows),
            "\n".join(f"- {name} was left out: {reason}" for name, reason in values["skipped"].items()),
        ]
    return parts


_SECTIONS = {
    "A": ("Time to quality: Fashion-MNIST", training),
    "B": ("Time to quality: digits", training),
    "C": ("Trained models on many rows", inference),
    "D": ("Contractive and importance-weighted steps", steps),
    "E": ("How cost grows", costs),
    "F": ("Options", settings),
}


def page(report: Report) -> str:
    """Return docs/speed.md."""
    parts = [_HEAD.strip()]
    for letter, (title, section) in _SECTIONS.items():
        parts.append(f"## {letter}. {title}")
        found = report.get(letter)
        parts += ["Not run yet."] if found is None else [*section(found), provenance(found["run"])]
    return "\n\n".join(part for part in parts if part) + "\n"


def main() -> None:
    """Write docs/speed.md."""
    PAGE.write_text(page(json.loads(RESULTS.read_text()) if RESULTS.exists() else {}))
    print(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
