"""Write docs/speed.md from results/speed.json and results/gpu.json, the sources of every number on it. Imports no
module of the benchmark that measures.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))

import render_gpu
from pages import table

__all__ = ["main", "page"]

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "speed.json"
GPU_RESULTS = RESULTS.with_name("gpu.json")
PAGE = ROOT / "docs" / "speed.md"

OWN, SAME, PYTHAE = "isthmus, own recipe", "isthmus, pythae's recipe", "pythae"
COMPILED = ", compile=True"  # what is added to the name of a method with captured steps

Report = dict[str, Any]
Bar = tuple[str, str, str, bool]  # goal, required, result, met

_HEAD = """# Speed

This page compares isthmus with pythae, a textbook PyTorch loop, Keras 3 and a jitted JAX step, and with the bare matrix
products of the same layers, a lower bound on the time of any method. `make bench-speed` measures everything again; the
numbers are in `benchmarks/results/speed.json`.

In tasks A and B every method runs in a fresh interpreter, on the same cores and with the same number of threads. The
methods alternate, and each round begins with a different one. Imports are listed but not included in the times. A cell
shows the median of the repeats with the smallest and the largest value. For all methods, the negative ELBO is computed
from the trained weights by the same few lines of numpy, outside the timing and with the same noise. Every method
computes the loss of its steps. The JAX step leaves out the last, incomplete batch of each epoch, which would be
compiled separately.

Training steps of isthmus are plain PyTorch, unless a row says `compile=True`: they are then captured and replayed.

