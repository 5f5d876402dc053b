"""Keep a model that learns from a stream, and the explorer, at work for an hour, and record their memory.

Usage: python benchmarks/trust/soak.py [--minutes 60] [--per-second 10]

Both work side by side, each in a process of its own, with at most as many batches, or requests, a second. Their
resident memory is read from /proc every few seconds (Linux). Written are benchmarks/trust/soak.json and soak.png: the
memory, and its slope in the second half of the time, with a standard error. The exit code is 1 if memory grows by more
than two standard errors and by more than a per cent an hour.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import sklearn
import torch
from scipy.stats import linregress
from soak_work import Pace, Visitor, explorer

import isthmus

RESULTS = Path(__file__).with_name("soak.json")
SECONDS = 4.0  # between two readings
BLOCKS = 20  # means of which the slope is fitted: readings that follow each other are not independent
WARM_UP = 0.5  # share of the time that is left out of the slope: the history fills until it has 10,000 records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--per-second", type=float, default=10.0)
    arguments = parser.parse_args()
    with ThreadPoolExecutor() as pool:
        runs = {name: pool.submit(run, 60 * arguments.minutes, arguments.per_second) for name, run in PARTS.items()}
    results = {name: summary(*run.result()) for name, run in runs.items()}
    RESULTS.write_text(json.dumps(results, sort_keys=True) + "\n")
    for name, result in results.items():
        print(name, {key: value for key, value in result.items() if key != "readings"}, flush=True)
    draw(results)
    sys.exit(not all(result["flat"] for result in results.values()))


def run_stream(seconds: float, per_second: float) -> tuple[list[tuple[float, float]], int]:
    """Return the memory of a process that learns from a stream, and how many batches it learned."""
    command = [sys.executable, str(Path(__file__).with_name("soak_work.py")), str(per_second)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        learned = [0]
        assert process.stdout is not None
        reader = threading.Thread(target=lambda: learned.extend(int(line) for line in process.stdout))
        reader.start()
        try:
            readings = read(process.pid, seconds, lambda: time.sleep(SECONDS))
        finally:
            process.kill()
            reader.join()
    return readings, learned[-1]


def run_explorer(seconds: float, per_second: float) -> tuple[list[tuple[float, float]], int]:
    """Return the memory of the explorer under requests, and how many it answered."""
    with explorer() as (pid, url):
        visitor, pace = Visitor(url), Pace(per_second)
        while b'"ready": true' not in _status(visitor):
            time.sleep(0.1)

        def visit() -> None:
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                pace.wait()
                visitor.visit()

        return read(pid, seconds, visit), visitor.n_requests


def _status(visitor: Visitor) -> bytes:
    visitor.connection.request("POST", visitor.path + "api/status")
    return visitor.connection.getresponse().read()


PARTS = {"stream": run_stream, "explorer": run_explorer}


def read(pid: int, seconds: float, wait: Callable[[], None]) -> list[tuple[float, float]]:
    """Return pairs of seconds and megabytes of resident memory of a process, read after each call of `wait`."""
    began, readings = time.monotonic(), []
    while (now := time.monotonic() - began) < seconds:
        wait()
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        readings.append((round(now, 1), round(pages * resource.getpagesize() / 1e6, 3)))
    return readings


def summary(readings: list[tuple[float, float]], n_done: int) -> dict[str, object]:
    """Return the slope in megabytes an hour with its standard error, from the means of equal blocks of readings."""
    kept = np.array(readings)[int(WARM_UP * len(readings)) :]
    if len(kept) < 3:
        raise SystemExit(f"{len(kept)} readings are too few for a slope: more --minutes are needed.")
    blocks = np.array([block.mean(axis=0) for block in np.array_split(kept, min(BLOCKS, len(kept)))])
    line = linregress(blocks[:, 0] / 3600, blocks[:, 1])
    slope, error, average = map(float, (line.slope, line.stderr, blocks[:, 1].mean()))
    first, last, most = (round(float(value), 1) for value in (blocks[0, 1], blocks[-1, 1], kept[:, 1].max()))
    return {
        "minutes": round(readings[-1][0] / 60, 1),
        "done": n_done,
        "megabytes": {"first": first, "last": last, "most": most},
        "megabytes_an_hour": round(slope, 3),
        "standard_error": round(error, 3),
        "flat": slope <= max(2 * error, 0.01 * average),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "versions": {
            "isthmus": isthmus.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "scikit-learn": sklearn.__version__,
        },
        "readings": readings,
    }


def draw(results: dict[str, dict]) -> None:
    """Draw the memory of each part."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    titles = {"stream": "partial_fit on a stream", "explorer": "requests to the explorer"}
    done = {"stream": "batches", "explorer": "requests"}
    figure, axes = plt.subplots(1, len(results), figsize=(5 * len(results), 3.2), squeeze=False, layout="constrained")
    for axis, (name, result) in zip(axes[0], sorted(results.items(), reverse=True), strict=True):
        seconds, megabytes = np.array(result["readings"]).T
        axis.plot(seconds / 60, megabytes, linewidth=1)
        axis.set_ylim(0, 1.2 * megabytes.max())
        axis.set_xlabel("minutes")
        axis.set_ylabel("resident memory (MB)")
        slope = f"{result['megabytes_an_hour']:+.2f} ± {result['standard_error']:.2f} MB per hour in the second half"
        axis.axvspan(WARM_UP * seconds[-1] / 60, seconds[-1] / 60, color="0.93", zorder=0)
        axis.set_title(f"{titles[name]}: {result['done']:,} {done[name]}\n{slope}", fontsize=10)
    figure.savefig(RESULTS.with_suffix(".png"), dpi=120)


if __name__ == "__main__":
    main()
