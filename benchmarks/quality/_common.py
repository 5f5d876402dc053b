"""What the quality scripts share: data and splits, the command line, timing, and results with their provenance.

A script measures entries (a task, a model, one number per seed and metric), compares them with its targets, and
passes both to :func:`main`, which writes benchmarks/results/quality/NAME.json. docs/quality.md is rendered from these
files.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib.metadata
import json
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from _data import DEBIAN, Array, Images, digits, fashion_mnist

from isthmus._atomic import atomic_write

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "quality"


class Options(NamedTuple):
    """The options of the command line.

    Attributes
    ----------
    form : {"quick", "short", "full"}
        "quick" runs on digits in seconds and shows only that the script works.
    seeds : tuple of int
        Seeds of weights, noise and masks, the same for every model.
    data : Path
        Folder of the four files of Fashion-MNIST.
    busy : bool
        Whether other work shared the machine, so that wall times mean little.
    tune : bool
        Whether to compare candidates on validation rows instead of measuring on test rows.
    only : str
        Part of the names of the tasks and models to measure; other results are kept from the existing report.
    """

    form: str
    seeds: tuple[int, ...]
    data: Path = DEBIAN
    busy: bool = False
    tune: bool = False
    only: str = ""

    def wants(self, name: str) -> bool:
        """Return whether to measure this task or model."""
        return self.only in name

    def pick(self, *, quick: Any, short: Any, full: Any) -> Any:
        """Return the value for the chosen form."""
        return {"quick": quick, "short": short, "full": full}[self.form]


class Run(NamedTuple):
    """The result of one fit of one model."""

    values: dict[str, float]
    seconds: float
    parameters: int


class Entry(NamedTuple):
    """The results of a model on a task, one number per seed; `role` is "ours", "peer", "limit" or "tried"."""

    task: str
    model: str
    role: str
    values: dict[str, list[float]]
    seconds: list[float]
    parameters: int

    @classmethod
    def of(cls, task: str, model: str, role: str, runs: Sequence[Run]) -> Entry:
        """Join the runs of all seeds."""
        values = {name: [_short(run.values[name]) for run in runs] for name in runs[0].values}
        return cls(task, model, role, values, [round(run.seconds, 2) for run in runs], runs[0].parameters)

    def mean(self, metric: str) -> float:
        """Return the mean over seeds."""
        return float(np.mean(self.values[metric]))


class Bar(NamedTuple):
    """A target: `ours` should be at most `bar`, or at least `bar` if `higher`."""

    says: str
    model: str
    ours: float
    bar: float
    higher: bool = False
    aim: bool = False

    @property
    def met(self) -> bool:
        """Whether the target was met."""
        return self.ours >= self.bar if self.higher else self.ours <= self.bar


class Found(NamedTuple):
    """All entries, with access by task and model."""

    entries: Sequence[Entry]

    def mean(self, task: str, model: str, metric: str) -> float:
        """Return the mean over seeds of a metric of one entry."""
        return next(e for e in self.entries if (e.task, e.model) == (task, model)).mean(metric)

    def best(self, task: str, metric: str, *, role: str = "ours", higher: bool = False) -> tuple[str, float]:
        """Return the model with the best mean among those of a role, and this mean."""
        means = [(e.mean(metric), e.model) for e in self.entries if (e.task, e.role) == (task, role)]
        value, model = max(means) if higher else min(means)
        return model, value


class Benchmark(NamedTuple):
    """A script: its name, its measurement, its targets, and its comparison of candidates on validation rows.

    `short_seeds` is how many seeds the short form has: five where a fit takes seconds, one where it takes minutes;
    `first_seed` is the first of them, 1 where a setting was chosen after a look at what seed 0 gave on test rows.
    """

    name: str
    measure: Callable[[Options], Iterable[Entry]]
    judge: Callable[[Found], list[Bar]]
    tune: Callable[[Options], Iterable[Entry]] | None = None
    short_seeds: int = 1
    first_seed: int = 0


def images(options: Options) -> Images:
    """Return Fashion-MNIST (the last 10,000 training rows are for validation), or digits for the quick form."""
    return digits() if options.form == "quick" else fashion_mnist(options.data)


# ---- measuring --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def stopwatch() -> Iterator[list[float]]:
    """Yield a list that holds the seconds of the block after it has ended."""
    seconds: list[float] = []
    start = time.perf_counter()
    yield seconds
    seconds.append(time.perf_counter() - start)


def fitted(estimator: Any, X: Array, y: Any = None) -> tuple[Any, float, int]:
    """Fit an estimator; return it with the seconds of the fit and the number of parameters."""
    with stopwatch() as seconds:
        estimator.fit(X) if y is None else estimator.fit(X, y)
    return estimator, seconds[0], sum(p.numel() for p in estimator.model_.parameters())


def mse(a: Array, b: Array) -> float:
    """Return the mean squared difference of two arrays, in float64."""
    return float(np.mean((a.astype(np.float64) - b) ** 2))


def printed(entry: Entry) -> Entry:
    """Print an entry and return it."""
    values = ", ".join(f"{name} {entry.mean(name):.5g}" for name in entry.values)
    print(f"  {entry.task} | {entry.model}: {values} ({np.mean(entry.seconds):.1f} s)", flush=True)
    return entry


# ---- the run and its provenance -----------------------------------------------------------------------------------


def options_of(arguments: Sequence[str] | None, doc: str | None, short_seeds: int = 1, first_seed: int = 0) -> Options:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--full", action="store_true", help="every task, more seeds and epochs: hours on two cores")
    form.add_argument("--quick", action="store_true", help="check in seconds, on digits, that it runs; write nothing")
    parser.add_argument("--tune", action="store_true", help="compare candidates on validation rows instead")
    parser.add_argument(
        "--seeds", type=int, metavar="N", help=f"number of seeds (short form {short_seeds}, full form 5)"
    )
    parser.add_argument("--first-seed", type=int, default=first_seed, metavar="S", help="the first seed (%(default)s)")
    parser.add_argument(
        "--data", type=Path, default=DEBIAN, help="folder with the files of Fashion-MNIST (%(default)s)"
    )
    parser.add_argument(
        "--only",
        default="",
        metavar="TEXT",
        help="repeat what has TEXT in its name and keep the rest of the report",
    )
    parser.add_argument("--busy", action="store_true", help="note in the results that the machine was not idle")
    given = parser.parse_args(arguments)
    name = "full" if given.full else "quick" if given.quick else "short"
    n = given.seeds or {"full": 5, "quick": 1, "short": short_seeds}[name]
    seeds = tuple(range(given.first_seed, given.first_seed + n))
    return Options(name, seeds, given.data, given.busy, given.tune, given.only)


def main(benchmark: Benchmark, doc: str | None, arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run a script, print and return its report, and write it unless the form is quick."""
    options = options_of(arguments, doc, benchmark.short_seeds, benchmark.first_seed)
    start = time.perf_counter()
    print(f"{benchmark.name}, {'tuning, ' if options.tune else ''}{options.form} form", flush=True)
    if options.tune and benchmark.tune is None:
        raise SystemExit(f"{benchmark.name} has no candidates to compare.")
    work = benchmark.tune if options.tune and benchmark.tune is not None else benchmark.measure
    name = benchmark.name + (".tuning" if options.tune else "")
    old = earlier(name, options) if options.only else None
    entries = [printed(entry) for entry in work(options)]
    run = about(options, time.perf_counter() - start)
    if old is not None:
        entries, run = merged(old, entries, run | {"only": options.only})
    bars = [] if options.tune else benchmark.judge(Found(entries))
    report = {
        "run": run,
        "machine": machine(),
        "versions": versions(),
        "entries": [entry._asdict() for entry in entries],
        "bars": [bar._asdict() | {"ours": _short(bar.ours), "bar": _short(bar.bar), "met": bar.met} for bar in bars],
    }
    for bar in bars:
        print(f"  {'met   ' if bar.met else 'missed'} {bar.says}: {bar.ours:.5g}, required {bar.bar:.5g}", flush=True)
    if options.form != "quick":
        write(name, report)
    return report