Sections A to F were measured on a CPU, section G on a GPU.
"""


def number(value: float) -> str:
    """Format a number with three significant digits, and at least all digits before the point."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    return f"{value:,.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def cell(values: Sequence[float] | None) -> str:
    """Format the median with the smallest and the largest value."""
    if not values:
        return ""
    if len(values) == 1:
        return number(values[0])
    return f"{number(median(values))} ({number(min(values))} to {number(max(values))})"


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Return the quotient of each repeat."""
    return [a / b for a, b in zip(above, below, strict=True)]


def provenance(run: Report) -> str:
    """Return a sentence on where and when something was measured, and on the load of the machine."""
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    others = "an unknown share" if run["others"] is None else f"{run['others']:.1%}"
    busy = " **The machine was not idle: these numbers are not valid.**" if run["busy"] else ""
    return (
        f"{run['date']}, {run['processor']}, {run['threads']} of {run['cores']} cores, {run['repeats']} repeats, "
        f"{run['seconds']} s in total; other processes used {others} of the cores.{busy} {versions}."
    )


def bars(found: Sequence[Bar]) -> str:
    """Return the table of goals."""
    rows = [[what, needed, ours, "met" if met else "**missed**"] for what, needed, ours, met in found]
    return table(["goal", "required", "result", ""], rows)


# ---- A and B: training ----------------------------------------------------------------------------------------------


def recipe(fields: Report) -> str:
    """Describe a recipe in words."""
    rate = f"{fields['learning_rate']:g}"
    slower = fields.get("slower", 1)
    encoder = "" if slower == 1 else f" ({rate} / {slower:g} for the encoder)"
    peak = "" if fields["schedule"] == "constant" else "peak "
    betas = tuple(fields.get("betas", (0.9, 0.999)))
    adam = "Adam" if betas == (0.9, 0.999) else f"Adam with betas {betas[0]:g} and {betas[1]:g}"
    epochs = "1 epoch" if fields["epochs"] == 1 else f"{fields['epochs']} epochs"
    return (
        f"{epochs}, batches of {fields['batch_size']}, {adam}, {peak}learning rate {rate}{encoder}, "
        f"{fields['schedule']} schedule, {fields['precision']}"
    )


def quality_bars(found: Report, option: str = "") -> list[Bar]:
    """Return the speed-up over pythae at its ELBO, and whether that ELBO was reached, without or with an `option`."""
    sides, task = found["sides"], found["task"]
    if PYTHAE not in sides:
        return []
    ours, theirs = sides[OWN + option], sides[PYTHAE]
    times = ratios(theirs["seconds"], ours["seconds"])
    gaps = [a - b for a, b in zip(ours["negative_elbo"], theirs["negative_elbo"], strict=True)]
    reached, middle = sum(gap <= 0 for gap in gaps), median(times)
    goals = dict.fromkeys((task["goal"], task["aim"]))
    bound = (
        "negative ELBO minus that of pythae in the same repeat, nats",
        "at most 0 in each",
        f"{cell(gaps)}; {reached} of {len(gaps)}",
        reached == len(gaps),
    )
    shown = [("speed-up over pythae, time to its ELBO", f"{g:g} or more", cell(times), middle >= g) for g in goals]
    return [bound, *shown]


def peer_bars(found: Report, option: str = "") -> list[Bar]:
    """Return the speed-up over each peer, at the ELBO of the peer or better, and with the same recipe.

    For peers that compile, it is also given without their compilation.
    """
    sides, result = found["sides"], []
    own, same = sides[OWN + option], sides[SAME + option]
    for name, values in sides.items():
        if name.startswith((OWN, SAME)):
            continue
        pairs = zip(own["negative_elbo"], values["negative_elbo"], strict=True)
        reached = all(ours <= theirs for ours, theirs in pairs)
        for key, what in (("seconds", ""), ("warm_seconds", ", without compilation")):
            if key not in values:
                continue
            times = ratios(values[key], own["seconds"])
            if name != PYTHAE:  # which quality_bars lists
                title = f"speed-up over {name}, time to its ELBO{what}"
                result.append((title, "above 1", cell(times), reached and median(times) > 1))
            times = ratios(values[key], same["seconds"])
            result.append((f"speed-up over {name}, same recipe{what}", "above 1", cell(times), median(times) > 1))
    return result


def training(found: Report) -> list[str]:
    """Return the section of task A or B."""
    task, n = found["task"], found["rows"]["train"]
    rows = []
    for name, values in found["sides"].items():
        epochs = task["ours" if name.startswith(OWN) else "peers"]["epochs"]
        rate = [n * epochs / s for s in values["seconds"]]
        cells = (values["seconds"], values.get("warm_seconds"), rate, values["negative_elbo"], values["import_seconds"])
        shown = f"**{name}**" if name == OWN else name
        rows.append([shown, *(cell(c) for c in cells)])
    head = ["", "seconds", "without compilation", "rows per second", "negative test ELBO, nats", "imports, seconds"]
    words = (
        f"{n:,} training rows and {found['rows']['test']:,} test rows. The recipe of pythae and all other peers: "
        f"{recipe(task['peers'])}. The recipe of isthmus, chosen on validation rows: {recipe(task['ours'])}."
    )
    skipped = [f"- {name} was left out: {reason}." for name, reason in found["skipped"].items()]
    tables = [bars(quality_bars(found) + peer_bars(found))]
    if OWN + COMPILED in found["sides"]:
        tables += ["With `compile=True`:", bars(quality_bars(found, COMPILED) + peer_bars(found, COMPILED))]
    return [words, *tables, table(head, rows), "\n".join(skipped)]


# ---- C: inference ---------------------------------------------------------------------------------------------------


def _bounded(memory: Sequence[Report]) -> list[Bar]:
    """Return the growth of the peak memory between the last two points of each series, with 64 MiB as the least."""
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
            what = f"{method}: peak memory for {last[grown]:,} {grown} over that for {before[grown]:,}"
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
                (f"{name}: throughput relative to the bare products", "0.8 or more", cell(share), median(share) >= 0.8)
            )
    memory = [
        [m["method"], f"{m['rows']:,}", f"{m['draws']:,}", number(m["mebibytes"]), number(m["result_mebibytes"])]
        for m in found["memory"]
    ]
    words = (
        "784-512-20, Bernoulli likelihood, float32 rows. The products are those of the same layers without biases and "
        "activations: one call of `torch.mm` per layer for all rows (and draws), with a newly allocated result, as the "
        "method has. The same in blocks of 4,096 rows, into memory that is reused, is shown as a bound that no method "
        "can reach. Peak memory is measured in an interpreter of its own, and excludes the library, the rows and the "
        "result."
    )
    head = ["", "rows", "seconds", "products, seconds", "share", "products in blocks, seconds", "share"]
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
            (f"contractive step relative to plain, {name}", f"{needed} or less", cell(times), median(times) <= needed)
        )
    for k, values in found["draws"].items():
        rows.append(
            [k, cell(values["step"]), cell(values["products"]), cell(ratios(values["step"], values["products"]))]
        )
    few, *_, many = [median(v["step"]) / median(v["products"]) for v in found["draws"].values()]
    what = f"step relative to its products, {list(found['draws'])[-1]} draws and {next(iter(found['draws']))}"
    goals.append((what, "no increase", f"{number(many)} and {number(few)}", many <= few))
    words = (
        "Milliseconds per step of 128 rows with 784 features. The contractive penalty is measured for one layer (256 "
        "tied sigmoid units, closed form) and for a deep encoder (512-256-32, one projection); the "
        "importance-weighted bound with k draws for 784-512-20, next to its matrix products, forward and backward."
    )
    layers = [[name, cell(values)] for name, values in nets.items()]
    return [
        words,
        bars(goals),
        table(["network", "ms per step"], layers),
        table(["draws", "ms per step", "products, ms", "ratio"], rows),
    ]


# ---- E: curves ------------------------------------------------------------------------------------------------------


def exponent(points: Sequence[float], seconds: Sequence[float]) -> float:
    """Return the exponent of the cost between the last two points; 1 is linear growth."""
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
        parts += [f"*{found['fixed'][axis]}*", table([axis, "seconds", "microseconds per unit"], rows)]
    return [bars(goals), "![Cost against rows, features, latent units and draws](images/cost.png)", *parts]


# ---- F: options -----------------------------------------------------------------------------------------------------


def settings(found: Report) -> list[str]:
    """Return the section of task F."""
    words = (
        "`VAE` with its defaults (float32) and with other options. The columns are the seconds in a fresh "
        "interpreter, the seconds if all epochs took as long as the median one (without setup and compilation), and "
        "the test ELBO."
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
            table(["", "seconds", "at the median epoch", "negative test ELBO, nats"], rows),
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


def page(report: Report, gpu: Report | None = None) -> str:
    """Return docs/speed.md; the section on a GPU is there if there are results."""
    parts = [_HEAD.strip()]
    for letter, (title, section) in _SECTIONS.items():
        parts.append(f"## {letter}. {title}")
        found = report.get(letter)
        parts += ["Not run yet."] if found is None else [*section(found), provenance(found["run"])]
    if gpu is not None:
        parts += ["## G. On a GPU", *render_gpu.section(gpu, cell, table, bars)]
    return "\n\n".join(part for part in parts if part) + "\n"


def main() -> None:
    """Write docs/speed.md."""
    report, gpu = (json.loads(path.read_text()) if path.exists() else None for path in (RESULTS, GPU_RESULTS))
    PAGE.write_text(page(report or {}, gpu))
    print(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
