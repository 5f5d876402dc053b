"""The section of docs/speed.md on a GPU, from results/gpu.json."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

__all__ = ["section"]

OWN, SAME, PYTHAE = "isthmus, own recipe", "isthmus, pythae's recipe", "pythae"
COMPILED = ", compile=True"

Report = dict[str, Any]
Bar = tuple[str, str, str, bool]  # goal, required, result, met
Cell = Callable[[Sequence[float] | None], str]
Table = Callable[[Sequence[str], Sequence[Sequence[str]]], str]

_WORDS = """Measured by `python benchmarks/gpu.py`; the numbers are in `benchmarks/results/gpu.json`. All methods run in
one process, alternately, each after a run on few rows that is not counted. The rows start in main memory, and the
network is 784-512-20. The recipes are those of section A. `compile=True` is isthmus' default on a GPU; without it,
steps are plain PyTorch. JAX computes its products in float32, as torch does."""


def _ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    return [a / b for a, b in zip(above, below, strict=True)]


def _quality(found: Report, cell: Cell, table: Table) -> tuple[list[Bar], str]:
    """Return the goals and the table of the time to pythae's ELBO."""
    sides, goals = found["sides"], []
    rows = [
        [name, cell(values["seconds"]), cell(values.get("warm_seconds")), cell(values["negative_elbo"])]
        for name, values in sides.items()
    ]
    if PYTHAE in sides:
        theirs = sides[PYTHAE]
        for name, values in ((name, values) for name, values in sides.items() if name.startswith(OWN)):
            gaps = [a - b for a, b in zip(values["negative_elbo"], theirs["negative_elbo"], strict=True)]
            times = _ratios(theirs["seconds"], values["seconds"])
            goals.append(
                (
                    f"speed-up over pythae, time to its ELBO: {name.removeprefix('isthmus, ')}",
                    "20 or more" if COMPILED in name else "above 1",
                    cell(times),
                    median(times) >= (20 if COMPILED in name else 1) and max(gaps) <= 0,
                )
            )
    own, same = sides[OWN + COMPILED], sides[SAME + COMPILED]
    for name, values in sides.items():
        if name.startswith("isthmus") or name == PYTHAE:
            continue
        reached = all(a <= b for a, b in zip(own["negative_elbo"], values["negative_elbo"], strict=True))
        for key, words in (("seconds", ""), ("warm_seconds", ", without compilation")):
            if key in values:
                times = _ratios(values[key], own["seconds"])
                what = f"speed-up over {name}, time to its ELBO{words}: own recipe{COMPILED}"
                goals.append((what, "above 1", cell(times), median(times) > 1 and reached))
                times = _ratios(values[key], same["seconds"])
                goals.append(
                    (f"speed-up over {name}, same recipe{words}{COMPILED}", "above 1", cell(times), median(times) > 1)
                )
    return goals, table(["", "seconds", "without compilation", "negative test ELBO, nats"], rows)


def _speed(found: Report, cell: Cell, table: Table) -> str:
    names = list(next(iter(found.values()))["sides"])
    rows = [
        [name, *(cell(values["sides"].get(name, {}).get("rows_per_second")) for values in found.values())]
        for name in names
    ]
    return table(["batches of", *(f"{int(size):,}" for size in found)], rows)


def _inference(found: Report, cell: Cell, table: Table) -> str:
    rows = []
    for name, values in found.items():
        floors = (values.get("with copies"), values["rows on the GPU"])
        shares = [cell(_ratios(floor, values["seconds"])) if floor else "" for floor in floors]
        rows.append([name, f"{values['rows']:,}", cell(values["seconds"]), *map(cell, floors), *shares])
    head = ["", "rows", "seconds", "products, with copies", "products, on the GPU", "share, with copies", "share"]
    return table(head, rows)


def _agreement(found: Report, processes: Report | None) -> list[str]:
    """Return sentences on what should be the same number."""
    lines = []
    for name, values in found.items():
        if "same_bits" in values:
            bits = (
                "the same bits" if values["same_bits"] else f"parameters that differ by up to {values['largest']:.2g}"
            )
            eager, captured = (f"{1000 * s:.0f}" for s in values["seconds"])
            lines.append(
                f"- {name}: {bits} after one epoch, which takes {eager} ms eagerly and {captured} ms captured."
            )
        elif "largest" in values:
            lines.append(
                f"- {name}: differences of {values['mean']:.1g} nats on average, {values['largest']:.1g} at most."
            )
        elif "bf16" in values:
            gaps = [a - b for a, b in zip(values["bf16"], values["float32"], strict=True)]
            shown = ", ".join(f"{gap:+.3f}" for gap in gaps)
            lines.append(f"- {name}: with bf16 minus with float32, {shown} nats for {len(gaps)} seeds.")
    if processes:
        bits = "the same bits" if processes["same_bits"] else f"differences of up to {processes['largest']:.2g}"
        alone, group = (f"{1000 * s:.0f}" for s in processes["seconds"])
        lines.append(
            f"- a group of one process over {processes['backend'].upper()}, with DistributedDataParallel, and a single "
            f"process, on {processes.get('data', 'fashion_mnist')}: {bits}; an epoch takes {group} ms and {alone} ms."
        )
    return lines


def _provenance(parts: Report) -> list[str]:
    """Return on what, and when, the parts were measured, with their names if this differs."""
    names: dict[str, list[str]] = {}
    for name, part in parts.items():
        names.setdefault(_of_run(part["run"]), []).append(name)
    return list(names) if len(names) == 1 else [f"{', '.join(those)}: {run}" for run, those in names.items()]


def _of_run(run: Report) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    return (
        f"{run['date']}, {run['gpu']}, {run['processor']}, {run['cores']} cores; {run['repeats']} repeats with seeds 0 "
        f"to {run['repeats'] - 1}. CUDA {run['cuda']}, {versions}."
    )


def section(report: Report, cell: Cell, table: Table, bars: Callable[[Sequence[Bar]], str]) -> list[str]:
    """Return the paragraphs of the section."""
    goals, quality = _quality(report["quality"]["found"], cell, table)
    encoded = report["inference"]["found"]["transform"]
    share = _ratios(encoded["with copies"], encoded["seconds"])
    what = "transform: throughput relative to the bare products, with copies"
    goals.append((what, "0.8 or more", cell(share), median(share) >= 0.8))
    agreement = _agreement(report["agreement"]["found"], report.get("processes", {}).get("found"))
    return [
        _WORDS,
        bars(goals),
        quality,
        "Rows per second in an epoch after the first one; the epoch of a peer includes what it does once. There are "
        f"{report['speed']['run']['repeats']} repeats, fewer where a cell has one number:",
        _speed(report["speed"]["found"], cell, table),
        "Trained models. The first products begin and end with rows in main memory, as the methods do:",
        _inference(report["inference"]["found"], cell, table),
        "What should be the same number:",
        "\n".join(agreement),
        *_provenance(report),
    ]
