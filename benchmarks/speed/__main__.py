"""Compare the speed of isthmus with its peers and with the bare matrix products, on an otherwise idle machine.

    python benchmarks/speed                    # tasks A to F: results/speed.json, docs/speed.md, docs/images/cost.png
    python benchmarks/speed --only A --only C  # some of them; the results of the others are kept
    python benchmarks/speed --quick            # seconds, on digits; prints the numbers and writes nothing
    python benchmarks/speed --tune A           # isthmus' recipe for A on validation rows: results/speed.tuning.json
    python benchmarks/speed --render           # write docs/speed.md from the results

A, B: time to the test ELBO that pythae reaches, on Fashion-MNIST and on digits, with one recipe for all peers. C:
transform, score_samples and sample compared with the bare products; memory. D: contractive and importance-weighted
steps. E: growth of the cost. F: options of isthmus. Every method runs in a fresh interpreter with the same number of
threads, and the methods alternate.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import render
import training
from curves import FIXED, GRIDS
from harness import ROOT, Load, ask, busy_now, in_turn, record, save
from recipes import OPTION_DATA, OPTIONS

RESULTS = ROOT / "benchmarks" / "results" / "speed.json"
PICTURE = ROOT / "docs" / "images" / "cost.png"
PEERS = ("pythae", "loop", "keras", "jax")


def say(text: str) -> None:
    print(f"  {text}", flush=True)


def inference(options: argparse.Namespace) -> dict[str, Any]:
    """Run task C."""
    quick = options.quick
    n_rows, n_draws, n_scored = (512, 4, 64) if quick else (50_000, 100, 1_000)
    arguments = {"n_rows": n_rows, "n_draws": n_draws, "n_scored": n_scored, "repeats": options.repeats}
    speed = ask("inference:ratios", options.threads, here=quick, **arguments)
    for name, found in speed.items():
        say(f"{name}: {sum(found['products']) / sum(found['seconds']):.0%} of the throughput of the bare products")
    points = [("transform", n, 1) for n in (10**3, 10**4, 10**5)]
    points += [("sample", n, 1) for n in (10**3, 10**4, 10**5)]
    points += [("score_samples", n, 10) for n in (10**2, 10**3, 10**4)]
    points += [("score_samples", 100, s) for s in (100, 1000, 5000)]
    memory = []
    for method, n, draws in [("transform", 500, 1)] if quick else points:
        found = ask("inference:peak", options.threads, here=quick, method=method, n_rows=n, n_draws=draws)
        memory.append({"method": method, "rows": n, "draws": draws} | found)
        say(f"{method}, {n} rows, {draws} draws: {found['mebibytes']:.0f} MiB")
    return {"ratios": speed, "memory": memory}


def steps(options: argparse.Namespace) -> dict[str, Any]:
    """Run task D."""
    quick = options.quick
    common = {"repeats": options.repeats, "here": quick} | ({"n_features": 64} if quick else {})
    n_rows, n_weighted, numbers = (256, 256, [1, 5]) if quick else (6400, 2560, [1, 5, 50])
    found = {
        "contractive": ask("steps:contractive", options.threads, **common, n_rows=n_rows),
        "draws": ask("steps:draws", options.threads, **common, n_rows=n_weighted, numbers=numbers),
    }
    say(json.dumps(found))
    return found


def costs(options: argparse.Namespace) -> dict[str, Any]:
    """Run task E."""
    curves = {}
    for axis, points in GRIDS.items():
        some = points[:2] if options.quick else points
        arguments = {"axis": axis, "points": some, "repeats": options.repeats, "here": options.quick}
        curves[axis] = ask("curves:curve", options.threads, **arguments)
        say(f"{axis}: " + ", ".join(f"{n}: {min(s):.3g} s" for n, s in zip(some, curves[axis]["seconds"], strict=True)))
    if not options.quick:
        say(str(ask("curves:draw", options.threads, curves=curves, path=str(PICTURE))))
    return {"curves": curves, "fixed": FIXED}


def settings(options: argparse.Namespace) -> dict[str, Any]:
    """Run task F."""
    chosen = ["float32", "float64"] if options.quick else list(OPTIONS)
    some = {"here": True, "max_epochs": 1} if options.quick else {}
    found: dict[str, Any] = {}
    for data in ["digits"] if options.quick else OPTION_DATA:
        calls = {
            name: lambda seed, data=data, name=name: ask(
                "settings:fit", options.threads, data=data, option=name, seed=seed, **some
            )
            for name in chosen
        }
        values, skipped = in_turn(calls, options.repeats, say)
        found[data] = {"fields": OPTION_DATA[data], "sides": values, "skipped": skipped}
    return {"data": found}


def compared(letter: str) -> Callable[[argparse.Namespace], dict[str, Any]]:
    """Return the function that runs task A or B."""

    def run(options: argparse.Namespace) -> dict[str, Any]:
        peers = options.peers or (["loop"] if options.quick else PEERS)
        return training.compare(letter, options.repeats, options.threads, say, peers, quick=options.quick)

    return run


TASKS = {"A": compared("A"), "B": compared("B"), "C": inference, "D": steps, "E": costs, "F": settings}


def tuned(options: argparse.Namespace) -> None:
    """Print the recipes that reach the ELBO of pythae on validation rows, fastest first, and write all of them."""
    path = RESULTS.with_suffix(".tuning.json")
    report = json.loads(path.read_text()) if path.exists() else {}
    for letter in options.tune:
        load, start = Load(), time.perf_counter()
        found = training.tune(letter, options.threads, say, quick=options.quick)
        margin = 0.2 if letter == "A" else 0.05  # nats, so that other seeds reach it as well
        for run in training.good_enough(found, margin)[:10]:
            say(json.dumps(run))
        report[letter] = found | {"run": record(load, time.perf_counter() - start, 1, options.threads)}
        if not options.quick:
            save(path, report)


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("benchmarks/speed", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", choices=list(TASKS), help="run only this task; can be repeated")
    parser.add_argument("--repeats", type=int, help="repeats of every method (default 5; with --quick 1)")
    parser.add_argument("--threads", type=int, default=2, help="threads of every method (default %(default)s)")
    parser.add_argument(
        "--peers", action="append", choices=PEERS, help="compare only with this one in A and B; can be repeated"
    )
    parser.add_argument("--quick", action="store_true", help="check in seconds, on digits, that it runs; write nothing")
    parser.add_argument("--tune", action="append", choices=("A", "B"), help="find the recipe of isthmus instead")
    parser.add_argument("--render", action="store_true", help="only write docs/speed.md from the results")
    options = parser.parse_args(arguments)
    options.repeats = options.repeats or (1 if options.quick else 5)
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    options = parsed(arguments)
    if options.render:
        render.main()
        return
    if not options.quick and (share := busy_now()) > 0.05:
        print(f"WARNING: other work uses {share:.0%} of this machine; the results will be marked.", file=sys.stderr)
    if options.tune:
        tuned(options)
        return
    report = json.loads(RESULTS.read_text()) if RESULTS.exists() and not options.quick else {}
    for letter in options.only or TASKS:
        print(f"task {letter}", flush=True)
        load, start = Load(), time.perf_counter()
        found = TASKS[letter](options)
        about = record(load, time.perf_counter() - start, options.repeats, options.threads)
        report[letter] = {"run": about} | found
        if not options.quick:  # after every task, so that a later failure loses nothing
            save(RESULTS, dict(sorted(report.items())))
            render.main()
    if options.quick:
        print(render.page(report))


if __name__ == "__main__":
    main()