def earlier(name: str, options: Options) -> dict[str, Any]:
    """Return the existing report, into which repeated measurements are merged.

    Raises
    ------
    SystemExit
        If its form or its seeds differ, so that entries are not comparable.
    """
    report: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    if (report["run"]["form"], report["run"]["seeds"]) != (options.form, list(options.seeds)):
        raise SystemExit("--only needs the form and the seeds of the existing report.")
    return report


def merged(old: dict[str, Any], entries: Sequence[Entry], run: dict[str, Any]) -> tuple[list[Entry], dict[str, Any]]:
    """Merge new entries into the entries of a report, in place or at the end, and their provenance into its own."""
    new = {(entry.task, entry.model): entry for entry in entries}
    kept = [Entry(**entry) for entry in old["entries"]]
    joined = [new.pop((entry.task, entry.model), entry) for entry in kept] + list(new.values())
    return joined, old["run"] | {"again": [*old["run"].get("again", []), run]}


def write(name: str, report: dict[str, Any]) -> None:
    """Write a report atomically."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(report, indent=1) + "\n")
    print(f"wrote {path.relative_to(ROOT)}", file=sys.stderr)


def about(options: Options, seconds: float) -> dict[str, Any]:
    """Return the provenance of a run."""
    return {
        "form": options.form,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "seeds": list(options.seeds),
        "seconds": round(seconds),
        "busy_machine": options.busy,
    }


def machine() -> dict[str, Any]:
    """Return the processor and the numbers of cores and threads."""
    cpuinfo = Path("/proc/cpuinfo")
    models = re.findall(r"model name\s*: (.*)", cpuinfo.read_text()) if cpuinfo.exists() else []
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "processor": (models or [platform.machine()])[0],
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": device,
    }


def versions() -> dict[str, str]:
    """Return the versions of the packages that affect the results."""
    names = ("isthmus", "torch", "scikit-learn", "numpy", "scipy")
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in names}


def _short(value: float) -> float:
    return float(f"{value:.6g}")
