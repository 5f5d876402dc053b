"""Which of the six models is best at what, on three data sets, with default settings; writes docs/which_model.md.

python benchmarks/models             # everything; needs Debian's package dataset-fashion-mnist
python benchmarks/models --data digits --models VAE Autoencoder
python benchmarks/models --render    # write docs/which_model.md from the results
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

sys.path += [str(Path(__file__).resolve().parents[1] / name) for name in ("speed", "quality", "")]

import render
from harness import ROOT, Load, record, save
from measure import DATA, MODELS, measure

RESULTS = ROOT / "benchmarks" / "results" / "models.json"


def main() -> None:
    """Run the parts that are asked for, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS, help="results of the others are kept")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--render", action="store_true", help="write the page from the results")
    options = parser.parse_args()
    report = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for data in () if options.render else options.data:
        start, load = time.perf_counter(), Load()
        runs = report[data]["models"] if data in report else {}
        for model in options.models:
            runs[model] = [measure(data, model, seed) for seed in range(options.seeds)]
            print(f"{data}, {model}: {json.dumps(runs[model])}", flush=True)
        report[data] = {"models": runs, "run": record(load, time.perf_counter() - start, options.seeds, 1)}
        save(RESULTS, report)
    render.main(report)


if __name__ == "__main__":
    main()
