"""Seconds and memory of the commands for a table of 300,000 rows and 30 columns, and for a column of 50,000 levels.

    python benchmarks/tables/large.py                # writes benchmarks/results/tables/large.json
    python benchmarks/tables/large.py --rows 2000000 # over 256 MiB of text: it is read block by block

Each command is a process of its own, with default parameters, on one thread. Its memory is the largest that was
resident; that of the command which only reads the model is given beside it, since most of it are libraries.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "speed"))

import numpy as np
import pandas as pd
from harness import ROOT, Load, record, save

RESULTS = ROOT / "benchmarks" / "results" / "tables" / "large.json"
N_LEVELS = 50_000


def mixed(n_rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return a table of 30 columns that depend on three numbers: 12 of numbers, 6 of counts, 10 of levels, 2 of dates.

    A tenth of the cells is missing, in all columns but the dates.
    """
    z = rng.normal(size=(n_rows, 3))
    table = {}
    for i in range(12):
        value = z @ rng.normal(size=3) + rng.normal(size=n_rows)
        table[f"number {i}"] = (np.exp(value / 2) if i % 3 == 0 else 10 * value).round(2)
    for i in range(6):
        rate = np.exp(1 + 0.4 * z @ rng.normal(size=3))
        table[f"count {i}"] = rng.poisson(rate * (rng.random(n_rows) < 0.7)).astype(float)
    for i in range(10):
        n_levels = (2, 3, 5, 8, 12, 20, 30, 40, 60, 200)[i]
        score = z @ rng.normal(size=3) + rng.normal(size=n_rows)
        level = np.floor(n_levels * (score.argsort().argsort() / n_rows) ** 2).astype(int)
        table[f"level {i}"] = np.array([f"level {k}" for k in range(n_levels)], dtype=object)[level]
    frame = pd.DataFrame(table)
    frame = frame.mask(rng.random(frame.shape) < 0.1)
    for i in range(2):
        days = (z[:, i] * 300 + 19_000).astype("int64")
        frame[f"date {i}"] = days.astype("datetime64[D]").astype(str)
    return frame


def levels(n_rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return a table with a column of 50,000 levels, whose frequencies fall with their rank, and two numbers."""
    rank = np.minimum((N_LEVELS ** rng.random(n_rows)).astype(int), N_LEVELS) - 1
    rank[:N_LEVELS] = np.arange(N_LEVELS)
    size = np.log1p(rank) + rng.normal(size=n_rows)
    return pd.DataFrame(
        {
            "product": [f"product {k}" for k in rank],
            "size": size.round(3),
            "weight": (size + rng.normal(size=n_rows)).round(3),
        }
    )


def measured(*words: str) -> dict[str, float]:
    """Return the seconds of a command, those of the processor, and its largest memory in MB."""
    threads = {"OMP_NUM_THREADS": "1"}
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "isthmus", *words], env=os.environ | threads)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"isthmus {' '.join(words)} ended with {status}")
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "memory": usage.ru_maxrss / 1000}


def commands(table: pd.DataFrame, folder: Path, *, all_of_them: bool) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield the names of the commands for a table, and what they take."""
    data, model = str(folder / "table.csv"), str(folder / "model.safetensors")
    table.to_csv(data, index=False)
    yield "fit", measured("fit", data, "-o", model, "-q")
    yield "info", measured("info", model)
    if all_of_them:
        yield "transform", measured("transform", model, data, "-o", str(folder / "codes.npy"))
        yield "sample", measured("sample", model, "-n", str(len(table)), "-o", str(folder / "samples.parquet"))
        yield "score", measured("score", model, data)
        yield "impute", measured("impute", model, data, "-o", str(folder / "filled.csv"))


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks/tables/large.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=300_000, help="number of rows (%(default)s)")
    parser.add_argument("--only", choices=("mixed", "levels"), help="one of the two tables")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    report = json.loads(options.output.read_text()) if options.output.exists() else {"runs": {}}
    load, start = Load(), time.perf_counter()
    for name, make in (("mixed", mixed), ("levels", levels)):
        if options.only in (None, name):
            table = make(options.rows, np.random.default_rng(0))
            found = report["runs"][f"{name}|{options.rows}"] = {"table": {"columns": table.shape[1]}}
            with tempfile.TemporaryDirectory() as folder:
                for command, took in commands(table, Path(folder), all_of_them=name == "mixed"):
                    found[command] = took
                    print(command, {key: round(value, 1) for key, value in took.items()}, flush=True)
                    report["run"] = record(load, time.perf_counter() - start, 1, 1)
                    options.output.parent.mkdir(parents=True, exist_ok=True)
                    save(options.output, report)


if __name__ == "__main__":
    main()
