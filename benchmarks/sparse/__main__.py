"""Sparse autoencoders on a synthetic world with known features, beside BatchTopK of SAELens at the same budget.

    python benchmarks/sparse                      # minutes on two cores; writes benchmarks/results/sparse.json
    python benchmarks/sparse --samples 5000000 --batch-size 1024 --k 2 5 10 --main-only --output ...
    python benchmarks/sparse --tune               # candidates on another world, from which the settings were chosen
    python benchmarks/sparse/render.py            # docs/sparse.md from the results

Each model sees the same samples once, streamed from one .npy file in batches of the same size, and has 512 units.
SAELens is installed with ``pip install "isthmus[bench-sparse]"``.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from candidates import MODELS, TRIED, Candidate
from measure import Case, in_own_process
from world import World

RESULTS = Path(__file__).resolve().parents[1] / "results"
EXTRA_K, TUNING_SEED = 5, 100


def plan(options: argparse.Namespace) -> list[tuple[Candidate, int]]:
    """Return what to fit: the two main models for every k, the others for one, and candidates when tuning."""
    if options.tune:
        return [(candidate, EXTRA_K) for candidate in TRIED]
    main = [(candidate, k) for k in options.k for candidate in MODELS if candidate.main]
    return main + [(candidate, EXTRA_K) for candidate in MODELS if not candidate.main and not options.main_only]


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure everything, and return the report."""
    with tempfile.TemporaryDirectory() as folder:
        seeds = [TUNING_SEED] if options.tune else list(range(options.seeds))
        paths = {seed: Path(folder) / f"{seed}.npy" for seed in seeds}
        for seed, path in paths.items():
            World.of(seed).write(path, options.samples, seed)
        cases = [
            Case(candidate.name, k, seed, str(path), options.batch_size)
            for seed, path in paths.items()
            for candidate, k in plan(options)
        ]
        with ThreadPoolExecutor(options.workers) as pool:
            entries = list(pool.map(in_own_process, cases))
    return {
        "run": {
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "samples": options.samples,
            "batch_size": options.batch_size,
            "seeds": seeds,
        },
        "machine": {"processor": _processor(), "cores": os.cpu_count(), "threads": 1},
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in ("isthmus", "torch", "numpy", "sae-lens")},
        "settings": {c.name: c.described() for c in (TRIED if options.tune else MODELS)},
        "entries": entries,
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run the benchmark, write its report, and return it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=int, default=500_000, help="samples that each model sees (%(default)s)")
    parser.add_argument("--batch-size", type=int, default=256, help="samples per step (%(default)s)")
    parser.add_argument("--k", type=int, nargs="+", default=[2, 5, 10, 20], help="numbers of active units")
    parser.add_argument("--seeds", type=int, default=1, help="number of worlds (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes (%(default)s)")
    parser.add_argument("--main-only", action="store_true", help="leave out the variants")
    parser.add_argument("--tune", action="store_true", help="compare candidates on another world instead")
    parser.add_argument("--output", type=Path, help="file to write (results/sparse.json)")
    options = parser.parse_args(arguments)
    report = run(options)
    path = options.output or RESULTS / ("sparse.tuning.json" if options.tune else "sparse.json")
    path.write_text(json.dumps(report, indent=1) + "\n")
    return report


if __name__ == "__main__":
    main()
